//! One virtual router with thousands of addresses: when they are there, when the network has heard of them, whether the advertisements
//! went on meanwhile, and how long they take to leave.
//!
//! ```text
//! cargo xtask bench addresses            or: addresses [RUNS]
//! ```
//!
//! One host and a listener on a cable (network namespaces), version 3, 100 ms. The host runs the `vrrp` crate or keepalived in turn, so that
//! both are measured on the same machine in the same minutes. Times count from the first advertisement of the new Master, and from SIGTERM. Frames carry the
//! kernel's timestamps.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use benches::daemons::{Result, median, pass};
use lab::peers::Daemon;
use lab::{AddressMonitor, Capture, Filter, Node, Process};

const RUNS: usize = 5;
const INTERVAL: Duration = Duration::from_millis(100);
/// What an advertisement lists; the others are only installed.
const ADVERTISED: usize = 20;
/// Announcements of each address in the first burst, by default of both.
const BURST: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the readers look. They do not wait for each message: to be woken up thousands of times would cost those who are measured as
/// much as their work does.
const LOOK: Duration = Duration::from_millis(1);
/// How long advertisements are watched.
const WATCHED: Duration = Duration::from_secs(3);
/// What the longest time between two advertisements may be.
const LONGEST_GAP: f64 = 0.105;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", size] => serve(size).map(|()| true),
        [] => measure(RUNS),
        [runs] => runs.parse().map_err(Into::into).and_then(measure),
        _ => Err("usage: addresses [RUNS]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("addresses: {error}");
            ExitCode::FAILURE
        }
    }
}

fn addresses(size: usize) -> impl Iterator<Item = String> {
    (0..size).map(|number| format!("10.1.{}.{}/32", number / 250, number % 250 + 1))
}

/// The host, ours.
fn serve(size: &str) -> Result<()> {
    let addresses = addresses(size.parse()?).enumerate();
    let addresses = addresses.map(|(place, text)| {
        let address = text.parse::<vrrp::VirtualAddress>()?;
        Ok(address.advertised(place < ADVERTISED))
    });
    let web = vrrp::VirtualRouter::new("web", vrrp::Vrid::new(51)?, "eth0")
        .advertisement_interval(INTERVAL)
        .addresses(addresses.collect::<Result<Vec<_>>>()?)
        .candidate(true);
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let directory = tempfile::tempdir()?;
    let router = vrrp::Router::builder().virtual_router(web).run_directory(directory.path());
    let router = router.release_timeout(PATIENCE).start()?;
    signals.forever().next();
    Ok(router.shutdown()?)
}

fn keepalived_conf(size: usize) -> String {
    let lines = |addresses: Vec<String>| addresses.join("\n  ");
    let advertised = lines(addresses(size).take(ADVERTISED).collect());
    let excluded = lines(addresses(size).skip(ADVERTISED).collect());
    let interval = INTERVAL.as_secs_f64();
    format!(
        "vrrp_instance web {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n priority 100\n \
         advert_int {interval}\n virtual_ipaddress {{\n  {advertised}\n }}\n \
         virtual_ipaddress_excluded {{\n  {excluded}\n }}\n}}\n"
    )
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Ours,
    Keepalived,
}

/// What one run showed, in seconds.
#[derive(Clone, Copy, Debug)]
struct Seen {
    present: f64,
    mean_announced: f64,
    announced: f64,
    burst: f64,
    gap: f64,
    gone: f64,
    ended: f64,
}

/// A number of a run.
type Pick = fn(&Seen) -> f64;

/// A row of the table: for how many addresses, what, and how much of keepalived's it may be; none: [`LONGEST_GAP`].
const ROWS: [(usize, &str, Pick, Option<f64>); 9] = [
    (1_000, "last address present", |seen| seen.present, Some(0.5)),
    (1_000, "every address announced", |seen| seen.announced, Some(0.5)),
    (1_000, "longest time between advertisements", |seen| seen.gap, None),
    (5_000, "address announced, mean", |seen| seen.mean_announced, Some(0.6)),
    (5_000, "every address announced", |seen| seen.announced, Some(0.95)),
    (5_000, "first burst sent, 25,000 frames", |seen| seen.burst, Some(0.85)),
    (5_000, "longest time between advertisements", |seen| seen.gap, None),
    (5_000, "SIGTERM: last address gone", |seen| seen.gone, Some(0.9)),
    (5_000, "SIGTERM: process ended", |seen| seen.ended, Some(0.3)),
];

fn measure(runs: usize) -> Result<bool> {
    let mut seen: BTreeMap<(usize, Who), Vec<Seen>> = BTreeMap::new();
    println!("addresses: version 3, {INTERVAL:?}, {runs} runs of each, in turn; medians, ms\n");
    for size in [1_000, 5_000] {
        for _ in 0..runs {
            for who in [Who::Ours, Who::Keepalived] {
                seen.entry((size, who)).or_default().push(once(who, size)?);
            }
        }
    }
    println!("{:<50}{:>10}{:>12}{:>8}  bar", "", "vrrp", "keepalived", "ratio");
    let mut good = true;
    for (size, what, pick, bar) in ROWS {
        let of = |who| {
            let all = seen.get(&(size, who)).map(Vec::as_slice).unwrap_or_default();
            median(all.iter().map(pick).collect()).unwrap_or(f64::NAN)
        };
        let (ours, theirs) = (of(Who::Ours), of(Who::Keepalived));
        let (met, bar) = match bar {
            Some(bar) => (ours <= theirs * bar, format!("<= {bar:.2} x")),
            None => (ours <= LONGEST_GAP, format!("<= {:.0} ms", LONGEST_GAP * 1e3)),
        };
        good &= met;
        println!(
            "{:<50}{:>10.1}{:>12.1}{:>8.2}  {bar:<10} {}",
            format!("{size}: {what}"),
            ours * 1e3,
            theirs * 1e3,
            ours / theirs,
            if met { "met" } else { "MISSED" }
        );
    }
    println!("\n{}", if good { "PASS" } else { "FAIL" });
    Ok(good)
}

/// What was read so far, by a thread each.
#[derive(Default)]
struct News {
    /// When each advertisement came.
    advertisements: Vec<Duration>,
    /// When each announcement came, of which address (the last two octets).
    announcements: Vec<(Duration, [u8; 2])>,
    added: Vec<Duration>,
    removed: Vec<Duration>,
}

impl News {
    /// How many different addresses were announced.
    fn announced(&self) -> BTreeMap<[u8; 2], Duration> {
        let mut first = BTreeMap::new();
        for (at, address) in &self.announcements {
            first.entry(*address).or_insert(*at);
        }
        first
    }
}

fn once(who: Who, size: usize) -> Result<Seen> {
    let (here, there) = (Node::new()?, Node::new()?);
    lab::veth(&here, "eth0", &there, "eth0")?;
    here.ip("address add 192.0.2.1/24 dev eth0")?;
    let (news, stop) = (Arc::new(Mutex::new(News::default())), Arc::new(AtomicBool::new(false)));
    let capture = Capture::open(&there, "eth0", Filter::Failover)?;
    let monitor = AddressMonitor::open(&here)?;
    let readers = [
        std::thread::spawn({
            let (news, stop) = (Arc::clone(&news), Arc::clone(&stop));
            move || read_frames(&capture, &news, &stop)
        }),
        std::thread::spawn({
            let (news, stop) = (Arc::clone(&news), Arc::clone(&stop));
            move || read_addresses(monitor, &news, &stop)
        }),
    ];
    let result = play(who, size, &here, &news);
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().map_err(|_| "a reader panicked")?.map_err(|error| error.to_string())?;
    }
    result
}

fn play(who: Who, size: usize, here: &Node, news: &Mutex<News>) -> Result<Seen> {
    let files = tempfile::tempdir()?;
    let mut process = match who {
        Who::Ours => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["serve", &size.to_string()]);
            Process::start(here, "vrrp", &mut command)?
        }
        Who::Keepalived => {
            let file = files.path().join("keepalived.conf");
            fs::write(&file, keepalived_conf(size))?;
            Daemon::Keepalived.start(here, &file)?
        }
    };
    let read = |pick: &dyn Fn(&News) -> bool| {
        let all = || pick(&news.lock().unwrap_or_else(PoisonError::into_inner)).then_some(());
        lab::eventually(PATIENCE, all)
    };
    read(&|news| news.announcements.len() >= BURST * size && news.added.len() >= size)
        .ok_or_else(|| format!("not all were announced\n{}", process.log()))?;
    pass(WATCHED);
    let begin = {
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        // What the daemon does in its life is over; what comes now is its end.
        news.removed.clear();
        lab::now()
    };
    process.signal_stop()?;
    process.wait(PATIENCE)?;
    let end = lab::now();
    read(&|news| news.removed.len() >= size).ok_or("not all were removed")?;
    let news = news.lock().unwrap_or_else(PoisonError::into_inner);
    let first = *news.advertisements.first().ok_or("no advertisement")?;
    let since = |at: Duration| at.saturating_sub(first).as_secs_f64();
    let announced = news.announced();
    if announced.len() < size {
        return Err(format!("{} of {size} were announced", announced.len()).into());
    }
    let total: Duration = announced.values().map(|at| at.saturating_sub(first)).sum();
    let gaps = news.advertisements.windows(2).filter_map(|pair| match pair {
        // The last one is the farewell.
        [one, next] if *next < begin => Some(next.saturating_sub(*one).as_secs_f64()),
        _ => None,
    });
    let nth =
        |number: usize| news.announcements.get(number - 1).map_or(f64::NAN, |one| since(one.0));
    let last = |list: &[Duration]| list.get(size - 1).copied().unwrap_or_default();
    Ok(Seen {
        present: since(last(&news.added)),
        mean_announced: total.as_secs_f64() / f64::from(u32::try_from(size)?),
        announced: announced.values().max().copied().map_or(f64::NAN, since),
        burst: nth(BURST * size),
        gap: gaps.fold(0.0, f64::max),
        gone: last(&news.removed).saturating_sub(begin).as_secs_f64(),
        ended: end.saturating_sub(begin).as_secs_f64(),
    })
}

fn read_frames(capture: &Capture, news: &Mutex<News>, stop: &AtomicBool) -> std::io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        for frame in capture.drain()? {
            let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
            if frame.is_vrrp() {
                news.advertisements.push(frame.at);
            } else if frame.is_arp()
                && let Some([10, 1, high, low]) = frame.payload().get(14..18)
            {
                news.announcements.push((frame.at, [*high, *low]));
            }
        }
        pass(LOOK);
    }
    Ok(())
}

fn read_addresses(
    mut monitor: AddressMonitor,
    news: &Mutex<News>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        while let Some(event) = monitor.next(Duration::ZERO)? {
            if event.prefix == 32 {
                let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
                if event.added { news.added.push(event.at) } else { news.removed.push(event.at) }
            }
        }
        pass(LOOK);
    }
    Ok(())
}
