//! What is to be done when a worker has died, for one virtual router: as octets and back. Pure.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One virtual router's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    /// Its name.
    pub(crate) name: String,
    /// What it has configured.
    pub(crate) journal: PathBuf,
    /// What it says as it leaves; nothing if it is not Master.
    pub(crate) farewells: Vec<Farewell>,
}

/// A packet of priority 0, signed if need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub(crate) interface: String,
    pub(crate) index: u32,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// IPv4: the whole packet. IPv6: the message.
    pub(crate) packet: Vec<u8>,
}

/// Begins a will in `to`: what does not change.
pub(crate) fn begin(to: &mut Vec<u8>, name: &str, journal: &Path) {
    to.clear();
    put(to, name.as_bytes());
    put(to, journal.as_os_str().as_bytes());
}

/// Adds a farewell.
pub(crate) fn add(
    to: &mut Vec<u8>,
    (interface, index): (&str, u32),
    source: IpAddr,
    destination: IpAddr,
    packet: &[u8],
) {
    put(to, interface.as_bytes());
    to.extend(index.to_be_bytes());
    put_address(to, source);
    put_address(to, destination);
    put(to, packet);
}

/// What [`begin`] and [`add`] have written; `None` for anything else.
pub(crate) fn read(mut octets: &[u8]) -> Option<Will> {
    let from = &mut octets;
    let name = String::from_utf8(take(from)?.to_vec()).ok()?;
    let journal = PathBuf::from(OsStr::from_bytes(take(from)?));
    let mut farewells = Vec::new();
    while !from.is_empty() {
        let interface = String::from_utf8(take(from)?.to_vec()).ok()?;
        let index = u32::from_be_bytes(take_array(from)?);
        let (source, destination) = (take_address(from)?, take_address(from)?);
        let packet = take(from)?.to_vec();
        farewells.push(Farewell { interface, index, source, destination, packet });
    }
    Some(Will { name, journal, farewells })
}

fn put(to: &mut Vec<u8>, octets: &[u8]) {
    // Names, paths and packets are all shorter than 64 KiB; what were longer would be cut and not be readable.
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    to.extend(length.to_be_bytes());
    to.extend(octets);
}

fn put_address(to: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put(to, &address.octets()),
        IpAddr::V6(address) => put(to, &address.octets()),
    }
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes(take_array(from)?));
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn take_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_address(from: &mut &[u8]) -> Option<IpAddr> {
    let octets = take(from)?;
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let farewell = |source: &str, destination: &str| Farewell {
            interface: "eth0".to_owned(),
            index: 7,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            packet: vec![1, 2, 3],
        };
        let farewells = vec![farewell("192.0.2.1", "224.0.0.18"), farewell("fe80::1", "ff02::12")];
        let will = Will { name: "web".to_owned(), journal: "/run/vrrp/x".into(), farewells };
        let mut octets = vec![9];
        begin(&mut octets, &will.name, &will.journal);
        let without = octets.clone();
        for one in &will.farewells {
            let on = (one.interface.as_str(), one.index);
            add(&mut octets, on, one.source, one.destination, &one.packet);
        }
        assert_eq!(read(&octets).as_ref(), Some(&will));
        assert_eq!(read(&without).unwrap().farewells, []);
        // Whole farewells only; the end of one is where the next could begin.
        let ends: Vec<usize> =
            (0..octets.len()).filter(|length| read(&octets[..*length]).is_some()).collect();
        assert_eq!((ends.len(), ends[0]), (2, without.len()), "{ends:?}");
    }
}
