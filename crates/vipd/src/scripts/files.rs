//! Files with a number in them that is tracked.

use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Instant;

use healthcheck::{Check, CheckId, Driver, FileCheck, NumberRule, Timing};
use vrrp::Condition;

use super::Verdict;
use crate::trackers::Subject;

/// How often a file is read that cannot be watched.
const INTERVAL: Duration = Duration::from_secs(1);

/// A `track_file` that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackedFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// What is written into it when it is not there, and whether also when it is.
    pub(crate) init: Option<(i32, bool)>,
}

/// All of them. One that cannot be read, or has no number in it, counts as 0.
#[derive(Debug)]
pub(super) struct Files {
    driver: Driver,
    watched: Vec<(CheckId, TrackedFile)>,
    next: u64,
}

impl Files {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { driver: Driver::new(0)?, watched: Vec::new(), next: 0 })
    }

    /// From now on these; those that stay are not read anew.
    pub(super) fn watch(&mut self, now: Instant, files: Vec<TrackedFile>) {
        let mut former = core::mem::take(&mut self.watched);
        for file in files {
            if let Some(place) = former.iter().position(|(_, other)| *other == file) {
                self.watched.push(former.swap_remove(place));
                continue;
            }
            if let Err(error) = file.prepare() {
                log::error!("track_file {}: {}: {error}", file.name, file.path.display());
            }
            let id = CheckId(self.next);
            self.next += 1;
            let check = FileCheck::new(&file.path, NumberRule::Told).otherwise(0);
            let timing = Timing::new().interval(INTERVAL).start_jitter(Duration::ZERO);
            self.driver.add(now, id, Check::file(check).timing(timing));
            self.watched.push((id, file));
        }
        for (id, _) in former {
            self.driver.remove(id);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.driver.poll_timeout()
    }

    /// What has changed.
    pub(super) fn process(&mut self, now: Instant) -> io::Result<Vec<Verdict>> {
        self.driver.process(now)?;
        let mut verdicts = Vec::new();
        while let Some(event) = self.driver.poll_event() {
            let found = self.watched.iter().find(|(id, _)| *id == event.id);
            let (Some((_, file)), Some(value)) = (found, event.value) else { continue };
            // What does not fit is as good as without end.
            let value = i32::try_from(value.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or(0);
            log::info!("track_file {}: {value}", file.name);
            let subject = Subject::File(file.name.clone());
            verdicts.push(Verdict { subject, condition: Condition::Value(value) });
        }
        Ok(verdicts)
    }
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.as_fd()
    }
}

impl TrackedFile {
    /// As `init_file` says.
    fn prepare(&self) -> io::Result<()> {
        let Some((number, overwrite)) = self.init else { return Ok(()) };
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        if overwrite {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        match options.open(&self.path) {
            Ok(mut file) => file.write_all(format!("{number}\n").as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}
