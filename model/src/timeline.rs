//! A path through the model, as one would tell it.

use core::fmt::Write as _;

use stateright::Path;
use vrrp_fsm::State as RouterState;

use crate::{
    election::Action,
    scenario::{Scenario, TICK},
    state::{Flight, Seat, State},
};

pub(crate) fn draw(scenario: &Scenario, path: Path<State, Action>) -> String {
    let mut text = String::new();
    let mut ticks = 0_u32;
    let steps = path.into_vec();
    for pair in steps.windows(2) {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        if *action == Action::Tick {
            ticks += 1;
            continue;
        }
        let time = (TICK * ticks).as_millis();
        let _ = write!(text, "  {time:>6} ms  {}", describe(scenario, *action));
        for ((router, old), (_, new)) in before.routers().zip(after.routers()) {
            if old.view.state != new.view.state || old.view.candidate != new.view.candidate {
                let _ = write!(text, "; {} is {}", name(scenario, router), condition(new));
            }
        }
        let sent = after.flights().count() > before.flights().count();
        if sent && !matches!(action, Action::Duplicate(_)) {
            text.push_str("; advertises");
        }
        text.push('\n');
    }
    if let Some((last, _)) = steps.last() {
        let time = (TICK * ticks).as_millis();
        let _ = write!(text, "  {time:>6} ms  then");
        for (router, seat) in last.routers() {
            let _ = write!(text, " {} {},", name(scenario, router), condition(seat));
        }
        let _ = writeln!(text, " quiet for {} ms", (TICK * u32::from(last.quiet)).as_millis());
    }
    text
}

fn name(scenario: &Scenario, router: u8) -> String {
    let index = usize::from(router);
    format!("router .{} ({})", scenario.routers[index].host, scenario.routers[index].priority)
}

fn condition(seat: &Seat) -> String {
    let state = match seat.view.state {
        RouterState::Initialize => "out",
        RouterState::Backup => "Backup",
        RouterState::Master => "Master",
    };
    let paused = if seat.paused > 0 { ", paused" } else { "" };
    format!("{state} with {}{paused}", seat.view.priority)
}

fn describe(scenario: &Scenario, action: Action) -> String {
    let name = |router| name(scenario, router);
    match action {
        Action::Tick => String::new(),
        Action::Expire(router) => format!("{}: the timer expires", name(router)),
        Action::Answer(router) => format!("{}: the addresses are as wanted", name(router)),
        Action::Deliver(flight) => {
            format!("{}: hears {}", name(flight.to), packet(scenario, flight))
        }
        Action::Drop(flight) => {
            format!("lost: {} to {}", packet(scenario, flight), name(flight.to))
        }
        Action::Duplicate(flight) => {
            format!("copied: {} to {}", packet(scenario, flight), name(flight.to))
        }
        Action::Start(router) => format!("{}: starts", name(router)),
        Action::Shutdown(router) => format!("{}: leaves", name(router)),
        Action::Crash(router) => format!("{}: crashes", name(router)),
        Action::Pause(router) => format!("{}: is paused", name(router)),
        Action::Resume(router) => format!("{}: goes on", name(router)),
        Action::Cut(side) => format!("the link is cut, on one side {side:#b}"),
        Action::Heal => "the link is whole again".to_owned(),
        Action::Priority(router, priority) => format!("{}: priority {priority}", name(router)),
    }
}

fn packet(scenario: &Scenario, flight: Flight) -> String {
    let host = scenario.routers[usize::from(flight.sent.from)].host;
    format!("priority {} of .{host}", flight.sent.priority)
}
