//! A scenario as a program that runs it.

use core::{fmt::Write, net::IpAddr, time::Duration};

use vrrp_fsm::{
    AntiReplay, ChecksumPolicy, Config, HopLimitPolicy, PathConfig, PathId, PathMode, PeerConfig,
    TrailerConfig,
};
use vrrp_proto::{Authentication, Priority};

use crate::{Act, Chance, Conditions, Link, Participant, RouterId, Scenario};

impl Scenario {
    /// A Rust program that runs this scenario and prints its timeline: save it as
    /// `examples/replay.rs` of a package that depends on `vrrp-sim`.
    ///
    /// Passwords and keys are replaced by `secret`, those of trailers by their number. What there are no words for is left as a comment.
    #[must_use]
    pub fn to_rust(&self) -> String {
        let mut out = String::from(HEAD);
        let mut line = |depth: usize, text: &str| {
            out.push_str(&"    ".repeat(depth));
            out.push_str(text);
            out.push('\n');
        };
        line(1, "let scenario = Scenario {");
        line(2, &format!("seed: {},", self.seed));
        line(2, "routers: vec![");
        for Participant { config, source, more_sources, conditions } in &self.routers {
            line(3, "Participant {");
            let Config { vrid, family, .. } = config;
            line(4, &format!("config: Config::new(Vrid::new({vrid})?, AddressFamily::{family:?})"));
            for setter in setters(config) {
                line(5, &setter);
            }
            line(4, &format!(",\n                source: {},", address(*source)));
            line(4, &format!("more_sources: vec![{}],", addresses(more_sources)));
            line(4, &format!("conditions: {},", self::conditions(conditions)));
            line(3, "},");
        }
        line(2, "],");
        let process = |ids: &Vec<RouterId>| {
            let ids: Vec<String> = ids.iter().map(|id| router(*id)).collect();
            format!("vec![{}]", ids.join(", "))
        };
        let processes: Vec<String> = self.processes.iter().map(process).collect();
        line(2, &format!("processes: vec![{}],", processes.join(", ")));
        line(2, &format!("link: {},", link(&self.link)));
        let more_links: Vec<String> = self.more_links.iter().map(link).collect();
        line(2, &format!("more_links: vec![{}],", more_links.join(", ")));
        line(2, "rounds: vec![");
        for round in &self.rounds {
            line(3, "Round {");
            line(4, "acts: vec![");
            for (after, act) in &round.acts {
                line(5, &format!("({}, Act::{}),", duration(*after), self::act(act)));
            }
            line(4, "],");
            line(4, &format!("end: End::{:?},", round.end));
            line(3, "},");
        }
        line(2, "],");
        line(1, "};");
        out.push_str(TAIL);
        out
    }
}

const HEAD: &str = "\
use core::time::Duration;
use vrrp_sim::{
    vrrp_fsm::{vrrp_proto::*, *},
    *,
};

fn main() -> Result<(), Box<dyn core::error::Error>> {
";

const TAIL: &str = "    let (simulation, result) = scenario.run(Simulation::new(scenario.seed))?;
    println!(\"{}\", simulation.timeline().ok_or(\"no timeline\")?);
    Ok(result?)
}
";

/// The calls that make a [`Config::new`] this one.
fn setters(config: &Config) -> Vec<String> {
    let plain = Config::new(config.vrid, config.family);
    let lines = |config: &Config| -> Vec<(String, String)> {
        // `{:#?}` has one field a line, at a depth of four; what is deeper belongs to it.
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in format!("{config:#?}").lines() {
            let field =
                line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '}', ']', ')']));
            match (field.and_then(|line| line.split_once(": ")), fields.last_mut()) {
                (Some((name, value)), _) => fields.push((name.to_owned(), value.to_owned())),
                (None, Some((_, value))) => value.push_str(line.trim()),
                (None, None) => {}
            }
        }
        fields
    };
    lines(config)
        .into_iter()
        .zip(lines(&plain))
        .filter(|(ours, plain)| ours != plain)
        .map(|((name, debug), _)| match setter(config, &name) {
            Some(value) => format!(".{name}({value})"),
            None => format!("// .{name}: {debug}"),
        })
        .collect()
}

/// The value of a field of a configuration, as source.
fn setter(config: &Config, field: &str) -> Option<String> {
    Some(match field {
        "version" => format!("Version::{:?}", config.version),
        "also_version_2" => config.also_version_2.to_string(),
        "owner_skips_backup" => config.owner_skips_backup.to_string(),
        "owner_reception" => format!("OwnerReception::{:?}", config.owner_reception),
        "advertise_before_yielding" => config.advertise_before_yielding.to_string(),
        "announce_refresh" => match config.announce_refresh {
            Some(interval) => format!("Some({})", duration(interval)),
            None => "None".to_owned(),
        },
        "effect_deadline" => duration(config.effect_deadline),
        "priority" => priority(config.priority),
        "advertisement_interval" => duration(config.advertisement_interval),
        "missed_advertisements" => config.missed_advertisements.to_string(),
        "preempt_mode" => config.preempt_mode.to_string(),
        "preempt_delay" => duration(config.preempt_delay),
        "start_delay" => duration(config.start_delay),
        "sync_group" => config.sync_group.to_string(),
        "accept_mode" => config.accept_mode.to_string(),
        "virtual_addresses" => format!("vec![{}]", addresses(&config.virtual_addresses)),
        "link_local_first" => config.link_local_first.to_string(),
        "authentication" => match config.authentication {
            Authentication::None => "Authentication::None".to_owned(),
            Authentication::SimplePassword(_) => {
                "Authentication::SimplePassword(Password::truncated(b\"secret\"))".to_owned()
            }
            Authentication::Header(_) => {
                "Authentication::Header(HeaderKey::new(Password::truncated(b\"secret\")))"
                    .to_owned()
            }
            _ => return None,
        },
        "trailer" => match &config.trailer {
            Some(config) => format!("Some({})", trailer(config)?),
            None => "None".to_owned(),
        },
        "checksum" => match config.checksum {
            ChecksumPolicy::AcceptAny { send } => {
                format!("ChecksumPolicy::AcceptAny {{ send: ChecksumForm::{send:?} }}")
            }
            ChecksumPolicy::Strict(form) => {
                format!("ChecksumPolicy::Strict(ChecksumForm::{form:?})")
            }
            ChecksumPolicy::Auto { initially } => {
                format!("ChecksumPolicy::Auto {{ initially: ChecksumForm::{initially:?} }}")
            }
            _ => return None,
        },
        "address_list_mismatch" => {
            format!("AddressListPolicy::{:?}", config.address_list_mismatch)
        }
        "immediate_answer" => config.immediate_answer.to_string(),
        "release_from" => format!("ReleasePolicy::{:?}", config.release_from),
        "late_wake_rule" => config.late_wake_rule.to_string(),
        "send_failure" => format!("SendFailurePolicy::{:?}", config.send_failure),
        "addresses_lost" => format!("AddressesLostPolicy::{:?}", config.addresses_lost),
        "unicast_hop_limit" => match config.unicast_hop_limit {
            HopLimitPolicy::Any => "HopLimitPolicy::Any".to_owned(),
            HopLimitPolicy::AtLeast(least) => format!("HopLimitPolicy::AtLeast({least})"),
            _ => return None,
        },
        "guard" => match config.guard {
            Some(guard) if guard.max_vetoes.is_none() => format!(
                "Some(GuardConfig::new({}, Verdict::{:?}))",
                duration(guard.deadline),
                guard.default_verdict
            ),
            None => "None".to_owned(),
            Some(_) => return None,
        },
        "peers" => format!("vec![{}]", peers(&config.peers)),
        "paths" => format!("vec![{}]", paths(&config.paths)?),
        _ => return None,
    })
}

/// A secret is not printed: each is made of the key's number.
fn trailer(config: &TrailerConfig) -> Option<String> {
    let key = |id: u8| format!("TrailerKey::new({id}, &[{id}; 32])?");
    let (signing, others) = config.keys().split_first()?;
    let others = others.iter().map(|other| format!(".also_accept({})", key(other.id())));
    let others: String = others.collect();
    let anti_replay = match config.anti_replay {
        AntiReplay::Monotonic => ".anti_replay(AntiReplay::Monotonic)",
        AntiReplay::Time { window: None } => "",
        AntiReplay::Time { window: Some(_) } | _ => return None,
    };
    Some(format!(
        "TrailerConfig::new({}){others}.mode(TrailerMode::{:?}){anti_replay}",
        key(signing.id()),
        config.mode
    ))
}

fn paths(paths: &[PathConfig]) -> Option<String> {
    let path = |path: &PathConfig| match &path.mode {
        PathMode::Multicast => Some("PathConfig::multicast()".to_owned()),
        PathMode::Unicast { peers } => {
            Some(format!("PathConfig::unicast(vec![{}])", addresses(peers)))
        }
        _ => None,
    };
    paths.iter().map(path).collect::<Option<Vec<String>>>().map(|paths| paths.join(", "))
}

fn peers(peers: &[PeerConfig]) -> String {
    let peer = |peer: &PeerConfig| {
        format!("PeerConfig::new({:?}, vec![{}])", peer.name, addresses(&peer.addresses))
    };
    peers.iter().map(peer).collect::<Vec<String>>().join(", ")
}

fn path(path: PathId) -> String {
    format!("PathId::new({})", path.get())
}

fn addresses(addresses: &[IpAddr]) -> String {
    addresses.iter().map(|one| address(*one)).collect::<Vec<String>>().join(", ")
}

fn address(address: IpAddr) -> String {
    format!("\"{address}\".parse()?")
}

fn priority(priority: Priority) -> String {
    format!("Priority::new({priority})")
}

fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units = [(1_000_000_000, "secs"), (1_000_000, "millis"), (1_000, "micros"), (1, "nanos")];
    let unit = units.into_iter().find(|(unit, _)| nanos.is_multiple_of(*unit));
    match unit {
        _ if nanos == 0 => "Duration::ZERO".to_owned(),
        Some((unit, name)) => format!("Duration::from_{name}({})", nanos / unit),
        None => unreachable!("everything is whole nanoseconds"),
    }
}

fn chance(chance: Chance) -> String {
    match chance {
        Chance::NEVER => "Chance::NEVER".to_owned(),
        Chance::ALWAYS => "Chance::ALWAYS".to_owned(),
        other if other.as_ppm().is_multiple_of(10_000) => {
            format!("Chance::percent({})", other.as_ppm() / 10_000)
        }
        other => format!("Chance::ppm({})", other.as_ppm()),
    }
}

fn router(id: RouterId) -> String {
    format!("RouterId::from_index({})", id.index())
}

/// The fields that are not as by default.
fn literal<const N: usize>(name: &str, fields: [(&str, String, String); N]) -> String {
    let mut differing = String::new();
    for (field, value, default) in fields {
        if value != default {
            // Writing to a string does not fail.
            let _never = write!(differing, "{field}: {value}, ");
        }
    }
    if differing.is_empty() {
        format!("{name}::default()")
    } else {
        format!("{name} {{ {differing}..{name}::default() }}")
    }
}

fn link(link: &Link) -> String {
    let plain = Link::default();
    literal(
        "Link",
        [
            ("delay", duration(link.delay), duration(plain.delay)),
            ("jitter", duration(link.jitter), duration(plain.jitter)),
            ("reordering", chance(link.reordering), chance(plain.reordering)),
            ("held_back", duration(link.held_back), duration(plain.held_back)),
            ("loss", chance(link.loss), chance(plain.loss)),
            ("duplication", chance(link.duplication), chance(plain.duplication)),
        ],
    )
}

fn conditions(conditions: &Conditions) -> String {
    let (ours, plain) = (conditions, Conditions::default());
    literal(
        "Conditions",
        [
            ("install", duration(ours.install), duration(plain.install)),
            ("remove", duration(ours.remove), duration(plain.remove)),
            ("install_fails", chance(ours.install_fails), chance(plain.install_fails)),
            ("remove_fails", chance(ours.remove_fails), chance(plain.remove_fails)),
            ("effects_hang", chance(ours.effects_hang), chance(plain.effects_hang)),
            ("guard_takes", duration(ours.guard_takes), duration(plain.guard_takes)),
            ("guard_vetoes", chance(ours.guard_vetoes), chance(plain.guard_vetoes)),
            ("guard_hangs", chance(ours.guard_hangs), chance(plain.guard_hangs)),
            ("send_fails", chance(ours.send_fails), chance(plain.send_fails)),
            ("wake_latency", duration(ours.wake_latency), duration(plain.wake_latency)),
            ("spurious_wakes", chance(ours.spurious_wakes), chance(plain.spurious_wakes)),
            ("receive_queue", ours.receive_queue.to_string(), plain.receive_queue.to_string()),
            ("clock_drift", ours.clock_drift.to_string(), plain.clock_drift.to_string()),
        ],
    )
}

fn act(act: &Act) -> String {
    match act {
        Act::Wait => "Wait".to_owned(),
        Act::Start(id) => format!("Start({})", router(*id)),
        Act::Crash(id) => format!("Crash({})", router(*id)),
        Act::Kill(id) => format!("Kill({})", router(*id)),
        Act::Pause(id) => format!("Pause({})", router(*id)),
        Act::Resume(id) => format!("Resume({})", router(*id)),
        Act::ShutDown(id) => format!("ShutDown({})", router(*id)),
        Act::StartUp(id) => format!("StartUp({})", router(*id)),
        Act::LinkDown(id) => format!("LinkDown({})", router(*id)),
        Act::LinkUp(id) => format!("LinkUp({})", router(*id)),
        Act::SetPriority(id, to) => format!("SetPriority({}, {})", router(*id), priority(*to)),
        Act::StealAddresses(id) => format!("StealAddresses({})", router(*id)),
        Act::SendForgery(id, forgery) => {
            format!("SendForgery({}, Forgery::{forgery:?})", router(*id))
        }
        Act::Replay(id, after) => format!("Replay({}, {})", router(*id), duration(*after)),
        Act::Partition(first) => format!("Partition({first})"),
        Act::Cut(from, to) => format!("Cut({}, {})", router(*from), router(*to)),
        Act::Heal => "Heal".to_owned(),
        Act::SetLinks(to) => format!("SetLinks({})", link(to)),
        Act::SetPathLinks(on, to) => format!("SetPathLinks({}, {})", path(*on), link(to)),
        Act::FailPath(on, first, loss) => {
            format!("FailPath({}, {first}, {})", path(*on), chance(*loss))
        }
        Act::SetEcho(echo) => format!("SetEcho({})", chance(*echo)),
        Act::SetDisguise(source) => format!("SetDisguise({})", address(*source)),
        Act::SetConditions(id, to) => {
            format!("SetConditions({}, {})", router(*id), conditions(to))
        }
    }
}
