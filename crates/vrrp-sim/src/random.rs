//! Scenarios by chance, with everything in them that has a bound.

use core::{net::IpAddr, time::Duration};

use fastrand::Rng;
use vrrp_fsm::{
    AddressesLostPolicy, AntiReplay, ChecksumPolicy, Config, GuardConfig, PathConfig, PathId,
    PeerConfig, ReleasePolicy, SendFailurePolicy, TrailerConfig, TrailerMode, Verdict,
};
use vrrp_proto::{
    AddressFamily, Authentication, ChecksumForm, HeaderKey, Password, Priority, TrailerKey,
    Version, Vrid,
};

use crate::{
    Act, Chance, Conditions, End, Forgery, Link, Participant, Round, RouterId, Scenario,
    chance::up_to,
};

impl Scenario {
    /// The scenario of this seed: two to five routers that can agree with each other (one version, one
    /// authentication, one address list), good and bad networks, every kind of fault.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Self::random_group(seed, None)
    }

    /// The same with one advertisement interval for all routers: 10 ms to 40 s in steps of 10 ms, or
    /// whole seconds for version 2, too.
    #[must_use]
    pub fn random_at(seed: u64, interval: Duration) -> Self {
        Self::random_group(seed, Some(interval))
    }

    fn random_group(seed: u64, interval: Option<Duration>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let group = Group::random(&mut rng, interval);
        let mut routers: Vec<Participant> =
            (0..group.size).map(|index| group.participant(&mut rng, index)).collect();
        let processes = if group.paired { pair(&mut routers) } else { Vec::new() };
        let interval = group.interval;
        // A Backup stands one missing advertisement: jitter, packets held back, late timers and clocks
        // that drift apart stay below that together.
        let link = Link {
            delay: up_to(&mut rng, interval / 8),
            jitter: if rng.bool() { Duration::ZERO } else { up_to(&mut rng, interval / 4) },
            reordering: Chance::percent(*pick(&mut rng, &[0, 0, 10])),
            held_back: up_to(&mut rng, interval / 2),
            ..Link::default()
        };
        // Where nothing else is late, a path may be slower than another by more than half an interval.
        let is_calm = link.jitter.is_zero() && link.reordering == Chance::NEVER;
        let slowest = if is_calm { interval * 3 / 4 } else { interval / 8 };
        let delay = |rng: &mut Rng| Link { delay: up_to(rng, slowest), ..link };
        let more_links = (1..group.paths.len()).map(|_| delay(&mut rng)).collect();
        let rounds = (0..rng.usize(1..=4)).map(|_| group.round(&mut rng, link)).collect();
        Self { seed, routers, processes, link, more_links, rounds }
    }
}

/// What the routers of one scenario have in common.
#[expect(clippy::struct_excessive_bools, reason = "independent choices")]
struct Group {
    size: usize,
    version: Version,
    /// Whether some speak the other version as well.
    mixed: bool,
    family: AddressFamily,
    authentication: Authentication,
    /// What its routers sign with, if they do: two of these to replace one by the other.
    keys: Vec<TrailerKey>,
    /// Whether some of its routers do not sign yet.
    partly_signed: bool,
    checksum: ChecksumPolicy,
    /// Whether each path is unicast.
    paths: Vec<bool>,
    /// Whether the others are known by name, as they have to be on several paths.
    named: bool,
    guarded: bool,
    /// Whether every host has two virtual routers, which change state together.
    paired: bool,
    /// The shortest interval of any.
    interval: Duration,
    /// Whether everybody has that one.
    same_interval: bool,
    addresses: Vec<IpAddr>,
}

impl Group {
    fn random(rng: &mut Rng, interval: Option<Duration>) -> Self {
        let whole_seconds = interval.is_none_or(|interval| interval.subsec_nanos() == 0);
        let version = if whole_seconds && one_in(rng, 5) { Version::V2 } else { Version::V3 };
        let family = match version {
            Version::V3 if one_in(rng, 3) => AddressFamily::Ipv6,
            Version::V2 | Version::V3 => AddressFamily::Ipv4,
        };
        let authentication = match version {
            Version::V2 => match rng.u8(0..4) {
                0 | 1 => Authentication::None,
                2 => Authentication::SimplePassword(Password::truncated(b"secret")),
                _ => Authentication::Header(HeaderKey::new(Password::truncated(b"secret"))),
            },
            Version::V3 => Authentication::None,
        };
        let signed = authentication == Authentication::None && one_in(rng, 6);
        let keys = if signed { keys(rng) } else { Vec::new() };
        let partly_signed = one_in(rng, 4);
        let form = if rng.bool() { ChecksumForm::PseudoHeader } else { ChecksumForm::MessageOnly };
        let checksum = if one_in(rng, 4) {
            ChecksumPolicy::Strict(form)
        } else {
            ChecksumPolicy::AcceptAny { send: form }
        };
        let same_interval = interval.is_some() || version == Version::V2 || !one_in(rng, 3);
        let interval = match (interval, version) {
            (Some(interval), _) => interval,
            (None, Version::V2) => Duration::from_secs(rng.u64(1..=3)),
            (None, Version::V3) => {
                Duration::from_millis(*pick(rng, &[10, 20, 50, 100, 1_000, 1_000, 5_000]))
            }
        };
        let whole_seconds = interval.subsec_nanos() == 0 && interval <= Duration::from_secs(40);
        let mixed =
            family == AddressFamily::Ipv4 && whole_seconds && same_interval && one_in(rng, 3);
        let addresses = (0..rng.u8(1..=3)).map(|index| virtual_address(family, index)).collect();
        let paths: Vec<bool> =
            (0..*pick(rng, &[1, 1, 1, 1, 2, 3])).map(|_| one_in(rng, 4)).collect();
        Self {
            size: rng.usize(2..=5),
            version,
            mixed,
            family,
            authentication,
            keys,
            partly_signed,
            checksum,
            named: paths.len() > 1 || one_in(rng, 8),
            paths,
            guarded: one_in(rng, 6),
            paired: one_in(rng, 8),
            interval,
            same_interval,
            addresses,
        }
    }

    fn participant(&self, rng: &mut Rng, index: usize) -> Participant {
        let source = self.source(index, 0);
        let others = || (0..self.size).filter(|other| *other != index);
        // Two owners of version 2 would never hear each other.
        let owner = self.version == Version::V3 || index == 0;
        let priority = if owner && one_in(rng, 8) {
            Priority::OWNER
        } else {
            let any = rng.u8(1..=254);
            Priority::new(*pick(rng, &[1, 50, 100, 100, 150, 200, 254, any]))
        };
        let interval =
            if self.same_interval { self.interval } else { self.interval * rng.u32(1..=4) };
        let path = |unicast: &bool| match unicast {
            true if self.named => PathConfig::unicast(Vec::new()),
            true => PathConfig::unicast(others().map(|other| self.source(other, 0)).collect()),
            false => PathConfig::multicast(),
        };
        let peer = |other| PeerConfig::new(format!("router {other}"), self.sources(other));
        let peers = if self.named { others().map(peer).collect() } else { Vec::new() };
        // Amid a change of version: who speaks both is understood by everybody.
        let both = self.mixed && rng.bool();
        let config = Config::new(VRID, self.family)
            .version(if both { Version::V3 } else { self.version })
            .also_version_2(both)
            .priority(priority)
            .advertisement_interval(interval)
            .missed_advertisements(*pick(rng, &[3, 3, 3, 2, 4, 5]))
            .preempt_mode(!one_in(rng, 5))
            .virtual_addresses(self.addresses.clone())
            .authentication(self.authentication)
            .trailer(self.trailer(rng))
            .announce_refresh(one_in(rng, 4).then_some(Duration::from_secs(1)))
            .checksum(self.checksum)
            .immediate_answer(!one_in(rng, 6))
            .late_wake_rule(!one_in(rng, 8))
            .release_from(if one_in(rng, 5) {
                ReleasePolicy::Anyone
            } else {
                ReleasePolicy::default()
            })
            .send_failure(if one_in(rng, 5) {
                SendFailurePolicy::Keep
            } else {
                SendFailurePolicy::default()
            })
            .addresses_lost(if rng.bool() {
                AddressesLostPolicy::StepDown
            } else {
                AddressesLostPolicy::default()
            })
            .preempt_delay(if one_in(rng, 5) { interval * rng.u32(1..=10) } else { Duration::ZERO })
            .start_delay(if one_in(rng, 8) { up_to(rng, interval * 4) } else { Duration::ZERO })
            .owner_skips_backup(!one_in(rng, 4))
            .advertise_before_yielding(one_in(rng, 6))
            .effect_deadline(Duration::from_secs(*pick(rng, &[1, 5, 60])))
            .guard(self.guard(rng, priority))
            .paths(self.paths.iter().map(path).collect())
            .peers(peers);
        let conditions = Conditions {
            install: up_to(rng, Duration::from_millis(300)),
            remove: up_to(rng, Duration::from_millis(300)),
            wake_latency: if rng.bool() { Duration::ZERO } else { up_to(rng, self.interval / 8) },
            guard_takes: up_to(rng, self.interval / 8),
            clock_drift: *pick(rng, DRIFTS),
            ..Conditions::default()
        };
        let more_sources = self.sources(index).split_off(1);
        Participant { config, source, more_sources, conditions }
    }

    /// Amid a change of keys, or before all sign: everybody understands everybody.
    fn trailer(&self, rng: &mut Rng) -> Option<TrailerConfig> {
        let signing = self.keys.get(rng.usize(..self.keys.len().max(1)))?;
        let others = self.keys.iter().filter(|key| *key != signing);
        let mode = match self.partly_signed {
            true if rng.bool() => TrailerMode::ReceiveOnly,
            true => TrailerMode::Permissive,
            false => TrailerMode::Enforce,
        };
        // Every host has a time of its own.
        let trailer = TrailerConfig::new(*signing).mode(mode).anti_replay(AntiReplay::Monotonic);
        Some(others.fold(trailer, |trailer, other| trailer.also_accept(*other)))
    }

    fn guard(&self, rng: &mut Rng, priority: Priority) -> Option<GuardConfig> {
        let verdict = if rng.bool() { Verdict::Promote } else { Verdict::Veto };
        let deadline = self.interval / rng.u32(1..=4);
        // A member of a sync group leaves it to the group.
        let guarded = self.guarded && !self.paired && !priority.is_owner();
        guarded.then_some(GuardConfig::new(deadline, verdict))
    }

    fn round(&self, rng: &mut Rng, link: Link) -> Round {
        let acts = (0..rng.usize(0..=12)).map(|_| self.act(rng, link)).collect();
        let end = *pick(rng, &[End::Settle, End::FailOver, End::HandOver]);
        Round { acts, end }
    }

    fn act(&self, rng: &mut Rng, link: Link) -> (Duration, Act) {
        let count = if self.paired { self.size * 2 } else { self.size };
        let id = RouterId::from_index(rng.usize(0..count));
        let other = RouterId::from_index(rng.usize(0..count));
        let act = match rng.u8(0..26) {
            0 => Act::Start(id),
            1 => Act::Crash(id),
            2 => Act::Kill(id),
            3 | 4 => Act::Pause(id),
            5 | 6 => Act::Resume(id),
            7 => Act::ShutDown(id),
            8 => Act::StartUp(id),
            9 => Act::LinkDown(id),
            10 => Act::LinkUp(id),
            // Members of a group that differ in what they are best at may serve nothing.
            11 if self.paired => Act::Wait,
            11 => Act::SetPriority(id, Priority::new(rng.u8(1..=254))),
            12 => Act::StealAddresses(id),
            13 | 14 => Act::SendForgery(id, *pick(rng, &Forgery::ALL)),
            15 => Act::Partition(rng.usize(1..=count)),
            16 => Act::Cut(id, other),
            17 => Act::Heal,
            18 | 19 => Act::SetLinks(Link {
                loss: Chance::percent(*pick(rng, &[0, 1, 10, 30, 60])),
                duplication: Chance::percent(*pick(rng, &[0, 5, 50])),
                jitter: if one_in(rng, 4) { self.interval * 3 } else { link.jitter },
                reordering: Chance::percent(*pick(rng, &[0, 0, 20, 50])),
                held_back: up_to(rng, self.interval * 5),
                ..link
            }),
            20 => Act::Replay(id, up_to(rng, self.interval * 4)),
            21 => Act::SetEcho(Chance::percent(*pick(rng, &[0, 50, 100]))),
            22 => Act::SetDisguise(self.source(self.size, 0)),
            23 if self.paths.len() > 1 => {
                let loss = Chance::percent(*pick(rng, &[0, 30, 100, 100]));
                Act::FailPath(self.any_path(rng), rng.usize(1..=count), loss)
            }
            24 if self.paths.len() > 1 => Act::SetPathLinks(
                self.any_path(rng),
                Link {
                    delay: up_to(rng, self.interval * 3),
                    loss: Chance::percent(*pick(rng, &[0, 10, 100])),
                    ..link
                },
            ),
            _ => Act::SetConditions(id, self.bad_conditions(rng)),
        };
        // Sometimes at once, often about when timers expire, sometimes much later.
        let after = match rng.u8(0..4) {
            0 => up_to(rng, self.interval),
            1 | 2 => up_to(rng, self.interval * 5),
            _ => up_to(rng, self.interval * 40),
        };
        (after, act)
    }

    fn bad_conditions(&self, rng: &mut Rng) -> Conditions {
        let mut chance = || Chance::percent(*pick(rng, &[0, 0, 30, 100]));
        let (install_fails, remove_fails, send_fails) = (chance(), chance(), chance());
        let (guard_vetoes, guard_hangs, effects_hang) = (chance(), chance(), chance());
        Conditions {
            install: up_to(rng, self.interval * 4),
            remove: up_to(rng, self.interval * 4),
            install_fails,
            remove_fails,
            effects_hang,
            guard_takes: up_to(rng, self.interval * 2),
            guard_vetoes,
            guard_hangs,
            send_fails,
            wake_latency: up_to(rng, self.interval / 8),
            spurious_wakes: Chance::percent(20),
            receive_queue: *pick(rng, &[256, 2]),
            // A tenth: neither NTP nor any oscillator is that wrong.
            clock_drift: rng.i32(-100_000..=100_000),
        }
    }

    fn any_path(&self, rng: &mut Rng) -> PathId {
        PathId::new(u8::try_from(rng.usize(..self.paths.len())).unwrap_or_default())
    }

    /// Its address on each path.
    fn sources(&self, index: usize) -> Vec<IpAddr> {
        (0..self.paths.len()).zip(0..).map(|(_, path)| self.source(index, path)).collect()
    }

    fn source(&self, index: usize, path: u8) -> IpAddr {
        let last = u8::try_from(index).unwrap_or(u8::MAX - 10) + 10;
        match self.family {
            AddressFamily::Ipv4 => IpAddr::from([192, 0, 2 + path, last]),
            AddressFamily::Ipv6 => {
                IpAddr::from([0xfe80, 0, 0, 0, 0, u16::from(path), 0, u16::from(last)])
            }
        }
    }
}

/// Makes two virtual routers of each, in one process.
fn pair(routers: &mut Vec<Participant>) -> Vec<Vec<RouterId>> {
    let both = |mut router: Participant| {
        router.config.sync_group = true;
        let mut other = router.clone();
        other.config.vrid = OTHER_VRID;
        [router, other]
    };
    *routers = core::mem::take(routers).into_iter().flat_map(both).collect();
    let first = (0..routers.len()).step_by(2);
    first.map(|index| [index, index + 1].map(RouterId::from_index).to_vec()).collect()
}

/// Clocks as they are bought, and up to a percent wrong, in parts per million.
const DRIFTS: &[i32] = &[0, 0, 500, -500, 5_000, -10_000, 10_000];

/// The virtual router of all scenarios made here.
pub(crate) const VRID: Vrid = match Vrid::new(51) {
    Ok(vrid) => vrid,
    Err(_) => unreachable!(),
};

/// The other one of a pair.
const OTHER_VRID: Vrid = match Vrid::new(53) {
    Ok(vrid) => vrid,
    Err(_) => unreachable!(),
};

fn virtual_address(family: AddressFamily, index: u8) -> IpAddr {
    match family {
        AddressFamily::Ipv4 => IpAddr::from([192, 0, 2, 100 + index]),
        AddressFamily::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 1, u16::from(index)]),
    }
}

/// One or two keys, each with a secret made of its number.
fn keys(rng: &mut Rng) -> Vec<TrailerKey> {
    (1..=rng.u8(1..=2)).filter_map(|id| TrailerKey::new(id, &[id; 32]).ok()).collect()
}

fn one_in(rng: &mut Rng, number: u32) -> bool {
    rng.u32(0..number) == 0
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    let index = rng.usize(0..from.len());
    from.get(index).unwrap_or_else(|| unreachable!("the index is below the length"))
}
