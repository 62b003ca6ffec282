//! Being root, for real or in a user namespace of our own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Set in the environment of a process that was started again inside a user namespace.
const ENTERED: &str = "LAB_USER_NAMESPACE";

/// Whether the effective user is root, here or only in a user namespace.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this process is root of the machine: its user namespace maps every user to itself.
pub(crate) fn is_machine_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Makes this process root where it is not yet, by starting it again inside a user namespace: then this
/// function does not return. Says why when that is not possible.
pub(crate) fn become_root() -> Result<(), String> {
    if is_root() {
        return Ok(());
    }
    if std::env::var_os(ENTERED).is_some() {
        return Err("not root even inside a user namespace".to_owned());
    }
    let wrap = ["--map-root-user", "--"];
    let works = Command::new("unshare")
        .args(wrap)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match works {
        Ok(status) if status.success() => {
            let again = || -> io::Result<io::Error> {
                let mut command = Command::new("unshare");
                command.args(wrap).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
                Ok(command.env(ENTERED, "1").exec())
            };
            let (Ok(error) | Err(error)) = again();
            Err(format!("not root, and starting again under unshare failed: {error}"))
        }
        Ok(_) => Err("not root, and this machine does not allow user namespaces \
                      (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces)"
            .to_owned()),
        Err(error) => Err(format!("not root, and unshare (package util-linux): {error}")),
    }
}
