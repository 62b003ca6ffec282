use proptest::prelude::*;

use super::*;

pub(crate) fn any_address() -> impl Strategy<Value = Address> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    let label = proptest::option::of("[a-z0-9:.]{1,15}");
    let options = 0_u8..64;
    let peer = (any::<[u8; 4]>(), any::<[u8; 16]>(), any::<bool>());
    let numbers = (any::<u32>(), any::<u8>(), any::<u8>(), any::<u8>());
    (ip, label, proptest::option::of(any::<[u8; 4]>()), options, peer, numbers).prop_map(
        |(ip, label, broadcast, options, (v4, v6, has_peer), (interface, len, scope, protocol))| {
            let max = if ip.is_ipv4() { 32 } else { 128 };
            let mut address = Address::new(interface, ip, len % (max + 1)).unwrap();
            if let (Some(label), true) = (label, ip.is_ipv4()) {
                address = address.label(&label).unwrap();
            }
            if let Some(broadcast) = broadcast {
                address = address.broadcast(broadcast.into());
            }
            if has_peer {
                let peer = if ip.is_ipv4() { IpAddr::from(v4) } else { IpAddr::from(v6) };
                address = address.peer(peer).unwrap();
            }
            address.options = Options(options);
            address.scope(Scope::new(scope)).protocol(protocol)
        },
    )
}

proptest! {
    #[test]
    fn text_reads_back(address in any_address()) {
        let text = address.to_string();
        prop_assert_eq!(text.parse::<Address>(), Ok(address), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }
}

#[test]
fn refuses_what_the_kernel_would() {
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(
        Address::new(1, ip, 33),
        Err(InvalidAddress::PrefixLength { ip, prefix_len: 33, max: 32 })
    );
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    assert!(Address::new(1, v6, 129).is_err());
    for label in ["", "sixteen-letters-", "a b", "a\nb"] {
        let refused = Address::new(1, ip, 24).unwrap().label(label);
        assert_eq!(refused, Err(InvalidAddress::Label { ip, len: label.len() }));
    }
    assert!(Address::new(1, v6, 64).unwrap().label("eth0:1").is_err());
    let refused = Address::new(1, ip, 24).unwrap().peer(v6);
    assert_eq!(refused, Err(InvalidAddress::Peer { ip, peer: v6 }));
    for text in [
        "",
        "192.0.2.1/24",
        "192.0.2.1 dev 3",
        "192.0.2.1/24 dev",
        "192.0.2.1/24 dev 3 what",
        "192.0.2.1/24 dev 3 label",
    ] {
        assert_eq!(text.parse::<Address>(), Err(InvalidAddress::Text), "{text:?}");
    }
}

#[test]
fn ipv6_host_addresses_are_deprecated_by_default() {
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    assert!(Address::new(1, v6, 128).unwrap().options.contains(Options::DEPRECATED));
    assert!(!Address::new(1, v6, 64).unwrap().options.contains(Options::DEPRECATED));
    assert!(
        !Address::new(1, "192.0.2.1".parse().unwrap(), 32)
            .unwrap()
            .options
            .contains(Options::DEPRECATED)
    );
}

#[test]
fn agreement_forgives_what_the_kernel_adds() {
    let wanted = Address::new(3, "192.0.2.1".parse().unwrap(), 24).unwrap();
    let present = wanted.clone().label("eth0").unwrap().broadcast([192, 0, 2, 255].into());
    assert!(wanted.agrees_with(&present.clone().protocol(18)));
    assert!(wanted.clone().protocol(18).agrees_with(&present));
    for other in [
        present.clone().scope(Scope::LINK),
        present.clone().prefix_route(false),
        present.clone().deprecated(true),
        present.clone().peer("192.0.2.9".parse().unwrap()).unwrap(),
        Address::new(4, wanted.ip(), 24).unwrap(),
    ] {
        assert!(!wanted.agrees_with(&other), "{other}");
    }
    assert!(!wanted.clone().label("eth0:x").unwrap().agrees_with(&present));
    assert!(!wanted.clone().broadcast([192, 0, 2, 254].into()).agrees_with(&present));
    assert!(!wanted.clone().protocol(18).agrees_with(&present.protocol(3)));
    let v6 = Address::new(3, "2001:db8::1".parse().unwrap(), 64).unwrap();
    assert!(v6.agrees_with(&v6.clone().scope(Scope::LINK).detect_duplicates(true)));
    assert!(!v6.agrees_with(&v6.clone().deprecated(true)));
}
