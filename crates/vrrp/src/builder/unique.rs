//! Whether virtual routers can be told apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::BuildError;
use crate::virtual_router::VirtualRouter;

/// No two of them can be taken for one another.
pub(crate) fn check_unique<'a>(
    virtual_routers: impl IntoIterator<Item = &'a VirtualRouter>,
) -> Result<(), BuildError> {
    let mut names = BTreeSet::new();
    // By what the demultiplexer tells them apart.
    let mut known: BTreeMap<_, &VirtualRouter> = BTreeMap::new();
    for virtual_router in virtual_routers {
        let name = || virtual_router.name.to_string();
        for (index, (tracker, _)) in virtual_router.trackers.iter().enumerate() {
            let mut earlier = virtual_router.trackers.iter().take(index);
            if earlier.any(|(earlier, _)| earlier == tracker) {
                let tracker = tracker.to_string();
                return Err(BuildError::DuplicateTracker { virtual_router: name(), name: tracker });
            }
        }
        if !names.insert(&virtual_router.name) {
            return Err(BuildError::DuplicateName { name: name() });
        }
        let family = virtual_router.decide_family()?;
        for (interface, peer) in virtual_router.listens().concat() {
            let key = (family, virtual_router.vrid, interface.clone(), peer);
            match known.insert(key, virtual_router) {
                Some(other) if other.name != virtual_router.name => {
                    return Err(BuildError::DuplicateVirtualRouter {
                        first: other.name.to_string(),
                        second: name(),
                        interface,
                    });
                }
                Some(_) if peer.is_none() => {
                    return Err(BuildError::DuplicatePath { virtual_router: name(), interface });
                }
                // A peer that is named twice is the machine's to refuse.
                Some(_) | None => {}
            }
        }
    }
    Ok(())
}
