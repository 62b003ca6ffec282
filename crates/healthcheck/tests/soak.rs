//! Nothing is left behind by very many runs: descriptors, memory, processes. The long ones:
//!
//! ```text
//! cargo test --release -p lvs-healthcheck --test soak -- --ignored
//! ```
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]
#![expect(clippy::print_stdout, reason = "how much it was is worth knowing")]

mod bench;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use bench::{Bench, listen_on};
use healthcheck::process::Program;
use healthcheck::{Check, Http, Kind, Outcome, Request, Script, Source};

/// The counts are those of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[derive(Clone, Copy, Debug)]
struct Left {
    descriptors: usize,
    /// Of memory, KiB.
    resident: usize,
}

fn left() -> Left {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Left {
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        resident: line.split_whitespace().next().unwrap().parse().unwrap(),
    }
}

/// The children of all threads, zombies too.
fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of =
        |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks.map(|task| of(task.unwrap())).collect()
}

fn sockets(rounds: u32) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = listen_on("127.0.0.81:0".parse().unwrap());
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept()
            && !stopped.load(Ordering::Relaxed)
        {
            // A reset, unless it is a request: what is not read before the end would become a reset of ours.
            let _request = stream.read(&mut [0; 1024]);
            let _gone = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
        }
    });
    let mut bench = Bench::new();
    for id in 0..500_u64 {
        let [.., high, low] = id.to_be_bytes();
        let source = Source::new().address(SocketAddr::from(([127, 2, high, low], 0)));
        // A fifth of them reads a page, and a tenth finds nobody.
        let target = if id % 10 == 9 { "127.0.0.1:1".parse().unwrap() } else { address };
        let kind = match id % 5 {
            0 => Kind::Http(Http::new(Request::new("/").unwrap().whole())),
            _ => Kind::Tcp,
        };
        bench.add(id, Check::new(target, kind).source(source));
    }
    let mut before = None;
    for round in 0..rounds {
        bench.settle();
        bench.now += Duration::from_secs(6);
        if round == rounds / 10 {
            before = Some(left());
        }
    }
    let (before, after) = (before.unwrap(), left());
    println!("{} checks: {before:?} -> {after:?}", u64::from(rounds) * 500);
    let status = bench.driver.status(healthcheck::CheckId(0)).unwrap();
    assert_eq!((status.outcome, status.successes), (Outcome::Up, u64::from(rounds)));
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.resident < before.resident + 2048, "{before:?} -> {after:?}");
    stop.store(true, Ordering::Relaxed);
    drop(std::net::TcpStream::connect(address));
    server.join().unwrap();
}

fn scripts(rounds: u32) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    for id in 0..10 {
        let line = if id == 9 { "exit 1".to_owned() } else { format!(": {id}") };
        let program = Program::shell(line).keep_output(100);
        bench.add(id, Check::script(Script::new(program)));
    }
    let mut before = None;
    for round in 0..rounds {
        bench.settle();
        bench.now += Duration::from_secs(6);
        if round == rounds / 10 {
            before = Some(left());
        }
    }
    let (before, after) = (before.unwrap(), left());
    println!("{} scripts: {before:?} -> {after:?}", u64::from(rounds) * 10);
    assert_eq!((children(), bench.driver.dying()), (String::new(), 0));
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.resident < before.resident + 2048, "{before:?} -> {after:?}");
}

#[test]
fn ten_thousand_checks_leave_nothing_behind() {
    sockets(20);
}

#[test]
fn three_hundred_scripts_leave_nothing_behind() {
    scripts(30);
}

#[test]
#[ignore = "a minute or two"]
fn a_million_checks_leave_nothing_behind() {
    sockets(2000);
}

#[test]
#[ignore = "half a minute"]
fn ten_thousand_scripts_leave_nothing_behind() {
    scripts(1000);
}
