//! What it costs to read and write an advertisement: VRRPv3 over IPv4, one address.
//!
//! ```text
//! cargo xtask bench codec
//! ```
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::process::ExitCode;

use benches::subjects::{EMPTY, emit, emit_packet, octets, packet, parse, parse_packet};
use benches::timing::{line, measure};

/// Nanoseconds that each of them may take.
const BAR: f64 = 25.0;

fn main() -> ExitCode {
    let (octets, packet, mut buffer) = (octets(), packet(), EMPTY);
    assert!(parse(&octets).is_ok() && parse_packet(&packet).is_ok());
    let times = |count: u32| 0..count;

    let parsing = measure(|count| {
        times(count).fold(true, |all, _| all & black_box(&parse(black_box(&octets))).is_ok())
    });
    let parsing_packets = measure(|count| {
        times(count).fold(true, |all, _| all & black_box(&parse_packet(black_box(&packet))).is_ok())
    });
    let emitting = measure(|count| {
        times(count)
            .fold(true, |all, _| all & black_box(&emit(black_box(100), &mut buffer)).is_ok())
    });
    let emitting_packets = measure(|count| {
        times(count)
            .fold(true, |all, _| all & black_box(&emit_packet(black_box(100), &mut buffer)).is_ok())
    });

    let mut met = line("parse and verify a message", parsing, Some(BAR));
    met &= line("emit a message with its checksum", emitting, Some(BAR));
    line("parse an IPv4 packet and its message", parsing_packets, None);
    line("emit an IPv4 packet", emitting_packets, None);
    ExitCode::from(u8::from(!met))
}
