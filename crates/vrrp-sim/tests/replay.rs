//! What `Scenario::to_rust` prints is a program that compiles and does the same.
//! `VRRP_SIM_BLESS=1` writes the program anew.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::{net::IpAddr, time::Duration};
use std::{env, fs, path::Path};

use vrrp_sim::{
    Act, Chance, Conditions, End, Forgery, Link, Participant, Round, RouterId, Scenario,
    Simulation,
    vrrp_fsm::{
        AddressListPolicy, AddressesLostPolicy, AntiReplay, ChecksumPolicy, Config, HopLimitPolicy,
        PathConfig, PathId, PeerConfig, ReleasePolicy, SendFailurePolicy, TrailerConfig,
        TrailerMode,
        vrrp_proto::{
            AddressFamily, Authentication, ChecksumForm, Password, Priority, TrailerKey, Version,
            Vrid,
        },
    },
};

/// A program that was printed. It is not a module, so that nobody formats it.
mod program {
    #![expect(clippy::print_stdout, reason = "it tells the story")]
    include!("replay/program.rs.txt");

    pub(super) fn run() -> Result<(), Box<dyn core::error::Error>> {
        main()
    }
}

/// With everything in it that there are words for.
fn scenario() -> Scenario {
    let source = |last| IpAddr::from([192, 0, 2, last]);
    let second = Duration::from_secs(1);
    let plain = Config::new(Vrid::new(7).unwrap(), AddressFamily::Ipv4)
        .version(Version::V2)
        .virtual_addresses(vec![source(1), source(2)])
        .authentication(Authentication::SimplePassword(Password::truncated(b"secret")))
        .checksum(ChecksumPolicy::Strict(ChecksumForm::MessageOnly))
        .unicast_hop_limit(HopLimitPolicy::AtLeast(254));
    let odd = plain
        .clone()
        .priority(Priority::new(7))
        .missed_advertisements(4)
        .preempt_mode(false)
        .preempt_delay(Duration::from_micros(2_500))
        .start_delay(second)
        .accept_mode(true)
        .link_local_first(false)
        .address_list_mismatch(AddressListPolicy::Discard)
        .immediate_answer(false)
        .release_from(ReleasePolicy::Anyone)
        .late_wake_rule(false)
        .send_failure(SendFailurePolicy::Keep)
        .addresses_lost(AddressesLostPolicy::StepDown)
        .paths(vec![PathConfig::unicast(vec![source(10), source(12)])]);
    let odd = odd.sync_group(true);
    let whole = plain.sync_group(true).paths(vec![PathConfig::unicast(vec![source(11)])]);
    // In an election of its own.
    let [new, old] = [2, 1].map(|id| TrailerKey::new(id, &[id; 32]).unwrap());
    let trailer = TrailerConfig::new(new)
        .also_accept(old)
        .mode(TrailerMode::Permissive)
        .anti_replay(AntiReplay::Monotonic);
    let signed = Config::new(Vrid::new(8).unwrap(), AddressFamily::Ipv4)
        .virtual_addresses(vec![source(3)])
        .trailer(Some(trailer))
        .paths(vec![PathConfig::multicast(), PathConfig::unicast(Vec::new())])
        .peers(vec![PeerConfig::new("another", vec![source(13), source(23)])]);
    let bad = Conditions {
        install: Duration::from_nanos(1_001),
        install_fails: Chance::percent(1),
        receive_queue: 3,
        clock_drift: -500,
        ..Conditions::default()
    };
    let [a, b] = [0, 1].map(RouterId::from_index);
    let lossy = Link {
        loss: Chance::ppm(3),
        reordering: Chance::ALWAYS,
        held_back: second,
        ..Link::default()
    };
    let acts = [
        Act::Kill(a),
        Act::Start(a),
        Act::Pause(b),
        Act::Resume(b),
        Act::ShutDown(b),
        Act::StartUp(b),
        Act::LinkDown(a),
        Act::LinkUp(a),
        Act::SetPriority(b, Priority::new(9)),
        Act::StealAddresses(a),
        Act::SendForgery(b, Forgery::Truncated),
        Act::Replay(b, second * 2),
        Act::Partition(1),
        Act::Heal,
        Act::Cut(a, b),
        Act::SetLinks(lossy),
        Act::SetPathLinks(PathId::new(1), lossy),
        Act::FailPath(PathId::FIRST, 2, Chance::percent(30)),
        Act::SetEcho(Chance::percent(50)),
        Act::SetConditions(b, bad),
        Act::Crash(a),
    ];
    let acts = acts.into_iter().map(|act| (Duration::from_millis(1_700), act)).collect();
    let participant = |config, last, conditions| Participant {
        config,
        source: source(last),
        more_sources: vec![source(last + 10)],
        conditions,
    };
    Scenario {
        seed: 4711,
        routers: vec![
            participant(whole, 10, Conditions::default()),
            participant(odd, 11, bad),
            participant(signed, 12, Conditions::default()),
        ],
        processes: vec![vec![a], vec![b]],
        link: Link { jitter: second / 10, ..Link::default() },
        more_links: vec![lossy],
        rounds: vec![
            Round { acts, end: End::HandOver },
            Round { acts: Vec::new(), end: End::Settle },
        ],
    }
}

#[test]
fn a_printed_program_is_the_scenario() {
    let printed = scenario().to_rust();
    if env::var_os("VRRP_SIM_BLESS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/program.rs.txt");
        fs::write(file, &printed).unwrap();
    }
    assert_eq!(printed, include_str!("replay/program.rs.txt"));
    let (_, result) = scenario().run(Simulation::new(4711)).unwrap();
    assert_eq!(
        program::run().err().map(|error| error.to_string()),
        result.err().map(|v| v.to_string())
    );
}
