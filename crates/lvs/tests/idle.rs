//! A director in which nothing happens sleeps but for its checks.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use core::time::Duration;
use std::net::TcpListener;

use bench::{builder, destination, listen, service, timing};
use lab::Usage;
use lvs::{Config, MemoryKernel, RealServer, ServiceConfig};

/// Checks that are counted.
const CHECKS: u64 = 20;

fn woken(before: &Usage) -> u64 {
    let after = Usage::own().unwrap();
    let of_director = |(name, count): &(&str, u64)| (*name == "lvs").then_some(*count);
    after.wakeups_since(before).iter().find_map(of_director).unwrap()
}

fn accept(server: &TcpListener, count: u64) {
    for _ in 0..count {
        drop(server.accept().unwrap());
    }
}

// The only test here: it tells the director's thread by its name.
#[test]
fn a_director_wakes_to_start_a_check_and_to_hear_its_answer_and_nothing_else() {
    let _alone = lab::time_lock();
    let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
    let server = listen("127.0.0.96:0");
    let fast = RealServer::new(destination(server.local_addr().unwrap()))
        .tcp_check(timing().interval(Duration::from_millis(50)));
    let config = Config::new().service(ServiceConfig::new(service(80)).real_server(fast));
    let director = builder(config, directory.path(), &kernel).start().unwrap();
    accept(&server, 2);
    let before = Usage::own().unwrap();
    accept(&server, CHECKS);
    let count = woken(&before);
    assert!((CHECKS - 1..=2 * CHECKS + 4).contains(&count), "{count} times in {CHECKS} checks");
    director.stop().unwrap();
}
