//! Real-time priority, locked memory and timer slack, as the kernel tells of them.

use core::time::Duration;
use std::fs;

use vrrp::{Scheduling, SchedulingError};

use crate::child::Child;
use crate::support::{PATIENCE, Pair};

/// What a child process is told by name.
pub(crate) fn named(name: &str) -> Option<Scheduling> {
    match name {
        "everything" => Some(
            Scheduling::new()
                .real_time_priority(10)
                .lock_memory(true)
                .timer_slack(Duration::from_micros(1)),
        ),
        "slack" => Some(Scheduling::new().timer_slack(Duration::from_micros(1))),
        "real-time" => Some(Scheduling::new().real_time_priority(10)),
        "locked" => Some(Scheduling::new().lock_memory(true)),
        _ => None,
    }
}

const FIFO: u32 = 1;
const OTHER: u32 = 0;

/// Name, real-time priority, policy (proc(5), `stat`) and timer slack of each thread of a process.
fn threads(process: u32) -> Vec<(String, u32, u32, u64)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let read = |task: &std::path::Path, name: &str| fs::read_to_string(task.join(name)).unwrap();
    let one = |task: std::path::PathBuf| {
        let stat = read(&task, "stat");
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        // Fields 40 and 41; the first one here is the third.
        let [priority, policy] = [37, 38].map(|field| fields[field].parse().unwrap());
        let id = task.file_name().unwrap().to_str().unwrap();
        // Only a thread itself may read it in /proc/PID/task.
        let slack = fs::read_to_string(format!("/proc/{id}/timerslack_ns")).unwrap();
        let name = read(&task, "comm").trim_end().to_owned();
        (name, priority, policy, slack.trim_end().parse().unwrap())
    };
    tasks.map(|task| one(task.unwrap().path())).collect()
}

fn locked_kib(process: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_thread_is_scheduled_as_asked_for_and_no_other() {
    lab::need!(netns, root);
    let pair = Pair::new();
    let child = Child::start_kind(&pair.a, pair.run.path(), 100, "everything");
    child.wait_line("-> backup");
    // The thread starts when the router is built, which has told of itself before.
    let scheduled = lab::eventually(PATIENCE, || {
        let all = threads(child.id());
        all.iter().any(|thread| thread.0 == "vrrp" && thread.2 == FIFO).then_some(all)
    });
    let all = scheduled.expect("a thread with real-time priority");
    let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|thread| thread.0 == "vrrp");
    assert_eq!(ours.iter().map(|thread| (thread.1, thread.2)).collect::<Vec<_>>(), [(10, FIFO)]);
    assert!(!others.is_empty() && others.iter().all(|thread| (thread.1, thread.2) == (0, OTHER)));
    assert!(locked_kib(child.id()) > 1_000);
}

#[test]
fn nothing_of_it_by_default_and_each_alone() {
    lab::need!(netns, root);
    let pair = Pair::new();
    let plain = Child::start(&pair.a, pair.run.path(), 100);
    plain.wait_line("-> backup");
    assert!(threads(plain.id()).iter().all(|thread| (thread.1, thread.2) == (0, OTHER)));
    assert_eq!(locked_kib(plain.id()), 0);
    assert!(threads(plain.id()).iter().all(|thread| thread.3 == 50_000));
    let slack = Child::start_kind(&pair.b, pair.run.path(), 90, "slack");
    slack.wait_line("-> backup");
    let of_thread = |thread: &(String, u32, u32, u64)| (thread.0 == "vrrp").then_some(thread.3);
    lab::eventually(PATIENCE, || {
        (threads(slack.id()).iter().find_map(of_thread) == Some(1_000)).then_some(())
    })
    .expect("a timer slack of a microsecond");
    assert_eq!(locked_kib(slack.id()), 0);
}

#[test]
fn a_missing_capability_is_named_and_nothing_runs() {
    lab::need!(netns, root);
    let pair = Pair::new();
    let without = ["prlimit", "--rtprio=0", "--memlock=0", "setpriv", "--bounding-set"];
    let cases =
        [("real-time", "-sys_nice", "CAP_SYS_NICE"), ("locked", "-ipc_lock", "CAP_IPC_LOCK")];
    for (kind, capability, named) in cases {
        let by = [without.as_slice(), &[capability]].concat();
        let child = Child::start_by(&pair.a, pair.run.path(), 255, kind, &by);
        child.wait_line(&format!("{named} is missing"));
        child.wait_line("test result: ok");
        assert_eq!(child.log().matches("->").count(), 0, "{}", child.log());
        // The control: without asking for it the same process runs.
        let child = Child::start_by(&pair.b, pair.run.path(), 255, "", &by);
        child.wait_line("-> master");
    }
}

#[test]
fn a_priority_that_does_not_exist() {
    for priority in [0, 100] {
        let error = Scheduling::new().real_time_priority(priority).apply();
        assert!(
            matches!(error, Err(SchedulingError::NoSuchPriority { .. })),
            "{priority}: {error:?}"
        );
    }
}
