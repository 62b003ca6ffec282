use keepalived_conf::SingleFile;

use healthcheck::{Check, Kind, Outcome, Source, Timing};

use super::*;

fn config(text: &str) -> Config {
    let parsed = keepalived_conf::parse("test.conf", text, &mut SingleFile::new());
    assert!(parsed.can_run(), "{:?}", parsed.diagnostics);
    parsed.config
}

fn only(text: &str) -> lvs::ServiceConfig {
    let mut services = services(&config(text), &Rules::of(&config(text).global)).unwrap();
    assert_eq!(services.len(), 1);
    services.remove(0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn destination(address: &str, port: u16, method: ForwardingMethod, weight: u32) -> Destination {
    Destination::new(DestinationKey::new(ip(address), port), method)
        .with_weight(Weight::new(weight).unwrap())
}

/// keepalived's own times.
fn times() -> Timing {
    let minute = Duration::from_secs(60);
    Timing::new()
        .interval(minute)
        .timeout(Duration::from_secs(5))
        .retries(1)
        .retry_interval(Duration::from_secs(1))
        .start_delay(Duration::from_secs(1))
        .start_jitter(minute)
        .initial(Outcome::Up)
        .first_failure_decides(true)
}

#[test]
fn tutorial_004() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../keepalived-conf/tests/data/tutorials/conf/004.d1.conf"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let real = |address: &str| {
        let times = times()
            .interval(Duration::from_secs(6))
            .start_jitter(Duration::from_secs(6))
            .timeout(Duration::from_secs(2))
            .retry_interval(Duration::from_secs(3));
        let check = Check::new(SocketAddr::new(ip(address), 80), Kind::Tcp).timing(times);
        lvs::RealServer::new(destination(address, 80, ForwardingMethod::DirectRoute, 1))
            .check(check)
    };
    let persistence =
        Persistence::new(Duration::from_secs(5), Netmask::host(AddressFamily::Ipv4)).unwrap();
    let service = Service::new(ServiceKey::tcp(ip("192.168.1.150"), 80), Scheduler::RoundRobin)
        .with_persistence(persistence)
        .unwrap();
    let expected = lvs::ServiceConfig::new(service)
        .real_server(real("192.168.1.171"))
        .real_server(real("192.168.1.172"));
    assert_eq!(only(&text), expected);
}

#[test]
fn defaults() {
    let service =
        Service::new(ServiceKey::udp(ip("192.0.2.1"), 53), Scheduler::WeightedLeastConnections);
    let real = lvs::RealServer::new(destination("10.0.0.1", 53, ForwardingMethod::Masquerade, 1));
    let text = "virtual_server 192.0.2.1 53 {\nreal_server 10.0.0.1 {\n}\n}\n";
    assert_eq!(only(text), lvs::ServiceConfig::new(service).real_server(real));
}

#[test]
fn only_nat_changes_the_port() {
    for (kind, method, port) in [
        ("NAT", ForwardingMethod::Masquerade, 8080),
        ("DR", ForwardingMethod::DirectRoute, 80),
        ("TUN", ForwardingMethod::Tunnel(Tunnel::default()), 80),
    ] {
        let text = format!(
            "virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind {kind}\nweight 9\nreal_server 10.0.0.1 8080 {{\n}}\n}}\n"
        );
        let service = Service::new(ServiceKey::tcp(ip("192.0.2.1"), 80), Scheduler::RoundRobin);
        let real = lvs::RealServer::new(destination("10.0.0.1", port, method, 9));
        assert_eq!(only(&text), lvs::ServiceConfig::new(service).real_server(real), "{kind}");
    }
}

#[test]
fn a_firewall_mark_takes_its_family_from_the_real_servers() {
    let text = "virtual_server fwmark 7 {\nlb_algo sh\nlb_kind DR\nreal_server 2001:db8::1 80 {\nTCP_CHECK {\nconnect_port 8080\n}\n}\n}\n";
    let key = ServiceKey::firewall_mark(AddressFamily::Ipv6, NonZeroU32::new(7).unwrap());
    let check = Check::new(SocketAddr::new(ip("2001:db8::1"), 8080), Kind::Tcp).timing(times());
    let real =
        lvs::RealServer::new(destination("2001:db8::1", 0, ForwardingMethod::DirectRoute, 1))
            .check(check);
    let expected =
        lvs::ServiceConfig::new(Service::new(key, Scheduler::SourceHash)).real_server(real);
    assert_eq!(only(text), expected);
}

#[test]
fn persistence_is_implied_without_a_port_and_by_a_granularity() {
    let service = |text: &str, prefix| {
        let netmask = Netmask::prefix(AddressFamily::Ipv4, prefix).unwrap();
        let port = if text.contains(" 80 ") { 80 } else { 0 };
        let persistence = Persistence::new(PERSISTENCE, netmask).unwrap();
        let service = Service::new(ServiceKey::tcp(ip("192.0.2.1"), port), Scheduler::RoundRobin)
            .with_persistence(persistence)
            .unwrap();
        let real =
            lvs::RealServer::new(destination("10.0.0.1", port, ForwardingMethod::DirectRoute, 1));
        assert_eq!(only(text), lvs::ServiceConfig::new(service).real_server(real));
    };
    let rest = "protocol TCP\nlb_algo rr\nlb_kind DR\nreal_server 10.0.0.1 {\n}\n}\n";
    service(&format!("virtual_server 192.0.2.1 {{\n{rest}"), 32);
    service(
        &format!("virtual_server 192.0.2.1 80 {{\npersistence_granularity 255.255.255.0\n{rest}"),
        24,
    );
}

#[test]
fn the_innermost_time_stands() {
    let text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind DR\ndelay_loop 10\nretry 5\ninhibit_on_failure\nalpha\nreal_server 10.0.0.1 80 {\ndelay_loop 0.5\nTCP_CHECK {\nretry 3\nconnect_ip 10.0.0.7\nbindto 10.0.0.8\nbind_port 99\nbind_if eth7\nfwmark 5\nwarmup 2\n}\n}\n}\n";
    let times = times()
        .interval(Duration::from_millis(500))
        .start_jitter(Duration::from_secs(2))
        .retries(3)
        .initial(Outcome::Down);
    let source = Source::new().address("10.0.0.8:99".parse().unwrap()).interface("eth7").mark(5);
    let check = Check::new("10.0.0.7:80".parse().unwrap(), Kind::Tcp).source(source).timing(times);
    let real = lvs::RealServer::new(destination("10.0.0.1", 80, ForwardingMethod::DirectRoute, 1))
        .when_down(lvs::WhenDown::Quiesce)
        .check(check);
    let service = Service::new(ServiceKey::tcp(ip("192.0.2.1"), 80), Scheduler::RoundRobin);
    assert_eq!(only(text), lvs::ServiceConfig::new(service).real_server(real));
}

#[test]
fn flags_engine_and_family() {
    let text = "virtual_server fwmark 9 {\nip_family inet6\nlb_algo mh\nmh-port\nmh-fallback\nops\nlb_kind TUN\npersistence_timeout 5\npersistence_engine sip\nreal_server 10.0.0.1 80 {\n}\n}\n";
    let key = ServiceKey::firewall_mark(AddressFamily::Ipv6, NonZeroU32::new(9).unwrap());
    let persistence = Persistence::new(Duration::from_secs(5), Netmask::host(AddressFamily::Ipv6))
        .unwrap()
        .with_engine("sip".parse().unwrap());
    let flags = ServiceFlags::ONE_PACKET | ServiceFlags::HASH_PORT | ServiceFlags::HASH_FALLBACK;
    let service = Service::new(key, Scheduler::MaglevHash)
        .with_flags(flags)
        .with_persistence(persistence)
        .unwrap();
    let real = lvs::RealServer::new(destination(
        "10.0.0.1",
        0,
        ForwardingMethod::Tunnel(Tunnel::default()),
        1,
    ));
    assert_eq!(only(text), lvs::ServiceConfig::new(service).real_server(real));
}

#[test]
fn groups_and_empty_servers_are_left_out() {
    let text = "virtual_server group g {\nreal_server 10.0.0.1 80 {\n}\n}\nvirtual_server 192.0.2.1 80 {\n}\n";
    assert_eq!(services(&config(text), &Rules::of(&config(text).global)).unwrap(), []);
}

#[test]
fn a_granularity_of_the_other_family_is_refused() {
    let text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\npersistence_granularity 64\nreal_server 10.0.0.1 80 {\n}\n}\n";
    let error = services(&config(text), &Rules::of(&config(text).global)).unwrap_err();
    assert!(error.to_string().starts_with("virtual_server 192.0.2.1:80: "), "{error}");
}

#[test]
fn what_becomes_the_same_destination_is_taken_once() {
    let text = |kind: &str| {
        format!(
            "virtual_server 192.0.2.9 80 {{\nprotocol TCP\nlb_kind {kind}\nreal_server 192.0.2.1 80 {{\nweight 3\n}}\nreal_server 192.0.2.1 81 {{\nweight 5\n}}\n}}\n"
        )
    };
    let service = |method| {
        let service =
            Service::new(ServiceKey::tcp(ip("192.0.2.9"), 80), Scheduler::WeightedLeastConnections);
        lvs::ServiceConfig::new(service).real_server(lvs::RealServer::new(destination(
            "192.0.2.1",
            80,
            method,
            3,
        )))
    };
    let direct = service(ForwardingMethod::DirectRoute);
    assert_eq!(only(&text("DR")), direct, "the first one");
    let second = destination("192.0.2.1", 81, ForwardingMethod::Masquerade, 5);
    let both = service(ForwardingMethod::Masquerade).real_server(lvs::RealServer::new(second));
    assert_eq!(only(&text("NAT")), both, "NAT has two ports");
}

#[test]
fn every_kind_of_check_and_a_group() {
    let text = "track_file load {\nfile /run/load\n}\nvirtual_server_group web {\n192.0.2.1-3 80\n2001:db8::1 443\nfwmark 7\nnonsense\n}\nvirtual_server group web {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nquorum 3\nhysteresis 5\nomega\nsorry_server 10.0.0.9 8080\nsorry_server_inhibit\nvirtualhost www.example.org\ndelay_loop 10\nreal_server 10.0.0.1 80 {\nHTTP_GET {\nurl {\npath /a\nstatus_code 200-204 301\ndigest 9b3a0c85a887a256d6939da88aabd8cd\n}\nurl {\npath /b\nregex \"O+K\"\nregex_no_match\nregex_options caseless\n}\nhttp_protocol 1.1\nnb_get_retry 2\n}\nSSL_GET {\nurl {\npath /\n}\nenable_sni\n}\nSMTP_CHECK {\nhelo_name me\n}\nDNS_CHECK {\ntype A\nname example.org\n}\nUDP_CHECK {\npayload 0102\nrequire_reply 03XX\n}\nPING_CHECK {\n}\nMISC_CHECK {\nmisc_path \"/bin/sh -c true\"\nmisc_dynamic\n}\nFILE_CHECK {\ntrack_file load\nweight 2\n}\n}\n}\n";
    let config = config(text);
    let services = services(&config, &Rules::of(&config.global)).unwrap();
    let [pool] = &services[..] else { panic!("one pool") };
    let keys: Vec<String> = pool.services().iter().map(|one| one.key().to_string()).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(pool.services()[2].key(), ServiceKey::tcp(ip("192.0.2.3"), 80));
    let [real] = pool.real_servers() else { panic!("one real server") };
    let checks: Vec<&Check> = real.checks().collect();
    assert_eq!(checks.len(), 8);
    let kinds: Vec<String> = checks
        .iter()
        .map(|check| check.kind().map_or("other".into(), |kind| format!("{kind:?}")))
        .collect();
    for (index, begins) in
        ["Http", "Http", "Smtp", "Dns", "Udp", "Ping", "other", "other"].iter().enumerate()
    {
        assert!(kinds[index].starts_with(begins), "{index}: {}", kinds[index]);
    }
    for part in [
        "/a",
        "/b",
        "www.example.org",
        "KeepAliveClient",
        "Http11",
        "(?i)O+K",
        "200..=204",
        "301..=301",
    ] {
        assert!(kinds[0].contains(part), "{part} in {}", kinds[0]);
    }
    assert_eq!(checks[0].target(), Some("10.0.0.1:80".parse().unwrap()));
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.1 80 {\nHTTP_GET {\nurl {\npath /\nregex \"(\"\n}\n}\n}\n}\n";
    let config = config(text);
    let error = services(&config, &Rules::of(&config.global)).unwrap_err().to_string();
    assert!(error.contains("10.0.0.1: HTTP_GET: the pattern cannot be used"), "{error}");
}
