use super::*;
use crate::config::{SlowStart, SorryServer, SyncConfig, WeightRule, WhenDown};
use ipvs::{SyncDaemon, SyncRole};

const SECOND: Duration = Duration::from_secs(1);
const SORRY: u16 = 999;

fn sorry() -> SorryServer {
    SorryServer::new(Destination::new(real(SORRY), ForwardingMethod::Masquerade))
}

/// Servers of port 1 and up with these weights.
fn pool(weights: &[u16]) -> ServiceConfig {
    weights.iter().zip(1..).fold(service(80), |pool, (weight, port)| {
        pool.real_server(server(port, *weight, Outcome::Up))
    })
}

fn bench(pool: ServiceConfig) -> Bench {
    Bench::new(Config::new().service(pool))
}

#[test]
fn the_quorum_counts_weights_and_has_a_hysteresis() {
    let mut bench = bench(
        pool(&[1, 1, 1, 1]).quorum(3).hysteresis(1).sorry_server(sorry().keep_connections(false)),
    );
    assert_eq!(bench.weights(80), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    bench.down(1);
    bench.down(2);
    assert_eq!(bench.heard(), [""; 0], "two are not below 3 - 1");
    assert_eq!(bench.weights(80), [(3, 1), (4, 1)]);
    bench.down(3);
    assert_eq!(
        bench.heard(),
        [
            "tcp/192.0.2.1:80: quorum lost: real servers that are up weigh 1, the quorum is 3",
            "tcp/192.0.2.1:80: sorry server 198.51.100.1:999 serves"
        ]
    );
    assert_eq!(bench.weights(80), [(SORRY, 1)], "those that are up are displaced");
    bench.up(1);
    bench.up(2);
    assert_eq!(bench.heard(), [""; 0], "three are below 3 + 1");
    assert_eq!(bench.weights(80), [(SORRY, 1)]);
    bench.up(3);
    assert_eq!(
        bench.heard(),
        [
            "tcp/192.0.2.1:80: quorum gained: real servers that are up weigh 4, the quorum is 3",
            "tcp/192.0.2.1:80: sorry server 198.51.100.1:999 serves no more"
        ]
    );
    assert_eq!(bench.weights(80), [(1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn a_quorum_of_nothing_is_one() {
    let mut bench = bench(pool(&[1]).quorum(0).sorry_server(sorry()));
    bench.down(1);
    assert_eq!(bench.weights(80), [(SORRY, 1)]);
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 1)]);
}

#[test]
fn without_a_sorry_server_those_that_are_up_go_on_without_a_quorum() {
    let mut bench = bench(pool(&[1, 1, 1]).quorum(3));
    bench.down(1);
    assert_eq!(bench.heard().len(), 1);
    assert_eq!(bench.weights(80), [(2, 1), (3, 1)]);
    bench.down(2);
    bench.down(3);
    assert_eq!((bench.heard().len(), bench.weights(80)), (0, vec![]), "it is told once");
}

#[test]
fn what_cancels_out_before_it_is_taken_is_not_told() {
    let mut bench = bench(pool(&[1]).sorry_server(sorry()));
    bench.outcome(1, Outcome::Down);
    bench.outcome(1, Outcome::Up);
    bench.drain();
    assert_eq!((bench.heard().len(), bench.commands.len()), (0, 2), "only what the start took");
}

#[test]
fn a_sorry_server_on_standby_and_displaced_servers_keep_their_connections() {
    let mut bench = bench(pool(&[2, 2]).quorum(3).sorry_server(sorry().standby(true)));
    assert_eq!(bench.weights(80), [(1, 2), (2, 2), (SORRY, 0)]);
    bench.commands.clear();
    bench.down(1);
    assert_eq!(bench.weights(80), [(2, 0), (SORRY, 1)]);
    let given: Vec<_> = bench.commands.iter().map(ToString::to_string).collect();
    assert!(
        given.iter().all(|command| !command.starts_with("remove destination 198.51.100.1:2")),
        "{given:?}"
    );
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 2), (2, 2), (SORRY, 0)]);
}

#[test]
fn a_sorry_server_may_be_one_of_the_real_servers() {
    let same = SorryServer::new(Destination::new(real(2), ForwardingMethod::DirectRoute));
    let mut bench = bench(pool(&[1, 5]).quorum(6).sorry_server(same));
    assert_eq!(bench.weights(80), [(1, 1), (2, 5)]);
    bench.down(1);
    assert_eq!(bench.weights(80), [(2, 1)], "as sorry server, with that weight");
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 1), (2, 5)]);
}

#[test]
fn servers_that_start_down_are_no_loss_of_a_quorum() {
    let alpha = |port| server(port, 1, Outcome::Down);
    let mut bench = bench(
        service(80).real_server(alpha(1)).real_server(alpha(2)).quorum(2).sorry_server(sorry()),
    );
    assert_eq!(bench.heard(), [""; 0], "it was not there before");
    assert_eq!(bench.weights(80), [(SORRY, 1)]);
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 0), (SORRY, 1)]);
    bench.up(2);
    assert_eq!(bench.heard().len(), 2);
    assert_eq!(bench.weights(80), [(1, 1), (2, 1)]);
}

#[test]
fn the_end_is_told_if_wished() {
    for (wished, told) in [(true, 3), (false, 0)] {
        let mut bench = bench(pool(&[1, 1, 1]).tell_end(wished));
        bench.down(2);
        bench.told.clear();
        bench.pool.handle_stop(bench.now);
        bench.drain();
        assert_eq!(bench.told.len(), told, "two that are up, and the quorum: {:?}", bench.told);
        bench.pool.handle_stop(bench.now);
        bench.drain();
        assert_eq!(bench.told.len(), told, "once");
    }
}

#[test]
fn a_cap_keeps_servers_that_fail_together() {
    let mut bench = bench(pool(&[1, 1, 1, 1]).max_ejected_percent(50));
    for port in [3, 1] {
        bench.down(port);
    }
    assert_eq!((bench.heard().len(), bench.weights(80)), (0, vec![(2, 1), (4, 1)]));
    bench.down(2);
    assert_eq!(
        bench.heard(),
        [
            "tcp/192.0.2.1:80: too many real servers are down: 2 are out, 1 serve on in spite of their checks"
        ]
    );
    bench.down(4);
    assert_eq!(bench.weights(80), [(2, 1), (4, 1)]);
    let heard = bench.heard();
    assert!(heard.len() == 1 && heard[0].contains("quorum lost"), "{heard:?}");
    let why = crate::Why::of(bench.now, &bench.pool, &key(80), &real(4)).unwrap().to_string();
    assert!(
        why.contains("has weight 1") && why.contains("serves on because 2 others are out"),
        "{why}"
    );
    // Who failed first was out first; when one returns the next in line is out.
    bench.up(3);
    assert_eq!(bench.weights(80), [(3, 1), (4, 1)]);
    bench.up(4);
    assert_eq!(bench.weights(80), [(3, 1), (4, 1)]);
    assert_eq!(
        bench.heard().last().unwrap(),
        "tcp/192.0.2.1:80: no real server that is down serves any more"
    );
    // One may always go.
    let mut bench = Bench::new(Config::new().service(pool(&[1, 1, 1]).max_ejected_percent(1)));
    bench.down(1);
    bench.down(2);
    assert_eq!(bench.weights(80), [(2, 1), (3, 1)]);
}

#[test]
fn a_quiesced_server_keeps_its_connections() {
    let config = service(80)
        .real_server(server(1, 3, Outcome::Up).when_down(WhenDown::Quiesce))
        .real_server(server(2, 3, Outcome::Up));
    let mut bench = bench(config);
    bench.down(1);
    assert_eq!(bench.weights(80), [(1, 0), (2, 3)]);
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 3), (2, 3)]);
}

#[test]
fn weights_by_order_and_by_check() {
    let weighed = |weights: &[u16], rule| {
        let target = SocketAddr::from(([198, 51, 100, 1], 2));
        let plain = RealServer::new(*server(2, weights[1], Outcome::Up).destination());
        let weighed = plain.weighing_check(Check::new(target, Kind::Tcp), rule);
        service(80).real_server(server(1, weights[0], Outcome::Up)).real_server(weighed)
    };
    let mut bench = bench(weighed(&[4, 4], WeightRule::ExitCode));
    let set = |bench: &mut Bench, port, weight| {
        let found = bench.pool.handle_weight(bench.now, &key(80), &real(port), weight);
        bench.drain();
        found
    };
    assert!(set(&mut bench, 1, Some(Weight::from(9))));
    assert!(!set(&mut bench, 3, Some(Weight::from(9))), "there is no such server");
    assert_eq!(
        bench.heard(),
        ["tcp/192.0.2.1:80: real server 198.51.100.1:1 has weight 9 by order"]
    );
    let id = bench.checks[1].0;
    let verdict = |value| Verdict { outcome: Outcome::Up, cause: None, value };
    bench.pool.handle_outcome(bench.now, id, verdict(Some(4)));
    bench.drain();
    assert_eq!(
        bench.heard(),
        ["tcp/192.0.2.1:80: real server 198.51.100.1:2 has weight 2 by its check"]
    );
    assert_eq!(bench.weights(80), [(1, 9), (2, 2)]);
    // A check that says nothing about the weight leaves it; a new configuration leaves what was set.
    bench.pool.handle_outcome(bench.now, id, verdict(Some(0)));
    bench.apply(Config::new().service(weighed(&[5, 5], WeightRule::ExitCode).quorum(2)));
    assert_eq!(bench.weights(80), [(1, 9), (2, 2)]);
    set(&mut bench, 1, None);
    assert_eq!(bench.weights(80), [(1, 5), (2, 2)]);
    bench.heard();
    set(&mut bench, 1, Some(Weight::QUIESCED));
    set(&mut bench, 2, Some(Weight::QUIESCED));
    let heard = bench.heard();
    set(&mut bench, 2, None);
    for (rule, value, weight) in [
        (WeightRule::Number, 7, 7),
        (WeightRule::Number, -7, 0),
        (WeightRule::Number, i64::MAX, 0x7fff_ffff),
        (WeightRule::Added(3), 2, 11),
        (WeightRule::Added(-3), 2, 0),
        (WeightRule::Ignored, 8, 5),
    ] {
        bench.apply(Config::new().service(weighed(&[5, 5], rule)));
        let id = bench.checks.iter().find(|(_, port)| *port == 2).unwrap().0;
        bench.pool.handle_outcome(bench.now, id, verdict(Some(value)));
        bench.drain();
        assert_eq!(bench.weights(80), [(1, 0), (2, weight)], "{rule:?} {value}");
    }
    assert!(heard[2].contains("quorum lost"), "weights are what the quorum counts: {heard:?}");
}

#[test]
fn a_slow_start_grows_in_ten_steps() {
    let mut bench = bench(pool(&[20, 1]).slow_start(SlowStart::over(9 * SECOND)));
    assert_eq!(bench.weights(80), [(1, 20), (2, 1)], "who is assumed up has long been up");
    bench.down(1);
    bench.down(2);
    bench.up(1);
    bench.up(2);
    let mut seen = vec![bench.weights(80)[0].1];
    for _ in 0..9 {
        bench.pass(SECOND);
        assert_eq!(bench.weights(80)[1], (2, 1), "a weight of 1 has nothing below it");
        seen.push(bench.weights(80)[0].1);
    }
    assert_eq!(seen, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    assert_eq!(bench.pool.poll_timeout(), None);
    let why = crate::Why::of(bench.now, &bench.pool, &key(80), &real(1)).unwrap();
    assert_eq!(why.reason, crate::Reason::Healthy);
}

fn connections(bench: &mut Bench, port: u16, count: u64) {
    bench.pool.handle_connections(bench.now, &key(80), &[(key(80), real(port), count)]);
    bench.drain();
}

#[test]
fn a_drain_ends_with_the_connections_or_at_the_deadline() {
    let mut bench = bench(pool(&[2, 2]));
    let drain = |bench: &mut Bench, most: Option<Duration>| {
        assert!(bench.pool.handle_drain(bench.now, &key(80), &real(1), most));
        bench.drain();
    };
    drain(&mut bench, Some(30 * SECOND));
    assert_eq!(bench.weights(80), [(1, 0), (2, 2)]);
    bench.pass(SECOND);
    assert_eq!(bench.counts, [key(80)], "connections are counted every second");
    connections(&mut bench, 1, 5);
    bench.pass(SECOND);
    assert_eq!(bench.weights(80), [(1, 0), (2, 2)]);
    connections(&mut bench, 1, 0);
    assert_eq!(bench.weights(80), [(2, 2)]);
    assert_eq!(
        bench.heard()[1],
        "tcp/192.0.2.1:80: real server 198.51.100.1:1 is drained: its connections have ended"
    );
    assert_eq!(bench.pool.poll_timeout(), None);
    // Its checks have no say until it is wanted back.
    bench.down(1);
    bench.up(1);
    assert_eq!(bench.weights(80), [(2, 2)]);
    drain(&mut bench, None);
    assert_eq!(bench.weights(80), [(1, 2), (2, 2)]);

    drain(&mut bench, Some(30 * SECOND));
    connections(&mut bench, 1, 5);
    bench.pass(30 * SECOND);
    assert_eq!(bench.weights(80), [(2, 2)]);
    assert!(bench.heard().last().unwrap().ends_with("its time is up, with 5 connections left"));
}

#[test]
fn a_server_that_is_down_may_be_drained() {
    let config = service(80)
        .real_server(server(1, 1, Outcome::Up).when_down(WhenDown::Drain(10 * SECOND)))
        .real_server(server(2, 1, Outcome::Up));
    let mut bench = bench(config);
    bench.down(1);
    assert_eq!(bench.weights(80), [(1, 0), (2, 1)]);
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 1), (2, 1)]);
    bench.down(1);
    bench.pass(10 * SECOND);
    assert_eq!(bench.weights(80), [(2, 1)]);
    bench.up(1);
    assert_eq!(bench.weights(80), [(1, 1), (2, 1)]);
}

#[test]
fn who_is_configured_no_more_is_drained_if_wished() {
    let with = |weights| Config::new().service(pool(weights).drain_removed(10 * SECOND));
    let mut bench = Bench::new(with(&[1, 1]));
    bench.apply(with(&[1]));
    assert_eq!(bench.weights(80), [(1, 1), (2, 0)]);
    assert_eq!(bench.checks.len(), 1, "it is checked no more");
    bench.apply(with(&[1, 7]));
    assert_eq!(bench.weights(80), [(1, 1), (2, 7)], "back again");
    bench.apply(with(&[1]));
    bench.pass(10 * SECOND);
    assert_eq!(bench.weights(80), [(1, 1)]);
    assert_eq!(bench.pool.groups().next().unwrap().servers.len(), 1, "and forgotten");
    bench.apply(Config::new().service(pool(&[1, 1])));
    bench.apply(Config::new().service(pool(&[1])));
    assert_eq!(bench.weights(80), [(1, 1)], "at once, if not");
}

#[test]
fn services_of_a_group_share_their_servers() {
    let https = ServiceKey::tcp([192, 0, 2, 1].into(), 443);
    let mark = ServiceKey::firewall_mark(ipvs::AddressFamily::Ipv4, core::num::NonZeroU32::MIN);
    let any_port = Destination::new(real(0), ForwardingMethod::DirectRoute);
    let target = SocketAddr::from(([198, 51, 100, 1], 1));
    let both = RealServer::new(any_port).check(Check::new(target, Kind::Tcp));
    let config = service(80)
        .also(Service::new(https, Scheduler::RoundRobin))
        .also(Service::new(mark, Scheduler::RoundRobin))
        .real_server(both);
    let mut bench = bench(config.clone());
    let ports = |bench: &Bench| -> Vec<Vec<u16>> {
        let entries = [key(80), https, mark].map(|key| bench.table.service(&key).unwrap().clone());
        entries.iter().map(|entry| entry.destinations().map(|d| d.key().port).collect()).collect()
    };
    assert_eq!(ports(&bench), [[80], [443], [0]], "port 0 is the service's");
    assert_eq!(bench.checks.len(), 1, "checked once");
    bench.down(1);
    assert_eq!(ports(&bench), [[0; 0]; 3]);
    assert!(
        bench.heard()[0].starts_with("tcp/192.0.2.1:80: quorum lost"),
        "told once, of the first"
    );
    assert!(
        bench.pool.handle_weight(bench.now, &https, &real(0), Some(Weight::from(3))),
        "any of its services names it"
    );
    // The first service goes: the pool stays what it was.
    bench.drain();
    assert_eq!(bench.heard().len(), 1);
    let ids = bench.checks.clone();
    let mut rest = ServiceConfig::new(Service::new(https, Scheduler::RoundRobin));
    for server in config.real_servers() {
        rest = rest.real_server(server.clone());
    }
    bench.told.clear();
    bench.apply(Config::new().service(rest));
    assert_eq!((bench.table.len(), bench.checks.clone()), (1, ids));
    assert_eq!(bench.heard(), [""; 0]);
    bench.up(1);
    assert_eq!(bench.table.service(&https).unwrap().destinations().count(), 1);
}

#[test]
fn another_configuration_touches_what_differs() {
    let two = |second: &[u16]| {
        let other = ServiceConfig::new(Service::new(key(81), Scheduler::RoundRobin));
        let other = second.iter().zip(11..).fold(other, |pool, (weight, port)| {
            pool.real_server(server(port, *weight, Outcome::Up))
        });
        Config::new().service(pool(&[1, 1])).service(other)
    };
    let mut bench = Bench::new(two(&[1, 1]));
    bench.down(1);
    bench.down(11);
    let checks = bench.checks.clone();
    bench.commands.clear();
    bench.apply(two(&[1, 1]));
    assert!(bench.commands.is_empty());
    bench.apply(two(&[1, 6, 1]));
    let given: Vec<_> = bench.commands.iter().map(ToString::to_string).collect();
    assert_eq!(
        given,
        [
            "change destination 198.51.100.1:12 (direct route, weight 6) to service tcp/192.0.2.1:81"
                .replace(" to ", " of "),
            "add destination 198.51.100.1:13 (direct route, weight 1) to service tcp/192.0.2.1:81".to_owned()
        ],
        "11 is still down"
    );
    assert_eq!(bench.checks[..4], checks[..], "and checked as before");
}

#[test]
fn contradictions_are_named() {
    let wrong = |pool: ServiceConfig| {
        let error = Config::new().service(pool).validate(&[]).unwrap_err();
        error.to_string()
    };
    let six: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    let six = RealServer::new(Destination::new(six.into(), ForwardingMethod::DirectRoute));
    let idle =
        Destination::new(real(9), ForwardingMethod::DirectRoute).with_weight(Weight::QUIESCED);
    for (pool, named) in [
        (pool(&[1, 1]).quorum(3), "quorum 3 of the service tcp/192.0.2.1:80 exceeds the 2"),
        (pool(&[1, 1]).quorum(2).hysteresis(2), "hysteresis 2 of the service tcp/192.0.2.1:80"),
        (
            pool(&[1]).real_server(six),
            "tcp/192.0.2.1:80 has [2001:db8::1]:80 of another address family",
        ),
        (
            pool(&[1]).max_ejected_percent(0),
            "max_ejected_percent 0 of the service tcp/192.0.2.1:80",
        ),
        (pool(&[1]).max_ejected_percent(101), "max_ejected_percent 101"),
        (pool(&[1]).sorry_server(SorryServer::new(idle)), "sorry server 198.51.100.1:9"),
        (pool(&[1]).also(Service::new(key(80), Scheduler::RoundRobin)), "configured twice"),
        (pool(&[1]).real_server(server(1, 2, Outcome::Up)), "the real server 198.51.100.1:1 twice"),
    ] {
        let error = wrong(pool);
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn the_sync_daemon_follows_the_state() {
    let sync = || SyncConfig::new("eth0".parse().unwrap(), 7);
    let mut pool = Pool::default();
    let now = Clock::now();
    let wanted = |pool: &mut Pool| {
        let outputs: Vec<_> = core::iter::from_fn(|| pool.poll_output()).collect();
        outputs
            .into_iter()
            .filter_map(
                |output| if let Output::Sync(daemon) = output { Some(daemon) } else { None },
            )
            .map(|daemon: Option<SyncDaemon>| daemon.map(|daemon| (daemon.role, daemon.sync_id)))
            .collect::<Vec<_>>()
    };
    pool.handle_config(now, Config::new().sync(sync()), &[]);
    assert_eq!(wanted(&mut pool), [], "nobody has said what we are");
    pool.handle_role(now, SyncRole::Backup);
    assert_eq!(wanted(&mut pool), [Some((SyncRole::Backup, 7))]);
    pool.handle_role(now, SyncRole::Backup);
    assert_eq!(wanted(&mut pool), []);
    pool.handle_role(now, SyncRole::Master);
    assert_eq!(wanted(&mut pool), [Some((SyncRole::Master, 7))]);
    pool.handle_config(now, Config::new().sync(sync()), &[]);
    assert_eq!(wanted(&mut pool), [], "nothing differs");
    pool.handle_config(now, Config::new(), &[]);
    assert_eq!(wanted(&mut pool), [None]);
}

#[test]
fn the_start_is_told_if_wished() {
    for (initial, told) in [(Outcome::Up, "quorum gained"), (Outcome::Down, "quorum lost")] {
        let two = |wished| service(80).real_server(server(1, 1, initial)).tell_start(wished);
        let mut quiet = bench(two(false));
        assert_eq!(quiet.heard(), [""; 0]);
        let mut telling = bench(two(true));
        let heard = telling.heard();
        assert!(heard.len() == 1 && heard[0].contains(told), "{heard:?}");
        telling.apply(Config::new().service(two(true).slow_start(SlowStart::over(SECOND))));
        assert_eq!(telling.heard(), [""; 0], "once");
    }
}

#[test]
fn a_quorum_in_the_band_at_the_start_is_not_there() {
    let mut bench = bench(pool(&[2, 2]).quorum(4).hysteresis(1).tell_start(true));
    assert!(bench.heard()[0].contains("quorum lost"));
}

#[test]
fn who_is_asked_to_leave_does_not_count_for_the_quorum() {
    let mut bench = bench(pool(&[1, 1]).quorum(2));
    assert!(bench.pool.handle_drain(bench.now, &key(80), &real(1), Some(SECOND)));
    bench.drain();
    let heard = bench.heard();
    assert!(heard.iter().any(|heard| heard.contains("quorum lost")), "{heard:?}");
}

#[test]
fn the_cap_is_for_those_that_have_been_up() {
    let waiting = |port| server(port, 1, Outcome::Down);
    let two = service(80).real_server(waiting(1)).real_server(waiting(2)).max_ejected_percent(50);
    let mut bench = bench(two);
    assert_eq!(bench.weights(80), [], "nobody serves before its first success");
    bench.up(1);
    bench.up(2);
    bench.down(1);
    bench.down(2);
    assert_eq!(bench.weights(80), [(2, 1)]);
}
