//! Processes that are killed, with and without a sentinel. Verdicts come from the wire and from the kernels' address tables.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
#![allow(clippy::allow_attributes, reason = "not every one of them occurs at any time")]

use core::time::Duration;
use std::path::Path;
use std::process::Command;

use lab::{Bridge, Capture, Filter, Frame, Namespace, Process};
use rustix::process::{Pid, Signal, kill_process};
use vrrp::{
    Authentication, HeaderKey, Password, Router, RouterBuilder, RunningRouter, Sentinel,
    TrailerConfig, TrailerKey, Version, VirtualRouter, Vrid,
};

const VIP: &str = "192.0.2.100/24";
const VIP6: &str = "fe80::100/64";
const PATIENCE: Duration = Duration::from_secs(30);
/// Long, so that a skew time is far from a master-down interval. Version 2 has whole seconds.
fn interval(kind: &str) -> Duration {
    Duration::from_millis(if ["password", "header"].contains(&kind) { 1000 } else { 400 })
}
const SENTINEL: &str = env!("CARGO_BIN_EXE_vrrp-sentinel");

const KIND: &str = "VRRP_TEST_KIND";
const RUN: &str = "VRRP_TEST_RUN_DIRECTORY";
const WITH: &str = "VRRP_TEST_SENTINEL";

/// A virtual router of one kind, the same on both sides.
fn virtual_router(kind: &str, priority: u8) -> VirtualRouter {
    let address = if kind == "ipv6" { VIP6 } else { VIP };
    let plain = VirtualRouter::new("web", Vrid::new(51).unwrap(), "eth0")
        .priority(priority)
        .advertisement_interval(interval(kind))
        .address(address.parse().unwrap())
        .candidate(true);
    let password = Password::new(b"s3cret").unwrap();
    match kind {
        "password" => {
            plain.version(Version::V2).authentication(Authentication::SimplePassword(password))
        }
        "header" => plain
            .version(Version::V2)
            .authentication(Authentication::Header(HeaderKey::new(password))),
        "trailer" => plain.trailer(TrailerConfig::new(TrailerKey::new(1, &[0x5a; 32]).unwrap())),
        "mac" => plain.virtual_mac(vrrp::VirtualMac::new()),
        _ => plain,
    }
}

fn builder(run: &Path, kind: &str, priority: u8, with: bool) -> RouterBuilder {
    let builder =
        Router::builder().virtual_router(virtual_router(kind, priority)).run_directory(run);
    if with { builder.sentinel(Sentinel::new(SENTINEL)) } else { builder }
}

/// Two hosts on a switch, the worse of them in this process.
struct Pair {
    a: Namespace,
    b: Namespace,
    _switch: Bridge,
    wire: Capture,
    run: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let (a, b) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let switch = Bridge::new().unwrap();
        switch.attach(&a, "eth0", "port-a").unwrap();
        switch.attach(&b, "eth0", "port-b").unwrap();
        a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        b.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
        // Not only IP protocol 112: authentication headers are of another one.
        let wire = Capture::open(&b, "eth0", Filter::All).unwrap();
        Self { a, b, _switch: switch, wire, run: tempfile::tempdir().unwrap() }
    }

    /// The better router, in a process of its own.
    fn start_worker(&self, kind: &str, with: bool) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "worker", "--ignored", "--nocapture"]);
        command.env(KIND, kind).env(RUN, self.run.path()).env(WITH, with.to_string());
        Process::start(&self.a, "worker", &mut command).unwrap()
    }

    fn start_peer(&self, kind: &str) -> RunningRouter {
        let run = self.run.path().join("peer");
        self.b.run(|| builder(&run, kind, 100, false).start()).unwrap()
    }

    /// The next advertisement that A has sent, or B.
    fn next(&self, sent_by_b: bool, wanted: impl Fn(u8) -> bool) -> Frame {
        let found = self.wire.find(PATIENCE, |frame| {
            let is_vrrp = frame.is_vrrp() || frame.is_ip_protocol(51);
            let ours = is_vrrp && frame.outgoing == sent_by_b;
            (ours && wanted(priority(frame)?)).then(|| frame.clone())
        });
        found.unwrap().expect("an advertisement")
    }
}

/// The priority in an advertisement: behind the IP header, and the authentication header if there is one.
fn priority(frame: &Frame) -> Option<u8> {
    let packet = frame.payload();
    let at = match (packet.first()? >> 4, *packet.get(9)?) {
        (4, 51) => 20 + 24,
        (4, _) => 20,
        _ => 40,
    };
    packet.get(at + 2).copied()
}

fn has(namespace: &Namespace, address: &str) -> bool {
    let output = namespace.output(Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8(output.stdout).unwrap().contains(&format!(" {address} "))
}

fn wait(namespace: &Namespace, address: &str, present: bool) {
    let seen = lab::eventually(PATIENCE, || (has(namespace, address) == present).then_some(()));
    assert!(seen.is_some(), "{address} present: {present}?");
}

/// The processes that a process has started, by any of its threads.
fn children(id: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let lists = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("children")));
    let lists: Vec<String> = lists.map(Result::unwrap_or_default).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).map(|id| id.parse().unwrap()).collect()
}

/// Its sentinel, when it is there.
fn sentinel_of(worker: &Process) -> Pid {
    let found = lab::eventually(PATIENCE, || children(worker.id()).first().copied());
    Pid::from_raw(i32::try_from(found.expect("a sentinel")).unwrap()).unwrap()
}

fn is_alive(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

fn wait_for_end(pid: Pid) {
    lab::eventually(PATIENCE, || (!is_alive(pid)).then_some(())).expect("it ends");
}

#[test]
#[ignore = "not a test: the process that other tests start and kill"]
fn worker() {
    let (Ok(kind), Ok(run), Ok(with)) =
        (std::env::var(KIND), std::env::var(RUN), std::env::var(WITH))
    else {
        return;
    };
    let router = builder(Path::new(&run), &kind, 200, with == "true").start().unwrap();
    for event in router.events().iter() {
        println!("{event}");
    }
}

/// Kills a Master; the peer is Master at its skew time, and the address is gone from the dead one's host.
fn farewell_of(kind: &str) {
    let pair = Pair::new();
    let address = if kind == "ipv6" { VIP6 } else { VIP };
    let mut worker = pair.start_worker(kind, true);
    wait(&pair.a, address, true);
    let peer = pair.start_peer(kind);
    pair.next(false, |priority| priority == 200);
    let sentinel = sentinel_of(&worker);
    // Asked to end, as a service manager does with all processes of a service, it stays as long as its worker lives.
    kill_process(sentinel, Signal::TERM).unwrap();
    // Numbers of authentication headers go on while it waits.
    pair.next(false, |priority| priority == 200);
    let measuring = lab::time_lock();
    let killed = lab::now();
    worker.kill().unwrap();
    let farewell = pair.next(false, |priority| priority == 0);
    let first = pair.next(true, |priority| priority == 100);
    drop(measuring);
    // Of version 2 it is (256 - 100) / 256 s (RFC 3768 §6.1), which is the same at 1 s.
    let skew = interval(kind) * 156 / 256;
    let (said, took) = (farewell.at - killed, first.at - killed);
    println!(
        "{kind}: farewell after {said:?}, first advertisement {:?} after the skew",
        took.saturating_sub(skew)
    );
    // What tells it from a master-down interval, which is 3 A longer, on any machine.
    assert!(took >= skew && took < skew + interval(kind) * 2, "{kind}: {took:?}");
    wait(&pair.b, address, true);
    wait(&pair.a, address, false);
    wait_for_end(sentinel);
    let left = std::fs::read_dir(pair.run.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "peer").collect();
    assert!(left.is_empty(), "{left:?}");
    peer.shutdown().unwrap();
}

#[test]
fn a_killed_master_says_farewell() {
    lab::need!(netns);
    farewell_of("plain");
}

#[test]
fn a_farewell_over_ipv6() {
    lab::need!(netns);
    farewell_of("ipv6");
}

#[test]
fn a_farewell_with_a_password() {
    lab::need!(netns);
    farewell_of("password");
}

#[test]
fn a_farewell_behind_an_authentication_header() {
    lab::need!(netns);
    farewell_of("header");
}

#[test]
fn a_farewell_with_a_dated_signature() {
    lab::need!(netns);
    farewell_of("trailer");
}

#[test]
fn a_virtual_mac_address_goes_with_its_master() {
    lab::need!(netns, macvlan);
    farewell_of("mac");
}

#[test]
fn without_a_sentinel_the_peer_waits_and_the_address_stays() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut worker = pair.start_worker("plain", false);
    wait(&pair.a, VIP, true);
    let peer = pair.start_peer("plain");
    let last = pair.next(false, |priority| priority == 200);
    assert!(children(worker.id()).is_empty());
    worker.kill().unwrap();
    let first = pair.next(true, |priority| priority == 100);
    // The control of the tests above: 3 A and more after the last advertisement.
    assert!(first.at - last.at >= interval("plain") * 3, "{:?}", first.at - last.at);
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP), "two hosts have it");
    peer.shutdown().unwrap();
}

#[test]
fn a_sentinel_that_is_killed_has_a_successor() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut worker = pair.start_worker("plain", true);
    wait(&pair.a, VIP, true);
    let first = sentinel_of(&worker);
    kill_process(first, Signal::KILL).unwrap();
    let next = || Some(sentinel_of(&worker)).filter(|sentinel| *sentinel != first);
    let second = lab::eventually(PATIENCE, next).expect("another one");
    // It takes a moment to be ready; the worker lives on meanwhile.
    let ready = || {
        let link = std::fs::read_link(format!("/proc/{}/cwd", second.as_raw_nonzero())).ok()?;
        (link == Path::new("/")).then_some(())
    };
    lab::eventually(PATIENCE, ready).expect("it is on its post");
    assert!(has(&pair.a, VIP));
    worker.kill().unwrap();
    wait(&pair.a, VIP, false);
    wait_for_end(second);
}

#[test]
fn when_both_are_killed_a_successor_cleans_up() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut worker = pair.start_worker("plain", true);
    wait(&pair.a, VIP, true);
    let sentinel = sentinel_of(&worker);
    // A stopped sentinel cannot act between the two.
    kill_process(sentinel, Signal::STOP).unwrap();
    worker.kill().unwrap();
    kill_process(sentinel, Signal::KILL).unwrap();
    wait_for_end(sentinel);
    assert!(has(&pair.a, VIP));
    let next = pair.start_worker("plain", true);
    assert!(next.wait_line("master", PATIENCE).is_some(), "{}", next.log());
    let again = sentinel_of(&next);
    drop(next);
    wait(&pair.a, VIP, false);
    wait_for_end(again);
}

#[test]
fn a_router_that_is_started_again_waits_for_the_sentinel_of_its_predecessor() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut worker = pair.start_worker("plain", true);
    wait(&pair.a, VIP, true);
    let sentinel = sentinel_of(&worker);
    kill_process(sentinel, Signal::STOP).unwrap();
    worker.kill().unwrap();
    // The journal's lock is held by nobody now; somebody takes it as the sentinel will.
    let journal = std::fs::read_dir(pair.run.path()).unwrap().flatten().next().unwrap().path();
    let held = std::fs::File::open(&journal).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        let started =
            scope.spawn(|| pair.a.run(|| builder(pair.run.path(), "plain", 200, true).start()));
        kill_process(sentinel, Signal::CONT).unwrap();
        drop(held);
        let router = started.join().unwrap().unwrap();
        wait(&pair.a, VIP, true);
        wait_for_end(sentinel);
        // Whoever of the two was first: the address is there, once, and the Master advertises it.
        pair.next(false, |priority| priority == 200);
        assert!(has(&pair.a, VIP));
        router.shutdown().unwrap();
    });
    wait(&pair.a, VIP, false);
}

#[test]
fn a_lock_is_waited_for_and_not_for_ever() {
    lab::need!(netns);
    let pair = Pair::new();
    let start = |with| pair.a.run(|| builder(pair.run.path(), "plain", 200, with).start());
    let first = start(false).unwrap();
    for with in [false, true] {
        let since = lab::now();
        let error = start(with).unwrap_err();
        assert!(matches!(error, vrrp::BuildError::Journal { .. }), "{error}");
        // For the sentinel of a predecessor.
        assert!(!with || lab::now() - since >= Duration::from_secs(2));
    }
    first.shutdown().unwrap();
}

#[test]
fn a_router_that_ends_in_order_needs_no_sentinel() {
    lab::need!(netns);
    let pair = Pair::new();
    let router = pair.a.run(|| builder(pair.run.path(), "plain", 200, true).start()).unwrap();
    wait(&pair.a, VIP, true);
    router.shutdown().unwrap();
    pair.next(false, |priority| priority == 0);
    let capture = Capture::open(&pair.b, "eth0", Filter::Failover).unwrap();
    // Its thread has a name, and is gone when it has reaped the sentinel.
    let gone = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
        let mine = |name: &str| name.trim_end() == "vrrp-sentinel";
        (!names.map(Result::unwrap_or_default).any(|name| mine(&name))).then_some(())
    };
    lab::eventually(PATIENCE, gone).expect("the sentinel ends");
    assert!(capture.drain().unwrap().iter().all(|frame| !frame.is_vrrp()), "a second farewell");
}

#[test]
fn what_cannot_be_a_sentinel_is_refused() {
    lab::need!(netns);
    let pair = Pair::new();
    let start = |program: &str| {
        let router = Router::builder()
            .virtual_router(virtual_router("plain", 200))
            .run_directory(pair.run.path())
            .sentinel(Sentinel::new(program));
        let error = pair.a.run(|| router.build()).unwrap_err();
        let source = core::error::Error::source(&error).unwrap().to_string();
        (error.to_string(), source)
    };
    let (error, source) = start("/nonexistent/vrrp-sentinel");
    assert!(
        error.contains("sentinel") && source.contains("/nonexistent/vrrp-sentinel"),
        "{source}"
    );
    assert!(start("/bin/false").1.contains("ended at once"));
    // By hand.
    let output = pair.a.output(Command::new(SENTINEL).arg("1")).unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not by hand"), "{output:?}");
}
