//! The lease's files, its thread, and what it is asked.

use std::os::unix::ffi::OsStrExt as _;

use vrrp_fsm::Reason;

use super::*;
use crate::guard::lease::held_content;

const LEASE: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);

fn question() -> Question {
    Question {
        name: Arc::from("web"),
        addresses: Vec::new(),
        interfaces: Vec::new(),
        reason: Reason::MasterSilent,
        deadline: LONG,
    }
}

fn lock(directory: &Path, holder: &str) -> LockFile {
    LockFile::open(directory.join("lease"), holder, LEASE).unwrap().timeout(LONG)
}

#[test]
fn one_of_many_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    let locks: Vec<LockFile> =
        (0..8).map(|number| lock(directory.path(), &format!("host-{number}"))).collect();
    let barrier = std::sync::Barrier::new(locks.len());
    let ask = |lock: &LockFile| {
        barrier.wait();
        lock.ask(&question())
    };
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let asked: Vec<_> = locks.iter().map(|lock| scope.spawn(move || ask(lock))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let promoted = verdicts.iter().filter(|verdict| **verdict == Verdict::Promote).count();
    assert_eq!(promoted, 1, "{verdicts:?}");
}

#[test]
fn the_lease_of_a_dead_holder_expires_and_that_of_one_that_ends_does_not_need_to() {
    let directory = tempfile::tempdir().unwrap();
    let dead = directory.path().join("lease.41");
    std::fs::write(&dead, held_content("dead", 7)).unwrap();
    let a = lock(directory.path(), "a");
    assert_eq!(a.ask(&question()), Verdict::Veto);
    let taken = || (a.ask(&question()) == Verdict::Promote).then_some(());
    lab::eventually(LONG, taken).expect("it expires");
    assert_eq!(a.fencing_token(), Some(42));
    assert!(!dead.exists());
    a.handle_master(true);
    let b = lock(directory.path(), "b");
    assert_eq!(b.ask(&question()), Verdict::Veto);
    drop(a);
    let taken = || (b.ask(&question()) == Verdict::Promote).then_some(());
    lab::eventually(LONG, taken).expect("it was given back");
    assert_eq!(b.fencing_token(), Some(43));
}

#[test]
fn nothing_hangs_on_what_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("lease.3");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_os_str().as_bytes(), 0o644.into()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("lease.4")).unwrap();
    std::fs::create_dir(directory.path().join("lease.5")).unwrap();
    let a = lock(directory.path(), "a");
    assert_eq!(a.ask(&question()), Verdict::Veto);
    let taken = || (a.ask(&question()) == Verdict::Promote).then_some(());
    lab::eventually(LONG, taken).expect("it expires");
    assert_eq!(a.fencing_token(), Some(6));
}

#[test]
fn storage_that_hangs_is_a_veto_and_no_token_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (resume, wait) = crossbeam_channel::bounded::<()>(0);
    let a = lock(directory.path(), "a").timeout(Duration::from_millis(50));
    let a = a.on_lost(move || assert!(wait.recv_timeout(LONG).is_err()));
    a.handle_master(true);
    lab::eventually(LONG, || a.fencing_token()).expect("the lease");
    // The lease's thread hangs in the caller's code, as it would in the kernel.
    std::fs::write(directory.path().join("lease.9"), "somebody").unwrap();
    let gone = || a.fencing_token().is_none().then_some(());
    lab::eventually(LONG, gone).expect("the loss");
    assert_eq!(a.ask(&question()), Verdict::Veto);
    drop(resume);
    // What was asked while it hung is not answered by taking the lease.
    let again = || a.fencing_token().filter(|token| *token == 10);
    lab::eventually(LONG, again).expect("the Master takes it when it has expired");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let open = |path: &str, holder: &str, lease| LockFile::open(path, holder, lease).unwrap_err();
    assert!(matches!(open("/", "a", LEASE), LockFileError::Path { .. }));
    assert!(matches!(open("/tmp/x", "a b", LEASE), LockFileError::Holder { .. }));
    assert!(matches!(open("/tmp/x", "a", Duration::ZERO), LockFileError::Duration { .. }));
    let missing = open("/nonexistent/lease", "a", LEASE);
    assert!(matches!(missing, LockFileError::Directory { .. }), "{missing}");
}
