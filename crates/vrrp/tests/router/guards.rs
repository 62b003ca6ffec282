//! The ready-made guards, each with the run without it that ends with two Masters.

use core::net::IpAddr;
use core::time::Duration;
use std::process::Command;

use lab::Namespace;
use vrrp::{
    AllOf, AnyOf, GatewayPing, Guard, GuardConfig, LockFile, PeerPing, RunningRouter, Statistics,
    Verdict, VipProbe, VirtualRouter, Vrid,
};

use crate::paths::cut;
use crate::support::{INTERVAL, PATIENCE, Pair, VIP, VRID, has, observer, wait, web};

/// More than any guard here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(5);
const VIP6: &str = "fe80::100/64";

fn guarded(guard: impl Guard + 'static) -> VirtualRouter {
    web(100).guarded_by(GuardConfig::new(DEADLINE, Verdict::Veto), guard)
}

fn statistics(router: &RunningRouter) -> Statistics {
    router.status().unwrap().virtual_router("web").unwrap().statistics
}

/// Waits until its guard has vetoed so often, and was heard each time.
fn vetoed(router: &RunningRouter, times: u64) {
    let enough = || (statistics(router).promotions_vetoed >= times).then_some(());
    lab::eventually(PATIENCE, enough).expect("vetoes");
    assert_eq!(statistics(router).verdicts_missed, 0);
}

/// A host that hears no advertisements any more, and everything else.
fn deafen(namespace: &Namespace) {
    let rules = "table inet deaf { chain input { type filter hook input priority 0; \
                 meta l4proto 112 drop; }; }";
    let output = namespace.output(Command::new("nft").arg(rules)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A host that is gone.
fn unplug(pair: &Pair) {
    pair.switch.namespace().ip("link set port-a down").unwrap();
}

/// With which a Backup that is deaf stays Backup while the Master is there, and replaces it when its host is gone. Without
/// it there are two Masters.
fn keeps_a_deaf_backup_from_being_a_second_master(guard: impl Guard + 'static) {
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(guarded(guard));
    deafen(&pair.b);
    vetoed(&b, 3);
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP), "one Master");
    unplug(&pair);
    wait(&pair.b, VIP, true);
    drop((a, b));

    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    deafen(&pair.b);
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP), "the control ends with two Masters");
    drop((a, b));
}

#[test]
fn a_master_that_answers_for_the_address_is_not_replaced() {
    lab::need!(netns, nftables);
    keeps_a_deaf_backup_from_being_a_second_master(VipProbe::new());
}

#[test]
fn a_host_that_answers_is_not_replaced() {
    lab::need!(netns, nftables);
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    keeps_a_deaf_backup_from_being_a_second_master(PeerPing::new([peer]).interface("eth0"));
}

#[test]
fn a_master_that_answers_for_an_ipv6_address_is_not_replaced() {
    lab::need!(netns, nftables);
    let six = |priority| {
        VirtualRouter::new("web", Vrid::new(VRID).unwrap(), "eth0")
            .priority(priority)
            .advertisement_interval(INTERVAL)
            .address(VIP6.parse().unwrap())
            .candidate(true)
    };
    let pair = Pair::new();
    let a = pair.start_a(six(200));
    wait(&pair.a, VIP6, true);
    // What is still tentative answers nobody (RFC 4862 §5.4.3); then it does.
    let peer = link_local(&pair.a);
    for guarded in [false, true] {
        let probe = AllOf::new()
            .and(VipProbe::new().timeout(Duration::from_millis(200)), DEADLINE, Verdict::Veto)
            .and(
                PeerPing::new([peer]).interface("eth0").timeout(INTERVAL),
                DEADLINE,
                Verdict::Veto,
            );
        let config = GuardConfig::new(DEADLINE, Verdict::Veto);
        let backup = if guarded { six(100).guarded_by(config, probe) } else { six(100) };
        let switch = pair.switch.namespace();
        let b = pair.start_b(backup);
        if guarded {
            vetoed(&b, 3);
            assert!(!has(&pair.b, VIP6), "one Master");
            switch.ip("link set port-a down").unwrap();
            wait(&pair.b, VIP6, true);
        } else {
            // The control comes first; the namespace stays deaf.
            deafen(&pair.b);
            wait(&pair.b, VIP6, true);
            assert!(has(&pair.a, VIP6), "the control ends with two Masters");
        }
        b.shutdown().unwrap();
        wait(&pair.b, VIP6, false);
    }
    drop(a);
}

/// The link-local address that the kernel gave.
fn link_local(namespace: &Namespace) -> IpAddr {
    let found = lab::eventually(PATIENCE, || {
        let show = ["-o", "-6", "addr", "show", "dev", "eth0", "scope", "link", "-tentative"];
        let output = namespace.output(Command::new("ip").args(show)).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut words = text.split_whitespace().filter_map(|word| word.strip_suffix("/64"));
        words.find(|address| *address != "fe80::100").map(|address| address.parse().unwrap())
    });
    found.expect("a link-local address")
}

#[test]
fn who_is_cut_off_from_the_gateway_is_no_master() {
    lab::need!(netns);
    let gateway: IpAddr = "192.0.2.254".parse().unwrap();
    let pings = || GatewayPing::new([gateway]).timeout(INTERVAL);
    // One of the two reaches the gateway, whoever that is; the other alone does not, nor with a wrong one beside it.
    let nobody: IpAddr = "192.0.2.253".parse().unwrap();
    let either = AnyOf::new().and(pings(), DEADLINE, Verdict::Veto).and(
        GatewayPing::new([nobody]).timeout(INTERVAL),
        DEADLINE,
        Verdict::Veto,
    );
    let pair = Pair::new();
    let host = Namespace::new().unwrap();
    pair.switch.attach(&host, "eth0", "port-gw").unwrap();
    host.ip("addr add 192.0.2.254/24 dev eth0").unwrap();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(guarded(either));
    let gateway_of_b = |isolated: &str| {
        let set = format!("link set port-gw type bridge_slave isolated {isolated}");
        pair.switch.namespace().ip(&set).unwrap();
    };
    // port-a and port-b are isolated from each other, and port-gw from both.
    gateway_of_b("on");
    cut(&pair.switch, true);
    vetoed(&b, 3);
    assert!(!has(&pair.b, VIP), "B is cut off from everybody");
    gateway_of_b("off");
    wait(&pair.b, VIP, true);
    drop((a, b));
}

#[test]
fn only_the_holder_of_the_lease_is_master_out_of_silence() {
    lab::need!(netns);
    let shared = tempfile::tempdir().unwrap();
    let path = shared.path().join("lease");
    let lease = Duration::from_secs(1);
    let lock = |holder: &str| LockFile::open(&path, holder, lease).unwrap().timeout(DEADLINE);
    let (lost, losses) = crossbeam_channel::unbounded();
    let pair = Pair::new();
    let config = GuardConfig::new(DEADLINE * 2, Verdict::Veto);
    let of_a = lock("a").on_lost(move || lost.send(()).unwrap());
    let a = pair.start_a(observer(200).guarded_by(config, of_a));
    let led = a.election("web").unwrap().campaign_timeout(PATIENCE).unwrap();
    assert_eq!(led.fencing_token(), Some(1));
    let b = pair.start_b(observer(100).guarded_by(config, lock("b")));
    b.handle().set_candidate("web", true).unwrap();
    cut(&pair.switch, true);
    // More of them than the lease could last without its holder.
    vetoed(&b, 10);
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP), "one Master");

    // A leaves, unheard, and gives the lease back.
    drop(led);
    wait(&pair.a, VIP, false);
    let next = b.election("web").unwrap().campaign_timeout(PATIENCE).unwrap();
    assert_eq!(next.fencing_token(), Some(2));

    // Somebody else takes it by force: B keeps its mastership, says so, and has no token any more.
    assert!(losses.try_recv().is_err());
    std::fs::write(shared.path().join("lease.77"), "garbage").unwrap();
    let gone = || next.fencing_token().is_none().then_some(());
    lab::eventually(PATIENCE, gone).expect("the token is gone");
    assert!(has(&pair.b, VIP));
    // When that has not changed for the lease's duration, it is B's again.
    let again = || next.fencing_token().filter(|token| *token == 78);
    lab::eventually(PATIENCE, again).expect("the next token");
    drop(next);
    a.shutdown().unwrap();
    b.shutdown().unwrap();

    // The control: without a lease.
    let pair = Pair::new();
    let (a, b) = (pair.start_a(web(200)), pair.start_b(web(100)));
    wait(&pair.a, VIP, true);
    cut(&pair.switch, true);
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP), "two Masters");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}
