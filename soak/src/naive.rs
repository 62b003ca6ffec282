//! The control: the same state machine in a plain loop, as one writes it on the first day. It looks up its socket and address once,
//! keeps no journal, follows no kernel news, starts `ip` for the addresses, and waits anew after every packet.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant as Moment};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use vrrp::Vrid;
use vrrp_fsm::vrrp_proto::{AddressFamily, Priority};
use vrrp_fsm::{
    Config, Datagram, EffectFailed, Instant, MAX_DATAGRAM_LEN, Output, OwnerReception, PathId,
    SendFailed, VirtualRouter, Wanted,
};

use crate::router::{Arguments, Without};
use crate::rules::{INTERVAL, Side, VIPS, VRID};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

type Error = Box<dyn std::error::Error>;

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::new(Vrid::new(VRID)?, AddressFamily::Ipv4)
        .priority(Priority::new(arguments.priority))
        .preempt_mode(arguments.preempt)
        .advertisement_interval(INTERVAL)
        .late_wake_rule(false)
        .immediate_answer(false)
        .owner_reception(OwnerReception::Always)
        .virtual_addresses(VIPS.map(Into::into).to_vec());
    let mut machine = VirtualRouter::new(config, 0)?;
    let own = own_address().ok_or("no address on eth0")?;
    let mut receiver = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
    receiver.join_multicast_v4(&GROUP, &own)?;
    receiver.set_nonblocking(true)?;
    let sender = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
    sender.set_multicast_if_v4(&own)?;
    sender.set_multicast_loop_v4(false)?;
    machine.handle_source_address(Instant::ZERO, PathId::FIRST, Some(own.into()));
    // Who has no patience pretends to have waited already.
    let waited =
        if arguments.without.contains(&Without::Patience) { INTERVAL * 10 } else { Duration::ZERO };
    let wall = arguments.without.contains(&Without::Monotonic);
    let (begin, begin_wall) = (Moment::now(), lab::now());
    let now = || {
        let elapsed = if wall { lab::now().saturating_sub(begin_wall) } else { begin.elapsed() };
        let elapsed = elapsed + waited;
        Instant::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    };
    machine.handle_startup(Instant::ZERO);
    println!("ready");
    let mut not_before = Instant::ZERO;
    loop {
        carry_out(&mut machine, &sender, now);
        let deadline = machine.poll_timeout().map(|at| at.max(not_before));
        let wait = deadline.map_or(INTERVAL, |at| at.saturating_duration_since(now()));
        let timeout = Timespec::try_from(wait)?;
        let readable = poll(&mut [PollFd::new(&receiver, PollFlags::IN)], Some(&timeout))?;
        // The clock before the queue: who slept believes what it knew before.
        let late = deadline.is_some_and(|at| now() >= at);
        if readable == 0 || late {
            machine.handle_timeout(now());
            continue;
        }
        let mut buffer = [0; 2048];
        let Ok(length) = std::io::Read::read(&mut receiver, &mut buffer) else { continue };
        let packet = buffer.get(..length).unwrap_or_default();
        if let Ok(datagram) = Datagram::ipv4(PathId::FIRST, packet) {
            machine.handle_datagram(now(), datagram).ok();
        }
        // keepalived's mistake: any packet at all begins a new wait.
        not_before = now() + INTERVAL;
    }
}

fn carry_out(machine: &mut VirtualRouter, sender: &Socket, now: impl Fn() -> Instant) {
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Send(send) => {
                let mut buffer = [0; MAX_DATAGRAM_LEN];
                let destination = SocketAddrV4::new(GROUP, 0).into();
                let success = machine
                    .encode(&send, PathId::FIRST, GROUP.into(), &mut buffer)
                    .is_ok_and(|packet| sender.send_to(packet, &destination).is_ok());
                let result = if success { Ok(()) } else { Err(SendFailed) };
                machine.handle_send(now(), PathId::FIRST, result);
            }
            Output::SetAddresses { wanted, id } => {
                let verb = if wanted == Wanted::All { "replace" } else { "del" };
                let done = VIPS.map(|vip| {
                    let vip = format!("{vip}/24");
                    let mut ip = Command::new("ip");
                    ip.args(["addr", verb, &vip, "dev", "eth0"]).status().is_ok()
                });
                let result = if done == [true; 2] { Ok(()) } else { Err(EffectFailed) };
                machine.handle_effect(now(), id, result);
            }
            Output::StateChanged { from, to, .. } => println!("{from} -> {to}"),
            Output::Announce
            | Output::AskPromotion { .. }
            | Output::Contended { .. }
            | Output::Conflict { .. } => {}
        }
    }
}

/// Which of the two hosts this is.
fn own_address() -> Option<Ipv4Addr> {
    let output = Command::new("ip").args(["-o", "-4", "addr", "show", "dev", "eth0"]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let own = |side: &Side| text.contains(&format!(" {}/", side.address()));
    Side::BOTH.into_iter().find(own).map(Side::address)
}
