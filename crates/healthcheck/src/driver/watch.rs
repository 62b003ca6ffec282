//! Files that changed, by inotify on their directories.

use core::mem::MaybeUninit;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use reactor::{Interest, Reactor, Token};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::driver::probe::ProbeKey;

/// The token of the one inotify descriptor.
pub(super) const KEY: ProbeKey = 0;

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Which probes read which file of it.
    files: Vec<(OsString, ProbeKey)>,
}

#[derive(Debug)]
pub(super) struct Watch {
    descriptor: OwnedFd,
    directories: HashMap<i32, Directory>,
}

/// Watches the directory of `path` for the probe `key`. Where that is not possible, the file is read at its interval all the same.
pub(super) fn ensure(watch: &mut Option<Watch>, reactor: &mut Reactor, path: &Path, key: ProbeKey) {
    if watch.is_none() {
        *watch = Watch::open(reactor);
    }
    if let Some(watch) = watch {
        watch.add(path, key);
    }
}

impl Watch {
    fn open(reactor: &mut Reactor) -> Option<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let descriptor = inotify::init(flags).ok()?;
        reactor.register(&descriptor, Interest::Readable, Token(KEY)).ok()?;
        Some(Self { descriptor, directories: HashMap::new() })
    }

    fn add(&mut self, path: &Path, key: ProbeKey) {
        let Some(name) = path.file_name() else { return };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        if self.directories.values().any(|directory| {
            directory.path == parent && directory.files.iter().any(|(_, reader)| *reader == key)
        }) {
            return;
        }
        let events = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVE
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::ONLYDIR;
        if let Ok(number) = inotify::add_watch(&self.descriptor, parent, events) {
            let directory = self
                .directories
                .entry(number)
                .or_insert_with(|| Directory { path: parent.to_owned(), files: Vec::new() });
            directory.files.push((name.to_owned(), key));
        }
    }

    pub(super) fn forget(&mut self, key: ProbeKey) {
        let descriptor = &self.descriptor;
        self.directories.retain(|&number, directory| {
            directory.files.retain(|(_, reader)| *reader != key);
            let used = !directory.files.is_empty();
            if !used {
                let _gone = inotify::remove_watch(descriptor, number);
            }
            used
        });
    }

    /// The probes whose file may have changed.
    pub(super) fn changed(&mut self) -> Vec<ProbeKey> {
        let mut changed = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.descriptor, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
                // Which ones is lost.
                let all = self.directories.values().flat_map(|directory| &directory.files);
                changed.extend(all.map(|&(_, key)| key));
            } else if event.events().contains(inotify::ReadFlags::IGNORED) {
                // The directory is gone; the next run looks for it again.
                let gone = self.directories.remove(&event.wd());
                changed.extend(gone.into_iter().flat_map(|gone| gone.files).map(|(_, key)| key));
            } else if let (Some(directory), Some(name)) =
                (self.directories.get(&event.wd()), event.file_name())
            {
                let name = OsStr::from_bytes(name.to_bytes());
                changed.extend(
                    directory.files.iter().filter(|(file, _)| file == name).map(|&(_, key)| key),
                );
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}
