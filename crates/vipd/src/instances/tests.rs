use keepalived_conf::SingleFile;

use super::*;

fn config(text: &str) -> Config {
    let parsed = keepalived_conf::parse("test.conf", text, &mut SingleFile::new());
    assert!(parsed.can_run(), "{:?}", parsed.diagnostics);
    parsed.config
}

fn instance(lines: &str) -> Config {
    config(&format!(
        "vrrp_instance web {{\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n192.0.2.100\n}}\n{lines}\n}}\n"
    ))
}

fn only(config: &Config) -> &VrrpInstance {
    let [instance] = &config.vrrp_instances[..] else { panic!("one instance") };
    instance
}

#[test]
fn every_instance_with_an_address_becomes_a_router() {
    let text = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\n}\nvrrp_instance b {\ninterface eth1\nvirtual_router_id 2\npriority 7\nunicast_peer {\n192.0.2.7\n}\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n";
    let routers = virtual_routers(&config(text), &Trackers::default()).unwrap();
    let [router] = &routers[..] else { panic!("one router") };
    let shown = format!("{:?}", router.router);
    for part in [
        "name: \"b\"",
        "interface: \"eth1\"",
        "priority: 7",
        "unicast: [192.0.2.7]",
        "192.0.2.1/32",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn a_member_that_does_not_run_is_left_out_of_its_group() {
    let instance = |name: &str, vrid: u8, address: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\nvirtual_ipaddress {{\n{address}\n}}\n}}\n"
        )
    };
    let instances = instance("a", 1, "192.0.2.1")
        + &instance("b", 2, "192.0.2.2")
        + "vrrp_instance c {\ninterface eth0\nvirtual_router_id 3\n}\n";
    let groups =
        "vrrp_sync_group g {\ngroup {\na\nc\nb\n}\n}\nvrrp_sync_group h {\ngroup {\nc\n}\n}\n";
    let config = config(&(instances + groups));
    assert_eq!(sync_groups(&config), [("g", vec!["a", "b"])]);
}

#[test]
fn addresses_keep_their_options() {
    let config = instance(
        "virtual_ipaddress_excluded {\n192.0.2.7/24 brd + dev eth1 scope link label eth1:v no_track\n192.0.2.8/24 brd -\n192.0.2.9/24 brd 192.0.2.250 scope 99\n2001:db8::1/64 -nodad preferred_lft 0\n}",
    );
    let listed: Vec<VirtualAddress> = addresses(only(&config));
    let parsed = |text: &str| text.parse::<VirtualAddress>().unwrap().advertised(false);
    let expected = [
        "192.0.2.100".parse().unwrap(),
        parsed("192.0.2.7/24")
            .broadcast(Ipv4Addr::new(192, 0, 2, 255))
            .interface("eth1")
            .scope(253)
            .label("eth1:v")
            .watched(false),
        parsed("192.0.2.8/24").broadcast(Ipv4Addr::new(192, 0, 2, 0)),
        parsed("192.0.2.9/24").broadcast(Ipv4Addr::new(192, 0, 2, 250)).scope(99),
        parsed("2001:db8::1/64").duplicate_detection(true).preferred(false),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn an_advertisement_lists_what_it_has_room_for() {
    let many: Vec<String> =
        (0..300_u16).map(|n| format!("10.0.{}.{}\n", n / 256, n % 256)).collect();
    let config = instance(&format!("virtual_ipaddress {{\n{}}}", many.concat()));
    let listed = addresses(only(&config));
    assert_eq!(listed.len(), 301);
    assert_eq!(
        listed
            .iter()
            .take(256)
            .filter(|address| **address == VirtualAddress::new(address.net()))
            .count(),
        255
    );
}

#[test]
fn bursts_of_announcements() {
    let of = |lines: &str, global: &str| {
        let mut config = instance(lines);
        config.global = self::config(&format!("global_defs {{\n{global}\n}}\n")).global;
        announcements(&config, only(&config))
    };
    assert_eq!(of("", ""), Announcements::default());
    assert_eq!(
        of("garp_master_delay 0\ngarp_master_repeat 2", ""),
        Announcements::default().count(2).again_after(None)
    );
    assert_eq!(of("", "vrrp_min_garp"), Announcements::default().count(1).again_after(None));
    assert_eq!(
        of("garp_master_repeat 3", "vrrp_garp_master_repeat 9\nvrrp_garp_master_delay 2"),
        Announcements::default().count(3).again_after(Some(Duration::from_secs(2)))
    );
    assert_eq!(
        of(
            "garp_master_refresh 60\ngarp_master_refresh_repeat 2",
            "vrrp_garp_interval 0.001\nvrrp_gna_interval 7"
        ),
        Announcements::default().refresh(Duration::from_secs(60), 2).gap(Duration::from_millis(1))
    );
}

#[test]
fn passwords_are_for_version_2_and_eight_bytes() {
    let used = |lines: &str, version| {
        let config = instance(&format!("authentication {{\n{lines}\n}}"));
        authentication(only(&config), version)
    };
    let password = |octets: &[u8]| Password::new(octets).unwrap();
    let pass = |octets: &[u8]| Some(Authentication::SimplePassword(password(octets)));
    let (kind, header) = ("auth_type PASS\nauth_pass", "auth_type AH\nauth_pass");
    assert_eq!(used(&format!("{kind} 337639943"), Version::V2), pass(b"33763994"));
    // Bytes, not characters.
    let cut = b"1234567\xc3";
    assert_eq!(used(&format!("{kind} 1234567é"), Version::V2), pass(cut));
    let key = Authentication::Header(HeaderKey::new(password(b"33763994")));
    assert_eq!(used(&format!("{header} 337639943"), Version::V2), Some(key));
    for lines in [kind, header] {
        assert_eq!(used(&format!("{lines} 1111"), Version::V3), None);
    }
    assert_eq!(used("auth_pass 1111", Version::V2), None);
    assert_eq!(used("auth_type AH", Version::V2), None);
}

#[test]
fn descriptions_are_short() {
    let config =
        instance("virtual_ipaddress {\n192.0.2.101\n192.0.2.102\n192.0.2.103\n192.0.2.104\n}");
    assert_eq!(
        describe(only(&config)),
        "web: virtual router 51 on eth0, priority 100, 192.0.2.100, 192.0.2.101, 192.0.2.102 and 2 more"
    );
}
