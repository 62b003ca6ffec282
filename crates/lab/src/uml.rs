//! User-mode Linux: a kernel with `ip_vs` (and VLAN, dummy, netem ...) for machines whose own has none.
//!
//! The work is done by `uml-run` beside this crate's manifest (python3, standard library only). The guest sees the
//! machine's files under their own paths; everything can be written, and nothing written reaches the machine but
//! what lies in a [`Guest::writable`] directory. A guest takes about three seconds to boot, has one processor, and
//! is slow at system calls (20 µs) and at starting processes (50 ms and more).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A command to be run in a guest of its own.
#[derive(Clone, Debug)]
pub struct Guest {
    timeout: Duration,
    writable: Vec<PathBuf>,
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Guest {
    /// A guest that is ended after ten minutes.
    pub fn new() -> Self {
        Self { timeout: Duration::from_secs(600), writable: Vec::new() }
    }

    /// How long boot and command may take together.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A directory in which the command's changes are kept. A path with a comma is refused by the kernel.
    #[must_use]
    pub fn writable(mut self, directory: &Path) -> Self {
        self.writable.push(directory.to_owned());
        self
    }

    /// The command that runs `program` inside, with this process's environment and working directory; add its
    /// arguments with [`Command::arg`]. Its exit status is the program's, 124 after the timeout, 125 when no guest
    /// could be run. Ask [`need::check`](crate::need::check)`("uml")` first.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("python3");
        command.arg(script()).arg("--timeout").arg(self.timeout.as_secs().to_string());
        for directory in &self.writable {
            command.arg("--rw").arg(directory);
        }
        command.arg("--").arg(program);
        command
    }
}

/// Where `uml-run` is; it can be run by hand (`uml-run --help`).
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("uml-run")
}

/// Whether this process already runs inside a guest of [`Guest::command`].
pub fn is_inside() -> bool {
    std::env::var_os("UML_RUN").is_some()
}
