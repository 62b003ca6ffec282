//! The election in somebody's own loop: `vrrp-fsm`, a raw socket of `socket2`, and nothing else of ours.
//!
//! ```text
//! cargo run --example own_loop -- eth0 192.0.2.2 200 192.0.2.100        # as root; leaves when its input ends (Ctrl-D)
//! ```
//!
//! This is all that an adapter has to do: hand datagrams and deadlines in, carry outputs out, in order. It elects, and
//! says so; it puts no address anywhere. Where [`Output::SetAddresses`] is answered stands what being Master means to
//! you: an address, a call to a cloud, a job to run once. (`vrrp::Router` does it with addresses, journal and IPv6.)

use std::{
    error::Error,
    io::{self, ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use vrrp_fsm::{
    Config, Datagram, Instant, MAX_DATAGRAM_LEN, Output, PathId, SendFailed, State, Verdict,
    VirtualRouter,
    vrrp_proto::{AddressFamily, Priority, Vrid},
};

/// So many queued datagrams are read before a deadline that is due: one who was stopped must not act
/// on old news, and one who is flooded must not fall silent.
const MAX_BACKLOG: usize = 64;
/// So often the end of the input is looked for.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

static INPUT_ENDED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("own_loop: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, own, priority, address] = arguments.as_slice() else {
        return Err("give INTERFACE OWN-ADDRESS PRIORITY VIRTUAL-ADDRESS".into());
    };
    let own: Ipv4Addr = own.parse()?;
    let config = Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
        .priority(Priority::new(priority.parse()?))
        .virtual_addresses(vec![address.parse()?]);
    let mut router = VirtualRouter::new(config, std::process::id().into())?;
    let mut socket = open(interface, own).map_err(|e| format!("socket on {interface}: {e}"))?;
    thread::spawn(|| {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        INPUT_ENDED.store(true, Ordering::Relaxed);
    });
    let clock = Clock::start();
    router.handle_source_address(clock.now(), PathId::FIRST, Some(own.into()));
    router.handle_startup(clock.now());
    let (mut buffer, mut backlog) = ([0; MAX_DATAGRAM_LEN], 0);
    loop {
        // 1. Carry out everything the last input caused, in the order it is handed out.
        while let Some(output) = router.poll_output() {
            carry_out(&mut router, &socket, &clock, output)?;
        }
        // 2. Leave the election when asked to. Whoever was Master says so, and is done when it is reported.
        if INPUT_ENDED.load(Ordering::Relaxed) {
            if router.reported_state() == State::Initialize {
                return Ok(());
            }
            if router.is_candidate() {
                router.handle_shutdown(clock.now());
                continue;
            }
        }
        // 3. Wait for a datagram or the next deadline. (A read timeout is as exact as the kernel's ticks, some
        //    milliseconds; a loop around epoll_pwait2 or a timerfd does better.)
        let deadline = router.poll_timeout().unwrap_or(clock.now() + LONGEST_WAIT);
        let wait = deadline.saturating_duration_since(clock.now()).min(LONGEST_WAIT);
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?; // zero were for ever
        match socket.read(&mut buffer) {
            Ok(len) => {
                backlog += 1;
                let verdict = Datagram::ipv4(PathId::FIRST, buffer.get(..len).unwrap_or_default())
                    .and_then(|datagram| router.handle_datagram(clock.now(), datagram));
                if let Err(discard) = verdict {
                    println!("discarded: {discard}");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => backlog = MAX_BACKLOG,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        // 4. Deadlines come after what was queued. To ask too early does no harm.
        if backlog >= MAX_BACKLOG {
            backlog = 0;
            router.handle_timeout(clock.now());
        }
    }
}

fn carry_out(
    router: &mut VirtualRouter,
    socket: &Socket,
    clock: &Clock,
    output: Output,
) -> Result<(), Box<dyn Error>> {
    match output {
        Output::Send(send) => {
            let mut buffer = [0; MAX_DATAGRAM_LEN];
            let packet = router.encode(&send, PathId::FIRST, GROUP.into(), &mut buffer)?;
            let sent = socket.send_to(packet, &SocketAddr::new(GROUP.into(), 0).into());
            router.handle_send(clock.now(), PathId::FIRST, sent.map(drop).map_err(|_| SendFailed));
        }
        // Make `wanted` true here, and answer how that went. This example has nothing to do.
        Output::SetAddresses { id, .. } => router.handle_effect(clock.now(), id, Ok(())),
        Output::Announce => {}
        // Only with `Config::guard`.
        Output::AskPromotion { ticket, .. } => {
            router.handle_verdict(clock.now(), ticket, Verdict::Veto);
        }
        Output::StateChanged { to, reason, .. } => println!("{to}: {reason}"),
        Output::Conflict { conflict, .. } => println!("{conflict}"),
        Output::Contended { loser, .. } => println!("{loser} was master, too"),
    }
    Ok(())
}

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// A raw socket in the group on one interface. IP headers come from the machine; it does not hear itself.
fn open(interface: &str, own: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_header_included_v4(true)?;
    socket.join_multicast_v4(&GROUP, &own)?;
    socket.set_multicast_if_v4(&own)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}

/// The one place that reads the clock.
struct Clock(std::time::Instant);

#[expect(clippy::disallowed_methods, reason = "somebody has to read it")]
impl Clock {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}
