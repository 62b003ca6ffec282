//! A router in another network namespace than its program's.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use lab::Namespace;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use vrrp::{BuildError, VirtualMac};

use crate::support::{PATIENCE, Pair, VIP, has, next, wait, web};

fn handle(namespace: &Namespace) -> OwnedFd {
    File::open(namespace.path()).unwrap().into()
}

fn here() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

#[test]
fn a_router_runs_in_a_namespace_that_its_program_is_not_in() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let wire = pair.capture();
    let home = here();
    // Settings of the interface, sockets and addresses: all of it inside.
    let router = web(200).virtual_mac(VirtualMac::new());
    let a = pair.builder().virtual_router(router).namespace(handle(&pair.a)).start().unwrap();
    let b = pair.builder().virtual_router(web(100)).namespace(handle(&pair.b)).start().unwrap();
    assert_eq!(here(), home);
    wait(&pair.a, VIP, true);
    next(&wire, 1, 200);
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    assert!(!has(&pair.a, VIP));
    // An interface that comes back is served by sockets opened later.
    pair.b.ip("link del eth0").unwrap();
    wait(&pair.b, VIP, false);
    pair.switch.attach(&pair.b, "eth0", "port-n").unwrap();
    pair.b.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
    wait(&pair.b, VIP, true);
    let wire = pair.capture();
    next(&wire, 2, 100);
    b.shutdown().unwrap();
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn one_that_is_stepped_goes_there_and_comes_back() {
    lab::need!(netns);
    let pair = Pair::new();
    let home = here();
    let builder = pair.builder().virtual_router(web(200)).namespace(handle(&pair.a));
    let mut router = builder.build().unwrap();
    let master = lab::eventually(PATIENCE, || {
        router.process().unwrap();
        assert_eq!(here(), home);
        has(&pair.a, VIP).then_some(())
    });
    assert!(master.is_some());
    router.apply(web(150)).unwrap();
    router.shutdown().unwrap();
    assert_eq!(here(), home);
    assert!(!has(&pair.a, VIP));
}

#[test]
fn the_missing_capability_is_named() {
    lab::need!(netns);
    let pair = Pair::new();
    let error = std::thread::scope(|scope| {
        let build = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, sets).unwrap();
            let builder = pair.builder().virtual_router(web(200)).namespace(handle(&pair.a));
            builder.build().map(drop).expect_err("it may not")
        };
        scope.spawn(build).join().unwrap()
    });
    assert!(matches!(error, BuildError::Namespace { .. }));
    assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
}
