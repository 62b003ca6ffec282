//! Addresses to and from `struct ifaddrmsg` and its attributes (`linux/if_addr.h`). Pure.

use core::net::{IpAddr, Ipv4Addr};

use netlink::{Attributes, Payload};

use crate::address::{Address, Options, PresentAddress, Scope};

pub(crate) const IFADDRMSG_LEN: usize = 8;

pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

const IFA_F_SECONDARY: u32 = 0x1;
const IFA_F_NODAD: u32 = 0x2;
const IFA_F_DADFAILED: u32 = 0x8;
const IFA_F_HOMEADDRESS: u32 = 0x10;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_MANAGETEMPADDR: u32 = 0x100;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
const IFA_F_MCAUTOJOIN: u32 = 0x400;

/// Properties that are a flag of the kernel's, both ways.
const FLAGS: [(Options, u32); 4] = [
    (Options::NO_PREFIX_ROUTE, IFA_F_NOPREFIXROUTE),
    (Options::HOME, IFA_F_HOMEADDRESS),
    (Options::MANAGE_TEMPORARY, IFA_F_MANAGETEMPADDR),
    (Options::AUTOJOIN, IFA_F_MCAUTOJOIN),
];

/// `INFINITY_LIFE_TIME`, seconds.
const FOREVER: u32 = u32::MAX;

/// The payload of `RTM_NEWADDR`.
pub(crate) fn encode_new(address: &Address) -> Payload {
    let properties = address.properties();
    let mut flags = 0;
    if address.ip().is_ipv6() && !properties.options.contains(Options::DETECT_DUPLICATES) {
        flags |= IFA_F_NODAD;
    }
    for (_, flag) in FLAGS.iter().filter(|(option, _)| properties.options.contains(*option)) {
        flags |= flag;
    }
    let mut payload = encode_key(address).u32(IFA_FLAGS, flags);
    if let Some(label) = properties.label {
        payload = payload.text(IFA_LABEL, label);
    }
    if let (Some(broadcast), true) = (properties.broadcast, address.ip().is_ipv4()) {
        payload = payload.attribute(IFA_BROADCAST, &broadcast.octets());
    }
    if properties.options.contains(Options::DEPRECATED) {
        // struct ifa_cacheinfo: preferred for 0 seconds, valid for ever; the two time stamps are the kernel's.
        let lifetimes = [0, FOREVER, 0, 0].map(u32::to_ne_bytes);
        payload = payload.attribute(IFA_CACHEINFO, lifetimes.as_flattened());
    }
    if properties.protocol != 0 {
        payload = payload.u8(IFA_PROTO, properties.protocol);
    }
    payload
}

/// The payload of `RTM_DELADDR`: what [`Address::key`] says, and nothing that could fail to match.
pub(crate) fn encode_delete(address: &Address) -> Payload {
    encode_key(address)
}

/// The payload of a dump of all addresses of both families.
pub(crate) fn encode_dump() -> Payload {
    Payload::with_header(&[0; IFADDRMSG_LEN])
}

fn encode_key(address: &Address) -> Payload {
    let mut header = [0; IFADDRMSG_LEN];
    let family = if address.ip().is_ipv4() { AF_INET } else { AF_INET6 };
    let fixed = [family, address.prefix_len(), 0, address.properties().scope.number()];
    for (to, from) in
        header.iter_mut().zip(fixed.into_iter().chain(address.interface().to_ne_bytes()))
    {
        *to = from;
    }
    let payload = Payload::with_header(&header);
    let peer = address.properties().peer.unwrap_or(address.ip());
    put_ip(put_ip(payload, IFA_LOCAL, address.ip()), IFA_ADDRESS, peer)
}

/// Reads the payload of `RTM_NEWADDR` or `RTM_DELADDR`; `None` for another family's or one that makes no sense.
pub(crate) fn decode(payload: &[u8]) -> Option<PresentAddress> {
    let header: &[u8; IFADDRMSG_LEN] = payload.first_chunk()?;
    let [family, prefix_len, short_flags, scope, index @ ..] = *header;
    let mut flags = u32::from(short_flags);
    let (mut local, mut peer, mut label, mut broadcast, mut protocol) = (None, None, None, None, 0);
    for attribute in Attributes::after(payload, IFADDRMSG_LEN) {
        match attribute.kind {
            IFA_LOCAL => local = ip(family, attribute.value),
            IFA_ADDRESS => peer = ip(family, attribute.value),
            IFA_LABEL => label = attribute.text(),
            IFA_BROADCAST => broadcast = attribute.value.first_chunk().copied().map(Ipv4Addr::from),
            IFA_FLAGS => flags = attribute.u32()?,
            IFA_PROTO => protocol = attribute.u8()?,
            _ => {}
        }
    }
    // With a peer, IFA_ADDRESS is the other end; IPv6 without one has IFA_ADDRESS only.
    let mut address = Address::new(u32::from_ne_bytes(index), local.or(peer)?, prefix_len)
        .ok()?
        .scope(Scope::new(scope))
        .detect_duplicates(flags & IFA_F_NODAD == 0 && family == AF_INET6)
        .deprecated(flags & IFA_F_DEPRECATED != 0)
        .protocol(protocol);
    for (option, flag) in FLAGS {
        address = address.option(option, flags & flag != 0);
    }
    if let (Some(_), Some(peer)) = (local, peer) {
        address = address.peer(peer).ok()?;
    }
    if let Some(label) = label {
        // The kernel allows labels that we do not; the address is there all the same.
        address = address.clone().label(label).unwrap_or(address);
    }
    if let Some(broadcast) = broadcast {
        address = address.broadcast(broadcast);
    }
    Some(PresentAddress {
        address,
        tentative: flags & IFA_F_TENTATIVE != 0,
        duplicate: flags & IFA_F_DADFAILED != 0,
        secondary: flags & IFA_F_SECONDARY != 0,
        permanent: flags & IFA_F_PERMANENT != 0,
    })
}

/// Appends an address.
pub(crate) fn put_ip(payload: Payload, kind: u16, ip: IpAddr) -> Payload {
    match ip {
        IpAddr::V4(ip) => payload.attribute(kind, &ip.octets()),
        IpAddr::V6(ip) => payload.attribute(kind, &ip.octets()),
    }
}

/// Reads an address of this family, which has to have its length.
pub(crate) fn ip(family: u8, octets: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        AF_INET6 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4() -> Address {
        let address = Address::new(3, "192.0.2.100".parse().unwrap(), 24).unwrap();
        address
            .label("eth0:web")
            .unwrap()
            .scope(Scope::LINK)
            .broadcast([192, 0, 2, 255].into())
            .protocol(18)
    }

    fn v6() -> Address {
        Address::new(3, "2001:db8::100".parse().unwrap(), 128)
            .unwrap()
            .prefix_route(false)
            .home(true)
            .peer("2001:db8::1".parse().unwrap())
            .unwrap()
    }

    #[test]
    fn golden_ipv4() {
        let mut expected = vec![2, 24, 0, 253];
        expected.extend(3_u32.to_ne_bytes());
        for (kind, value) in [
            (IFA_LOCAL, &[192, 0, 2, 100][..]),
            (IFA_ADDRESS, &[192, 0, 2, 100]),
            (IFA_FLAGS, &[0, 0, 0, 0]),
            (IFA_LABEL, b"eth0:web\0\0\0\0"), // with its padding, of which 3 octets are not counted
            (IFA_BROADCAST, &[192, 0, 2, 255]),
            (IFA_PROTO, &[18, 0, 0, 0]),
        ] {
            let padding = if matches!(kind, IFA_LABEL | IFA_PROTO) { 3 } else { 0 };
            expected.extend(u16::try_from(4 + value.len() - padding).unwrap().to_ne_bytes());
            expected.extend(kind.to_ne_bytes());
            expected.extend(value);
        }
        assert_eq!(encode_new(&v4()).as_bytes(), expected);
        assert_eq!(encode_delete(&v4()).as_bytes(), &expected[..24]);
    }

    #[test]
    fn what_is_written_is_read() {
        let read = decode(encode_new(&v4()).as_bytes()).unwrap();
        assert_eq!(read.address, v4());
        assert!(!read.tentative && !read.duplicate && !read.secondary && !read.permanent);
        // The kernel answers a preferred lifetime of 0 with the flag.
        let read = decode(encode_new(&v6()).as_bytes()).unwrap();
        assert_eq!(read.address.deprecated(true), v6());
    }

    #[test]
    fn reads_the_kernels_flags() {
        let flags = IFA_F_TENTATIVE
            | IFA_F_DADFAILED
            | IFA_F_SECONDARY
            | IFA_F_PERMANENT
            | IFA_F_DEPRECATED;
        let read = decode(encode_key(&v6()).u32(IFA_FLAGS, flags).as_bytes()).unwrap();
        assert!(read.tentative && read.duplicate && read.secondary && read.permanent);
        assert!(read.address.properties().options.contains(Options::DEPRECATED));
    }

    #[test]
    fn the_own_end_of_a_point_to_point_link_counts() {
        let mut header = vec![2, 32, 0, 0];
        header.extend(3_u32.to_ne_bytes());
        let payload = Payload::with_header(&header)
            .attribute(IFA_ADDRESS, &[10, 0, 0, 2])
            .attribute(IFA_LOCAL, &[10, 0, 0, 1]);
        let address = decode(payload.as_bytes()).unwrap().address;
        assert_eq!(address.to_string(), "10.0.0.1/32 dev 3 peer 10.0.0.2");
        assert_eq!(encode_delete(&address).as_bytes().len(), payload.as_bytes().len());
    }

    #[test]
    fn another_family_is_none_of_ours() {
        let mut bytes = encode_new(&v4()).as_bytes().to_vec();
        bytes[0] = 28; // AF_MPLS
        assert_eq!(decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), family in 0_usize..3) {
            let mut bytes = bytes;
            if let (Some(first), Some(&family)) = (bytes.first_mut(), [AF_INET, AF_INET6].get(family)) {
                *first = family;
            }
            if let Some(read) = decode(&bytes) {
                prop_assert_eq!(read.address.to_string().parse(), Ok(read.address));
            }
        }
    }
}
