//! What it costs to take part in an election: one input and all that follows from it.
//!
//! ```text
//! cargo xtask bench election
//! ```
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::process::ExitCode;

use benches::subjects::{EMPTY, Election, GROUP, INTERVAL, VRID, packet};
use benches::timing::{line, measure};
use vrrp_fsm::{Datagram, Output, PathId, VirtualRouter};

/// Nanoseconds that a received advertisement may take.
const BAR: f64 = 65.0;

fn main() -> ExitCode {
    let packet = packet();
    let datagram = Datagram::ipv4(PathId::FIRST, &packet).expect("a valid packet");

    let mut backup = Election::backup(VRID);
    let handling = measure(|count| {
        (0..count).fold(0, |outputs, _| {
            backup.now += INTERVAL;
            outputs + backup.handle(*black_box(&datagram)).expect("an advertisement for us")
        })
    });
    let mut backup = Election::backup(VRID);
    let receiving = measure(|count| {
        (0..count).fold(0, |outputs, _| {
            outputs + backup.receive(black_box(&packet)).expect("an advertisement for us")
        })
    });
    let mut master = Election::master(VRID);
    let expiring = measure(|count| (0..count).fold(0, |outputs, _| outputs + master.expire()));

    let mut master = Election::master(VRID);
    master.router.handle_timeout(master.router.poll_timeout().expect("a timer"));
    let Some(Output::Send(send)) = master.router.poll_output() else { panic!("no advertisement") };
    let mut buffer = EMPTY;
    let encoding = measure(|count| {
        (0..count).fold(0, |sum, _| {
            let (send, to) = (black_box(&send), GROUP.into());
            let packet = master.router.encode(send, PathId::FIRST, to, &mut buffer);
            sum + black_box(packet).expect("a packet").len()
        })
    });

    let met = line("Backup: handle_datagram, drain", handling, Some(BAR));
    line("Backup: the same from the packet's octets on", receiving, None);
    line("Master: poll_timeout, handle_timeout, drain", expiring, None);
    line("Master: encode", encoding, None);
    println!("a VirtualRouter beside its configuration: {} octets", size_of::<VirtualRouter>());
    ExitCode::from(u8::from(!met))
}
