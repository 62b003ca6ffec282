//! What an operator gets to read. Nothing is left configured after any of these.

use vrrp::{BuildError, Router, RouterBuilder, VirtualRouter, Vrid};

use crate::support::{Pair, observer, web};

fn refused(builder: RouterBuilder) -> (BuildError, String) {
    let error = builder.build().expect_err("this must not work");
    let mut text = error.to_string();
    let mut source = core::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    (error, text)
}

#[test]
fn configuration_errors_need_no_kernel() {
    let new = |name: &str, vrid| VirtualRouter::new(name, Vrid::new(vrid).unwrap(), "eth0");
    let vip = || "192.0.2.100".parse().unwrap();
    let build = |virtual_routers: Vec<VirtualRouter>| {
        refused(Router::builder().virtual_routers(virtual_routers))
    };
    let (error, _) = build(vec![]);
    assert!(matches!(error, BuildError::NoVirtualRouters));
    let (error, text) = build(vec![new("web", 1).address(vip()), new("web", 2).address(vip())]);
    assert!(matches!(error, BuildError::DuplicateName { .. }) && text.contains("web"), "{text}");
    let (error, text) = build(vec![new("web", 1).address(vip()), new("dns", 1).address(vip())]);
    assert!(matches!(error, BuildError::DuplicateVirtualRouter { .. }), "{text}");
    assert!(text.contains("web") && text.contains("dns") && text.contains("eth0"), "{text}");
}

#[test]
fn a_missing_interface_names_those_that_exist() {
    lab::need!(netns);
    let pair = Pair::new();
    let missing = VirtualRouter::new("web", Vrid::new(1).unwrap(), "eth7")
        .address("192.0.2.9".parse().unwrap());
    let (error, text) = pair.a.run(|| refused(pair.builder().virtual_router(missing)));
    assert!(matches!(error, BuildError::NoSuchInterface { .. }));
    assert!(text.contains("eth7") && text.contains("lo, eth0"), "{text}");
}

#[test]
fn addresses_of_two_families_and_bad_parameters_are_named() {
    lab::need!(netns);
    let pair = Pair::new();
    let build =
        |virtual_router| pair.a.run(|| refused(pair.builder().virtual_router(virtual_router)));
    let (error, text) = build(observer(100).address("2001:db8::1".parse().unwrap()));
    assert!(
        matches!(error, BuildError::WrongFamily { .. }) && text.contains("2001:db8::1"),
        "{text}"
    );
    let (error, text) = build(observer(0));
    assert!(matches!(error, BuildError::Config { .. }) && text.contains("1 to 255"), "{text}");
    let (error, text) = build(observer(100).password("secret"));
    assert!(matches!(error, BuildError::Config { .. }) && text.contains("version 2"), "{text}");
    let none = VirtualRouter::new("web", Vrid::new(1).unwrap(), "eth0");
    let (error, text) = build(none);
    assert!(matches!(error, BuildError::NoAddresses { .. }) && text.contains("web"), "{text}");
    let six = VirtualRouter::new("six", Vrid::new(1).unwrap(), "eth0")
        .address("2001:db8::1".parse().unwrap());
    let (error, text) = build(six);
    assert!(matches!(error, BuildError::Config { .. }) && text.contains("link-local"), "{text}");
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0, "no journal is left");
}

#[test]
fn without_privilege_the_capabilities_are_named() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    lab::need!(netns);
    let pair = Pair::new();
    let without = |missing: CapabilitySet| {
        pair.a.run(|| {
            std::thread::scope(|scope| {
                let unprivileged = scope.spawn(|| {
                    let mut sets = rustix::thread::capabilities(None).unwrap();
                    sets.effective.remove(missing);
                    let CapabilitySets { effective, permitted, inheritable } = sets;
                    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
                        .unwrap();
                    refused(pair.builder().virtual_router(web(100)))
                });
                unprivileged.join().unwrap()
            })
        })
    };
    for (missing, name) in
        [(CapabilitySet::NET_RAW, "CAP_NET_RAW"), (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")]
    {
        let (error, text) = without(missing);
        assert!(matches!(error, BuildError::Permission { .. }), "{error:?}");
        assert!(text.contains(&format!("{name} is missing")), "{text}");
    }
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(observer(100));
    let text = a.election("wbe").unwrap_err().to_string();
    assert!(text.contains("wbe") && text.contains("web"), "{text}");
    a.shutdown().unwrap();
}
