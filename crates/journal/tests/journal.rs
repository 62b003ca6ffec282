//! Journals on a real file system: crashes, locks, hostile files, full devices.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test should stop at once"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use journal::{Defect, Journal, JournalError, MAX_ENTRY_LEN, MAX_LISTED_LEN};
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

fn scratch() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/test.journal");
    (directory, path)
}

/// Body of the processes that the tests below start and kill; it lists two entries, forgets one, and waits.
#[test]
#[ignore = "not a test: the process that other tests start"]
fn child_that_holds_a_journal() {
    let (mut journal, _) = Journal::open(std::env::var_os("JOURNAL_PATH").unwrap()).unwrap();
    journal.record_all(["eth0 192.0.2.1/24", "eth0 192.0.2.2/24"]).unwrap();
    journal.forget("eth0 192.0.2.1/24").unwrap();
    println!("\nholding");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Starts the process and returns when it holds the journal. It dies of a closed output: keep the reader.
fn holder(path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_holds_a_journal", "--ignored", "--nocapture"])
        .env("JOURNAL_PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.by_ref().lines();
    assert!(lines.any(|line| line.unwrap() == "holding"), "the child did not open its journal");
    (child, output)
}

#[test]
fn successor_of_a_killed_process_reads_what_it_left() {
    let (_directory, path) = scratch();
    let (mut child, _output) = holder(&path);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();

    let (journal, leftovers) = Journal::open(&path).unwrap();
    assert_eq!(leftovers, ["eth0 192.0.2.2/24"]);
    drop(journal); // it cleaned nothing up: the entry must outlive this successor too
    let (mut journal, leftovers) = Journal::open(&path).unwrap();
    assert_eq!(leftovers, ["eth0 192.0.2.2/24"]);
    journal.forget(&leftovers[0]).unwrap();
    journal.close().unwrap();
    assert!(!path.exists());
}

/// Body of a process that may not write beyond an arbitrary octet of a file, for a while.
#[test]
#[ignore = "not a test: the process that another test starts"]
fn child_that_runs_out_of_space() {
    let (mut journal, _) = Journal::open(std::env::var_os("JOURNAL_PATH").unwrap()).unwrap();
    let allow =
        |octets| setrlimit(Resource::Fsize, Rlimit { current: octets, maximum: None }).unwrap();
    allow(Some(1000));
    let refused =
        (0..).find_map(|number| journal.record(&format!("entry {number}")).err()).unwrap();
    assert!(matches!(refused, JournalError::Write { .. }), "{refused}");
    let listed = journal.len();
    assert!(journal.forget("entry 0").is_err() && journal.contains("entry 0"));
    allow(Some(1500));
    assert!(journal.record_all((0..100).map(|number| format!("never listed {number}"))).is_err());
    allow(None);
    // Shorter than what the failed writes have left behind.
    journal.record("x").unwrap();
    assert_eq!(journal.len(), listed + 1);
}

#[test]
fn failed_write_leaves_no_half_line_behind() {
    let (_directory, path) = scratch();
    // The kernel's signal about it must not kill the process; a shell can arrange for that.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_runs_out_of_space", "--ignored"])
        .env("JOURNAL_PATH", &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(!fs::read(&path).unwrap().is_empty(), "the child did not run");
    let (_journal, leftovers) = Journal::open(&path).unwrap();
    let (last, entries) = leftovers.split_last().unwrap();
    assert_eq!(last, "x");
    assert!(entries.len() > 50);
    assert!(entries.iter().enumerate().all(|(number, entry)| *entry == format!("entry {number}")));
}

#[test]
fn file_of_another_user_is_refused() {
    lab::need!(root);
    let (_directory, path) = scratch();
    let (mut journal, _) = Journal::open(&path).unwrap();
    journal.record("something to remove").unwrap();
    drop(journal);
    chown(&path, Some(12345), None).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::ForeignOwner { owner: 12345, user: 0, .. }), "{error}");
}

#[test]
fn second_opener_is_told_the_pid_of_the_holder() {
    let (_directory, path) = scratch();
    let (mut child, _output) = holder(&path);
    let error = Journal::open(&path).unwrap_err();
    assert!(
        matches!(error, JournalError::Held { pid: Some(pid), .. } if pid == child.id()),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains(&format!("process {}", child.id())) && message.contains("test.journal"),
        "{message}"
    );

    child.stdin.take().unwrap().write_all(b"\n").unwrap(); // ends in order, with one entry listed
    assert!(child.wait().unwrap().success());
    assert_eq!(Journal::open(&path).unwrap().1, ["eth0 192.0.2.2/24"]);
}

#[test]
fn second_opener_in_the_same_process_is_refused_too() {
    let (_directory, path) = scratch();
    let (journal, _) = Journal::open(&path).unwrap();
    assert!(
        matches!(Journal::open(&path), Err(JournalError::Held { pid: Some(pid), .. }) if pid == std::process::id())
    );
    drop(journal);
    assert!(!path.exists());
    Journal::open(&path).unwrap();
}

#[test]
fn one_of_many_openers_at_once_wins() {
    let (_directory, path) = scratch();
    for _ in 0..50 {
        let barrier = std::sync::Barrier::new(4);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let opened = Journal::open(&path);
                        barrier.wait(); // nobody closes before all have tried
                        opened.map(drop)
                    })
                })
                .collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        let won = opened.iter().filter(|opened| opened.is_ok()).count();
        assert_eq!(won, 1, "{opened:?}");
        assert!(!path.exists());
    }
}

#[test]
fn creates_its_directory_and_a_private_file() {
    let (_directory, path) = scratch();
    let (mut journal, leftovers) = Journal::open(&path).unwrap();
    assert!(leftovers.is_empty() && journal.is_empty());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o022, 0);
    journal.record("a").unwrap();
    journal.record("a").unwrap();
    assert_eq!((journal.len(), journal.entries(), journal.contains("a")), (1, vec!["a"], true));
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("vip-journal 1 ")
            && text.ends_with(&format!(" {}\n+ a\n", std::process::id())),
        "{text}"
    );
}

#[test]
fn entries_of_an_earlier_boot_are_dropped() {
    let (_directory, path) = scratch();
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "vip-journal 1 00000000-0000-0000-0000-000000000000 1\n+ eth0 192.0.2.1/24\n")
        .unwrap();
    assert_eq!(Journal::open(&path).unwrap().1, [""; 0]);
}

#[test]
fn torn_last_line_is_ignored_and_the_file_goes_on() {
    let (_directory, path) = scratch();
    let (mut journal, _) = Journal::open(&path).unwrap();
    journal.record("whole").unwrap();
    drop(journal);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("+ to");
    fs::write(&path, &text).unwrap();

    let (mut journal, leftovers) = Journal::open(&path).unwrap();
    assert_eq!(leftovers, ["whole"]);
    journal.record("next").unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, ["whole", "next"]);
}

#[test]
fn refuses_texts_that_are_no_entries() {
    let (_directory, path) = scratch();
    let (mut journal, _) = Journal::open(&path).unwrap();
    for text in ["", "two\nlines", "nul\0", &"x".repeat(MAX_ENTRY_LEN + 1)] {
        let refused = journal.record_all(["good", text]);
        assert!(matches!(refused, Err(JournalError::Entry { len, .. }) if len == text.len()));
    }
    assert!(journal.is_empty());
    journal.record(&"x".repeat(MAX_ENTRY_LEN)).unwrap();
}

#[test]
fn is_bounded_by_what_is_listed() {
    let (_directory, path) = scratch();
    let (mut journal, _) = Journal::open(&path).unwrap();
    let entry = |number: usize| format!("{number:0MAX_ENTRY_LEN$}");
    let most = MAX_LISTED_LEN / (MAX_ENTRY_LEN + 3);
    journal.record_all((0..most).map(entry)).unwrap();
    let error = journal.record(&entry(most)).unwrap_err();
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    journal.forget(&entry(0)).unwrap();
    journal.record(&entry(most)).unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1.len(), most);
}

#[test]
fn compacts_its_history_and_stays_locked() {
    let (_directory, path) = scratch();
    let (mut journal, _) = Journal::open(&path).unwrap();
    journal.record("stays").unwrap();
    let (mut longest, mut shrunk, mut before) = (0, 0, 0);
    for round in 0..20_000_u32 {
        let entry = format!("eth0 10.0.{}.{}/32", round >> 8 & 255, round & 255);
        journal.record(&entry).unwrap();
        journal.forget(&entry).unwrap();
        let len = fs::metadata(&path).unwrap().len();
        longest = longest.max(len);
        shrunk += u32::from(len < before);
        before = len;
    }
    assert!(longest < 70_000 && shrunk > 5, "{longest} {shrunk}");
    assert!(matches!(Journal::open(&path), Err(JournalError::Held { .. })));
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, ["stays"]);
}

#[test]
fn files_that_are_no_journal_are_refused_and_kept() {
    let (directory, path) = scratch();
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "root:x:0:0\n").unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { defect: Defect::Header, .. }), "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap())
            && error.to_string().contains("delete it"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "root:x:0:0\n");

    let link = directory.path().join("link.journal");
    symlink(&path, &link).unwrap();
    assert!(matches!(
        Journal::open(&link),
        Err(JournalError::Damaged { defect: Defect::NotAFile, .. })
    ));
    assert!(matches!(
        Journal::open(directory.path()),
        Err(JournalError::Damaged { defect: Defect::NotAFile, .. })
    ));

    let sparse = directory.path().join("huge.journal");
    fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let error = Journal::open(&sparse).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { defect: Defect::TooLarge { len }, .. } if len == 1 << 40),
        "{error}"
    );
}

#[test]
fn directory_that_cannot_be_created_is_named() {
    let (directory, _) = scratch();
    fs::write(directory.path().join("file"), "").unwrap();
    let error = Journal::open(directory.path().join("file/run/x.journal")).unwrap_err();
    assert!(matches!(error, JournalError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("file/run"), "{error}");
}

proptest! {
    #[test]
    fn any_file_is_taken_over_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), shape in 0_u8..3) {
        let (_directory, path) = scratch();
        drop(Journal::open(&path).unwrap());
        let header = {
            let (_journal, _) = Journal::open(&path).unwrap();
            fs::read(&path).unwrap()
        };
        let content = match shape {
            0 => bytes.clone(),
            1 => [header, bytes.clone()].concat(),
            _ => [header, b"+ a\n+ b\n- a\n".to_vec(), bytes.clone()].concat(),
        };
        fs::write(&path, &content).unwrap();
        match Journal::open(&path) {
            Ok((mut journal, leftovers)) => {
                for entry in &leftovers {
                    journal.forget(entry).unwrap();
                }
                journal.close().unwrap();
                prop_assert!(!path.exists());
            }
            Err(JournalError::Damaged { .. }) => prop_assert_eq!(fs::read(&path).unwrap(), content),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
