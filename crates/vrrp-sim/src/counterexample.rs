//! What one would like to believe of VRRP, and what shows that it is not so.

use core::{fmt, net::IpAddr, time::Duration};

use fastrand::Rng;
use vrrp_fsm::{Config, ReleasePolicy};
use vrrp_proto::{AddressFamily, Priority, Version};

use crate::{
    Act, Chance, Conditions, End, Link, Participant, Round, RouterId, Scenario, chance::up_to,
    random::VRID,
};

/// A tempting claim about VRRP that is false: each is counted whenever a simulation shows it, and
/// [`scenario`](Self::scenario) makes one that does.
///
/// Some are excluded by [hardening](Self::hardening) that other routers do not notice. With that
/// they break an [`Invariant`](crate::Invariant), wherever they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Counterexample {
    /// "At most one router is Master": not on both sides of a cut.
    CutOff,
    /// "At most one router is Master": not when all advertisements of a master-down interval are
    /// lost or late.
    LostAdvertisements,
    /// "At most one router is Master": not while the former one stands still.
    StandsStill,
    /// "At most one router is Master": not when two timers expire within the delay of a packet.
    AtTheSameTime,
    /// "Some router is Master": not before somebody misses the one that went.
    NoMaster,
    /// "The Master has the highest priority": not where better routers do not preempt.
    WorseMaster,
    /// "One advertisement causes at most one answer": not for a Master that hears itself under
    /// another address. Where it can tell its own address it does not listen.
    AnswersItself,
    /// "A farewell is harmless when it is late": not if everybody's is believed
    /// ([`ReleasePolicy::Anyone`]).
    LateFarewell,
    /// "Of equal priorities the greater address is Master": only if both are Master at once.
    LowerAddress,
    /// "Two Masters hear each other": not where one direction is lost.
    OneWay,
    /// "A router that starts waits for the Master's advertisement": not if its own interval is
    /// shorter.
    Impatient,
    /// "Whoever resumes goes on as before": not if another router is Master by then
    /// ([`Config::late_wake_rule`]).
    LateWake,
    /// "The owner is Master": not of two; in version 2 neither listens. Version 3 has erratum 8298.
    TwoOwners,
    /// "The term orders masterships": each router counts its own. It is not a fencing token.
    EqualTerms,
}

impl Counterexample {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::CutOff,
        Self::LostAdvertisements,
        Self::StandsStill,
        Self::AtTheSameTime,
        Self::NoMaster,
        Self::WorseMaster,
        Self::AnswersItself,
        Self::LateFarewell,
        Self::LowerAddress,
        Self::OneWay,
        Self::Impatient,
        Self::LateWake,
        Self::TwoOwners,
        Self::EqualTerms,
    ];

    /// The name it is counted under, as [`Subject::Counterexample`](crate::Subject::Counterexample).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CutOff => "two masters: cut off",
            Self::LostAdvertisements => "two masters: lost or late packets",
            Self::StandsStill => "two masters: one stands still",
            Self::AtTheSameTime => "two masters: timers expire together",
            Self::NoMaster => "no master",
            Self::WorseMaster => "a worse master stays",
            Self::AnswersItself => "answers itself",
            Self::LateFarewell => "late farewell believed",
            Self::LowerAddress => "the lower address stays",
            Self::OneWay => "two masters, one hears the other",
            Self::Impatient => "impatient newcomer",
            Self::LateWake => "late wake goes on as master",
            Self::TwoOwners => "owner deaf to another owner",
            Self::EqualTerms => "terms do not order masterships",
        }
    }

    /// What excludes it, if anything does.
    #[must_use]
    pub const fn hardening(self) -> Option<&'static str> {
        match self {
            Self::AnswersItself => Some("the own-source filter"),
            Self::LateFarewell => Some("farewells are believed of the recorded Master only"),
            Self::LateWake => Some("the late wake rule"),
            Self::TwoOwners => Some("erratum 8298 of RFC 9568"),
            Self::CutOff
            | Self::LostAdvertisements
            | Self::StandsStill
            | Self::AtTheSameTime
            | Self::NoMaster
            | Self::WorseMaster
            | Self::LowerAddress
            | Self::OneWay
            | Self::Impatient
            | Self::EqualTerms => None,
        }
    }

    /// A scenario that shows it, each time another one; the same with what [excludes](Self::hardening)
    /// it if `hardened`.
    #[must_use]
    pub fn scenario(self, seed: u64, hardened: bool) -> Scenario {
        let mut story = Story::new(seed);
        self.tell(&mut story, hardened);
        story.finish()
    }

    fn tell(self, story: &mut Story, hardened: bool) {
        let [first, second, third] = [0, 1, 2].map(RouterId::from_index);
        // A master-down interval is at most four seconds.
        let long = Duration::from_secs(5) + up_to(&mut story.rng, Duration::from_secs(20));
        match self {
            Self::CutOff | Self::EqualTerms => {
                story.routers(&[200, 100]);
                story.act(long, Act::Partition(1));
            }
            Self::LostAdvertisements => {
                story.routers(&[200, 100]);
                story.act(long, Act::SetLinks(Link { loss: Chance::ALWAYS, ..Link::default() }));
            }
            Self::StandsStill => {
                story.routers(&[200, 100]);
                story.act(long, Act::Pause(first));
            }
            Self::AtTheSameTime => {
                // Clocks are less than a millisecond apart by then.
                story.link.delay += Duration::from_millis(1);
                let priority = story.rng.u8(1..=254);
                story.routers(&[priority, priority]);
            }
            Self::NoMaster => {
                story.routers(&[200, 100]);
                story.act(long, Act::Crash(first));
            }
            Self::WorseMaster => {
                story.routers(&[100, 200]);
                story.each(|config| config.preempt_mode(false));
                story.act(Duration::ZERO, Act::Crash(second));
                story.act(long, Act::Start(second));
            }
            Self::AnswersItself => {
                story.routers(&[200, 100]);
                if !hardened {
                    // Below ours, so that we do not yield to ourselves.
                    story.act(long, Act::SetDisguise(IpAddr::from([192, 0, 2, 2])));
                }
                story.act(long, Act::SetEcho(Chance::ALWAYS));
            }
            Self::LateFarewell => {
                story.routers(&[255, 254, 250]);
                if !hardened {
                    story.each(|config| config.release_from(ReleasePolicy::Anyone));
                }
                story.act(long, Act::ShutDown(first));
                // The second one takes over after 8 ms, the third one would after 23.
                story.act(Duration::ZERO, Act::Replay(third, Duration::from_millis(350)));
            }
            Self::LowerAddress => {
                let priority = story.rng.u8(1..=254);
                story.routers(&[priority, priority]);
                story.act(Duration::ZERO, Act::Crash(second));
                story.act(long, Act::Start(second));
            }
            Self::OneWay => {
                story.routers(&[200, 100]);
                story.act(long, Act::Cut(first, second));
                story.act(long, Act::Wait);
            }
            Self::Impatient => {
                story.routers(&[200, 100]);
                if let Some(newcomer) = story.routers.last_mut() {
                    newcomer.config.advertisement_interval = Duration::from_millis(100);
                }
                story.act(Duration::ZERO, Act::Crash(second));
                // After an advertisement of the Master, and long before the next one.
                if let Some(master) = story.routers.first_mut() {
                    master.config.advertisement_interval = Duration::from_secs(10);
                }
                story.act(Duration::from_secs(33), Act::Start(second));
            }
            Self::LateWake => {
                story.routers(&[200, 100]);
                if !hardened {
                    story.each(|config| config.late_wake_rule(false));
                }
                story.act(long, Act::Pause(first));
                story.act(long, Act::Resume(first));
            }
            Self::TwoOwners => {
                story.routers(&[255, 255]);
                if !hardened {
                    story.each(|config| config.version(Version::V2));
                }
                story.act(long, Act::Crash(second));
            }
        }
        story.act(long, Act::Wait);
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scenario as it is made.
struct Story {
    seed: u64,
    rng: Rng,
    link: Link,
    routers: Vec<Participant>,
    acts: Vec<(Duration, Act)>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let delay = Duration::from_micros(100) + up_to(&mut rng, Duration::from_millis(3));
        let link = Link { delay, ..Link::default() };
        Self { seed, rng, link, routers: Vec::new(), acts: Vec::new() }
    }

    /// Routers of these priorities, the later the greater the address.
    fn routers(&mut self, priorities: &[u8]) {
        for (priority, last) in priorities.iter().zip(10..) {
            let config = Config::new(VRID, AddressFamily::Ipv4)
                .priority(Priority::new(*priority))
                .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])]);
            let source = IpAddr::from([192, 0, 2, last]);
            let conditions = Conditions::default();
            let more_sources = Vec::new();
            self.routers.push(Participant { config, source, more_sources, conditions });
        }
    }

    fn each(&mut self, change: impl Fn(Config) -> Config) {
        for router in &mut self.routers {
            router.config = change(router.config.clone());
        }
    }

    fn act(&mut self, after: Duration, act: Act) {
        self.acts.push((after, act));
    }

    fn finish(self) -> Scenario {
        let Self { seed, link, routers, acts, .. } = self;
        let processes = Vec::new();
        let rounds = vec![Round { acts, end: End::Settle }];
        Scenario { seed, routers, processes, link, more_links: Vec::new(), rounds }
    }
}
