//! Signed advertisements: what is verified and in which order, how a fleet gets there, how keys are
//! replaced, and what becomes of copies.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    AntiReplay, Config, ConfigError, Counter, Discard, Instant, State, TrailerConfig, TrailerMode,
    TrailingOctetsPolicy,
    vrrp_proto::{
        Authentication, AuthenticationError, HeaderKey, ParseError, Password, TRAILER_LEN,
        TrailerKey, Version, Vrid,
    },
};

/// 2024-01-01.
const TODAY: Duration = Duration::from_secs(1_704_067_200);

fn key(id: u8) -> TrailerKey {
    TrailerKey::new(id, &[id; 32]).unwrap()
}

fn enforcing(id: u8) -> TrailerConfig {
    TrailerConfig::new(key(id))
}

fn monotonic(id: u8) -> TrailerConfig {
    enforcing(id).anti_replay(AntiReplay::Monotonic)
}

fn with(priority: u8, trailer: TrailerConfig) -> Config {
    config(priority).trailer(Some(trailer))
}

fn started(config: Config) -> Host {
    let mut host = Host::started(config, "192.0.2.5");
    host.router.handle_utc(Instant::ZERO, TODAY);
    host
}

/// An advertisement of 192.0.2.9, and when it was made.
fn signed_at(utc: Duration, config: Config) -> Packet {
    let mut host = Host::new(config, "192.0.2.9");
    host.router.handle_utc(Instant::ZERO, utc);
    host.router.handle_startup(Instant::ZERO);
    host.carry_out(Instant::ZERO);
    host.step().unwrap();
    host.wire.pop_front().unwrap()
}

/// The same, made at the moment `at(1)` of [`started`], or as near as 4 s.
fn signed(trailer: TrailerConfig) -> Packet {
    signed_at(TODAY, with(200, trailer))
}

fn error(discard: Discard) -> AuthenticationError {
    let Discard::Authentication(error) = discard else { panic!("{discard}") };
    error
}

#[test]
fn both_versions_and_families_hear_each_other_with_the_same_key() {
    let v2 = config(100).version(Version::V2);
    for (base, ours, theirs) in [
        (config(100), "192.0.2.5", "192.0.2.9"),
        (v2, "192.0.2.5", "192.0.2.9"),
        (config_v6(100), "fe80::5", "fe80::9"),
    ] {
        for id in [1, 2] {
            let (mut sender, now) = Host::master(base.clone().trailer(Some(enforcing(id))), theirs);
            let mut host = Host::started(base.clone().trailer(Some(enforcing(1))), ours);
            sender.step().unwrap();
            let packet = sender.wire.pop_front().unwrap();
            let result = host.receive(now + SECOND, &packet);
            if id == 1 {
                assert_eq!(result, Ok(()));
                assert_eq!(host.router.master().unwrap().source, packet.source);
            } else {
                let discard = result.unwrap_err();
                assert_eq!(discard.counter(), Counter::UnknownAuthenticationKey);
                assert_eq!(error(discard), AuthenticationError::UnknownKey { id: 2 });
                assert_eq!(host.router.master(), None);
            }
        }
    }
}

#[test]
fn each_mode_signs_and_believes_as_it_says() {
    use TrailerMode::{Enforce, Permissive, ReceiveOnly};
    let sent = |mode| signed(enforcing(1).mode(mode));
    let plain = signed_at(TODAY, config(200));
    let len = plain.bytes.len();
    assert_eq!(sent(Enforce).bytes.len(), len + TRAILER_LEN);
    assert_eq!(sent(Permissive).bytes.len(), len + TRAILER_LEN);
    assert_eq!(sent(ReceiveOnly).bytes.len(), len);
    for (mode, believes_plain) in [(Enforce, false), (Permissive, true), (ReceiveOnly, true)] {
        let receiver = || started(with(100, enforcing(1).mode(mode)));
        let mut host = receiver();
        let result = host.receive(at(1), &plain);
        assert_eq!(result.is_ok(), believes_plain, "{mode:?}");
        assert_eq!(host.router.statistics().unsigned_received, u64::from(believes_plain));
        if let Err(discard) = result {
            assert_eq!(error(discard), AuthenticationError::TrailerMissing);
            assert_eq!(discard.counter(), Counter::AuthenticationTypeMismatch);
        }
        let mut host = receiver();
        host.receive(at(1), &sent(Enforce)).unwrap();
        assert_eq!(host.router.statistics().unsigned_received, 0);
        // A trailer that is there has to be right in every mode.
        let mut forged = sent(Enforce);
        *forged.bytes.last_mut().unwrap() ^= 1;
        let mut host = receiver();
        let discard = host.receive(at(1), &forged).unwrap_err();
        assert_eq!(error(discard), AuthenticationError::WrongTrailer { key: 1 }, "{mode:?}");
        assert_eq!(host.router.statistics().discarded(Counter::AuthenticationFailure), 1);
    }
}

/// Nothing behind the IP header is believed before the check value is: neither the interval nor the
/// addresses nor the checksum, and no timer notices.
#[test]
fn the_check_value_comes_before_everything_it_covers() {
    let packet = signed(enforcing(1));
    let mut host = started(with(100, enforcing(1)));
    let deadline = host.router.poll_timeout();
    // Version and type, count and the trailer's own fields decide what is verified.
    for octet in (20..packet.bytes.len()).filter(|octet| ![20, 23, 26, 27, 32, 33].contains(octet))
    {
        let mut forged = packet.clone();
        forged.bytes[octet] ^= 0x40;
        let discard = host.receive(at(1), &forged).unwrap_err();
        assert_eq!(error(discard), AuthenticationError::WrongTrailer { key: 1 }, "octet {octet}");
    }
    for (octet, counter) in [
        (20, Counter::Version),
        (23, Counter::PacketLength),
        (26, Counter::Checksum),
        (32, Counter::AuthenticationTypeMismatch),
        (33, Counter::UnknownAuthenticationKey),
    ] {
        let mut host = started(with(100, enforcing(1)));
        let mut forged = packet.clone();
        forged.bytes[octet] ^= 0x40;
        let discard = host.receive(at(1), &forged).unwrap_err();
        assert_eq!(discard.counter(), counter, "octet {octet}: {discard}");
    }
    assert_eq!(host.router.poll_timeout(), deadline);
    // None of these used up the number of the real one.
    host.receive(at(1), &packet).unwrap();
}

#[test]
fn a_key_is_replaced_without_losing_an_advertisement() {
    let mut hosts = [started(with(100, monotonic(1))), started(with(100, monotonic(1)))];
    let steps = [
        [monotonic(1).also_accept(key(2)), monotonic(1)],
        [monotonic(1).also_accept(key(2)), monotonic(1).also_accept(key(2))],
        [monotonic(2).also_accept(key(1)), monotonic(1).also_accept(key(2))],
        [monotonic(2).also_accept(key(1)), monotonic(2).also_accept(key(1))],
        [monotonic(2), monotonic(2).also_accept(key(1))],
        [monotonic(2), monotonic(2)],
    ];
    for (step, configs) in steps.into_iter().enumerate() {
        let day = TODAY + Duration::from_secs(3600) * u32::try_from(step).unwrap();
        for (host, trailer) in hosts.iter_mut().zip(&configs) {
            host.router.handle_config(at(1), with(100, trailer.clone())).unwrap();
        }
        for (host, sender) in hosts.iter_mut().zip([1, 0]) {
            let packet = signed_at(day, with(200, configs[sender].clone()));
            host.receive(at(1), &packet).unwrap_or_else(|discard| panic!("{step}: {discard}"));
        }
    }
    let old = signed_at(TODAY * 2, with(200, monotonic(1)));
    let discard = hosts[0].receive(at(1), &old).unwrap_err();
    assert_eq!(error(discard), AuthenticationError::UnknownKey { id: 1 });
}

/// A dead Master must not be kept alive by copies of what it said.
#[test]
fn a_copy_does_not_put_off_the_takeover_whatever_the_rule() {
    for rule in [AntiReplay::default(), AntiReplay::Monotonic] {
        let trailer = enforcing(1).anti_replay(rule);
        let packet = signed(trailer.clone());
        let mut host = started(with(100, trailer));
        host.receive(at(1), &packet).unwrap();
        let deadline = host.router.poll_timeout().unwrap();
        let mut now = at(2);
        while now < deadline {
            let discard = host.receive(now, &packet).unwrap_err();
            assert_eq!(discard.counter(), Counter::AuthenticationReplay, "{discard}");
            now += SECOND / 10;
        }
        host.timeout(deadline);
        assert_eq!(host.router.state(), State::Master);
        host.receive(deadline + SECOND * 1000, &packet).unwrap_err();
    }
}

#[test]
fn only_the_clock_tells_a_restarted_router_old_advertisements_from_new_ones() {
    for (made, expected) in [(-60, false), (-2, true), (0, true), (2, true), (60, false)] {
        let utc = Duration::from_secs(TODAY.as_secs().saturating_add_signed(made));
        let packet = signed_at(utc, with(200, enforcing(1)));
        let mut host = started(with(100, enforcing(1)));
        // The packet was made 3.x s after that.
        let result = host.receive(at(0) + SECOND * 3, &packet);
        assert_eq!(result.is_ok(), expected, "{made} s: {result:?}");
        if let Err(discard) = result {
            let AuthenticationError::OutsideTimeWindow { future, window, distance } =
                error(discard)
            else {
                panic!("{discard}")
            };
            assert_eq!((future, window), (made > 0, SECOND * 5));
            assert!(distance > SECOND * 55 && distance < SECOND * 65, "{discard}");
            assert_eq!(discard.counter(), Counter::AuthenticationReplay);
        }
        let mut host = started(with(100, monotonic(1)));
        let packet = signed_at(utc, with(200, monotonic(1)));
        host.receive(at(0) + SECOND * 3, &packet).unwrap();
    }
}

#[test]
fn a_clock_that_is_set_moves_no_timer() {
    let mut host = started(with(100, enforcing(1)));
    host.receive(at(1), &signed(enforcing(1))).unwrap();
    let deadline = host.router.poll_timeout();
    for utc in [Duration::ZERO, Duration::MAX, TODAY * 2] {
        host.router.handle_utc(at(2), utc);
        assert_eq!(host.router.poll_timeout(), deadline);
        assert_eq!(host.router.poll_output(), None);
    }
    // And what was fresh is old.
    let later = signed_at(TODAY + SECOND, with(200, enforcing(1)));
    let discard = host.receive(at(3), &later).unwrap_err();
    assert!(matches!(error(discard), AuthenticationError::OutsideTimeWindow { .. }));
    host.router.handle_utc(at(3), TODAY);
    host.receive(at(3), &later).unwrap();
}

#[test]
fn a_number_is_used_up_whatever_becomes_of_its_packet() {
    let mut host = started(config(100).trailer(Some(enforcing(1))));
    let other_vrid = {
        let mut config = with(200, enforcing(1));
        config.vrid = Vrid::new(52).unwrap();
        signed_at(TODAY, config)
    };
    let discard = host.receive(at(1), &other_vrid).unwrap_err();
    assert_eq!(discard.counter(), Counter::Vrid);
    let discard = host.receive(at(1), &other_vrid).unwrap_err();
    assert_eq!(discard.counter(), Counter::AuthenticationReplay);
}

#[test]
fn octets_behind_the_message_are_discarded_or_ignored_as_configured() {
    let packet = signed(enforcing(1));
    let mut host = started(config(100));
    let discard = host.receive(at(1), &packet).unwrap_err();
    let expected = ParseError::TrailingOctets { count: 1, need: 12, len: 40 };
    assert_eq!(discard, Discard::Message(expected));
    let ignoring = config(100).trailing_octets(TrailingOctetsPolicy::Ignore);
    let mut host = started(ignoring.clone());
    host.receive(at(1), &packet).unwrap();
    assert_eq!(host.router.statistics().unsigned_received, 0);
    // It ignores what is behind the message, and nothing else.
    let mut cut = packet.clone();
    cut.bytes.truncate(30);
    cut.bytes[3] = 30;
    let mut host = started(ignoring.clone());
    let discard = host.receive(at(1), &cut).unwrap_err();
    assert_eq!(discard, Discard::Message(ParseError::Incomplete { count: 1, need: 12, len: 10 }));
    let mut wrong = packet;
    wrong.bytes[30] ^= 1;
    assert_eq!(host.receive(at(1), &wrong).unwrap_err().counter(), Counter::Checksum);
    // Where trailers are configured, other octets are none.
    let mut odd = signed(enforcing(1));
    odd.bytes.truncate(59);
    odd.bytes[3] = 59;
    let mut host = started(with(100, enforcing(1).mode(TrailerMode::Permissive)));
    let discard = host.receive(at(1), &odd).unwrap_err();
    assert_eq!(error(discard), AuthenticationError::TrailerLength { len: 27 });
    assert_eq!(discard.counter(), Counter::PacketLength);
}

#[test]
fn the_configuration_is_checked() {
    let password = Authentication::SimplePassword(Password::truncated(b"secret"));
    let window = |window| enforcing(1).anti_replay(AntiReplay::Time { window: Some(window) });
    let (short, long) = (Duration::from_millis(999), Duration::from_millis(300_001));
    let id = core::num::NonZeroU8::MIN;
    for (config, expected) in [
        (
            with(100, enforcing(1)).version(Version::V2).authentication(password),
            ConfigError::TwoAuthentications,
        ),
        (with(100, enforcing(1).also_accept(key(1))), ConfigError::DuplicateTrailerKey { id }),
        (with(100, window(short)), ConfigError::TimeWindow { window: short }),
        (with(100, window(long)), ConfigError::TimeWindow { window: long }),
    ] {
        let found = vrrp_fsm::VirtualRouter::new(config, 0).map(|_| ()).unwrap_err();
        assert_eq!(found, expected, "{expected}");
    }
    for good in [SECOND, Duration::from_secs(300)] {
        vrrp_fsm::VirtualRouter::new(with(100, window(good)), 0).unwrap();
    }
    let text = format!("{:?}", with(100, enforcing(0x5a)));
    assert!(text.contains("TrailerKey { id: 90, .. }"), "{text}");
    assert!(!text.contains("90, 90"), "{text}");
}

#[test]
fn the_default_window_is_three_intervals_within_5_s_and_300_s() {
    let ms = Duration::from_millis;
    for (version, interval, window) in [
        (Version::V3, ms(10), 5),
        (Version::V3, ms(1000), 5),
        (Version::V3, ms(10_000), 30),
        (Version::V2, ms(255_000), 300),
    ] {
        let config = |priority| {
            with(priority, enforcing(1)).version(version).advertisement_interval(interval)
        };
        // Made just when it starts.
        let packet = signed_at(TODAY, config(255));
        for (late, accepted) in [(window, true), (window + 1, false)] {
            let mut host = started(config(100));
            let now = at(0) + Duration::from_secs(late);
            host.router.handle_utc(now, TODAY + Duration::from_secs(late));
            let result = host.receive(now, &packet);
            assert_eq!(result.is_ok(), accepted, "{interval:?}, {late} s late: {result:?}");
        }
    }
}

/// The IP header tells where the packet begins and ends; the check value covers neither options nor
/// padding.
#[test]
fn options_before_and_padding_behind_a_packet_do_no_harm() {
    let mut packet = signed(enforcing(1));
    packet.bytes.splice(20..20, [1, 1, 1, 0]);
    packet.bytes[0] = 0x46;
    packet.bytes[3] += 4;
    packet.bytes.extend([0; 6]);
    let mut host = started(with(100, enforcing(1)));
    host.receive(at(1), &packet).unwrap();
    let mut plain = signed_at(TODAY, config(200));
    plain.bytes.splice(20..20, [1, 1, 1, 0]);
    plain.bytes[0] = 0x46;
    plain.bytes[3] += 4;
    plain.bytes.extend([0xff; 14]);
    Host::started(config(100), "192.0.2.5").receive(at(1), &plain).unwrap();
}

/// A fleet that changes its version keeps its signatures.
#[test]
fn a_router_of_both_versions_signs_both() {
    let both = with(200, enforcing(1)).also_version_2(true);
    let (mut sender, now) = Host::master(both, "192.0.2.9");
    sender.step().unwrap();
    let packets: Vec<_> = sender.wire.drain(..).collect();
    assert_eq!(packets.len(), 2);
    for version in [Version::V2, Version::V3] {
        let mut host = Host::started(with(100, enforcing(1)).version(version), "192.0.2.5");
        let heard = packets.iter().filter(|packet| host.receive(now + SECOND, packet).is_ok());
        assert_eq!(heard.count(), 1, "{version}");
        assert_eq!(host.router.statistics().discarded(Counter::Version), 1);
    }
}

/// Their numbers have nothing to do with each other.
#[test]
fn a_change_from_trailers_to_headers_forgets_the_numbers() {
    let header = HeaderKey::new(Password::truncated(b"k3y"));
    let v2 = |priority| config(priority).version(Version::V2);
    let with_header = |priority| v2(priority).authentication(Authentication::Header(header));
    let with_trailer = |priority| v2(priority).trailer(Some(enforcing(1)));
    let mut host = started(with_trailer(100));
    host.receive(at(1), &signed_at(TODAY, with_trailer(200))).unwrap();
    host.router.handle_config(at(2), with_header(100)).unwrap();
    host.receive(at(3), &advertisement(with_header(200), "192.0.2.9", 200)).unwrap();
    // And back, the control: the same trailer was used before.
    host.router.handle_config(at(4), with_trailer(100)).unwrap();
    host.receive(at(5), &signed_at(TODAY, with_trailer(200))).unwrap();
    host.receive(at(5), &signed_at(TODAY, with_trailer(200))).unwrap_err();
}
