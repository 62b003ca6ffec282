//! What happens to virtual routers, for the log: everything but the end of faults that nobody was told of.

use std::collections::BTreeSet;

use vrrp::{Event, EventKind};

/// Remembers which faults were told.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    faults: BTreeSet<(String, String)>,
}

impl Narrator {
    /// An event of the virtual routers.
    pub(crate) fn vrrp(&mut self, event: &Event) {
        if self.is_news(event) {
            log::log!(event.kind.level(), "{event}");
        } else {
            log::debug!("{event}");
        }
    }

    /// A virtual router starts with the faults of what it does not know yet; their end is no news.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else happens is news")]
    fn is_news(&mut self, event: &Event) -> bool {
        let key = |fault: &vrrp::Fault| (event.virtual_router.to_string(), fault.to_string());
        match &event.kind {
            EventKind::Fault(fault) => {
                self.faults.insert(key(fault));
                true
            }
            EventKind::FaultCleared(fault) => self.faults.remove(&key(fault)),
            _ => true,
        }
    }
}
