//! Which of an interface's own addresses to send from. Pure.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{PresentAddress, Scope};

/// The primary IPv4 address of an interface: the source of what this host sends there in its own name.
///
/// Never one of `excluded` (the virtual addresses, which may be present from an earlier life). Of the others the first of global
/// scope, or else of link scope; a secondary one only if there is no other. `None`: the interface has no address of its own.
#[must_use]
pub fn primary_ipv4(
    present: &[PresentAddress],
    interface: u32,
    excluded: &[IpAddr],
) -> Option<Ipv4Addr> {
    let rank = |address: &PresentAddress| {
        let scope = address.address.properties().scope;
        (scope < Scope::HOST).then_some((scope, address.secondary))
    };
    let candidates =
        own(present, interface, excluded).filter_map(|address| match address.address.ip() {
            IpAddr::V4(ip) => Some((rank(address)?, ip)),
            IpAddr::V6(_) => None,
        });
    candidates.min_by_key(|(rank, _)| *rank).map(|(_, ip)| ip)
}

/// The link-local IPv6 address of an interface, the source of IPv6 advertisements.
///
/// Never one of `excluded`, nor one that is tentative or found to be a duplicate: the kernel would not send from it. `None`: there is none
/// (yet).
#[must_use]
pub fn link_local_ipv6(
    present: &[PresentAddress],
    interface: u32,
    excluded: &[IpAddr],
) -> Option<Ipv6Addr> {
    own(present, interface, excluded)
        .filter(|address| !address.tentative && !address.duplicate)
        .find_map(|address| match address.address.ip() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        })
}

fn own<'a>(
    present: &'a [PresentAddress],
    interface: u32,
    excluded: &'a [IpAddr],
) -> impl Iterator<Item = &'a PresentAddress> {
    present.iter().filter(move |address| {
        address.address.interface() == interface && !excluded.contains(&address.address.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    fn present(interface: u32, ip: &str) -> PresentAddress {
        let ip: IpAddr = ip.parse().unwrap();
        let address = Address::new(interface, ip, if ip.is_ipv4() { 24 } else { 64 }).unwrap();
        PresentAddress {
            address,
            tentative: false,
            duplicate: false,
            secondary: false,
            permanent: true,
        }
    }

    fn scoped(scope: Scope, mut present: PresentAddress) -> PresentAddress {
        present.address = present.address.scope(scope);
        present
    }

    #[test]
    fn the_first_own_ipv4_address_is_primary() {
        let vip: IpAddr = "192.0.2.100".parse().unwrap();
        let secondary = |ip| PresentAddress { secondary: true, ..present(2, ip) };
        let table = [
            scoped(Scope::HOST, present(2, "127.0.0.1")),
            scoped(Scope::LINK, present(2, "169.254.1.1")),
            present(3, "203.0.113.1"),
            present(2, "2001:db8::1"),
            present(2, "192.0.2.100"),
            secondary("192.0.2.7"),
            present(2, "198.51.100.1"),
            present(2, "198.51.100.2"),
        ];
        assert_eq!(primary_ipv4(&table, 2, &[vip]), Some(Ipv4Addr::new(198, 51, 100, 1)));
        assert_eq!(primary_ipv4(&table, 2, &[]), Some(Ipv4Addr::new(192, 0, 2, 100)));
        assert_eq!(primary_ipv4(&table, 4, &[]), None);
        // A virtual address that is left from an earlier life has made the own one secondary.
        assert_eq!(primary_ipv4(&table[4..6], 2, &[vip]), Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(primary_ipv4(&table[1..2], 2, &[]), Some(Ipv4Addr::new(169, 254, 1, 1)));
        assert_eq!(primary_ipv4(&table[..1], 2, &[]), None);
    }

    #[test]
    fn a_usable_own_link_local_address_is_the_ipv6_source() {
        let vip: IpAddr = "fe80::100".parse().unwrap();
        let table = [
            present(2, "2001:db8::1"),
            present(2, "fe80::100"),
            PresentAddress { tentative: true, ..present(2, "fe80::1") },
            PresentAddress { duplicate: true, ..present(2, "fe80::2") },
            present(3, "fe80::3"),
            present(2, "fe80::4"),
        ];
        assert_eq!(link_local_ipv6(&table, 2, &[vip]), Some("fe80::4".parse().unwrap()));
        assert_eq!(link_local_ipv6(&table[..5], 2, &[vip]), None);
        assert_eq!(link_local_ipv6(&table, 2, &[]), Some("fe80::100".parse().unwrap()));
    }
}
