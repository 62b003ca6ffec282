//! What the others do that is not ours, the RFC's or each other's way: asked of each, for the document.

use core::time::Duration;

use crate::combination::{Auth, Combination, Peer, Rank};
use crate::document;
use crate::stage::{Stage, Step};
use crate::wire::{Heard, Summed, Who};

type Question = fn(Combination) -> Step<String>;

/// What is asked, what tells, and what is to be known about ours.
const QUESTIONS: [(&str, Question, &str); 20] = [
    ("checksum sent in v3 over IPv4", checksum, "`checksum`"),
    (
        "a Backup hears the RFC 9568 checksum",
        message_only,
        "all are taken; one only with `checksum(ChecksumPolicy::Strict(..))`",
    ),
    (
        "`old_unicast_checksum`",
        old_checksum,
        "taken; answered in kind with `checksum(ChecksumPolicy::Auto { .. })`",
    ),
    (
        "hop limits: IPv4, IPv6, IPv4 unicast, IPv6 unicast",
        hop_limits,
        "255 is demanded of multicast; of unicast see `unicast_hop_limit`",
    ),
    ("source MAC address", mac, ""),
    ("order of addresses in an advertisement", order, ""),
    (
        "order of IPv6 addresses, a global one configured first",
        order_six,
        "also discarded where heard; `link_local_first(false)` allows it",
    ),
    ("v3, own interval 1 s, the Master's 0.1 s: takes over after", interval, ""),
    ("v2, own interval 2 s, the Master's 1 s", interval_two, "RFC 3768 §7.1"),
    (
        "a Backup with one address more than we advertise, v3",
        mismatch,
        "told as an event; `address_list_mismatch`",
    ),
    ("a Backup with one address more than we advertise, v2", mismatch_two, "RFC 3768 §7.1"),
    ("a Backup with the addresses in another order, v2", other_order, ""),
    ("equal priorities, both Master after a partition: who stays", equal, ""),
    ("equal priorities, starts later with the greater address", equal_later, ""),
    ("a Master hears a lower priority, after a partition", losing, "`immediate_answer`"),
    ("hears nothing of us for a while, becomes Master: until", deaf, ""),
    ("v3 over IPv6, after priority 0: first advertisement after", first_of_six, ""),
    ("all processes killed: the addresses", killed, "until the next start, which removes them"),
    (
        "a Master that is not the owner accepts packets for the addresses",
        accepts,
        "`accept_mode`, with the RFC not by default",
    ),
    ("priority 255: Master after", owner, ""),
];

/// How many questions are asked at the same time.
const CROWD: usize = 6;

#[test]
fn what_the_others_do_differently() {
    lab::need!(netns, keepalived, frr);
    let _measuring = lab::time_lock();
    let peers = [Peer::Keepalived, Peer::Frr, Peer::Ours].map(Combination::new);
    let mut answers: Vec<[Step<String>; 3]> = Vec::new();
    for questions in QUESTIONS.chunks(CROWD) {
        std::thread::scope(|scope| {
            let asked: Vec<_> = questions
                .iter()
                .map(|(_, ask, _)| peers.map(|peer| scope.spawn(move || ask(peer))))
                .collect();
            let answer = |asked: std::thread::ScopedJoinHandle<'_, Step<String>>| {
                asked.join().unwrap_or_else(|_| Err("a panic".to_owned()))
            };
            answers.extend(asked.into_iter().map(|all| all.map(answer)));
        });
    }
    // Again without the crowd, which may have made somebody late.
    for ((question, ask, _), all) in QUESTIONS.iter().zip(&mut answers) {
        for (answer, peer) in all.iter_mut().zip(peers) {
            if let Err(failure) = answer {
                println!("again: {question}: {failure}");
                *answer = ask(peer);
            }
        }
    }
    let mut lines = vec![
        "| | keepalived | FRR | ours | of ours |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let mut failures = Vec::new();
    for ((question, _, note), answers) in QUESTIONS.iter().zip(answers) {
        let [keepalived, frr, ours] = answers.map(|answer| {
            answer.unwrap_or_else(|failure| {
                failures.push(format!("{question}: {failure}"));
                "**failed**".to_owned()
            })
        });
        lines.push(format!("| {question} | {keepalived} | {frr} | {ours} | {note} |"));
    }
    let table = lines.join("\n");
    println!("{table}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    document::check("differences", &table);
}

const HIGH: Rank = Rank::new(200);
const LOW: Rank = Rank::new(100);

/// They alone, as Master: their first advertisement.
fn alone(combination: Combination, rank: Rank) -> Step<Heard> {
    let mut stage = Stage::new(combination);
    stage.start(Who::They, rank)?;
    stage.wait("an advertisement", |stage| stage.heard.first().cloned())
}

fn summed(heard: &Heard) -> &'static str {
    match heard.summed {
        Summed::Message => "message only",
        Summed::PseudoHeader => "pseudo-header",
        Summed::GroupPseudoHeader => "pseudo-header with the multicast group",
        Summed::Wrong => "wrong",
    }
}

fn checksum(line: Combination) -> Step<String> {
    Ok(summed(&alone(line, LOW)?).to_owned())
}

fn old_checksum(line: Combination) -> Step<String> {
    match line.peer {
        Peer::Frr => return Ok("no unicast".to_owned()),
        Peer::Ours => return Ok("no such option".to_owned()),
        Peer::Keepalived => {}
    }
    Ok(summed(&alone(Combination { old_checksum: true, ..line.unicast() }, LOW)?).to_owned())
}

/// We are Master; what does their Backup make of it?
fn follows(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line);
    stage.start(Who::We, HIGH)?;
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    stage.start(Who::They, LOW)?;
    stage.listen();
    let since = stage.heard.len();
    // Two Master-down intervals of the longer kind.
    let number = if line.version == 2 { 14 } else { 10 };
    stage.wait("enough advertisements", |stage| {
        let ours = stage.heard[since..].iter().filter(|heard| heard.from == Who::We);
        (ours.count() >= number).then_some(())
    })?;
    let theirs = stage.heard[since..].iter().any(|heard| heard.from == Who::They);
    Ok(if theirs { "discards it: both are Master" } else { "follows" }.to_owned())
}

fn message_only(line: Combination) -> Step<String> {
    follows(Combination { message_only: true, ..line })
}

fn mismatch(line: Combination) -> Step<String> {
    follows(Combination { their_addresses: Some(&["192.0.2.100/24", "192.0.2.101/24"]), ..line })
}

fn other_order(line: Combination) -> Step<String> {
    follows(Combination {
        our_addresses: Some(&["192.0.2.100/24", "192.0.2.102/24", "192.0.2.101/24"]),
        their_addresses: Some(&["192.0.2.101/24", "192.0.2.102/24", "192.0.2.100/24"]),
        ..line.two(Auth::None)
    })
}

fn mismatch_two(line: Combination) -> Step<String> {
    mismatch(line.two(Auth::None))
}

fn interval_two(line: Combination) -> Step<String> {
    follows(Combination { their_interval: Some(Duration::from_secs(2)), ..line.two(Auth::None) })
}

fn hop_limits(line: Combination) -> Step<String> {
    let mut all = vec![line, line.six()];
    if line.peer != Peer::Frr {
        all.extend([line.unicast(), line.six().unicast()]);
    }
    let limits: Step<Vec<String>> =
        all.into_iter().map(|line| Ok(alone(line, LOW)?.hop_limit.to_string())).collect();
    Ok(limits?.join(", "))
}

fn mac(line: Combination) -> Step<String> {
    let heard = alone(line, LOW)?;
    let is_virtual = heard.mac == [0, 0, 0x5e, 0, 1, crate::combination::VRID];
    Ok(if is_virtual { "the virtual router's" } else { "the interface's" }.to_owned())
}

fn order(line: Combination) -> Step<String> {
    let addresses = &["192.0.2.102/24", "192.0.2.100/24", "192.0.2.101/24"];
    order_of(Combination { their_addresses: Some(addresses), ..line })
}

fn order_six(line: Combination) -> Step<String> {
    let answer = order_of(Combination {
        their_addresses: Some(&["2001:db8::101/64", "fe80::100/64", "2001:db8::100/64"]),
        ..line.six()
    });
    match answer {
        Err(why) if why.contains("refused: ") => Ok("an error in the configuration".to_owned()),
        other => other,
    }
}

fn order_of(line: Combination) -> Step<String> {
    let heard = alone(line, LOW)?;
    let shown: Vec<String> = heard.addresses.iter().map(ToString::to_string).collect();
    let configured: Vec<&str> =
        line.their_addresses().iter().map(|address| address.split('/').next().unwrap()).collect();
    if shown == configured {
        return Ok("as configured".to_owned());
    }
    let mut sorted = heard.addresses.clone();
    sorted.sort_unstable();
    if sorted == heard.addresses {
        return Ok("ascending".to_owned());
    }
    sorted.reverse();
    Ok(if sorted == heard.addresses { "descending".to_owned() } else { shown.join(", ") })
}

fn interval(line: Combination) -> Step<String> {
    let line = Combination { their_interval: Some(Duration::from_secs(1)), ..line };
    let mut stage = Stage::new(line);
    stage.start(Who::We, HIGH)?;
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    stage.start(Who::They, LOW)?;
    stage.remains(Who::We, 5)?;
    stage.power_off(Who::We);
    stage.listen();
    // It may have taken over already.
    let last = stage.heard.iter().rposition(|heard| heard.from == Who::We).ok_or("silence")?;
    let first = stage.wait("them as Master", |stage| stage.heard.get(last + 1).cloned())?.at;
    let last = stage.heard[last].at;
    let took = first - last;
    let due = |interval: u64| Combination::new(line.peer).every(interval).down(LOW.priority);
    Ok(if took > due(1_000) - Duration::from_millis(50) {
        "its own three intervals"
    } else if took < due(100) + Duration::from_millis(200) {
        "the Master's three intervals"
    } else {
        return Err(format!("took {took:?}"));
    }
    .to_owned())
}

/// Both are Master behind a partition that then ends, right after an advertisement of theirs. Returns the number of the
/// first advertisement after that, when `winner` is the only Master.
fn reunited(line: Combination, ours: Rank, theirs: Rank, winner: Who) -> Step<(Stage, usize)> {
    let mut stage = Stage::new(line);
    stage.separate(true);
    stage.start(Who::We, ours)?;
    stage.start(Who::They, theirs)?;
    stage.wait("two Masters", |stage| {
        (stage.holds(Who::We)? && stage.holds(Who::They)?).then_some(())
    })?;
    stage.listen();
    let since = stage.heard.len();
    stage.wait("an advertisement of theirs", |stage| {
        (stage.heard.get(since..)?.last()?.from == Who::They).then_some(())
    })?;
    stage.separate(false);
    let healed = lab::now();
    stage.settle(winner, since)?;
    let after = stage.heard.iter().position(|heard| heard.at > healed);
    Ok((stage, after.ok_or("silence")?))
}

fn equal(line: Combination) -> Step<String> {
    // Theirs is the greater address.
    reunited(line, LOW, LOW, Who::They)?;
    Ok("the greater address".to_owned())
}

fn equal_later(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line);
    stage.start(Who::We, LOW)?;
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    stage.start(Who::They, LOW)?;
    stage.remains(Who::We, 10)?;
    Ok("remains Backup".to_owned())
}

/// A packet to a port that nobody listens on is refused by whoever accepts it.
fn accepts(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line);
    stage.start(Who::They, HIGH)?;
    stage.wait("them as Master", |stage| stage.holds(Who::They)?.then_some(()))?;
    Ok(if stage.is_refused("192.0.2.100:9") { "yes" } else { "no" }.to_owned())
}

fn losing(line: Combination) -> Step<String> {
    // Slow enough to tell an answer from an advertisement that was due.
    let line = line.every(1_000);
    // Where it was due just then by accident, the next attempt shows it.
    for _ in 0..2 {
        let (stage, after) = reunited(line, LOW, HIGH, Who::They)?;
        let [ours, theirs, ..] = &stage.heard[after..] else { return Err("silence".to_owned()) };
        if (ours.from, theirs.from) != (Who::We, Who::They) {
            return Err(format!("not ours and an answer, but {ours}, {theirs}"));
        }
        if theirs.at - ours.at > Duration::from_millis(50) {
            return Ok("waits for its next one".to_owned());
        }
    }
    Ok("answers at once".to_owned())
}

/// For a while they do not hear us, while we hear them.
fn deaf(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line);
    stage.start(Who::We, HIGH)?;
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    stage.start(Who::They, LOW)?;
    stage.remains(Who::We, 5)?;
    stage.deafen(Who::They, true);
    stage.wait("them as Master", |stage| stage.holds(Who::They)?.then_some(()))?;
    stage.deafen(Who::They, false);
    let healed = lab::now();
    stage.listen();
    let since = stage.heard.len();
    stage.settle(Who::We, since)?;
    let late = stage.heard.iter().rfind(|heard| heard.from == Who::They).ok_or("silence")?;
    if late.at > healed + line.interval {
        return Err(format!("Master for {:?} after it heard us again", late.at - healed));
    }
    Ok("the next advertisement".to_owned())
}

fn killed(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line);
    stage.start(Who::They, HIGH)?;
    stage.wait("them as Master", |stage| stage.holds(Who::They)?.then_some(()))?;
    stage.start(Who::We, LOW)?;
    stage.remains(Who::They, 5)?;
    stage.kill(Who::They);
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    let held = stage.holds(Who::They) == Some(true);
    Ok(if held { "stay: two machines have them" } else { "go" }.to_owned())
}

fn first_of_six(line: Combination) -> Step<String> {
    let line = line.six();
    let mut stage = Stage::new(line);
    stage.start(Who::We, HIGH)?;
    stage.wait("us as Master", |stage| stage.holds(Who::We)?.then_some(()))?;
    stage.start(Who::They, LOW)?;
    stage.remains(Who::We, 5)?;
    let since = stage.heard.len();
    stage.stop(Who::We)?;
    let first = stage.settle(Who::They, since)?;
    let goodbye = stage.heard[since..].iter().find(|heard| heard.priority == 0);
    let took = first.at - goodbye.ok_or("no goodbye")?.at;
    let lost = took > line.skew(LOW.priority) + line.interval * 4 / 5;
    Ok(if lost { "skew time and an interval: the first one is lost" } else { "skew time" }
        .to_owned())
}

fn owner(line: Combination) -> Step<String> {
    let mut stage = Stage::new(line.every(1_000));
    let begin = lab::now();
    stage.start(Who::They, Rank::new(255))?;
    let first = stage.wait("an advertisement", |stage| stage.heard.first().cloned())?;
    if first.priority != 255 {
        return Ok(format!("refuses it, and has {}", first.priority));
    }
    let soon = first.at - begin < Duration::from_millis(2_500);
    Ok(if soon { "at once" } else { "three intervals" }.to_owned())
}
