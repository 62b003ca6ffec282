//! keepalived, and our own daemon under keepalived's options.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::Node;
use crate::process::Process;

/// A daemon that runs a `keepalived.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Daemon {
    /// Debian's keepalived.
    Keepalived,
    /// The `vipd` of this workspace: where the binary is.
    Vipd(PathBuf),
}

impl Daemon {
    /// The name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keepalived => "keepalived",
            Self::Vipd(_) => "vipd",
        }
    }

    /// What it says of its version, such as `2.2.7`; nothing when it cannot be asked.
    pub fn version(&self) -> Option<String> {
        let program = match self {
            Self::Keepalived => crate::need::find_program("keepalived")?,
            Self::Vipd(binary) => binary.clone(),
        };
        let output = Command::new(program).arg("--version").output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // `Keepalived v2.2.7 (01/16,2022)` on its error output, `vipd 0.1.0` on its output.
        let version = said.lines().next()?.split_whitespace().nth(1)?;
        Some(version.trim_start_matches('v').to_owned())
    }

    /// Starts it on the node with the configuration file `conf`, in the foreground, its log on its output, its pid
    /// files in the node's own `/run`: both daemons get the same options.
    pub fn start(&self, node: &Node, conf: &Path) -> io::Result<Process> {
        let mut command = match self {
            Self::Keepalived => Command::new(
                crate::need::find_program("keepalived").ok_or(io::ErrorKind::NotFound)?,
            ),
            Self::Vipd(binary) => Command::new(binary),
        };
        command.args(["-n", "-l", "-D", "-G", "-f"]).arg(conf);
        for (option, file) in [("-p", "keepalived.pid"), ("-r", "vrrp.pid"), ("-c", "checkers.pid")]
        {
            command.arg(option).arg(Path::new("/run").join(file));
        }
        command.env("PATH", crate::need::search_path());
        Process::start(node, self.name(), &mut command)
    }
}
