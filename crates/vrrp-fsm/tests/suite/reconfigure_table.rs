//! Every field of a configuration changed while Backup, while Master, and while a Master installs:
//! the state stays, and nothing is done that the change does not need.

use core::{net::IpAddr, time::Duration};

use crate::host::*;
use vrrp_fsm::{
    AddressListPolicy, AddressesLostPolicy, ChecksumPolicy, Config, GuardConfig, HopLimitPolicy,
    Instant, Output, OwnerReception, PathConfig, PeerConfig, ReleasePolicy, SendFailurePolicy,
    State, TrailerConfig, TrailingOctetsPolicy, Verdict, Wanted,
    vrrp_proto::{Authentication, ChecksumForm, Password, Priority, TrailerKey, Version},
};

/// The names of all fields.
pub(crate) fn fields(config: &Config) -> Vec<String> {
    let text = format!("{config:#?}");
    let field = |line: &str| {
        let name = line.strip_prefix("    ")?.split_once(':')?.0;
        (!name.starts_with([' ', ']', '}', ')'])).then(|| name.to_owned())
    };
    text.lines().filter_map(field).collect()
}

const MASTER: &str = "192.0.2.9";

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn dual() -> Config {
    config(100).also_version_2(true)
}

type Change = (&'static str, fn(Config) -> Config);

/// The field that changes, from which configuration, to which.
fn changes() -> Vec<(&'static str, Config, Config)> {
    let v2 = || config(100).version(Version::V2);
    let password = |text: &[u8]| Authentication::SimplePassword(Password::truncated(text));
    let trailer = TrailerConfig::new(TrailerKey::new(1, &[7; 32]).unwrap());
    let master: IpAddr = address(MASTER);
    let from_default = |to: fn(Config) -> Config| (config(100), to(config(100)));
    let mut table = vec![
        ("version", v2(), config(100)),
        ("version", config(100), v2()),
        ("also_version_2", config(100), dual()),
        ("also_version_2", dual(), config(100)),
        (
            "authentication",
            v2().authentication(password(b"a")),
            v2().authentication(password(b"b")),
        ),
        ("authentication", v2(), v2().authentication(password(b"b"))),
        ("trailer", config(100), config(100).trailer(Some(trailer))),
        ("paths", config(100), config(100).paths(vec![PathConfig::unicast(vec![master])])),
        ("paths", config(100).paths(vec![PathConfig::unicast(vec![master])]), config(100)),
        ("peers", config(100), config(100).peers(vec![PeerConfig::new("a", vec![master])])),
    ];
    let simple: [Change; 27] = [
        ("priority", |c| c.priority(Priority::new(120))),
        ("priority", |c| c.priority(Priority::new(80))),
        ("advertisement_interval", |c| c.advertisement_interval(seconds(3))),
        ("missed_advertisements", |c| c.missed_advertisements(5)),
        ("missed_advertisements", |c| c.missed_advertisements(2)),
        ("preempt_mode", |c| c.preempt_mode(false)),
        ("preempt_delay", |c| c.preempt_delay(seconds(9))),
        ("start_delay", |c| c.start_delay(seconds(9))),
        ("owner_skips_backup", |c| c.owner_skips_backup(false)),
        ("owner_reception", |c| c.owner_reception(OwnerReception::Never)),
        ("sync_group", |c| c.sync_group(true)),
        ("guard", |c| c.guard(Some(GuardConfig::new(SECOND, Verdict::Veto)))),
        ("accept_mode", |c| c.accept_mode(true)),
        ("virtual_addresses", |c| {
            c.virtual_addresses(vec![address("192.0.2.1"), address("192.0.2.7")])
        }),
        ("link_local_first", |c| c.link_local_first(false)),
        ("checksum", |c| c.checksum(ChecksumPolicy::Strict(ChecksumForm::MessageOnly))),
        ("trailing_octets", |c| c.trailing_octets(TrailingOctetsPolicy::Ignore)),
        ("address_list_mismatch", |c| c.address_list_mismatch(AddressListPolicy::Discard)),
        ("immediate_answer", |c| c.immediate_answer(false)),
        ("advertise_before_yielding", |c| c.advertise_before_yielding(true)),
        ("announce_refresh", |c| c.announce_refresh(Some(seconds(30)))),
        ("effect_deadline", |c| c.effect_deadline(seconds(30))),
        ("release_from", |c| c.release_from(ReleasePolicy::Anyone)),
        ("late_wake_rule", |c| c.late_wake_rule(false)),
        ("send_failure", |c| c.send_failure(SendFailurePolicy::Keep)),
        ("addresses_lost", |c| c.addresses_lost(AddressesLostPolicy::StepDown)),
        ("unicast_hop_limit", |c| c.unicast_hop_limit(HopLimitPolicy::AtLeast(255))),
    ];
    table.extend(simple.map(|(field, to)| {
        let (from, to) = from_default(to);
        (field, from, to)
    }));
    table
}

#[test]
fn the_table_has_every_field() {
    let listed: Vec<&str> = changes().into_iter().map(|(field, ..)| field).collect();
    for field in fields(&config(100)) {
        // What makes it another virtual router is refused.
        let identity = ["vrid", "family"].contains(&&*field);
        assert!(identity != listed.contains(&&*field), "{field}");
    }
    // And each row changes that field, or what it needs.
    for (field, from, to) in changes() {
        assert_ne!(from, to, "{field}");
    }
}

fn change(host: &mut Host, now: Instant, to: &Config) -> Vec<Output> {
    host.log.clear();
    host.wire.clear();
    host.router.handle_config(now, to.clone()).unwrap();
    host.carry_out(now);
    host.take_log()
}

#[test]
fn a_master_stays_master_and_touches_its_addresses_only_if_they_change() {
    for (field, from, to) in changes() {
        let (mut host, now) = Host::master(from, "192.0.2.5");
        let now = now + SECOND / 4;
        let log = change(&mut host, now, &to);
        assert_eq!(host.router.state(), State::Master, "{field}");
        assert_eq!(host.router.reported_state(), State::Master, "{field}");
        assert_eq!(host.router.term(), 1, "{field}");
        assert!(host.installed, "{field}");
        // It says at once what is new, in every version it speaks, and goes on from there.
        let sends = 1 + usize::from(to.also_version_2);
        let installs = usize::from(field == "virtual_addresses");
        let count = |wanted: fn(&Output) -> bool| log.iter().filter(|o| wanted(o)).count();
        assert_eq!(count(|output| matches!(output, Output::Send(_))), sends, "{field}");
        let wishes =
            count(|output| matches!(output, Output::SetAddresses { wanted: Wanted::All, .. }));
        assert_eq!(wishes, installs, "{field}");
        assert_eq!(log.len(), sends + installs, "{field}: {log:?}");
        assert_eq!(host.router.poll_timeout(), Some(now + to.advertisement_interval), "{field}");
        // Nor later.
        host.run_until(now + SECOND * 20);
        assert_eq!(host.router.term(), 1, "{field}");
        assert_eq!(host.router.state(), State::Master, "{field}");
    }
}

#[test]
fn a_master_that_is_installing_goes_on_installing() {
    for (field, from, to) in changes() {
        let mut host = Host::started(from, "192.0.2.5");
        host.effects = Effects::Wait;
        let now = host.step().unwrap();
        let first = host.pending.unwrap();
        change(&mut host, now, &to);
        assert_eq!(host.router.state(), State::Master, "{field}");
        let again = host.pending.unwrap() != first;
        assert_eq!(again, field == "virtual_addresses", "{field}");
        host.answer(now, Ok(()));
        assert_eq!(host.router.reported_state(), State::Master, "{field}");
    }
}

#[test]
fn a_backup_stays_backup_knows_its_master_and_has_the_right_timer() {
    for (field, from, to) in changes() {
        let mut host = Host::started(from.clone(), "192.0.2.5");
        let sender = from.paths(vec![PathConfig::multicast()]);
        let mut packet = advertisement(sender, MASTER, 150);
        if !host.router.destinations(vrrp_fsm::PathId::FIRST).any(|to| to.is_multicast()) {
            // The same to the peer.
            let unicast = PathConfig::unicast(vec![address("192.0.2.5")]);
            packet = advertisement(config(100).paths(vec![unicast]), MASTER, 150);
        }
        host.receive(at(0), &packet).unwrap();
        let now = at(0) + SECOND / 2;
        let log = change(&mut host, now, &to);
        assert_eq!(log, [], "{field}");
        assert_eq!(host.router.state(), State::Backup, "{field}");
        let master = host.router.master().unwrap();
        assert_eq!((master.source, master.priority.get()), (address(MASTER), 150), "{field}");
        // Version 2 goes by its own interval, version 3 by the Master's: 1 s.
        let interval = if to.version == Version::V2 { to.advertisement_interval } else { SECOND };
        let skew = SECOND * (256 - u32::from(to.priority.get())) / 256;
        let down = interval * u32::from(to.missed_advertisements) + skew;
        assert_eq!(host.router.poll_timeout(), Some(at(0) + down), "{field}");
    }
}

#[test]
fn a_router_that_takes_no_part_takes_the_new_configuration_with_it() {
    for (field, from, to) in changes() {
        let mut host = Host::new(from, "192.0.2.5");
        assert_eq!(change(&mut host, at(1), &to), [], "{field}");
        assert_eq!(host.router.state(), State::Initialize, "{field}");
        assert_eq!(*host.router.config(), to, "{field}");
    }
}

#[test]
fn the_same_configuration_again_changes_nothing_but_says_so() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let log = change(&mut host, now + SECOND / 2, &config(100));
    assert!(matches!(log[..], [Output::Send(_)]), "{log:?}");
}
