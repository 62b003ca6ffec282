//! The story: what happened, when, why, and what the client noticed.

use std::fmt::Write;
use std::time::Duration;

use lab::peers::Daemon;
use lab::probe::Probe;

use crate::demo::events::{Advertisement, Change, Event, What, Who};
use crate::demo::play::Step;
use crate::demo::scene::Scene;
use crate::demo::stage::Stage;

/// What will be played, and by whom.
pub(crate) fn opening(scene: &Scene, daemons: &[Daemon; 2]) -> String {
    let version =
        |daemon: &Daemon| daemon.version().map_or(String::new(), |version| format!(" {version}"));
    let [first, second] = daemons;
    let [one, two] = &scene.directors;
    let [client, ..] = scene.clients;
    let mut text = format!("\nTutorial {}: {}\n\n", scene.tutorial, scene.title);
    let mut machine = |name: &str, address, what: String| {
        let _ = writeln!(text, "  {name:<14}{address:<16} {what}");
    };
    let files = |index| {
        scene.configuration(index).file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    machine(
        "director 1",
        one.address.to_string(),
        format!("{}{} on {}", first.name(), version(first), files(0)),
    );
    machine(
        "director 2",
        two.address.to_string(),
        format!("{}{} on {}", second.name(), version(second), files(1)),
    );
    for (index, server) in scene.servers.iter().enumerate() {
        machine(&format!("real server {}", index + 1), server.to_string(), "nginx".to_owned());
    }
    machine(
        "client",
        client.to_string(),
        "asks 10 times a second, probes every millisecond".to_owned(),
    );
    machine(
        "",
        scene.virtual_address.to_string(),
        "is the address that the client asks".to_owned(),
    );
    text
}

/// All steps with their events.
pub(crate) fn timeline(steps: &[Step], scene: &Scene, stage: &Stage) -> String {
    let mut text = String::from("\nWhat happened (seconds since the step's first deed)\n");
    let events = stage.log.all();
    let teller = Teller {
        scene,
        daemons: [stage.directors[0].daemon.name(), stage.directors[1].daemon.name()],
        advertisements: stage.log.advertisements(),
    };
    for (index, step) in steps.iter().enumerate() {
        let until = steps.get(index + 1).map_or(step.ended, |next| next.began);
        let _ = writeln!(text, "\n{}. {}", index + 1, step.title);
        let begun = events.partition_point(|event| event.at < step.began);
        let ended = events.partition_point(|event| event.at < until);
        let own = events.get(begun..ended).unwrap_or_default();
        let deed = own
            .iter()
            .find(|event| event.who == Who::Operator)
            .map_or(step.began, |event| event.at);
        for event in own {
            let at = if event.at >= deed {
                format!("+{:.3}", event.at.saturating_sub(deed).as_secs_f64())
            } else {
                format!("-{:.3}", deed.saturating_sub(event.at).as_secs_f64())
            };
            let _ = writeln!(text, "  {at:>8}  {}", teller.line(event));
        }
        for gap in step.gaps.iter().filter(|gap| index > 0 && gap.lost > 2) {
            let from = gap.from.saturating_sub(deed).as_secs_f64();
            let Some(length) = gap.length() else { continue };
            let _ = writeln!(
                text,
                "            the client had no service for {}, from +{from:.3} on ({} probes lost)",
                milliseconds(length),
                gap.lost
            );
        }
        for check in &step.checks {
            let _ = writeln!(
                text,
                "            {} {}",
                if check.passed { '✓' } else { '✗' },
                check.text
            );
        }
    }
    text
}

/// Says events in words.
struct Teller<'a> {
    scene: &'a Scene,
    daemons: [&'static str; 2],
    advertisements: Vec<Advertisement>,
}

impl Teller<'_> {
    fn line(&self, event: &Event) -> String {
        let who = match event.who {
            Who::Operator => match &event.what {
                What::Did(deed) => return format!("> {deed}"),
                _ => return String::new(),
            },
            Who::Director(index) => format!("director {} ({})", index + 1, self.daemons[index]),
            Who::Client => "client".to_owned(),
        };
        let what = match &event.what {
            What::Did(text) => text.clone(),
            What::Address { added } => {
                let why = match event.who {
                    Who::Director(index) if *added => self.why_taken(event, index),
                    Who::Director(index) => self.why_left(event, index),
                    Who::Operator | Who::Client => None,
                };
                let verb = if *added { "takes" } else { "gives up" };
                format!(
                    "{verb} {}{}",
                    self.scene.virtual_address,
                    why.map_or(String::new(), |why| format!(": {why}"))
                )
            }
            What::Advertises { priority: 0 } => {
                "advertises priority 0: \"I am leaving\"".to_owned()
            }
            What::Advertises { priority } => format!("is master and says so: priority {priority}"),
            What::Announces => {
                "tells everybody where the address is now (gratuitous ARP)".to_owned()
            }
            What::Table(Change::ServiceAdded(service)) => format!("balances {service}"),
            What::Table(Change::ServiceRemoved(service)) => format!("no longer balances {service}"),
            What::Table(Change::ServerAdded(server)) => {
                format!("sends to the real server {server}")
            }
            What::Table(Change::ServerRemoved(server)) => {
                format!("no longer sends to the real server {server}")
            }
            What::Served { by } => format!("is served by {by}"),
            What::Failing { why } => format!("is not served: {why}"),
        };
        format!("{who:<24} {what}")
    }

    /// The last advertisement of a director before an event.
    fn heard(&self, director: usize, event: &Event) -> Option<Advertisement> {
        let before = self.advertisements.iter().rev().filter(|one| one.at <= event.at);
        before.copied().find(|one| one.director == director)
    }

    /// Why a director took the address: what it had heard, or not heard, of the other.
    fn why_taken(&self, event: &Event, index: usize) -> Option<String> {
        let (own, other) = (self.scene.directors[index].priority, 2 - index);
        let skew = self.scene.skew_time(index);
        let Some(last) = self.heard(1 - index, event) else {
            let interval = milliseconds(3 * INTERVAL + skew);
            return Some(format!("nobody else is heard in 3 x 1 s + skew time = {interval}"));
        };
        let since = event.at.saturating_sub(last.at);
        if last.priority == 0 {
            let (since, skew) = (milliseconds(since), milliseconds(skew));
            return Some(format!("{since} after director {other} left (skew time {skew})"));
        }
        if since > 2 * INTERVAL {
            let (since, due) = (milliseconds(since), milliseconds(3 * INTERVAL + skew));
            return Some(format!(
                "director {other} is silent for {since} (3 x 1 s + skew time = {due})"
            ));
        }
        (last.priority < own).then(|| {
            format!("its priority {own} is higher than director {other}'s {}", last.priority)
        })
    }

    /// Why a director gave the address up, where it did not say so itself.
    fn why_left(&self, event: &Event, index: usize) -> Option<String> {
        let recent =
            |one: &Advertisement| event.at.saturating_sub(one.at) < Duration::from_millis(100);
        let own = self.scene.directors[index].priority;
        let last = self.heard(1 - index, event).filter(recent).filter(|one| one.priority > own)?;
        Some(format!("director {} has the higher priority, {}", 2 - index, last.priority))
    }
}

/// The interval between advertisements in both tutorials.
const INTERVAL: Duration = Duration::from_secs(1);

/// How closely the prober asked.
pub(crate) fn probing(probes: &[Probe]) -> String {
    let mut between: Vec<Duration> = probes
        .windows(2)
        .filter_map(|pair| Some(pair.last()?.sent.saturating_sub(pair.first()?.sent)))
        .collect();
    between.sort_unstable();
    let quantile =
        |part: usize| between.get(between.len() * part / 1000).copied().unwrap_or_default();
    format!(
        "\nThe client's prober sent {} probes: median {} apart, 99.9 % within {}.\n",
        probes.len(),
        milliseconds(quantile(500)),
        milliseconds(quantile(999)),
    )
}

/// The daemons' last words, for those who look for the reason of a failure.
pub(crate) fn daemon_logs(stage: &mut Stage) -> String {
    let mut text = String::new();
    for (index, director) in stage.directors.iter_mut().enumerate() {
        let Some(process) = &mut director.process else { continue };
        let lines = process.lines();
        let ended = process
            .ended()
            .ok()
            .flatten()
            .map_or(String::new(), |status| format!(" (ended: {status})"));
        let _ = writeln!(
            text,
            "\nThe last lines of {} on director {}{ended}:",
            process.name(),
            index + 1
        );
        for line in lines.iter().skip(lines.len().saturating_sub(25)) {
            let _ = writeln!(text, "  {}", line.text);
        }
    }
    text
}

/// One line a step, and what failed below it.
pub(crate) fn verdicts(steps: &[Step]) -> String {
    let mut text = String::from("\n");
    let width = steps.iter().map(|step| step.title.len()).max().unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        let verdict = if step.passed() { "PASS" } else { "FAIL" };
        let gap = match step.longest_gap() {
            _ if index == 0 || !step.passed() || step.gaps.iter().any(|gap| gap.to.is_none()) => {
                String::new()
            }
            gap if gap < Duration::from_millis(3) => "no gap in service".to_owned(),
            gap => format!("{} without service", milliseconds(gap)),
        };
        let _ = writeln!(text, "{verdict} {}. {:<width$}  {gap}", index + 1, step.title);
        for check in step.checks.iter().filter(|check| !check.passed) {
            let _ = writeln!(text, "       {}", check.text);
        }
    }
    let passed = steps.iter().filter(|step| step.passed()).count();
    let _ = writeln!(text, "\n{passed} of {} steps passed", steps.len());
    text
}

/// `805 ms`, `1.2 ms`.
pub(crate) fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}
