//! File checks: files and inotify are real, time is virtual.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use bench::Bench;
use healthcheck::{Check, CheckId, Driver, Failure, FileCheck, NumberRule, Outcome};

fn down(driver: &Driver) -> bool {
    driver.status(CheckId(1)).unwrap().outcome == Outcome::Down
}

#[test]
fn a_change_is_seen_at_once() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight");
    std::fs::write(&path, "10\n").unwrap();
    bench.add(1, Check::file(FileCheck::new(&path, NumberRule::AtLeast(5))));
    let told = |bench: &mut Bench| -> Vec<_> {
        let events = bench.settle();
        events.iter().map(|event| (event.outcome, event.cause, event.value)).collect()
    };
    assert_eq!(told(&mut bench), [(Outcome::Up, None, Some(10))]);

    // No time passes: what wakes the driver is the change.
    let before = bench.now;
    std::fs::write(&path, "7\n").unwrap();
    bench.until(|driver| driver.status(CheckId(1)).unwrap().value == Some(7));
    assert_eq!(told(&mut bench), [(Outcome::Up, None, Some(7))]);

    // Replaced by renaming, as careful writers do; one retry is left, which is due after the retry interval.
    let new = folder.path().join("new");
    std::fs::write(&new, "3\n").unwrap();
    std::fs::rename(&new, &path).unwrap();
    bench.until(|driver| driver.status(CheckId(1)).unwrap().value == Some(3));
    assert_eq!(bench.now, before);
    bench.drain();
    bench.advance();
    let cause = Failure::Number { value: 3 };
    assert_eq!(told(&mut bench), [(Outcome::Down, Some(cause), Some(3))]);

    // A file next to it does not count; its own return does.
    std::fs::write(folder.path().join("other"), "10").unwrap();
    std::fs::write(&path, "5").unwrap();
    bench.until(|driver| !down(driver));
    std::fs::remove_file(&path).unwrap();
    bench.until(|driver| driver.status(CheckId(1)).unwrap().value.is_none());
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.drain().last().unwrap().cause, Some(Failure::Unreadable { errno: 2 }));
}

#[test]
fn a_directory_that_comes_later_is_found_at_the_interval() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/weight");
    bench.add(1, Check::file(FileCheck::new(&path, NumberRule::ZeroIsUp)));
    bench.settle();
    assert!(down(&bench.driver));
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "0").unwrap();
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    assert!(!down(&bench.driver));
    std::fs::write(&path, "1").unwrap();
    bench.until(|driver| driver.status(CheckId(1)).unwrap().value == Some(1));
}

#[test]
fn what_is_no_file_does_not_hold_the_driver() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    bench.add(1, Check::file(FileCheck::new(&pipe, NumberRule::ZeroIsUp)));
    bench.add(2, Check::file(FileCheck::new("/dev/zero", NumberRule::ZeroIsUp)));
    bench.add(3, Check::file(FileCheck::new(folder.path(), NumberRule::ZeroIsUp)));
    let causes: Vec<_> = bench.settle().iter().map(|event| (event.id.0, event.cause)).collect();
    let eisdir = Failure::Unreadable { errno: 21 };
    let none = Some(Failure::NoNumber);
    assert_eq!(causes, [(1, none), (2, none), (3, Some(eisdir))]);
}
