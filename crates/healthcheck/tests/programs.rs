//! Programs as checks, and alone: processes are real, time is virtual.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use core::time::Duration;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bench::Bench;
use healthcheck::process::{Child, Exit, Program, SpawnError, User};
use healthcheck::{Check, CheckId, Failure, Outcome, Script, Timing};
use reactor::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};

const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Waits for the end itself, not for a deadline.
fn end(child: &mut Child) -> Exit {
    let mut wait = [PollFd::new(child, PollFlags::IN)];
    assert_eq!(poll(&mut wait, Some(&PATIENCE)), Ok(1), "it did not end within a minute");
    child.process(Clock::now()).unwrap()
}

fn run(program: &Program) -> (Exit, String) {
    let mut child = program.spawn(Clock::now()).unwrap();
    let exit = end(&mut child);
    (exit, String::from_utf8(child.output()).unwrap())
}

fn script(line: &str) -> Check {
    Check::script(Script::new(Program::shell(line)))
}

#[test]
fn exit_codes_are_results_and_values() {
    let mut bench = Bench::new();
    bench.add(1, script("exit 0"));
    bench.add(2, script("exit 3"));
    bench.add(3, Check::script(Script::new(Program::shell("exit 3")).weights()));
    bench.add(4, script("kill -9 $$"));
    let mut events = bench.settle();
    events.sort_by_key(|event| event.id);
    let told: Vec<_> =
        events.iter().map(|event| (event.outcome, event.cause, event.value)).collect();
    assert_eq!(
        told,
        [
            (Outcome::Up, None, Some(0)),
            (Outcome::Down, Some(Failure::Exit { code: 3 }), Some(3)),
            (Outcome::Up, None, Some(3)),
            (Outcome::Down, Some(Failure::Signal { signal: 9 }), None),
        ]
    );
    bench.advance();
    assert_eq!(bench.settle(), [], "nothing new the second time");
    assert_eq!(bench.driver.status(CheckId(3)).unwrap().successes, 2);
}

#[test]
fn another_exit_code_is_an_event() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    // 2, then 3, then 4, ...
    let line = format!("echo >> {0}; exit $(( $(wc -l < {0}) + 1 ))", count.display());
    bench.add(1, Check::script(Script::new(Program::shell(line)).weights()));
    for code in 2..5 {
        let events = bench.settle();
        assert_eq!(events.iter().map(|event| event.value).collect::<Vec<_>>(), [Some(code)]);
        bench.advance();
    }
}

#[test]
fn what_cannot_be_run_has_failed_with_the_reason() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\nexit 0\n").unwrap();
    bench.add(1, Check::script(Script::new(Program::new("/does/not/exist"))));
    bench.add(2, Check::script(Script::new(Program::new(plain))));
    bench.add(3, Check::script(Script::new(Program::new(folder.path()))));
    let causes: Vec<_> = bench.settle().iter().map(|event| (event.id.0, event.cause)).collect();
    let cannot = |id, errno| (id, Some(Failure::CannotRun { errno }));
    assert_eq!(causes, [cannot(1, 2), cannot(2, 13), cannot(3, 13)]);
    // keepalived's verdict on these is success; the shell's own codes are failures, too.
    let mut bench = Bench::new();
    bench.add(1, script("/does/not/exist"));
    assert_eq!(bench.settle().first().unwrap().cause, Some(Failure::Exit { code: 127 }));
    let nul = Program::new("/bin/true").argument("a\0b").spawn(Clock::now());
    assert!(matches!(nul, Err(SpawnError::CannotRun { errno: 22 })), "{nul:?}");
}

/// What a script that restarts a server does: the server keeps the script's standard output.
const SERVER: &str = "sleep 1000 & echo $!";

#[test]
fn a_server_that_a_script_starts_neither_hangs_the_run_nor_ends_with_it() {
    let (exit, output) =
        run(&Program::shell(SERVER).keep_output(4096).timeout(Duration::from_secs(60)));
    assert_eq!(exit, Exit::Code(0));
    let server = Pid::from_raw(output.trim().parse().unwrap()).unwrap();
    rustix::process::test_kill_process(server).expect("the server lives on");
    let executable = std::fs::read_link(format!("/proc/{}/fd/1", server.as_raw_nonzero())).unwrap();
    assert!(executable.to_string_lossy().contains("memfd"), "{executable:?}: it may go on writing");
    kill_process(server, Signal::KILL).unwrap();

    // As a check, with its output going nowhere.
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    bench.add(1, script(&format!("({SERVER}) > {} 2>&1", file.display())));
    assert_eq!(bench.settle().first().unwrap().outcome, Outcome::Up);
    let server = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).expect("the server lives on");

    // The control: over a pipe, the end of the output is not the end of the script.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SERVER]).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    child.wait().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut line = [0; 32];
    let count = pipe.read(&mut line).unwrap();
    let server = String::from_utf8_lossy(&line[..count]).trim().parse().unwrap();
    let mut wait = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
    assert_eq!(
        poll(&mut wait, Some(&Timespec::default())),
        Ok(0),
        "whoever reads to the end hangs"
    );
    kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_script_that_hangs_is_ended_with_all_it_started() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    // Deaf to SIGTERM, and so is what it forks.
    let line = format!(
        "trap '' TERM; for i in 1 2 3 4 5; do sleep 1000 & done; echo $$ > {0}.new; mv {0}.new {0}; wait",
        ready.display()
    );
    bench.add(1, script(&line));
    bench.driver.process(bench.now).unwrap();
    let leader = loop {
        if let Ok(text) = std::fs::read_to_string(&ready) {
            break Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        }
        std::thread::yield_now();
    };
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    let events = bench.drain();
    let after = Duration::from_secs(3);
    assert_eq!(events.first().unwrap().cause, Some(Failure::TimedOut { after }));
    assert_eq!((bench.driver.running(), bench.driver.dying()), (0, 1));
    test_kill_process_group(leader).expect("it has ignored SIGTERM");

    // Its time of grace is up before the next run: then it is killed, and everything with it.
    bench.now += Duration::from_secs(2);
    bench.until(|driver| driver.dying() == 0);
    while test_kill_process_group(leader).is_ok() {
        std::thread::yield_now(); // killed, and reaped by init at its leisure
    }

    // While an old run has not ended, a new one is not begun.
    let eager = Timing::new()
        .start_jitter(Duration::ZERO)
        .interval(Duration::from_secs(1))
        .timeout(Duration::from_secs(1));
    let deaf =
        Check::script(Script::new(Program::shell("trap '' TERM; while :; do sleep 1; done")));
    std::fs::remove_file(&ready).unwrap();
    bench.driver.remove(CheckId(1));
    bench.driver.add(bench.now, CheckId(2), deaf.timing(eager));
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    assert_eq!((bench.driver.running(), bench.driver.dying()), (0, 1));
    bench.now += Duration::from_secs(1);
    bench.driver.process(bench.now).unwrap();
    let status = bench.driver.status(CheckId(2)).unwrap();
    if bench.driver.dying() == 1 {
        assert_eq!(status.last_deferral, Some(healthcheck::Local::StillRunning));
        assert_eq!(bench.driver.running(), 0);
    }
}

#[test]
fn gigabytes_of_output_cost_what_is_kept() {
    let line = "exec yes"; // for ever, if it could
    let (exit, output) =
        run(&Program::shell(line).keep_output(10_000).timeout(Duration::from_secs(60)));
    assert_eq!((exit, output.len()), (Exit::Code(1), 10_000));
    let (exit, output) = run(&Program::shell("head -c 2000000000 /dev/zero"));
    assert_eq!((exit, output.len()), (Exit::Code(0), 0));
    let (exit, output) = run(&Program::shell("echo out; echo err >&2; cat").keep_output(100));
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "out\nerr\n"), "and its input is empty");
}

#[test]
fn a_child_that_is_dropped_dies_with_its_group_and_a_detached_one_does_not() {
    let alive = |child: &Child| Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let child = Program::shell("sleep 1000 & wait").spawn(Clock::now()).unwrap();
    let group = alive(&child);
    drop(child);
    while test_kill_process_group(group).is_ok() {
        std::thread::yield_now();
    }
    let child = Program::shell("sleep 1000").spawn(Clock::now()).unwrap();
    let group = alive(&child);
    child.detach();
    rustix::process::kill_process_group(group, Signal::KILL).expect("it lives");
}

#[test]
fn arguments_environment_directory_and_user_are_as_asked() {
    let program = Program::new("/usr/bin/env")
        .clear_environment()
        .environment("A", "1")
        .environment("B", "2")
        .without_environment("A")
        .keep_output(4096);
    assert_eq!(run(&program).1, "B=2\n");
    let program =
        Program::new("/bin/echo").arguments(["$HOME", "*"]).argument(";").keep_output(4096);
    assert_eq!(run(&program).1, "$HOME * ;\n", "no shell");
    let program = Program::new("/bin/pwd").directory("/proc").keep_output(4096);
    assert_eq!(run(&program).1, "/proc\n");
}

#[test]
fn a_program_runs_as_its_user() {
    lab::need!(root);
    let user = User { uid: 65_534, gid: 65_533 };
    let program = Program::shell("id -u; id -g; id -G").user(user).keep_output(4096);
    assert_eq!(run(&program), (Exit::Code(0), "65534\n65533\n65533\n".to_owned()));
}

#[test]
fn a_removed_check_ends_its_program() {
    let mut bench = Bench::new();
    bench.add(1, script("sleep 1000"));
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.driver.running(), 1);
    bench.driver.remove(CheckId(1));
    assert_eq!((bench.driver.running(), bench.driver.dying()), (0, 1));
    bench.until(|driver| driver.dying() == 0);
}
