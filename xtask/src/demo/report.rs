//! The story: what happened, when, why, and what the client noticed.

use std::fmt::Write;
use std::time::Duration;

use lab::peers::Daemon;
use lab::probe::Probe;

use crate::demo::events::{Change, Event, What, Who};
use crate::demo::play::Step;
use crate::demo::scene::Scene;
use crate::demo::stage::Stage;

/// What will be played, and by whom.
pub(crate) fn opening(scene: &Scene, daemons: &[Daemon; 2]) -> String {
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
    machine("director 1", one.address.to_string(), format!("{} on {}", first.name(), files(0)));
    machine("director 2", two.address.to_string(), format!("{} on {}", second.name(), files(1)));
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
pub(crate) fn timeline(steps: &[Step], stage: &Stage) -> String {
    let mut text = String::from("\nWhat happened (seconds since the step's first deed)\n");
    let events = stage.log.all();
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
        for (position, event) in own.iter().enumerate() {
            let before = events.get(..begun + position).unwrap_or_default();
            let at = if event.at >= deed {
                format!("+{:.3}", event.at.saturating_sub(deed).as_secs_f64())
            } else {
                format!("-{:.3}", deed.saturating_sub(event.at).as_secs_f64())
            };
            let _ = writeln!(text, "  {at:>8}  {}", line(event, before, &stage_names(stage)));
        }
        for gap in step.gaps.iter().filter(|gap| index > 0 && gap.lost > 2) {
            let from = gap.from.saturating_sub(deed).as_secs_f64();
            let length = gap.length().map_or_else(|| "to the end".to_owned(), milliseconds);
            let _ = writeln!(
                text,
                "            the client had no service from +{from:.3} on: {length}"
            );
        }
    }
    text
}

/// The daemons' names.
fn stage_names(stage: &Stage) -> [&'static str; 2] {
    [stage.directors[0].daemon.name(), stage.directors[1].daemon.name()]
}

fn line(event: &Event, before: &[Event], daemons: &[&str; 2]) -> String {
    let who = match event.who {
        Who::Operator => return format!("> {}", deed(&event.what)),
        Who::Director(index) => format!("director {} ({})", index + 1, daemons[index]),
        Who::Client => "client".to_owned(),
    };
    let what = match &event.what {
        What::Did(text) => text.clone(),
        What::Address { added: true } => {
            format!(
                "takes the address{}",
                why(event, before).map_or(String::new(), |why| format!(": {why}"))
            )
        }
        What::Address { added: false } => "gives up the address".to_owned(),
        What::Advertises { priority: 0 } => "advertises priority 0: \"I am leaving\"".to_owned(),
        What::Advertises { priority } => format!("is master now: advertises priority {priority}"),
        What::Announces => "tells the network by gratuitous ARP".to_owned(),
        What::Table(Change::ServiceAdded(service)) => format!("balances {service}"),
        What::Table(Change::ServiceRemoved(service)) => format!("no longer balances {service}"),
        What::Table(Change::ServerAdded(server)) => format!("adds the real server {server}"),
        What::Table(Change::ServerRemoved(server)) => format!("removes the real server {server}"),
        What::Served { by } => format!("is served by {by}"),
        What::Failing { why } => format!("is not served: {why}"),
    };
    format!("{who:<24} {what}")
}

fn deed(what: &What) -> &str {
    match what {
        What::Did(text) => text,
        _ => "",
    }
}

/// Why a director took the address: what it had heard, or not heard, of the other.
fn why(event: &Event, before: &[Event]) -> Option<String> {
    let Who::Director(index) = event.who else { return None };
    let other = Who::Director(1 - index);
    let last =
        before.iter().rev().find(|earlier| matches!(earlier.what, What::Advertises { .. }))?;
    let since = milliseconds(event.at.saturating_sub(last.at));
    match last.what {
        What::Advertises { priority: 0 } if last.who == other => {
            Some(format!("{since} after the other's priority 0"))
        }
        _ => None,
    }
}

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
pub(crate) fn daemon_logs(stage: &Stage) -> String {
    let mut text = String::new();
    for (index, director) in stage.directors.iter().enumerate() {
        let Some(process) = &director.process else { continue };
        let lines = process.lines();
        let _ = writeln!(text, "\nThe last lines of {} on director {}:", process.name(), index + 1);
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
            _ if index == 0 => String::new(),
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
