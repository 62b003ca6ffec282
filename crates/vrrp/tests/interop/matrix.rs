//! All combinations at once, and their table.

use core::time::Duration;

use crate::combination::{Auth, Combination, Peer};
use crate::document;
use crate::play::{self, Found, STEPS};

const KEEPALIVED: Combination = Combination::new(Peer::Keepalived);
const FRR: Combination = Combination::new(Peer::Frr);
const OURS: Combination = Combination::new(Peer::Ours);

pub(crate) const COMBINATIONS: [Combination; 27] = [
    KEEPALIVED.every(1_000),
    KEEPALIVED,
    KEEPALIVED.every(10),
    Combination { virtual_mac: true, ..KEEPALIVED },
    Combination { virtual_mac: true, our_mac: true, ..KEEPALIVED },
    KEEPALIVED.unicast(),
    Combination { old_checksum: true, ..KEEPALIVED.unicast() },
    KEEPALIVED.six(),
    Combination { virtual_mac: true, ..KEEPALIVED.six() },
    Combination { virtual_mac: true, our_mac: true, ..KEEPALIVED.six() },
    KEEPALIVED.six().unicast(),
    KEEPALIVED.two(Auth::None),
    KEEPALIVED.two(Auth::Pass),
    KEEPALIVED.two(Auth::Ah),
    KEEPALIVED.two(Auth::None).unicast(),
    KEEPALIVED.two(Auth::Pass).unicast(),
    KEEPALIVED.two(Auth::Ah).unicast(),
    FRR.every(1_000),
    FRR,
    FRR.every(10),
    Combination { our_mac: true, ..FRR },
    FRR.six(),
    Combination { our_mac: true, ..FRR.six() },
    FRR.two(Auth::None),
    OURS,
    OURS.six(),
    OURS.two(Auth::Ah),
];

#[test]
fn every_role_with_every_peer() {
    lab::need!(netns, keepalived, frr);
    let _measuring = lab::time_lock();
    let begin = std::time::Instant::now();
    let only = std::env::var("INTEROP_ONLY").unwrap_or_default();
    let chosen = COMBINATIONS.into_iter().filter(|line| line.to_string().contains(&only));
    // All at once. A process that does not run for a few intervals loses elections, and rightly so: what failed in the
    // crowd, or would fail in it for sure, is played again without it.
    let chosen: Vec<Combination> = chosen.collect();
    let mut rows: Vec<(Combination, Vec<Found>)> = std::thread::scope(|scope| {
        let plays: Vec<_> = chosen
            .into_iter()
            .map(|line| {
                (line, (line.interval >= CROWD).then(|| scope.spawn(move || play::play(line))))
            })
            .collect();
        let found = |play: std::thread::ScopedJoinHandle<'_, _>| {
            play.join().unwrap_or_else(|_| vec![Err("a panic".to_owned())])
        };
        plays.into_iter().map(|(line, play)| (line, play.map_or_else(Vec::new, found))).collect()
    });
    for (line, found) in &mut rows {
        for _attempt in 0..ATTEMPTS {
            if found.len() == STEPS.len() && found.iter().all(Result::is_ok) {
                break;
            }
            if let Some(failure) = failure(line, found) {
                println!("again: {failure}");
            }
            *found = play::play(*line);
        }
    }
    let table = table(&rows);
    println!("{table}\n{:.0?} in all", begin.elapsed());
    let failures: Vec<String> =
        rows.iter().filter_map(|(line, found)| failure(line, found)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if only.is_empty() {
        document::check("matrix", &table);
    }
}

/// Below this interval three missed advertisements are less than what the scheduler of a busy machine may cost.
const CROWD: Duration = Duration::from_millis(100);

/// The control: with a peer that takes none of our packets, or of whose we take none, the play ends where both are Master.
#[test]
fn who_does_not_hear_us_fails() {
    lab::need!(netns, keepalived);
    let lines = [
        Combination { message_only: true, ..KEEPALIVED },
        Combination { their_secret: "another", ..KEEPALIVED.two(Auth::Pass) },
        Combination { their_secret: "another", ..KEEPALIVED.two(Auth::Ah) },
    ];
    std::thread::scope(|scope| {
        let plays = lines.map(|line| (line, scope.spawn(move || play::play(line))));
        for (line, play) in plays {
            let found = play.join().unwrap();
            let failure = failure(&line, &found).expect("two Masters");
            assert_eq!(found.len(), 2, "{failure}");
            assert!(failure.contains("held: [Some(true), Some(true)]"), "{failure}");
        }
    });
}

/// How often a line is played again.
const ATTEMPTS: usize = 3;

/// The step that failed, and why.
fn failure(line: &Combination, found: &[Found]) -> Option<String> {
    let why = found.last()?.as_ref().err()?;
    Some(format!("{line}: {}: {why}", STEPS[found.len() - 1]))
}

/// The table as the document has it.
fn table(rows: &[(Combination, Vec<Found>)]) -> String {
    let mut lines = vec![
        format!(
            "| peer | version | family | authentication | mode | interval | {} |",
            STEPS.join(" | ")
        ),
        format!("|{}", "---|".repeat(6 + STEPS.len())),
    ];
    for (combination, found) in rows {
        let cells: Vec<String> = (0..STEPS.len()).map(|number| cell(found.get(number))).collect();
        lines.push(format!("| {combination} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

fn cell(found: Option<&Found>) -> String {
    match found {
        Some(Ok(Some(took))) => format!("{} ms", took.as_millis()),
        Some(Ok(None)) => "ok".to_owned(),
        Some(Err(_)) => "**failed**".to_owned(),
        None => "-".to_owned(),
    }
}
