//! Tutorial 003: two machines that share an address. Its own steps: stop the service, shut the machine down.

use std::time::Duration;

use crate::demo::play::{PATIENCE, Play, Step};
use crate::demo::report::milliseconds;
use crate::demo::scene::Scene;
use crate::demo::stage::{self, Stage};

/// Machine 2 takes over 0.648 s after machine 1's priority 0 (its skew time); half a second for the rest.
const TAKEOVER: Duration = Duration::from_millis(1_150);
/// After silence: three intervals more.
const SILENCE: Duration = Duration::from_millis(4_150);
/// The returning machine takes the address from one that lives: a moment.
const RETURN: Duration = Duration::from_millis(500);

pub(crate) fn play(play: &mut Play) {
    let scene = Scene::of("003");
    play.step("the main server starts", |stage, step| {
        start(stage, step, 0);
        stage.wait_address(step, 0, true, step.began, PATIENCE);
        stage.check_served(step, step.began, "the client is served");
        stage.check_holder(step, &scene, Some(0));
    });
    play.step("the standby server starts and does not get the address", |stage, step| {
        let since = lab::now();
        start(stage, step, 1);
        // It could only get it within a master-down interval; the client asks all the time meanwhile.
        let quiet = Duration::from_secs(3) + scene.skew_time(1) + Duration::from_millis(500);
        let taken = stage.log.wait(since, quiet, |who, what| {
            use crate::demo::events::{What, Who};
            who == Who::Director(1) && *what == What::Address { added: true }
        });
        step.check(taken.is_none(), "the standby server leaves the address alone");
        stage.check_holder(step, &scene, Some(0));
        stage.check_gap(step, since, Duration::from_millis(20));
    });
    play.step("the service on the main server is stopped", |stage, step| stop(stage, step, &scene));
    play.step("the main server is started again", |stage, step| returns(stage, step, &scene));
    play.step("the main server is cut off (its cable is pulled)", |stage, step| {
        pull(stage, step, &scene);
    });
    play.step("the main server is back on the network", |stage, step| {
        let since = lab::now();
        stage.act("the cable of director 1 is put back");
        step.done(stage.switch.plug(&stage::port(0)), "the cable");
        back(stage, step, &scene, since);
    });
    play.step("the daemon on the main server is killed", |stage, step| kill(stage, step, &scene));
    play.step("the main server is started again after the kill", |stage, step| {
        returns(stage, step, &scene);
    });
}

fn start(stage: &mut Stage, step: &mut Step, director: usize) {
    stage.act(format!(
        "{} starts on director {}",
        stage.directors[director].daemon.name(),
        director + 1
    ));
    step.done(stage.directors[director].start(), "start");
}

fn stop(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act(format!("{} on director 1 is stopped (SIGTERM)", stage.directors[0].daemon.name()));
    if let Some(mut process) = stage.directors[0].process.take() {
        step.done(process.signal_stop(), "SIGTERM");
        stage.wait_address(step, 0, false, since, PATIENCE);
        moved(stage, step, scene, since, scene.skew_time(1), TAKEOVER);
        step.done(process.wait(PATIENCE), "the end of director 1");
    }
    stage.check_holder(step, scene, Some(1));
}

/// The address comes to director 2, not before `earliest` and not after `latest`, and the client is served there.
fn moved(
    stage: &Stage,
    step: &mut Step,
    _scene: &Scene,
    since: Duration,
    earliest: Duration,
    latest: Duration,
) {
    if let Some(taken) = stage.wait_address(step, 1, true, since, PATIENCE) {
        let took = taken.saturating_sub(since);
        step.check(
            took >= earliest && took <= latest,
            format!("director 2 takes the address after {}", milliseconds(took)),
        );
        stage.check_served(step, taken, "the client is served again");
    }
    stage.check_gap(step, since, latest);
    let by = stage.check_requests(step, lab::now(), 5, "the client");
    step.check(
        by.as_deref() == Some("director 2"),
        format!("the client is answered by {}", by.as_deref().unwrap_or("nobody")),
    );
}

fn returns(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    start(stage, step, 0);
    back(stage, step, scene, since);
}

/// Director 1 takes the address back, director 2 gives it up.
fn back(stage: &Stage, step: &mut Step, scene: &Scene, since: Duration) {
    stage.wait_address(step, 0, true, since, PATIENCE);
    stage.wait_address(step, 1, false, since, PATIENCE);
    stage.check_holder(step, scene, Some(0));
    stage.check_gap(step, since, RETURN);
    let by = stage.check_requests(step, lab::now(), 5, "the client");
    step.check(
        by.as_deref() == Some("director 1"),
        format!("the client is answered by {}", by.as_deref().unwrap_or("nobody")),
    );
}

fn pull(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act("the cable of director 1 is pulled out of the switch");
    step.done(stage.switch.unplug(&stage::port(0)), "the cable");
    stage.wait_address(step, 0, false, since, PATIENCE);
    // Its last advertisement may be up to an interval old.
    moved(stage, step, scene, since, Duration::from_secs(2) + scene.skew_time(1), SILENCE);
    stage.check_holder(step, scene, Some(1));
}

fn kill(stage: &mut Stage, step: &mut Step, scene: &Scene) {
    let since = lab::now();
    stage.act(format!("{} on director 1 is killed (SIGKILL)", stage.directors[0].daemon.name()));
    if let Some(mut process) = stage.directors[0].process.take() {
        step.done(process.kill(), "SIGKILL");
    }
    // keepalived's children say priority 0 when their parent dies; without, it is silence.
    moved(stage, step, scene, since, scene.skew_time(1), SILENCE);
}
