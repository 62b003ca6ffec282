//! Packets of known meaning, through the whole receive ladder of a running virtual router.

use core::{net::IpAddr, time::Duration};

use crate::host::*;
use serde_json::Value;
use vrrp_fsm::{
    ChecksumPolicy, Config, Counter, Datagram, Demux, Discard, Instant, Key, PathId, Route, State,
    VirtualRouter,
    vrrp_proto::{
        AddressFamily, Authentication, ChecksumForm, HeaderKey, Password, Priority, TtlCoverage,
        Version, Vrid,
    },
};

#[derive(Debug)]
struct Vector<'a>(&'a Value);

impl Vector<'_> {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap()
    }

    fn number(&self, field: &str) -> u8 {
        u8::try_from(self.0[field].as_u64().unwrap()).unwrap()
    }

    fn is_ipv6(&self) -> bool {
        self.number("ip_version") == 6
    }

    fn octets(&self) -> Vec<u8> {
        let field = if self.is_ipv6() { "payload_hex" } else { "packet_hex" };
        let digits = [self.text(field), self.text("pad_hex")].concat();
        let padded = if self.is_ipv6() { self.text(field) } else { &digits };
        octets_of(&Value::from(padded))
    }

    fn datagram<'b>(&self, octets: &'b [u8]) -> Datagram<'b> {
        match (address(self.text("src")), address(self.text("dst"))) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let hop_limit = Some(self.number("ttl"));
                Datagram::ipv6(PathId::FIRST, source, destination, hop_limit, octets)
            }
            _ => Datagram::ipv4(PathId::FIRST, octets).unwrap(),
        }
    }

    /// The receiver's configuration; a VRID 0, which no receiver has, becomes 51.
    fn config(&self) -> Config {
        let config = &self.0["config"];
        let number = |field: &str| config[field].as_u64().unwrap();
        let family = if self.is_ipv6() { AddressFamily::Ipv6 } else { AddressFamily::Ipv4 };
        let vrid = u8::try_from(number("vrid")).unwrap().max(1);
        let vrid = if number("vrid") == 0 { 51 } else { vrid };
        let addresses = config["addrs"].as_array().unwrap();
        let addresses = addresses.iter().map(|text| address(text.as_str().unwrap())).collect();
        let (version, unit) = match number("version") {
            2 => (Version::V2, Duration::from_secs(1)),
            3 => (Version::V3, Duration::from_millis(10)),
            other => panic!("version {other}"),
        };
        let checksum = match config["checksum"].as_str() {
            Some("9568") => ChecksumPolicy::Strict(ChecksumForm::MessageOnly),
            Some("5798") => ChecksumPolicy::Strict(ChecksumForm::PseudoHeader),
            Some("both") | None => ChecksumPolicy::default(),
            Some(other) => panic!("checksum {other}"),
        };
        let key = || Password::new(config["key"].as_str().unwrap().as_bytes()).unwrap();
        let authentication = match config["auth"].as_u64() {
            Some(1) => Authentication::SimplePassword(key()),
            Some(2) if config["icv_mode"] == "rfc2402" => {
                Authentication::Header(HeaderKey::new(key()).ttl(TtlCoverage::Never))
            }
            Some(2) => Authentication::Header(HeaderKey::new(key())),
            _ => Authentication::None,
        };
        let owner = config["owner"] == true;
        Config::new(Vrid::new(vrid).unwrap(), family)
            .version(version)
            .priority(if owner { Priority::OWNER } else { Priority::new(50) })
            .advertisement_interval(unit * u32::try_from(number("adver")).unwrap())
            .virtual_addresses(addresses)
            .checksum(checksum)
            .authentication(authentication)
    }

    fn receiver(&self) -> VirtualRouter {
        let mut router = VirtualRouter::new(self.config(), SEED).unwrap();
        let own = if self.is_ipv6() { "fe80::99" } else { "192.0.2.99" };
        router.handle_source_address(Instant::ZERO, PathId::FIRST, Some(address(own)));
        router.handle_startup(Instant::ZERO);
        while router.poll_output().is_some() {}
        router
    }

    /// The counter that has to rise.
    fn expected_counter(&self) -> Option<Counter> {
        Some(match self.0["expect"]["error"].as_str()? {
            "checksum" => Counter::Checksum,
            "version" => Counter::Version,
            "invalid-type" => Counter::InvalidType,
            "packet-length" => Counter::PacketLength,
            "address-list" => Counter::AddressList,
            "ip-ttl" => Counter::HopLimit,
            "auth-type-mismatch" => Counter::AuthenticationTypeMismatch,
            "invalid-auth-type" => Counter::InvalidAuthenticationType,
            "auth-failure" if self.text("name") == "auth_ah_replayed_seq" => {
                Counter::AuthenticationReplay
            }
            "auth-failure" => Counter::AuthenticationFailure,
            "interval" => Counter::Interval,
            "vrid" => Counter::Vrid,
            "owner" => Counter::Owner,
            "destination" => Counter::Destination,
            other => panic!("unknown error {other}"),
        })
    }

    fn notes(&self) -> Vec<&str> {
        let notes = self.0["expect"]["notes"].as_array().unwrap();
        notes.iter().map(|note| note.as_str().unwrap()).collect()
    }
}

fn octets_of(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../data/vrrp.json")).unwrap()
}

fn discards(router: &VirtualRouter) -> Vec<(Counter, u64)> {
    router.statistics().discards().filter(|(_, number)| *number > 0).collect()
}

#[test]
fn every_packet_is_answered_as_its_vector_says() {
    let (mut accepted, mut discarded) = (0, 0);
    for value in &vectors() {
        let vector = Vector(value);
        let name = vector.text("name");
        let octets = vector.octets();
        let mut router = vector.receiver();
        let now = at(1_000);
        // The one that has to be a replay comes a second time.
        let replayed = u64::from(!value["replay_last_seq"].is_null());
        if replayed == 1 {
            router.handle_datagram(now, vector.datagram(&octets)).expect(name);
        }
        let before = (router.state(), router.poll_timeout());
        let result = router.handle_datagram(now, vector.datagram(&octets));
        if let Some(counter) = vector.expected_counter() {
            discarded += 1;
            let discard = result.expect_err(name);
            assert_eq!(discard.counter(), counter, "{name}: {discard}");
            assert_eq!(discards(&router), [(counter, 1)], "{name}");
            assert_eq!((router.state(), router.poll_timeout()), before, "{name}");
            assert_eq!(router.poll_output(), None, "{name}");
            assert_eq!(router.statistics().advertisements_received, replayed, "{name}");
            check_counter_name(&vector, counter);
        } else {
            accepted += 1;
            result.expect(name);
            check_accepted(&vector, &router, now);
        }
    }
    assert_eq!((accepted, discarded), (23, 34));
}

#[test]
fn the_authentication_headers_of_keepalived_are_verified() {
    let text = include_str!("../data/keepalived-2.2.7.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    let headers = vectors.iter().filter(|vector| vector["config"]["auth"] == 2);
    let packets: Vec<_> = headers.clone().map(|vector| octets_of(&vector["packet_hex"])).collect();
    let [config, _] = headers.map(|vector| &vector["config"]).collect::<Vec<_>>()[..] else {
        panic!("two packets")
    };
    let receiver = |key: &str, ttl| {
        let key = HeaderKey::new(Password::truncated(key.as_bytes())).ttl(ttl);
        let config = Config::new(Vrid::new(13).unwrap(), AddressFamily::Ipv4)
            .version(Version::V2)
            .virtual_addresses(vec![address(config["addrs"][0].as_str().unwrap())])
            .authentication(Authentication::Header(key));
        Host::started(config, "192.0.2.99")
    };
    let datagram = |packet| Datagram::ipv4(PathId::FIRST, packet).unwrap();
    let mut host = receiver("k3y", TtlCoverage::Multicast);
    // Sequence number 1 of priority 200, and 4 of its priority 0.
    host.router.handle_datagram(at(1), datagram(&packets[0])).unwrap();
    assert_eq!(host.router.master().unwrap().priority.get(), 200);
    host.router.handle_datagram(at(2), datagram(&packets[1])).unwrap();
    assert_eq!(host.router.statistics().priority_zero_received, 1);
    let discard = host.router.handle_datagram(at(3), datagram(&packets[0])).unwrap_err();
    assert_eq!(
        discard.to_string(),
        "sequence number 1 in the authentication header, the last was 4"
    );
    for (key, ttl) in [("k3z", TtlCoverage::Multicast), ("k3y", TtlCoverage::Never)] {
        let mut host = receiver(key, ttl);
        let discard = host.router.handle_datagram(at(1), datagram(&packets[0])).unwrap_err();
        assert_eq!(discard.counter(), Counter::AuthenticationFailure, "{discard}");
    }
}

fn check_accepted(vector: &Vector<'_>, router: &VirtualRouter, now: Instant) {
    let name = vector.text("name");
    let fields = &vector.0["expect"]["fields"];
    let statistics = router.statistics();
    assert!(discards(router).is_empty(), "{name}");
    assert_eq!(statistics.advertisements_received, 1, "{name}");
    let released = u64::from(fields["priority"] == 0);
    assert_eq!(statistics.priority_zero_received, released, "{name}");
    let noted = u64::from(vector.notes().contains(&"address-list-mismatch"));
    assert_eq!(statistics.address_list_noted, noted, "{name}");
    assert_eq!(router.state(), State::Backup, "{name}");
    if released == 1 {
        return;
    }
    let master = router.master().expect(name);
    assert_eq!(master.source, address(vector.text("src")), "{name}");
    assert_eq!(u64::from(master.priority.get()), fields["priority"].as_u64().unwrap(), "{name}");
    let interval = match fields["adver_int_s"].as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::from_millis(10 * fields["max_adver_int_cs"].as_u64().unwrap()),
    };
    assert_eq!(master.interval, interval, "{name}");
    let form = vector.notes().iter().find_map(|note| match *note {
        "checksum-form:message-only" => Some(ChecksumForm::MessageOnly),
        "checksum-form:pseudo-header" => Some(ChecksumForm::PseudoHeader),
        _ => None,
    });
    assert_eq!(master.checksum, form, "{name}");
    assert!(router.poll_timeout().unwrap() > now + interval * 3, "{name}");
}

/// Our names are those of RFC 8347, where it has one for the cause.
fn check_counter_name(vector: &Vector<'_>, counter: Counter) {
    if let Some(leaf) = vector.0["expect"]["counters"][0].as_str() {
        assert_eq!(counter.name(), leaf, "{}", vector.text("name"));
    }
}

#[test]
fn a_stopped_router_uses_none_of_them() {
    for value in &vectors() {
        let vector = Vector(value);
        let octets = vector.octets();
        let mut router = vector.receiver();
        router.handle_shutdown(Instant::ZERO);
        while let Some(output) = router.poll_output() {
            if let vrrp_fsm::Output::SetAddresses { id, .. } = output {
                router.handle_effect(Instant::ZERO, id, Ok(()));
            }
        }
        let name = vector.text("name");
        router.handle_datagram(at(1), vector.datagram(&octets)).expect_err(name);
        let counted: u64 = discards(&router).iter().map(|(_, number)| number).sum();
        assert_eq!(counted, 1, "{name}");
        assert_eq!(router.poll_timeout(), None, "{name}");
        assert_eq!(router.poll_output(), None, "{name}");
    }
}

#[test]
fn the_demux_finds_the_receiver_of_each() {
    for value in &vectors() {
        let vector = Vector(value);
        let (name, octets) = (vector.text("name"), vector.octets());
        let family = if vector.is_ipv6() { AddressFamily::Ipv6 } else { AddressFamily::Ipv4 };
        let mut demux = Demux::new();
        let key = Key { interface: 3, family, vrid: vector.config().vrid, peer: None };
        demux.insert(key, Route { router: 7, path: PathId::FIRST });
        let found = match (address(vector.text("src")), address(vector.text("dst"))) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                demux.ipv6(3, source, destination, Some(vector.number("ttl")), &octets)
            }
            _ => demux.ipv4(3, &octets),
        };
        match name {
            "vrid_zero" => {
                assert_eq!(found, Err(Discard::Vrid { vrid: 0 }), "{name}");
                assert_eq!(demux.discarded(Counter::Vrid), 1);
            }
            "truncated_empty" => {
                assert_eq!(found.unwrap_err().counter(), Counter::PacketLength, "{name}");
                assert_eq!(demux.discarded(Counter::PacketLength), 1);
            }
            _ => {
                let (router, datagram) = found.expect(name);
                assert_eq!(router, 7, "{name}");
                assert_eq!(datagram, vector.datagram(&octets), "{name}");
            }
        }
    }
}
