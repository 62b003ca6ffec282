//! What the typed configuration says for a text.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::net::IpAddr;
use core::time::Duration;

use keepalived_conf::{
    AuthenticationKind, Check, Code, Config, Forwarding, InitialState, Parsed, Protocol, Severity,
    SingleFile, Target, VrrpVersion, parse,
};

fn parsed(text: &str) -> Parsed {
    parse("test.conf", text, &mut SingleFile::new())
}

/// The configuration of a text without findings.
fn clean(text: &str) -> Config {
    let parsed = parsed(text);
    assert_eq!(parsed.diagnostics, [], "{text}");
    parsed.config
}

fn codes(text: &str) -> Vec<Code> {
    parsed(text).diagnostics.iter().map(|found| found.code).collect()
}

fn tutorial(name: &str) -> Parsed {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tutorials/conf")
        .join(name);
    parse(name, &std::fs::read_to_string(path).unwrap(), &mut SingleFile::new())
}

/// An instance with these further lines.
fn instance(lines: &str) -> String {
    format!(
        "vrrp_instance web {{\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n192.0.2.100\n}}\n{lines}\n}}\n"
    )
}

#[test]
fn tutorial_003_is_clean() {
    let parsed = tutorial("003.d1.conf");
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.config.global.router_id.as_ref().unwrap().value, "LVS_HA_Master");
    let [instance] = &parsed.config.vrrp_instances[..] else { panic!("one instance") };
    assert_eq!(instance.name.value, "VI_1");
    assert_eq!(instance.initial_state(), InitialState::Master);
    assert_eq!(instance.interface.as_ref().unwrap().value, "ens32");
    assert_eq!(instance.virtual_router_id.unwrap().value, 51);
    assert_eq!(instance.effective_priority(), 100);
    assert_eq!(instance.effective_version(&parsed.config.global), VrrpVersion::V2);
    assert_eq!(instance.advertisement_interval(&parsed.config.global), Duration::from_secs(1));
    assert!(instance.preempts());
    let authentication = &instance.authentication.as_ref().unwrap().value;
    assert_eq!(authentication.kind.unwrap().value, AuthenticationKind::Pass);
    assert_eq!(authentication.password(), Some(&b"1111"[..]));
    let addresses: Vec<String> = instance
        .virtual_addresses
        .iter()
        .map(|address| address.address.value.to_string())
        .collect();
    assert_eq!(addresses, ["192.168.100.253/32"]);
}

#[test]
fn tutorial_004_keeps_one_retry() {
    let parsed = tutorial("004.d1.conf");
    let found: Vec<_> =
        parsed.diagnostics.iter().map(|found| (found.code, found.severity, found.line)).collect();
    assert_eq!(
        found,
        [
            (Code::UnknownKeyword, Severity::Warning, 44),
            (Code::UnknownKeyword, Severity::Warning, 58)
        ]
    );
    assert!(parsed.diagnostics[0].help[0].contains("`retry`"));
    let [server] = &parsed.config.virtual_servers[..] else { panic!("one virtual server") };
    assert_eq!(
        server.target.value,
        Target::Address { address: "192.168.1.150".parse().unwrap(), port: 80 }
    );
    assert_eq!(server.protocol.unwrap().value, Protocol::Tcp);
    assert_eq!(server.scheduler.as_ref().unwrap().value, "rr");
    assert_eq!(server.forwarding.unwrap().value, Forwarding::DirectRoute);
    assert_eq!(server.persistence_timeout.unwrap().value, Duration::from_secs(5));
    assert_eq!(server.real_servers.len(), 2);
    let real = &server.real_servers[1];
    assert_eq!(
        (real.address.value, real.port.unwrap().value, real.weight.unwrap().value),
        ("192.168.1.172".parse().unwrap(), 80, 1)
    );
    let [Check::Tcp(check)] = &real.checks[..] else { panic!("one TCP check") };
    let settings = check.settings.or(&real.settings).or(&server.checks);
    assert_eq!(settings.retry, None, "nb_get_retry is not retry");
    assert_eq!(settings.delay_loop.unwrap().value, Duration::from_secs(6));
    assert_eq!(settings.connect_timeout.unwrap().value, Duration::from_secs(2));
    assert_eq!(settings.delay_before_retry.unwrap().value, Duration::from_secs(3));
    assert_eq!(check.connect_port.unwrap().value, 80);
}

#[test]
fn tutorial_002_has_two_unicast_routers_in_a_group() {
    let config = tutorial("002.d1.conf").config;
    let names: Vec<&str> =
        config.sync_groups[0].members.iter().map(|member| member.value.as_str()).collect();
    assert_eq!(names, ["VI_1", "VI_2"]);
    assert_eq!(config.effective_sync_groups(), [("VG_1", names)]);
    let command = config.sync_groups[0].notify.master.as_ref().unwrap();
    assert_eq!(command.words, ["/etc/keepalived/notify.sh", "master"]);
    let instance = config.vrrp_instance("VI_2").unwrap();
    assert!(!instance.preempts());
    assert_eq!(instance.unicast_src_ip.unwrap().value, "192.168.10.10".parse::<IpAddr>().unwrap());
    assert_eq!(instance.unicast_peers[0].address.value, "192.168.10.11".parse::<IpAddr>().unwrap());
    assert_eq!(instance.track_scripts[0].name.value, "monitor_service");
    assert_eq!(instance.track_interfaces[0].name.value, "eth2");
    assert_eq!(instance.authentication.as_ref().unwrap().value.password(), Some(&b"33763994"[..]));
    assert_eq!(config.scripts[0].script.as_ref().unwrap().words.len(), 5);
    assert_eq!(config.scripts[0].interval.unwrap().value, Duration::from_secs(2));
}

/// What `keepalived -t` of 2.2.7 says of the same files.
#[test]
fn members_that_do_not_count_are_told() {
    let numbered = |name: &str, vrid: &str| {
        instance("").replace("web", name).replace("id 51", &format!("id {vrid}"))
    };
    let instances = numbered("a", "1") + &numbered("b", "2") + &numbered("c", "3");
    for (groups, told, effective) in [
        ("g {\ngroup {\na\nb\n}\n}", &[][..], &[("g", &["a", "b"][..])][..]),
        ("g {\ngroup {\na b\n}\n}", &[], &[("g", &["a", "b"])]),
        (
            "g {\ngroup {\na\nzz\n}\n}",
            &[Code::MissingValue, Code::UnknownReference],
            &[("g", &["a"])],
        ),
        (
            "g {\ngroup {\nyy\nzz\n}\n}",
            &[Code::MissingKeyword, Code::UnknownReference, Code::UnknownReference],
            &[],
        ),
        ("g {\ngroup {\na\nb\na\n}\n}", &[Code::Duplicate], &[("g", &["a", "b"])]),
        (
            "g {\ngroup {\na\nb\n}\n}\nvrrp_sync_group h {\ngroup {\nb\nc\n}\n}",
            &[Code::MissingValue, Code::Duplicate],
            &[("g", &["a", "b"]), ("h", &["c"])],
        ),
        ("g {\n}", &[Code::MissingKeyword], &[]),
        (
            "g {\ngroup {\na\nb\n}\n}\nvrrp_sync_group g {\ngroup {\nc\n}\n}",
            &[Code::Duplicate],
            &[("g", &["a", "b"])],
        ),
        (
            "g {\ngroup {\na\n}\ngroup {\nb\n}\n}",
            &[Code::MissingValue, Code::Duplicate],
            &[("g", &["a"])],
        ),
    ] {
        let text = format!("{instances}vrrp_sync_group {groups}\n");
        let parsed = parsed(&text);
        let codes: Vec<Code> = parsed.diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(codes, told, "{groups}: {:?}", parsed.diagnostics);
        assert!(parsed.can_run());
        let expected: Vec<(&str, Vec<&str>)> =
            effective.iter().map(|(name, members)| (*name, members.to_vec())).collect();
        assert_eq!(parsed.config.effective_sync_groups(), expected, "{groups}");
    }
}

#[test]
fn tutorial_001_knows_its_mail() {
    let parsed = tutorial("001.d2.conf");
    assert_eq!(parsed.config.global.smtp_server.as_ref().unwrap().host.value, "127.0.0.1");
    assert_eq!(parsed.config.global.smtp_connect_timeout.unwrap().value, Duration::from_secs(30));
    assert!(
        parsed
            .diagnostics
            .iter()
            .any(|found| found.code == Code::ProtectedEmail && found.severity == Severity::Note)
    );
}

#[test]
fn defaults_of_an_instance() {
    let config = clean(&instance(""));
    let web = &config.vrrp_instances[0];
    assert_eq!(
        (web.effective_priority(), web.initial_state(), web.preempts()),
        (100, InitialState::Backup, true)
    );
    assert_eq!(clean(&instance("state MASTER")).vrrp_instances[0].effective_priority(), 255);
    assert_eq!(
        clean(&instance("priority 255")).vrrp_instances[0].initial_state(),
        InitialState::Master
    );
}

#[test]
fn versions_and_intervals() {
    let used = |lines: &str| {
        let config = parsed(&instance(lines)).config;
        let web = &config.vrrp_instances[0];
        (
            web.effective_version(&config.global),
            web.advertisement_interval(&config.global).as_millis(),
        )
    };
    assert_eq!(used("advert_int 0.4"), (VrrpVersion::V2, 1000));
    assert_eq!(used("advert_int 2.5"), (VrrpVersion::V2, 3000));
    assert_eq!(used("version 3\nadvert_int 0.25"), (VrrpVersion::V3, 250));
    assert_eq!(used("version 3\nadvert_int 0.014"), (VrrpVersion::V3, 10));
    assert_eq!(used("version 3\nadvert_int 60"), (VrrpVersion::V3, 40_950));
    assert_eq!(codes(&instance("advert_int 0.4")), [Code::OutOfRange]);
    let ipv6 = "vrrp_instance six {\ninterface eth0\nvirtual_router_id 1\nversion 2\nvirtual_ipaddress {\nfe80::1\n2001:db8::1/64\n}\n}\n";
    let six = parsed(ipv6);
    assert_eq!(six.config.vrrp_instances[0].effective_version(&six.config.global), VrrpVersion::V3);
    assert_eq!(codes(ipv6), [Code::Conflict]);
}

#[test]
fn addresses_with_everything() {
    let text = "vrrp_instance web {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.1/24 brd + dev eth1 scope link label eth1:v no_track\n}\nvirtual_ipaddress_excluded { 2001:db8::1/64 -nodad preferred_lft 0 }\n}\n";
    let config = clean(text);
    let address = &config.vrrp_instances[0].virtual_addresses[0];
    let value =
        |word: &Option<keepalived_conf::Spanned<String>>| word.as_ref().unwrap().value.clone();
    assert_eq!(address.address.value.to_string(), "192.0.2.1/24");
    assert_eq!(
        [
            value(&address.broadcast),
            value(&address.interface),
            value(&address.scope),
            value(&address.label)
        ],
        ["+", "eth1", "link", "eth1:v"]
    );
    assert!(address.no_track.is_some());
    let excluded = &config.vrrp_instances[0].excluded_addresses[0];
    assert!(excluded.detect_duplicates.is_some());
    assert_eq!(value(&excluded.preferred_lifetime), "0");
}

#[test]
fn addresses_that_cannot_be_are_left_out() {
    let addresses = |lines: &str| {
        let parsed = parsed(&instance(&format!("virtual_ipaddress {{\n{lines}\n}}")));
        let kept: Vec<String> = parsed.config.vrrp_instances[0]
            .virtual_addresses
            .iter()
            .skip(1)
            .map(|address| address.address.value.to_string())
            .collect();
        (kept, parsed.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>())
    };
    assert_eq!(addresses("fe80::1"), (vec![], vec![Code::Conflict]));
    assert_eq!(addresses("192.0.2.100/24"), (vec![], vec![Code::Duplicate]));
    assert_eq!(addresses("224.0.0.1\n0.0.0.0"), (vec![], vec![Code::BadValue, Code::BadValue]));
    assert_eq!(addresses("192.0.2.7/33"), (vec!["192.0.2.7/32".into()], vec![Code::OutOfRange]));
    assert_eq!(
        addresses("192.0.2.8 192.0.2.9"),
        (vec!["192.0.2.8/32".into()], vec![Code::UnknownKeyword])
    );
    assert_eq!(addresses("web.example.org"), (vec![], vec![Code::BadValue]));
}

#[test]
fn more_addresses_than_an_advertisement_lists() {
    let many: String = (0..300)
        .map(|n: u16| format!("10.0.{}.{}\n", n / 256, n % 256))
        .collect::<Vec<_>>()
        .concat();
    let parsed = parsed(&instance(&format!("virtual_ipaddress {{\n{many}}}")));
    assert_eq!(parsed.config.vrrp_instances[0].virtual_addresses.len(), 301);
    assert_eq!(
        parsed.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(),
        [Code::Truncated]
    );
}

#[test]
fn what_cannot_run_is_an_error() {
    for (text, code) in [
        (
            "vrrp_instance a {\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\n}",
            Code::MissingKeyword,
        ),
        (
            "vrrp_instance a {\ninterface eth0\nvirtual_ipaddress {\n192.0.2.1\n}\n}",
            Code::MissingKeyword,
        ),
        ("vrrp_instance a {\ninterface\n}", Code::MissingValue),
        (&instance("unicast_peer {\nfe80::1\n}"), Code::Conflict),
        (&(instance("") + &instance("").replace("web", "other")), Code::Duplicate),
    ] {
        let parsed = parsed(text);
        assert!(!parsed.can_run(), "{text}");
        assert!(
            parsed
                .diagnostics
                .iter()
                .any(|found| found.severity == Severity::Error && found.code == code),
            "{text}: {:?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn values_that_are_refused_keep_their_default() {
    for lines in [
        "priority 0",
        "priority 256",
        "priority -1",
        "priority high",
        "virtual_router_id 300",
        "advert_int 0",
        "advert_int 1s",
        "version 4",
        "state master",
    ] {
        let parsed = parsed(&instance(lines));
        assert_eq!(parsed.diagnostics.len(), 1, "{lines}: {:?}", parsed.diagnostics);
        assert!(parsed.can_run(), "{lines}");
        let web = &parsed.config.vrrp_instances[0];
        assert_eq!(
            (web.effective_priority(), web.virtual_router_id.unwrap().value),
            (100, 51),
            "{lines}"
        );
    }
}

#[test]
fn nopreempt_needs_backup() {
    assert_eq!(codes(&instance("nopreempt")), []);
    assert_eq!(codes(&instance("nopreempt\nstate MASTER\npriority 100")), [Code::Conflict]);
    assert_eq!(codes(&instance("nopreempt\npriority 255")), [Code::Conflict]);
    assert!(parsed(&instance("nopreempt\npreempt")).config.vrrp_instances[0].preempts());
}

#[test]
fn unknown_things_are_skipped_and_named() {
    let help = |text: &str| {
        let parsed = parsed(text);
        let [found] = &parsed.diagnostics[..] else {
            panic!("one finding: {:?}", parsed.diagnostics)
        };
        (found.code, found.help.first().cloned().unwrap_or_default())
    };
    let did_you_mean = |keyword: &str| format!("did you mean `{keyword}`?");
    assert_eq!(help(&instance("prioritty 7")), (Code::UnknownKeyword, did_you_mean("priority")));
    assert_eq!(help(&instance("PRIORITY 7")), (Code::UnknownKeyword, did_you_mean("priority")));
    assert_eq!(
        help(&instance("authentification {\nauth_type PASS\n}")),
        (Code::UnknownBlock, did_you_mean("authentication"))
    );
    assert_eq!(
        help(&instance("frobnicate {\npriority 7\nvirtual_router_id 9\n}")),
        (Code::UnknownBlock, String::new())
    );
    assert_eq!(
        help(&instance("lb_algo rr")),
        (Code::MisplacedKeyword, "move it into virtual_server".into())
    );
    assert_eq!(
        help(&instance("auth_pass 1")),
        (Code::MisplacedKeyword, "move it into authentication".into())
    );
    let (code, invisible) = help(&instance("\u{a0}priority 7"));
    assert!(code == Code::UnknownKeyword && invisible.contains("U+00A0"), "{invisible}");
}

#[test]
fn a_skipped_block_leaves_no_trace() {
    let text = format!("frobnicate {{\nvirtual_server 192.0.2.1 80 {{\n}}\n}}\n{}", instance(""));
    // A virtual_server cannot stand in a block: the brace of the block above must be missing.
    assert!(codes(&text).contains(&Code::UnclosedBlock));
    let text =
        format!("frobnicate {{\npriority 1 {{\n}}\n}}\n{}", instance("frob {\npriority 9\n}"));
    assert_eq!(parsed(&text).config.vrrp_instances[0].priority, None);
}

#[test]
fn second_definitions_are_skipped() {
    let second = instance("priority 7");
    let parsed = parsed(&(instance("priority 50") + &second));
    assert_eq!(parsed.config.vrrp_instances.len(), 1);
    assert_eq!(parsed.config.vrrp_instances[0].effective_priority(), 50);
    assert_eq!(parsed.diagnostics[0].code, Code::Duplicate);
    assert_eq!(parsed.sources.line(parsed.diagnostics[0].labels[0].span), 1);
}

#[test]
fn directives_are_kept_with_their_place() {
    let parsed = parsed(&format!(
        "@vipd journal /run\n{}",
        instance("  @vipd guard vip_probe timeout 20ms")
    ));
    let kept: Vec<_> = parsed
        .config
        .directives
        .iter()
        .map(|directive| {
            (
                directive.words[0].value.as_str(),
                directive.inside.as_deref(),
                parsed.sources.text(directive.span),
            )
        })
        .collect();
    assert_eq!(
        kept,
        [
            ("journal", None, "@vipd journal /run"),
            ("guard", Some("vrrp_instance web"), "@vipd guard vip_probe timeout 20ms")
        ]
    );
    assert!(
        parsed.can_run()
            && parsed.diagnostics.iter().all(|found| found.code == Code::UnknownDirective)
    );
}

#[test]
fn values_of_expansions_point_at_their_use() {
    let parsed = parsed(
        "$P=7\nvrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\npriority ${P}\nadvert_int x${P}\n}\n",
    );
    let priority = parsed.config.vrrp_instances[0].priority.unwrap();
    assert_eq!((priority.value, parsed.sources.text(priority.span)), (7, "${P}"));
    assert_eq!(parsed.sources.text(parsed.diagnostics[0].span), "x${P}");
}

#[test]
fn commands_with_quotes_and_users() {
    let command = |line: &str| {
        parsed(&instance(line)).config.vrrp_instances[0].notify.master.clone().unwrap()
    };
    assert_eq!(command("notify_master /bin/a").words, ["/bin/a"]);
    let with_user = command("notify_master /bin/a nobody nogroup");
    assert_eq!(
        (with_user.words.len(), with_user.user.unwrap().value, with_user.group.unwrap().value),
        (1, "nobody".into(), "nogroup".into())
    );
    let quoted = command("notify_master \"/bin/a b 'c d' e\\ f\" nobody");
    assert_eq!(
        (quoted.words, quoted.user.unwrap().value),
        (vec!["/bin/a".into(), "b".into(), "c d".into(), "e f".into()], "nobody".into())
    );
    assert_eq!(command("notify_master '/bin/a b'").words, ["/bin/a", "b"]);
}

#[test]
fn virtual_servers_of_every_kind() {
    let text = "virtual_server fwmark 7 {\nlb_algo sh\nlb_kind TUN\nreal_server 2001:db8::1 {\nweight 3\n}\n}\nvirtual_server 192.0.2.1 53 {\nprotocol udp\nlb_algo wrr\nlb_kind NAT\nops\npersistence_timeout\npersistence_granularity 255.255.255.0\nreal_server 10.0.0.1 5353 {\ninhibit_on_failure\nuthreshold 10\n}\n}\n";
    let config = clean(text);
    assert_eq!(config.virtual_servers[0].target.value, Target::FirewallMark(7));
    let dns = &config.virtual_servers[1];
    assert_eq!(dns.protocol.unwrap().value, Protocol::Udp);
    assert_eq!(dns.persistence_timeout.unwrap().value, Duration::from_secs(360));
    assert_eq!(dns.persistence_granularity.unwrap().value, 24);
    assert!(dns.one_packet.is_some() && dns.real_servers[0].inhibit_on_failure.unwrap().value);
}

#[test]
fn defaults_of_a_virtual_server_are_told() {
    let text = "virtual_server 192.0.2.1 80 {\nreal_server 10.0.0.1 80 {\n}\n}\n";
    assert_eq!(codes(text), [Code::DefaultTaken, Code::DefaultTaken, Code::DefaultTaken]);
    let text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo wlcc\nlb_kind DR\nreal_server 10.0.0.1 8080 {\n}\n}\n";
    let parsed = parsed(text);
    assert_eq!(
        parsed.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(),
        [Code::DefaultTaken, Code::BadValue, Code::Conflict]
    );
    assert_eq!(parsed.diagnostics[1].help, ["did you mean `wlc`?"]);
}

#[test]
fn large_configurations() {
    let servers: String = (0..5000_u32).map(|n| format!("virtual_server 10.{}.{}.{} 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind DR\nreal_server 192.0.2.1 80 {{\n}}\n}}\n", n >> 16, n >> 8 & 255, n & 255)).collect::<Vec<_>>().concat();
    let instances = "~SEQ(N, 1, 255) ~SEQ(I, 0, 7) $V\n";
    let text = format!(
        "$V=vrrp_instance v${{I}}.${{N}} {{ \\\ninterface eth${{I}} \\\nvirtual_router_id ${{N}} \\\nvirtual_ipaddress {{ 10.9.${{I}}.${{N}} }} \\\n}}\n{instances}{servers}"
    );
    let config = clean(&text);
    assert_eq!((config.virtual_servers.len(), config.vrrp_instances.len()), (5000, 2040));
}

#[test]
fn findings_are_bounded_and_errors_still_count() {
    let noise = "frobnicate 1\n".repeat(5000);
    let parsed = parsed(&format!("{noise}vrrp_instance a {{\n{noise}"));
    assert_eq!(parsed.diagnostics.len(), keepalived_conf::MAX_DIAGNOSTICS + 1);
    let last = parsed.diagnostics.last().unwrap();
    assert_eq!((last.code, last.severity), (Code::Suppressed, Severity::Error));
    assert!(last.message.starts_with("90"), "{}", last.message);
    assert!(!parsed.can_run());
}
