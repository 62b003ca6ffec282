//! How many instructions each operation takes: the same on every run, however busy the machine.
//!
//! ```text
//! cargo xtask bench instructions
//! ```
#![allow(missing_docs, clippy::unnecessary_box_returns, reason = "what the macros make, and want")]

use std::hint::black_box;

use benches::subjects::{self, Buffer, EMPTY, Election, VRID};
use gungraun::{library_benchmark, library_benchmark_group, main};

// What a function gets it returns, so that freeing it does not count.

#[library_benchmark]
#[bench::one_address(subjects::octets())]
fn parse(octets: Vec<u8>) -> Vec<u8> {
    black_box(&subjects::parse(black_box(&octets)));
    octets
}

#[library_benchmark]
#[bench::one_address(subjects::packet())]
fn parse_packet(packet: Vec<u8>) -> Vec<u8> {
    black_box(&subjects::parse_packet(black_box(&packet)));
    packet
}

#[library_benchmark]
#[bench::one_address(Box::new(EMPTY))]
fn emit(mut buffer: Box<Buffer>) -> Box<Buffer> {
    black_box(&subjects::emit(black_box(100), &mut buffer));
    buffer
}

#[library_benchmark]
#[bench::one_address(Box::new(EMPTY))]
fn emit_packet(mut buffer: Box<Buffer>) -> Box<Buffer> {
    black_box(&subjects::emit_packet(black_box(100), &mut buffer));
    buffer
}

#[library_benchmark]
#[bench::one_address(Box::new((Election::backup(VRID), subjects::packet())))]
fn receive(mut subject: Box<(Election, Vec<u8>)>) -> Box<(Election, Vec<u8>)> {
    let (election, packet) = &mut *subject;
    black_box(election.receive(black_box(packet)));
    subject
}

#[library_benchmark]
#[bench::one_address(Box::new(Election::master(VRID)))]
fn expire(mut election: Box<Election>) -> Box<Election> {
    black_box(election.expire());
    election
}

library_benchmark_group!(name = codec, benchmarks = [parse, parse_packet, emit, emit_packet]);
library_benchmark_group!(name = election, benchmarks = [receive, expire]);

main!(library_benchmark_groups = [codec, election]);
