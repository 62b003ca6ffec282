//! A play: steps, each a cause, what follows from it, and the checks made from outside.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use lab::peers::Table;
use lab::probe::Gap;

use crate::demo::chart;
use crate::demo::events::{Change, What, Who};
use crate::demo::report;
use crate::demo::scene::Scene;
use crate::demo::stage::Stage;

/// How long a step waits for what it expects, unless it says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer to a probe may take.
const SETTLE: Duration = Duration::from_millis(250);

/// The running play.
pub(crate) struct Play {
    pub(crate) stage: Stage,
    pub(crate) steps: Vec<Step>,
    began: Duration,
}

/// A step that was played.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) checks: Vec<Check>,
    /// The gaps in service that the prober saw in it.
    pub(crate) gaps: Vec<Gap>,
}

/// One thing that a step checked.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) text: String,
    pub(crate) passed: bool,
}

impl Step {
    /// Notes a check, and hands back its verdict.
    pub(crate) fn check(&mut self, passed: bool, text: impl Into<String>) -> bool {
        self.checks.push(Check { text: text.into(), passed });
        passed
    }

    /// Notes that something of the lab itself failed.
    pub(crate) fn done<T>(&mut self, result: io::Result<T>, what: &str) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.check(false, format!("{what}: {error}"));
                None
            }
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// The longest gap that has ended.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.gaps.iter().filter_map(Gap::length).max().unwrap_or_default()
    }
}

impl Play {
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, steps: Vec::new(), began: lab::now() }
    }

    /// Plays one step and says on one line how it went. When the first fails, nothing runs: then the others are
    /// only counted.
    pub(crate) fn step(&mut self, title: &str, script: impl FnOnce(&mut Stage, &mut Step)) {
        let began = lab::now();
        let mut step = Step {
            title: title.to_owned(),
            began,
            ended: began,
            checks: Vec::new(),
            gaps: Vec::new(),
        };
        if self.steps.first().is_none_or(Step::passed) {
            script(&mut self.stage, &mut step);
        } else {
            step.check(false, "not played");
        }
        step.ended = lab::now();
        println!(
            "  step {} ({:.1} s): {title} ... {}",
            self.steps.len() + 1,
            step.ended.saturating_sub(step.began).as_secs_f64(),
            if step.passed() { "ok" } else { "FAILED" }
        );
        self.steps.push(step);
    }

    /// Tells the story and the verdicts; whether all passed.
    pub(crate) fn end(mut self, scene: &Scene) -> bool {
        let until = self.steps.last().map_or(self.began, |step| step.ended);
        let mut gaps = self.stage.prober.gaps(self.began, Duration::ZERO);
        // A gap belongs to the step in which it began. The silence before anybody starts and after everybody has
        // stopped is none.
        gaps.retain(|gap| gap.from <= until);
        for gap in gaps {
            if let Some(step) = self.steps.iter_mut().rfind(|step| step.began <= gap.from) {
                step.gaps.push(gap);
            }
        }
        print!("{}", report::timeline(&self.steps, scene, &self.stage));
        print!("{}", chart::draw(&self.steps, &self.stage));
        print!("{}", report::probing(&self.stage.prober.probes()));
        if !self.steps.iter().all(Step::passed) {
            print!("{}", report::daemon_logs(&mut self.stage));
        }
        print!("{}", report::verdicts(&self.steps));
        self.steps.iter().all(Step::passed)
    }
}

/// What both tutorials do and look at.
impl Stage {
    /// Notes a deed of the operator, now.
    pub(crate) fn act(&self, deed: impl Into<String>) {
        self.log.push(lab::now(), Who::Operator, What::Did(deed.into()));
    }

    /// Waits for the virtual address to come to or leave a director.
    pub(crate) fn wait_address(
        &self,
        step: &mut Step,
        director: usize,
        added: bool,
        since: Duration,
        patience: Duration,
    ) -> Option<Duration> {
        let wanted =
            |who, what: &What| who == Who::Director(director) && *what == What::Address { added };
        let at = self.log.wait(since, patience, wanted);
        if at.is_none() {
            let verb = if added { "take" } else { "give up" };
            step.check(
                false,
                format!("director {} did not {verb} the address in {patience:?}", director + 1),
            );
        }
        at
    }

    /// Checks with `ip addr` which director has the address: 0, 1 or none.
    pub(crate) fn check_holder(&self, step: &mut Step, scene: &Scene, holder: Option<usize>) {
        for (index, director) in self.directors.iter().enumerate() {
            let expected = holder == Some(index);
            let Some(shows) = step.done(director.shows(scene.virtual_address), "ip addr") else {
                continue;
            };
            let not = if shows { "" } else { "not " };
            step.check(
                shows == expected,
                format!("{} is {not}on director {}", scene.virtual_address, index + 1),
            );
        }
    }

    /// Waits until the client is served again, and checks that it is.
    pub(crate) fn check_served(
        &self,
        step: &mut Step,
        since: Duration,
        what: &str,
    ) -> Option<Duration> {
        let answered = self.prober.wait_answer(since, PATIENCE);
        step.check(answered.is_some(), what);
        answered
    }

    /// Waits until requests have been made since, and checks that none failed. Gives who answered.
    pub(crate) fn check_requests(
        &self,
        step: &mut Step,
        since: Duration,
        count: usize,
        what: &str,
    ) -> Option<String> {
        let requests = self.browser.wait(since, count);
        let failed: Vec<_> =
            requests.iter().filter_map(|request| request.answer.as_ref().err()).collect();
        let reason = failed
            .first()
            .map_or(String::new(), |why| format!(" ({} failed: {why})", failed.len()));
        step.check(
            failed.is_empty() && requests.len() >= count,
            format!(
                "{what}: {} of {} requests answered{reason}",
                requests.len() - failed.len(),
                requests.len()
            ),
        );
        requests.last().and_then(|request| request.answer.clone().ok())
    }

    /// Waits until the prober's answers to all probes before now are in, and checks the longest gap since.
    pub(crate) fn check_gap(&self, step: &mut Step, since: Duration, limit: Duration) {
        self.prober.wait_answer(lab::now() + SETTLE, PATIENCE);
        let gaps = self.prober.gaps(since, SETTLE);
        let ended: Option<Vec<_>> = gaps.iter().map(Gap::length).collect();
        let longest = ended.as_ref().map(|gaps| gaps.iter().max().copied().unwrap_or_default());
        let text = longest.map_or_else(
            || "the client is still without service".to_owned(),
            |gap| {
                let limit = report::milliseconds(limit);
                if gap.is_zero() {
                    return format!(
                        "the client was served all the time (a gap of {limit} would do)"
                    );
                }
                format!(
                    "the client was without service for {} (at most {limit})",
                    report::milliseconds(gap)
                )
            },
        );
        step.check(longest.is_some_and(|gap| gap <= limit), text);
    }

    /// Waits until a real server has entered or left a director's IPVS table; says when that was seen.
    pub(crate) fn wait_server(
        &self,
        step: &mut Step,
        director: usize,
        server: Ipv4Addr,
        added: bool,
        since: Duration,
        patience: Duration,
    ) -> Option<Duration> {
        let address = format!("{server}:80");
        let wanted =
            if added { Change::ServerAdded(address) } else { Change::ServerRemoved(address) };
        let wanted = What::Table(wanted);
        let at = self
            .log
            .wait(since, patience, |who, what| who == Who::Director(director) && *what == wanted);
        let verb = if added { "enters" } else { "leaves" };
        let took = at.map_or_else(
            || format!("not in {patience:?}"),
            |at| format!("after {:.1} s", at.saturating_sub(since).as_secs_f64()),
        );
        step.check(
            at.is_some(),
            format!("{server} {verb} director {}'s table: {took}", director + 1),
        );
        at
    }

    /// Checks with `ipvsadm -Ln` what a director's table is: the service with these real servers, or nothing.
    pub(crate) fn check_table(
        &self,
        step: &mut Step,
        scene: &Scene,
        director: usize,
        servers: &[Ipv4Addr],
    ) {
        let node = &self.directors[director].node;
        let Some(table) = step.done(Table::by_ipvsadm(node), "ipvsadm -Ln") else { return };
        let mut found: Vec<String> = Vec::new();
        for service in &table.services {
            found.push(format!(
                "{} {} {} {}",
                service.protocol, service.address, service.scheduler, service.flags
            ));
            let servers = service.destinations.iter();
            found.extend(
                servers.map(|to| format!("-> {} {} {}", to.address, to.forward, to.weight)),
            );
        }
        let mut expected = Vec::new();
        if !servers.is_empty() {
            expected.push(format!("TCP {} rr persistent 5", scene.service()));
            expected.extend(servers.iter().map(|server| format!("-> {server}:80 Route 1")));
        }
        let shown = if found.is_empty() { "empty".to_owned() } else { found.join(" ") };
        step.check(found == expected, format!("ipvsadm on director {}: {shown}", director + 1));
    }
}
