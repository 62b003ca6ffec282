//! Tutorial 004: keepalived, LVS and nginx. Its own steps, and a look at what is left at the end.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab::{Capture, Filter, Frame};

use crate::demo::client;
use crate::demo::play::{PATIENCE, Play, Step};
use crate::demo::report::milliseconds;
use crate::demo::scene::Scene;
use crate::demo::stage::{self, Stage};

/// Director 2 takes over 0.805 s after director 1's priority 0 (its skew time); half a second for the rest.
const TAKEOVER: Duration = Duration::from_millis(1_300);
/// The returning director takes the address from one that lives: a moment.
const RETURN: Duration = Duration::from_millis(500);
/// A dead real server is noticed within `delay_loop` 6 s, tried once more after `delay_before_retry` 3 s.
const DETECTION: Duration = Duration::from_millis(10_500);

pub(crate) fn play(play: &mut Play) {
    let scene = Scene::of("004");
    play.step("both directors start", |stage, step| both_start(stage, step, &scene));
    play.step("the client is served through the address, by direct routing", |stage, step| {
        direct_routing(stage, step, &scene);
    });
    play.step("each client keeps its real server", |stage, step| persistence(stage, step, &scene));
    play.step("director 1 is stopped", |stage, step| stop_first(stage, step, &scene));
    play.step("director 1 returns", |stage, step| first_returns(stage, step, &scene));
    let mut stopped = 0;
    play.step("nginx stops on the client's real server", |stage, step| {
        stopped = nginx_stops(stage, step, &scene);
    });
    play.step("nginx returns", |stage, step| nginx_returns(stage, step, &scene, stopped));
    play.step("both directors are stopped: nothing is left", |stage, step| {
        both_stop(stage, step, &scene);
    });
}

fn both_start(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act(format!(
        "{} starts on director 1, {} on director 2",
        stage.directors[0].daemon.name(),
        stage.directors[1].daemon.name()
    ));
    for director in &mut stage.directors {
        step.done(director.start(), "start");
    }
    stage.wait_address(step, 0, true, since, PATIENCE);
    stage.check_served(step, since, "the client is served");
    stage.check_holder(step, scene, Some(0));
    for director in [0, 1] {
        stage.check_table(step, scene, director, scene.servers);
    }
}

/// One request, and the frames it went in: to the director, but from the real server itself.
fn direct_routing(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    stage.check_requests(step, lab::now(), 5, "the client");
    let source = scene.clients[1];
    stage.act(format!("another client, {source}, asks once"));
    let Some(capture) = step.done(Capture::open(&stage.client, "eth0", Filter::All), "capture")
    else {
        return;
    };
    let answer = stage.client.run(|| client::ask(source, scene.service()));
    let frames = step.done(capture.drain(), "capture").unwrap_or_default();
    let server =
        answer.as_ref().ok().and_then(|by| by.strip_prefix("real server ")?.parse::<usize>().ok());
    let Some(server) = server.and_then(|number| scene.servers.get(number.checked_sub(1)?)) else {
        step.check(false, format!("a real server answers: {answer:?}"));
        return;
    };
    let own: Vec<&Frame> =
        frames.iter().filter(|frame| is_between(frame, source, scene.virtual_address)).collect();
    let (out, back): (Vec<_>, Vec<_>) = own.into_iter().partition(|frame| frame.outgoing);
    let director = scene.directors[0].address;
    step.check(
        !out.is_empty()
            && out.iter().all(|frame| frame.bytes.get(..6) == Some(&stage::mac(director)[..])),
        format!("the request went to director 1 ({} frames)", out.len()),
    );
    step.check(
        !back.is_empty()
            && back.iter().all(|frame| frame.source_mac() == Some(stage::mac(*server))),
        format!("the answer came straight from {server} ({} frames)", back.len()),
    );
}

/// Whether the frame is IPv4 between these two addresses.
fn is_between(frame: &Frame, one: Ipv4Addr, other: Ipv4Addr) -> bool {
    let address = |at: usize| {
        frame.payload().get(at..)?.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes))
    };
    let ends = (address(12), address(16));
    frame.ethertype() == 0x0800
        && (ends == (Some(one), Some(other)) || ends == (Some(other), Some(one)))
}

fn persistence(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    // Longer than the timeout of 5 s would be needed to see it end; within it, one server answers all.
    let mut servers = Vec::new();
    for source in [scene.clients[2], scene.clients[3]] {
        stage.act(format!("the client {source} asks ten times"));
        let answers: Vec<_> =
            stage.client.run(|| (0..10).map(|_| client::ask(source, scene.service())).collect());
        let first = answers.first().cloned();
        let same = answers.iter().all(|answer| answer.is_ok() && Some(answer) == first.as_ref());
        let by = first.and_then(Result::ok).unwrap_or_default();
        step.check(same, format!("{source}: {by} answers all ten requests"));
        servers.push(by);
    }
    step.check(
        servers.first() != servers.last(),
        "the two clients are on different real servers (rr)",
    );
    let requests = stage.browser.wait(step.began, 10);
    let mut by: Vec<_> = requests.iter().map(|request| request.answer.clone()).collect();
    by.dedup();
    step.check(
        by.len() == 1,
        format!("{}: one real server in {} requests", scene.clients[0], requests.len()),
    );
}

fn stop_first(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act(format!("{} on director 1 is stopped (SIGTERM)", stage.directors[0].daemon.name()));
    if let Some(mut process) = stage.directors[0].process.take() {
        step.done(process.signal_stop(), "SIGTERM");
        stage.wait_address(step, 0, false, since, PATIENCE);
        if let Some(taken) = stage.wait_address(step, 1, true, since, PATIENCE) {
            let took = taken.saturating_sub(since);
            step.check(
                took >= scene.skew_time(1) && took <= TAKEOVER,
                format!("director 2 takes the address after {}", milliseconds(took)),
            );
        }
        step.done(process.wait(PATIENCE), "the end of director 1");
    }
    stage.check_served(step, since + scene.skew_time(1), "the client is served again");
    stage.check_holder(step, scene, Some(1));
    stage.check_table(step, scene, 0, &[]);
    stage.check_table(step, scene, 1, scene.servers);
    stage.check_gap(step, since, TAKEOVER);
    stage.check_requests(step, lab::now(), 5, "the client, through director 2");
}

fn first_returns(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act(format!("{} starts on director 1", stage.directors[0].daemon.name()));
    step.done(stage.directors[0].start(), "start");
    stage.wait_address(step, 0, true, since, PATIENCE);
    stage.wait_address(step, 1, false, since, PATIENCE);
    stage.check_holder(step, scene, Some(0));
    for director in [0, 1] {
        stage.check_table(step, scene, director, scene.servers);
    }
    stage.check_gap(step, since, RETURN);
    stage.check_requests(step, lab::now(), 5, "the client, through director 1");
}

/// Stops the real server that answers the client; which one that was.
fn nginx_stops(stage: &mut Stage, step: &mut Step, scene: &Scene) -> usize {
    let by = stage.check_requests(step, lab::now(), 1, "before");
    let number =
        by.and_then(|by| by.strip_prefix("real server ")?.parse::<usize>().ok()).unwrap_or(1);
    let index = number.saturating_sub(1).min(1);
    let address = stage.servers[index].address;
    let since = lab::now();
    stage.act(format!("nginx on real server {number} ({address}) is stopped"));
    if let Some(nginx) = stage.servers[index].nginx.take() {
        step.done(nginx.stop(), "nginx");
    }
    let removed = stage.wait_server(step, 0, address, false, since, DETECTION + PATIENCE);
    let on_second = stage.wait_server(step, 1, address, false, since, DETECTION + PATIENCE);
    for at in removed.iter().chain(&on_second) {
        let took = at.saturating_sub(since);
        step.check(
            took <= DETECTION,
            format!("found dead in {} (at most {})", milliseconds(took), milliseconds(DETECTION)),
        );
    }
    if let Some(removed) = removed {
        stage.check_requests(step, removed, 20, "after it left director 1's table");
        stage.check_gap(step, removed, Duration::from_millis(20));
    }
    let left: Vec<Ipv4Addr> =
        scene.servers.iter().copied().filter(|server| *server != address).collect();
    for director in [0, 1] {
        stage.check_table(step, scene, director, &left);
    }
    index
}

fn nginx_returns(stage: &mut Stage, step: &mut Step, scene: &Scene, index: usize) {
    let address = stage.servers[index].address;
    let since = lab::now();
    stage.act(format!("nginx on real server {} ({address}) starts again", index + 1));
    step.done(stage.servers[index].start(index), "nginx");
    for director in [0, 1] {
        stage.wait_server(step, director, address, true, since, DETECTION);
        stage.check_table(step, scene, director, scene.servers);
    }
    // New clients come to it: of any two one after the other, one.
    let answers = [scene.clients[2], scene.clients[3]]
        .map(|source| stage.client.run(|| client::ask(source, scene.service())));
    step.check(
        answers.contains(&Ok(format!("real server {}", index + 1))),
        format!(
            "two new clients are answered by {}",
            answers.map(|by| by.unwrap_or_else(|why| why)).join(" and ")
        ),
    );
    stage.check_requests(step, since, 5, "the client");
    stage.check_gap(step, since, Duration::from_millis(20));
}

fn both_stop(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    stage.act("both directors are stopped (SIGTERM)");
    for director in &mut stage.directors {
        if let Some(process) = &director.process {
            step.done(process.signal_stop(), "SIGTERM");
        }
    }
    for director in &mut stage.directors {
        if let Some(process) = &mut director.process {
            step.done(process.wait(PATIENCE), "the end");
        }
    }
    stage.check_holder(step, scene, None);
    for director in [0, 1] {
        stage.check_table(step, scene, director, &[]);
    }
}
