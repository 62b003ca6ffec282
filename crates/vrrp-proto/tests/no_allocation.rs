//! Reading and writing never allocate: an allocator that counts says so.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    hint::black_box,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    time::Duration,
};
use std::alloc::System;

use vrrp_proto::{
    AdverInt, Advertisement, Authentication, AuthenticationHeader, ChecksumForm, Header, HeaderKey,
    Ipv4Packet, MAX_IPV4_PACKET_LEN, MAX_IPV6_MESSAGE_LEN, MaxAdvertiseInterval, Message, Password,
    Priority, PseudoHeader, Trailer, TrailerKey, TrailerSequence, Vrid,
};

struct Counting;

thread_local! {
    // Per thread: the test runner allocates too.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn ipv4_packets_are_written_and_read_without_allocation() {
    let addresses = [IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)); 255];
    let source = Ipv4Addr::new(192, 0, 2, 2);
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let count = allocations(|| {
        let vrid = Vrid::new(51).unwrap();
        let authentication = Authentication::SimplePassword(Password::new(b"secret").unwrap());
        let message =
            Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, authentication, &addresses)
                .unwrap();
        let octets = message.emit_ipv4_packet(source, group, NonZeroU16::MIN, &mut buffer).unwrap();
        let packet = Ipv4Packet::parse(octets).unwrap();
        let read = Advertisement::parse(packet.message().unwrap(), packet.pseudo_header()).unwrap();
        assert!(authentication.verify(&read).is_ok());
        assert!(read.addresses().iter().eq(addresses));
        for len in 0..octets.len() {
            black_box(octets.get(..len).map(Ipv4Packet::parse).is_some_and(|read| read.is_ok()));
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn authentication_headers_are_written_and_verified_without_allocation() {
    let addresses = [IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)); 255];
    let source = Ipv4Addr::new(192, 0, 2, 2);
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let key = HeaderKey::new(Password::new(b"secret").unwrap());
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let count = allocations(|| {
        let (vrid, authentication) = (Vrid::new(51).unwrap(), Authentication::Header(key));
        let message =
            Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, authentication, &addresses);
        let message = message.unwrap().sequence(7);
        let octets = message.emit_ipv4_packet(source, group, NonZeroU16::MIN, &mut buffer).unwrap();
        let packet = Ipv4Packet::parse(octets).unwrap();
        let header = AuthenticationHeader::parse(&packet).unwrap();
        let message = header.verify(&key).unwrap();
        assert!(Advertisement::parse(message, packet.pseudo_header()).is_ok());
    });
    assert_eq!(count, 0);
}

#[test]
fn trailers_are_written_and_verified_without_allocation() {
    let addresses = [IpAddr::from(Ipv6Addr::LOCALHOST); 255];
    let packet =
        PseudoHeader::Ipv6 { source: Ipv6Addr::LOCALHOST, destination: Ipv6Addr::LOCALHOST };
    let key = TrailerKey::new(1, &[7; 64]).unwrap();
    let sequence = TrailerSequence::at(Duration::from_secs(1_700_000_000));
    let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
    let count = allocations(|| {
        let (vrid, interval) = (Vrid::new(51).unwrap(), MaxAdvertiseInterval::DEFAULT);
        let form = ChecksumForm::default();
        let message = Message::v3(vrid, Priority::OWNER, interval, form, &addresses).unwrap();
        let octets = message.signed(&key, sequence).emit(packet, &mut buffer).unwrap();
        let (message, behind) =
            Header::parse(octets).unwrap().split(octets, packet.family()).unwrap();
        let trailer = Trailer::parse(message, behind).unwrap();
        assert_eq!(trailer.sequence(), sequence);
        assert!(Advertisement::parse(trailer.verify(&key, packet).unwrap(), packet).is_ok());
    });
    assert_eq!(count, 0);
}

#[test]
fn ipv6_messages_are_written_and_read_without_allocation() {
    let addresses = [IpAddr::from(Ipv6Addr::LOCALHOST); 255];
    let packet =
        PseudoHeader::Ipv6 { source: Ipv6Addr::LOCALHOST, destination: Ipv6Addr::LOCALHOST };
    let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
    let count = allocations(|| {
        let (vrid, interval) = (Vrid::new(51).unwrap(), MaxAdvertiseInterval::DEFAULT);
        let form = ChecksumForm::default();
        let message = Message::v3(vrid, Priority::OWNER, interval, form, &addresses).unwrap();
        let octets = message.emit(packet, &mut buffer).unwrap();
        assert!(Advertisement::parse(octets, packet).is_ok());
        for len in 0..octets.len() {
            let cut = octets.get(..len).unwrap();
            black_box(Advertisement::parse(cut, packet).is_err());
        }
    });
    assert_eq!(count, 0);
}
