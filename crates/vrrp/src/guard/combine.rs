//! Guards made of guards.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use reactor::Clock;
use vrrp_fsm::Verdict;

use super::{Guard, Question};
use crate::handle::answer;

/// One of several.
struct Member {
    guard: Arc<dyn Guard>,
    timeout: Duration,
    default: Verdict,
    /// It has not come back from an earlier question.
    busy: Arc<AtomicBool>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, default, .. } = self;
        f.debug_struct("Member").field("timeout", timeout).field("default", default).finish()
    }
}

macro_rules! members {
    () => {
        /// None yet.
        pub const fn new() -> Self {
            Self { members: Vec::new() }
        }

        /// Adds a guard. `default` is its verdict if it has none after `timeout`, if it panics, or if it still is at an earlier
        /// question.
        pub fn and(
            mut self,
            guard: impl Guard + 'static,
            timeout: Duration,
            default: Verdict,
        ) -> Self {
            let busy = Arc::new(AtomicBool::new(false));
            self.members.push(Member { guard: Arc::new(guard), timeout, default, busy });
            self
        }
    };
}

/// A guard that promotes when all of several do. They are asked at the same time, and the first veto decides.
///
/// ```
/// # use core::time::Duration;
/// use vrrp::{AllOf, GatewayPing, GuardConfig, Verdict, VipProbe, VirtualRouter, Vrid};
///
/// let limit = Duration::from_millis(150);
/// let both = AllOf::new()
///     .and(VipProbe::new(), limit, Verdict::Promote)
///     .and(GatewayPing::new(["192.0.2.254".parse()?]), limit, Verdict::Veto);
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .address("192.0.2.100/24".parse()?)
///     .guarded_by(GuardConfig::new(limit * 2, Verdict::Veto), both);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct AllOf {
    members: Vec<Member>,
}

impl AllOf {
    members!();
}

/// A guard that promotes when one of several does. They are asked at the same time, and the first to promote decides.
#[derive(Debug, Default)]
#[must_use]
pub struct AnyOf {
    members: Vec<Member>,
}

impl AnyOf {
    members!();
}

impl Guard for AllOf {
    fn ask(&self, question: &Question) -> Verdict {
        ask(&self.members, question, Verdict::Veto)
    }

    fn handle_master(&self, master: bool) {
        tell(&self.members, master);
    }

    fn fencing_token(&self) -> Option<u64> {
        token(&self.members)
    }
}

impl Guard for AnyOf {
    fn ask(&self, question: &Question) -> Verdict {
        ask(&self.members, question, Verdict::Promote)
    }

    fn handle_master(&self, master: bool) {
        tell(&self.members, master);
    }

    fn fencing_token(&self) -> Option<u64> {
        token(&self.members)
    }
}

/// Asks all: `decisive` if one says so, else the other verdict. Each runs on a thread of its own, at most one a member.
fn ask(members: &[Member], question: &Question, decisive: Verdict) -> Verdict {
    let start = Clock::now();
    let (tell, verdicts) = crossbeam_channel::unbounded();
    for (index, member) in members.iter().enumerate() {
        if !member.start(index, question, &tell) {
            answer(&tell, (index, member.default));
        }
    }
    drop(tell);
    let mut waiting: Vec<(usize, &Member)> = members.iter().enumerate().collect();
    while let Some((_, first)) = waiting.iter().min_by_key(|(_, member)| member.timeout) {
        let until = start + first.timeout;
        match next(&verdicts, until) {
            Some((_, verdict)) if verdict == decisive => return decisive,
            Some((index, _)) => waiting.retain(|(other, _)| *other != index),
            // Those whose time is over have their default verdicts.
            None => {
                let now = Clock::now();
                let over = |member: &Member| start + member.timeout <= now.max(until);
                if waiting.iter().any(|(_, member)| over(member) && member.default == decisive) {
                    return decisive;
                }
                waiting.retain(|(_, member)| !over(member));
            }
        }
    }
    match decisive {
        Verdict::Promote => Verdict::Veto,
        Verdict::Veto => Verdict::Promote,
    }
}

/// The next verdict. `None` when there is none before `until`.
fn next(
    verdicts: &Receiver<(usize, Verdict)>,
    until: std::time::Instant,
) -> Option<(usize, Verdict)> {
    // Who panicked has dropped its end and is no different from one that hangs; when all have, there is nothing to wait for.
    verdicts.recv_deadline(until).ok()
}

fn tell(members: &[Member], master: bool) {
    for member in members {
        member.guard.handle_master(master);
    }
}

fn token(members: &[Member]) -> Option<u64> {
    members.iter().find_map(|member| member.guard.fencing_token())
}

impl Member {
    /// Asks it on a thread; false if it still is at an earlier question, or there is no thread to be had.
    fn start(&self, index: usize, question: &Question, tell: &Sender<(usize, Verdict)>) -> bool {
        if self.busy.swap(true, Ordering::AcqRel) {
            return false;
        }
        let (guard, busy) = (Arc::clone(&self.guard), Arc::clone(&self.busy));
        let (question, tell, default) = (question.clone(), tell.clone(), self.default);
        let run = move || {
            let verdict = catch_unwind(AssertUnwindSafe(|| guard.ask(&question)));
            busy.store(false, Ordering::Release);
            // Nobody listens after the deadline.
            answer(&tell, (index, verdict.unwrap_or(default)));
        };
        let started = std::thread::Builder::new().name("vrrp-guard".to_owned()).spawn(run).is_ok();
        if !started {
            self.busy.store(false, Ordering::Release);
        }
        started
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrp_fsm::Reason;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(10);

    fn question() -> Question {
        Question {
            name: Arc::from("web"),
            addresses: Vec::new(),
            interfaces: Vec::new(),
            reason: Reason::MasterSilent,
            deadline: LONG,
        }
    }

    fn says(verdict: Verdict) -> impl Guard {
        move |_: &Question| verdict
    }

    /// One that never comes back.
    fn hangs() -> impl Guard {
        move |_: &Question| {
            let (_never, wait) = crossbeam_channel::bounded::<()>(0);
            loop {
                assert!(wait.recv_timeout(LONG).is_err());
            }
        }
    }

    fn panics() -> impl Guard {
        |_: &Question| -> Verdict { unreachable!("it panics, which this test wants") }
    }

    #[test]
    fn all_of_and_any_of_are_and_and_or() {
        use Verdict::{Promote, Veto};
        for (a, b) in [(Promote, Promote), (Promote, Veto), (Veto, Promote), (Veto, Veto)] {
            let all = AllOf::new().and(says(a), LONG, Veto).and(says(b), LONG, Veto);
            let any = AnyOf::new().and(says(a), LONG, Veto).and(says(b), LONG, Veto);
            let (both, one) = ((a, b) == (Promote, Promote), [a, b].contains(&Promote));
            assert_eq!(all.ask(&question()) == Promote, both, "{a} {b}");
            assert_eq!(any.ask(&question()) == Promote, one, "{a} {b}");
        }
        assert_eq!(AllOf::new().ask(&question()), Promote);
        assert_eq!(AnyOf::new().ask(&question()), Veto);
    }

    #[test]
    fn who_hangs_or_panics_has_its_default_verdict() {
        use Verdict::{Promote, Veto};
        for default in [Promote, Veto] {
            let all = AllOf::new().and(hangs(), SHORT, default).and(says(Promote), LONG, Veto);
            // The second time it still is at the first question, and nobody waits.
            assert_eq!((all.ask(&question()), all.ask(&question())), (default, default));
            let all = AllOf::new().and(panics(), LONG, default).and(says(Promote), LONG, Veto);
            assert_eq!((all.ask(&question()), all.ask(&question())), (default, default));
        }
        // Nobody waits for the one that hangs when another decides.
        let all = AllOf::new().and(hangs(), LONG, Promote).and(says(Veto), LONG, Promote);
        assert_eq!(all.ask(&question()), Veto);
        let any = AnyOf::new().and(hangs(), LONG, Veto).and(says(Promote), LONG, Veto);
        assert_eq!(any.ask(&question()), Promote);
    }
}
