//! What a crowd of virtual routers costs, and whether twice as many cost twice as much: half of them Masters, half Backups,
//! each Master's advertisements heard by one Backup, for 60 seconds of their time.
//!
//! ```text
//! cargo xtask bench crowd                     100,000 and 1,000,000
//! cargo xtask bench crowd -- NUMBER...        so many
//! ```
//!
//! A step is an interval of one router: its deadline and the making of a packet, or the reading of a packet. Once they take
//! turns as they lie in memory, and once as deadlines do that have nothing to do with it: there it is the caches that are
//! measured.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use benches::subjects::{Buffer, EMPTY, Election, GROUP};
use rustix::time::{ClockId, clock_gettime};
use vrrp_fsm::vrrp_proto::Vrid;
use vrrp_fsm::{Datagram, Output, PathId, State};

const NUMBERS: [usize; 2] = [100_000, 1_000_000];
const SECONDS: usize = 60;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let numbers: std::result::Result<Vec<usize>, _> =
        std::env::args().skip(1).map(|word| word.parse()).collect();
    let result = match numbers {
        Ok(numbers) if numbers.is_empty() => NUMBERS.into_iter().try_for_each(run),
        Ok(numbers) => numbers.into_iter().try_for_each(run),
        Err(_) => Err("usage: crowd [NUMBER...]".into()),
    };
    if let Err(error) = result {
        eprintln!("crowd: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A Master and the Backup that hears it.
struct Pair {
    master: Election,
    backup: Election,
}

impl Pair {
    /// One interval of both.
    fn step(&mut self, buffer: &mut Buffer) -> Result<()> {
        let Pair { master, backup } = self;
        let deadline = master.router.poll_timeout().ok_or("a Master without a timer")?;
        master.router.handle_timeout(deadline);
        while let Some(output) = master.router.poll_output() {
            let Output::Send(send) = output else { return Err("not an advertisement".into()) };
            let packet = master.router.encode(&send, PathId::FIRST, GROUP.into(), buffer)?;
            let datagram = Datagram::ipv4(PathId::FIRST, packet)?;
            backup.router.handle_datagram(deadline, datagram)?;
            master.router.handle_send(deadline, PathId::FIRST, Ok(()));
        }
        if black_box(backup.router.poll_output()).is_some() {
            return Err("a Backup that hears its Master does nothing".into());
        }
        black_box(backup.router.poll_timeout());
        Ok(())
    }
}

fn run(routers: usize) -> Result<()> {
    let before = resident()?;
    let mut pairs = Vec::with_capacity(routers / 2);
    for (_, number) in (0..routers / 2).zip((1..=255).cycle()) {
        let vrid = Vrid::new(number)?;
        pairs.push(Pair { master: Election::master(vrid), backup: Election::backup(vrid) });
    }
    let memory = resident()?.saturating_sub(before);
    println!("{routers} virtual routers, {} octets each, configuration included", memory / routers);

    let in_memory: Vec<usize> = (0..pairs.len()).collect();
    let shuffled = shuffled(in_memory.clone());
    for (order, name) in [(in_memory, "as they lie in memory"), (shuffled, "in any order")] {
        let begin = processor_time();
        let mut buffer = EMPTY;
        for _ in 0..SECONDS {
            for index in &order {
                pairs.get_mut(*index).ok_or("no such pair")?.step(&mut buffer)?;
            }
        }
        let took = processor_time().saturating_sub(begin);
        let steps = u32::try_from(2 * pairs.len() * SECONDS)?;
        println!(
            "  {name:<22} {SECONDS} s in {:>5.2} s, {:>4.0} ns a step",
            took.as_secs_f64(),
            took.as_secs_f64() * 1e9 / f64::from(steps)
        );
    }
    let steady = pairs.iter().all(|pair| {
        (pair.master.router.state(), pair.backup.router.state()) == (State::Master, State::Backup)
    });
    if steady { Ok(()) } else { Err("somebody has changed its state".into()) }
}

/// What this thread has used of a processor: other processes do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The octets of memory that this process occupies.
fn resident() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kibibytes.parse::<usize>()? * 1024)
}

/// Fisher and Yates, by a generator that gives the same order every time (xorshift).
fn shuffled(mut order: Vec<usize>) -> Vec<usize> {
    let mut state: usize = 0x9e37_79b9_7f4a_7c15;
    for last in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, state % (last + 1));
    }
    order
}
