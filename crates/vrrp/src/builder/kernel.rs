//! What a router needs of the kernel and of the run directory.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::io;
use std::path::Path;

use journal::{Journal, JournalError};
use reactor::Clock;
use vip_netlink::{Address, Client, PresentAddress, Scope};
use vrrp_fsm::vrrp_proto::AddressFamily;

use crate::addresses::Held;
use crate::error::BuildError;
use crate::links::Links;
use crate::sentinel;
use crate::virtual_router::VirtualRouter;

/// Whether the kernel lets us change addresses, found out by removing one that no interface can have.
pub(super) fn may_change_addresses(kernel: &mut Client, links: &Links) -> Result<(), BuildError> {
    let Some(address) =
        links.any().and_then(|link| Address::new(link, Ipv4Addr::UNSPECIFIED.into(), 32).ok())
    else {
        return Ok(());
    };
    match kernel.remove(&[address]).pop() {
        Some(Err(error)) if error.errno() == Some(libc::EPERM) => Err(BuildError::Permission {
            capability: "CAP_NET_ADMIN",
            action: "changing addresses",
            source: io::ErrorKind::PermissionDenied.into(),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn find<'a>(
    links: &'a Links,
    virtual_router: &VirtualRouter,
    interface: &str,
) -> Result<&'a vip_netlink::Link, BuildError> {
    links.by_name(interface).ok_or_else(|| BuildError::NoSuchInterface {
        virtual_router: virtual_router.name.to_string(),
        interface: interface.to_owned(),
        existing: links.names(),
    })
}

/// The addresses to install, as the kernel wants them.
pub(crate) fn held(
    virtual_router: &VirtualRouter,
    links: &Links,
    present: &[PresentAddress],
) -> Result<Vec<Held>, BuildError> {
    let installed = virtual_router.addresses.iter().filter(|address| address.installed);
    let usual = virtual_router.address_interface();
    installed
        .map(|wanted| {
            let name = wanted.interface.as_deref().unwrap_or(&usual);
            let link = find(links, virtual_router, name)?;
            let invalid = |source| BuildError::Address {
                virtual_router: virtual_router.name.to_string(),
                address: wanted.to_string(),
                source,
            };
            let (ip, prefix_len): (IpAddr, u8) = (wanted.net.addr(), wanted.net.prefix_len());
            let mut address = Address::new(link.index, ip, prefix_len)
                .map_err(invalid)?
                .scope(Scope::new(wanted.scope))
                .detect_duplicates(wanted.duplicate_detection)
                .prefix_route(wanted.prefix_route);
            if let Some(label) = &wanted.label {
                address = address.label(label).map_err(invalid)?;
            }
            if let Some(broadcast) = wanted.broadcast {
                address = address.broadcast(broadcast);
            }
            if let Some(preferred) = wanted.preferred {
                address = address.deprecated(!preferred);
            }
            let foreign = present.iter().any(|present| present.address.key() == address.key());
            Ok(Held { address, present: false, ours: false, foreign, watched: wanted.watched })
        })
        .collect()
}

/// Opens the journal of one virtual router, which is also the lock that keeps a second process from running it.
pub(super) fn open_journal(
    directory: &Path,
    virtual_router: &VirtualRouter,
    family: AddressFamily,
    patience: Duration,
) -> Result<(Journal, Vec<String>), BuildError> {
    let version = match family {
        AddressFamily::Ipv4 => 4,
        AddressFamily::Ipv6 => 6,
    };
    // Virtual routers with unicast peers may share a VRID; their peers tell them apart.
    let peers = virtual_router
        .journal_peer()
        .map(|peer| format!("-{peer}").replace(':', "_"))
        .unwrap_or_default();
    let namespace = network_namespace().map_err(|source| BuildError::Open {
        what: "/proc/thread-self/ns/net, which names the network namespace",
        source,
    })?;
    let first = virtual_router.effective_paths().into_iter().next();
    let interface = first.map_or_else(|| virtual_router.interface.clone(), |path| path.interface);
    let interface = interface.replace('/', "_");
    let vrid = virtual_router.vrid.get();
    let file = format!("{namespace}-{interface}-{version}-{vrid}{peers}.journal");
    // Absolute, because the sentinel is elsewhere.
    let path = std::path::absolute(directory.join(&file)).unwrap_or_else(|_| directory.join(file));
    let refused =
        |source| BuildError::Journal { virtual_router: virtual_router.name.to_string(), source };
    let end = Clock::now() + patience;
    loop {
        match Journal::open(&path) {
            Err(JournalError::Held { .. }) if Clock::now() < end => sentinel::pause(),
            result => return result.map_err(refused),
        }
    }
}

/// The inode of the calling thread's network namespace: the same name after a restart, another in another namespace.
pub(crate) fn network_namespace() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata("/proc/thread-self/ns/net")?.ino())
}
