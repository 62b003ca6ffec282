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
    Condition, Counter, Demux, EffectFailed, EffectId, Fault, Instant, Key, MAX_DATAGRAM_LEN,
    MemberId, Output, PathId, Route, SendFailed, State, SyncGroup, SyncGroupOutput, Tracker,
    TrackerId, Tracking, Verdict, VirtualRouter,
    vrrp_proto::{AddressFamily, Authentication, HeaderKey, Password, Priority, Version},
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
        group.handle_member(MemberId::new(index), router.standing());
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
fn authentication_headers_without_allocation() {
    let key = HeaderKey::new(Password::truncated(b"k3y"));
    let config = config(100).version(Version::V2).authentication(Authentication::Header(key));
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
    // More senders than are remembered, each heard once in Backup and once in Master.
    assert_eq!(router.statistics().advertisements_received, 160);
    assert_eq!(router.state(), State::Master);
}
