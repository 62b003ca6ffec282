//! Nothing is allocated once a virtual router and its demultiplexer are made.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a global allocator is unsafe to implement")]

#[expect(dead_code, reason = "the suite uses the rest")]
#[path = "suite/host.rs"]
mod host;

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    hint::black_box,
};
use std::alloc::System;

use host::*;
use vrrp_fsm::{
    Condition, Counter, Datagram, Demux, EffectFailed, EffectId, Fault, GuardConfig, Instant, Key,
    MAX_DATAGRAM_LEN, MemberId, Output, PathConfig, PathId, PeerConfig, Route, SendFailed, State,
    SyncGroup, SyncGroupOutput, Tracker, TrackerId, Tracking, TrailerConfig, TrailerMode, Verdict,
    VirtualRouter,
    vrrp_proto::{
        AddressFamily, Authentication, HeaderKey, Password, Priority, TrailerKey, Version,
    },
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|number| number.set(number.get() + 1));
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|number| number.set(number.get() + 1));
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(black_box(vec![0_u8; 100]));
    assert_eq!(allocations(), before + 1);
}

/// Carries out the outputs without any memory of its own; the latest wish for addresses.
fn drain(router: &mut VirtualRouter, now: Instant, buffer: &mut [u8]) -> Option<EffectId> {
    let mut wish = None;
    while let Some(output) = router.poll_output() {
        match output {
            Output::Send(send) => {
                for destination in router.destinations(PathId::FIRST) {
                    let bytes = router.encode(&send, PathId::FIRST, destination, buffer);
                    assert!(!black_box(bytes.unwrap()).is_empty());
                }
                router.handle_send(now, PathId::FIRST, Ok(()));
            }
            Output::SetAddresses { id, .. } => wish = Some(id),
            Output::AskPromotion { ticket, .. } => {
                router.handle_verdict(now, ticket, Verdict::Promote);
            }
            Output::Announce
            | Output::StateChanged { .. }
            | Output::Contended { .. }
            | Output::Conflict { .. } => {}
        }
    }
    wish
}

/// Tells a group how a member stands, carries out what the group wants, and does the same again.
fn settle(group: &mut SyncGroup, members: &mut [VirtualRouter], now: Instant, buffer: &mut [u8]) {
    for (index, router) in members.iter_mut().enumerate() {
        if let Some(id) = drain(router, now, buffer) {
            router.handle_effect(now, id, Ok(()));
            drain(router, now, buffer);
        }
        group.handle_member(now, MemberId::new(index), router.standing());
    }
    while let Some(output) = group.poll_output() {
        let SyncGroupOutput::Command { member, command } = output else { continue };
        members[member.get()].handle_group(now, command);
        settle(group, members, now, buffer);
    }
}

#[test]
fn a_group_allocates_nothing_either() {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    let router = || Host::new(config(100).sync_group(true), "192.0.2.5").router;
    let mut members = [router(), router()];
    let mut group = SyncGroup::new(2).unwrap();
    let better = advertisement(config(100), "192.0.2.9", 150);

    let before = allocations();
    let mut now = at(0);
    for round in 0..6_usize {
        for member in 0..2 {
            members[member].handle_startup(now);
            members[member].handle_fault_cleared(now, Fault::LinkDown);
            settle(&mut group, &mut members, now, &mut buffer);
        }
        for _ in 0..6 {
            let next = members.iter_mut().min_by_key(|router| router.poll_timeout()).unwrap();
            now = next.poll_timeout().unwrap();
            next.handle_timeout(now);
            settle(&mut group, &mut members, now, &mut buffer);
        }
        assert_eq!(members[0].state(), State::Master);
        assert_eq!(group.reported_state(), State::Master);
        black_box(group.asking().chain(group.unable()).count());
        let leaver = &mut members[round % 2];
        if round < 3 {
            leaver.handle_fault(now, Fault::LinkDown);
        } else {
            leaver.handle_datagram(now, better.datagram()).unwrap();
        }
        settle(&mut group, &mut members, now, &mut buffer);
        assert_ne!(members[(round + 1) % 2].state(), State::Master);
    }
    assert_eq!(allocations() - before, 0);
}

#[test]
fn a_life_without_allocation() {
    let from = |source, priority| advertisement(config(100), source, priority);
    let better = from("192.0.2.9", 150);
    let worse = from("192.0.2.4", 50);
    let leaving = from("192.0.2.9", 0);
    let mut broken = from("192.0.2.9", 150);
    *broken.bytes.last_mut().unwrap() ^= 1;
    let mut router = Host::new(config(100), "192.0.2.5").router;
    let mut demux = Demux::new();
    let vrid = config(100).vrid;
    let key = Key { interface: 2, family: AddressFamily::Ipv4, vrid, peer: None };
    demux.insert(key, Route { router: 0, path: PathId::FIRST });
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    let trackers = vec![Tracker::new(0).unwrap(), Tracker::new(-5).unwrap()];
    let mut tracking = Tracking::new(Priority::new(100), trackers);

    let before = allocations();
    let mut now = at(0);
    router.handle_startup(now);
    drain(&mut router, now, &mut buffer);
    for packet in [&better, &worse, &leaving, &broken] {
        now += SECOND / 10;
        let (_, datagram) = demux.ipv4(2, &packet.bytes).unwrap();
        let _discarded = router.handle_datagram(now, datagram);
        drain(&mut router, now, &mut buffer);
    }
    for _ in 0..3 {
        while router.state() != State::Master {
            now = router.poll_timeout().unwrap();
            router.handle_timeout(now);
            if let Some(id) = drain(&mut router, now, &mut buffer) {
                router.handle_effect(now, id, Err(EffectFailed));
            }
        }
        for _ in 0..20 {
            now = router.poll_timeout().unwrap();
            router.handle_timeout(now);
            if let Some(id) = drain(&mut router, now, &mut buffer) {
                router.handle_effect(now, id, Ok(()));
            }
            for packet in [&worse, &leaving, &broken] {
                let (_, datagram) = demux.ipv4(2, &packet.bytes).unwrap();
                let _discarded = router.handle_datagram(now, datagram);
                drain(&mut router, now, &mut buffer);
            }
        }
        router.handle_priority(now, Priority::new(90));
        for condition in [Condition::Down, Condition::Unknown, Condition::Up] {
            tracking.handle_base(Priority::new(90));
            tracking.handle_condition(TrackerId::new(1), condition);
            tracking.handle_condition(TrackerId::new(0), Condition::Up);
            while let Some(output) = tracking.poll_output() {
                router.handle_tracking(now, output);
            }
        }
        router.handle_addresses_lost(now);
        router.handle_send(now, PathId::FIRST, Err(SendFailed));
        router.handle_overflow(now);
        black_box(router.why(now));
        drain(&mut router, now, &mut buffer);
        router.handle_fault(now, Fault::LinkDown);
        let id = drain(&mut router, now, &mut buffer).unwrap();
        router.handle_effect(now, id, Ok(()));
        router.handle_fault_cleared(now, Fault::LinkDown);
        drain(&mut router, now, &mut buffer);
    }
    router.handle_source_address(now, PathId::FIRST, None);
    router.handle_shutdown(now);
    drain(&mut router, now, &mut buffer);
    assert_eq!(allocations() - before, 0);
    assert_eq!(router.statistics().master_transitions, 3);
    assert!(router.statistics().losing_received >= 60);
    assert_eq!(router.statistics().discarded(Counter::Checksum), 61);
}

#[test]
fn headers_and_trailers_without_allocation() {
    let header = HeaderKey::new(Password::truncated(b"k3y"));
    let header = config(100).version(Version::V2).authentication(Authentication::Header(header));
    // More senders than are remembered, each heard once in Backup and once in Master. After so long
    // numbers of headers may start again; those of trailers may not, as far as they are remembered.
    for (config, received) in [(header, 160), (config(100).trailer(Some(trailer())), 145)] {
        let packets: Vec<Packet> = (10..90)
            .map(|host| advertisement(config.clone(), &format!("192.0.2.{host}"), 50))
            .collect();
        let mut router = Host::new(config, "192.0.2.5").router;
        let mut buffer = [0; MAX_DATAGRAM_LEN];

        let before = allocations();
        let mut now = at(0);
        router.handle_startup(now);
        drain(&mut router, now, &mut buffer);
        for _ in 0..2 {
            for packet in &packets {
                let _discarded = router.handle_datagram(now, packet.datagram());
                drain(&mut router, now, &mut buffer);
            }
            now = router.poll_timeout().unwrap();
            router.handle_timeout(now);
            drain(&mut router, now, &mut buffer);
        }
        assert_eq!(allocations() - before, 0);
        assert_eq!(router.statistics().advertisements_received, received);
        assert_eq!(router.state(), State::Master);
    }
}

fn trailer() -> TrailerConfig {
    TrailerConfig::new(TrailerKey::new(1, &[1; 32]).unwrap())
}

/// Writes nonsense of some kind all over `octets`: constant or random, or with headers that hold
/// together as far as they go. False if there is no such kind.
fn scribble(octets: &mut [u8], kind: usize) -> bool {
    let len = octets.len();
    let mut random = u64::try_from(len).unwrap() + 1;
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    let addresses = |header: usize, size: usize| {
        u8::try_from((len.saturating_sub(header + 8) / size).min(255)).unwrap()
    };
    let ip = |protocol| [0x45, 0xc0, high, low, 0, 1, 0, 0, 255, protocol, 0, 0, 192, 0, 2, 9];
    let group = [224, 0, 0, 18];
    let v3 = [0x31, 51, 200, addresses(20, 4), 0, 100, 0, 0];
    let v2 = [0x21, 51, 200, addresses(28, 4), 1, 1, 0, 0];
    let trailer = [0x31, 51, 200, addresses(48, 4), 0, 100, 0, 0];
    let v6 = [0x31, 51, 200, addresses(0, 16), 0, 100, 0, 0];
    let header = [112, 4, 0, 0, 192, 0, 2, 9];
    octets.fill(0);
    let prefix = match kind {
        0 => Vec::new(),
        1 => {
            octets.fill(0xff);
            Vec::new()
        }
        2..=4 => {
            for octet in &mut *octets {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                [*octet, ..] = random.to_le_bytes();
            }
            [&[][..], &ip(112)[..4], &v6[..6]][kind - 2].to_vec()
        }
        5 => [&ip(112)[..], &group, &v3].concat(),
        6 => [&ip(112)[..], &group, &v2].concat(),
        7 => [&ip(112)[..], &group, &trailer].concat(),
        8 => [&ip(51)[..], &group, &header].concat(),
        9 => v6.to_vec(),
        10 => {
            octets.fill(0xff);
            [&ip(112)[..], &group, &v3].concat()
        }
        11 => vec![0x4f],
        _ => return false,
    };
    for (slot, octet) in octets.iter_mut().zip(prefix) {
        *slot = octet;
    }
    true
}

/// Nothing of any length is taken for an advertisement: it is discarded with a reason and one
/// counter, and neither a timer nor an output nor memory comes of it.
#[test]
fn nonsense_of_every_length_is_counted_and_changes_nothing() {
    let key = HeaderKey::new(Password::truncated(b"k3y"));
    let v2 = config(100).version(Version::V2);
    let mut routers = [
        config(100),
        config(100).trailer(Some(trailer())),
        config(100).trailer(Some(trailer().mode(TrailerMode::Permissive))),
        v2.clone(),
        v2.authentication(Authentication::Header(key)),
        config_v6(100),
        config_v6(100).trailer(Some(trailer())),
    ]
    .map(|config| {
        let source = if config.family == AddressFamily::Ipv4 { "192.0.2.5" } else { "fe80::5" };
        Host::started(config, source).router
    });
    let (source, group) = ("fe80::9".parse().unwrap(), "ff02::12".parse().unwrap());
    let mut octets = vec![0; 9000];
    let deadlines = routers.each_ref().map(VirtualRouter::poll_timeout);
    let total = |router: &VirtualRouter| -> u64 {
        router.statistics().discards().map(|(_, number)| number).sum()
    };
    for len in 0..=9000 {
        for kind in 0.. {
            if !scribble(&mut octets[..len], kind) {
                break;
            }
            let before = allocations();
            let octets = &octets[..len];
            let ipv4 = Datagram::ipv4(PathId::FIRST, octets);
            let ipv6 = Datagram::ipv6(PathId::FIRST, source, group, Some(255), octets);
            for (router, deadline) in routers.iter_mut().zip(deadlines) {
                let is_ipv4 = router.config().family == AddressFamily::Ipv4;
                // What is no IPv4 packet has no router to charge it to.
                let Ok(datagram) = (if is_ipv4 { ipv4 } else { Ok(ipv6) }) else { continue };
                let counted = total(router);
                let discard = router.handle_datagram(at(1), datagram).expect_err("nobody sent it");
                assert!(router.statistics().discarded(discard.counter()) > 0);
                assert_eq!(total(router), counted + 1);
                assert_eq!(router.poll_timeout(), deadline, "{len} {kind} {discard}");
                assert_eq!(router.poll_output(), None);
            }
            assert_eq!(allocations() - before, 0, "{len} {kind}");
        }
    }
    for cause in [
        Counter::PacketLength,
        Counter::Version,
        Counter::InvalidType,
        Counter::Checksum,
        Counter::AuthenticationTypeMismatch,
        Counter::AuthenticationFailure,
    ] {
        let number: u64 = routers.iter().map(|router| router.statistics().discarded(cause)).sum();
        assert!(number > 1000, "{cause}: {number}");
    }
}

#[test]
fn several_paths_and_a_guard_without_allocation() {
    let peer = PeerConfig::new("b", vec![address("192.0.2.9"), address("10.9.9.9")]);
    let guard = GuardConfig::new(SECOND / 50, Verdict::Promote);
    let single = config(100);
    let config = config(100)
        .paths(vec![PathConfig::multicast(), PathConfig::multicast()])
        .peers(vec![peer])
        .guard(Some(guard));
    let second = PathId::new(1);
    let from = |source, priority| advertisement(single.clone(), source, priority);
    let packets = [200, 50, 0].map(|priority| {
        let slow = Packet { path: second, ..from("10.9.9.9", priority) };
        [from("192.0.2.9", priority), slow]
    });
    let mut router = Host::new(config, "192.0.2.5").router;
    router.handle_source_address(at(0), second, Some(address("10.9.9.5")));
    let mut buffer = [0; MAX_DATAGRAM_LEN];

    let before = allocations();
    let mut now = at(0);
    router.handle_startup(now);
    for _ in 0..3 {
        for packet in packets.iter().flatten() {
            now += SECOND / 100;
            let _discarded = router.handle_datagram(now, packet.datagram());
            drain(&mut router, now, &mut buffer);
        }
        for packet in &packets[0] {
            let _discarded = router.handle_datagram(now + SECOND * 2, packet.datagram());
        }
        for _ in 0..4 {
            now = router.poll_timeout().unwrap();
            router.handle_timeout(now);
            drain(&mut router, now, &mut buffer);
            black_box((router.path_status(second), router.why(now)));
        }
        router.handle_fault(now, Fault::NotReady);
        if let Some(id) = drain(&mut router, now, &mut buffer) {
            router.handle_effect(now, id, Ok(()));
        }
        router.handle_fault_cleared(now, Fault::NotReady);
    }
    assert_eq!(allocations() - before, 0);
    assert!(router.statistics().copies_received > 0);
    assert!(router.statistics().promotions_asked > 0);
    assert!(router.term() > 0);
}
