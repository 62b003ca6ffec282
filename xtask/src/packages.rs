//! Debian packages that a task needs: installed when missing and root, else named.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Output, Stdio};

/// A program and the Debian package that has it.
pub(crate) type Program = (&'static str, &'static str);

pub(crate) const CC: Program = ("cc", "gcc");
pub(crate) const FRR: Program = ("/usr/lib/frr/vrrpd", "frr");
pub(crate) const IP: Program = ("ip", "iproute2");
pub(crate) const IPVSADM: Program = ("ipvsadm", "ipvsadm");
pub(crate) const KEEPALIVED: Program = ("keepalived", "keepalived");
pub(crate) const NFT: Program = ("nft", "nftables");
pub(crate) const NGINX: Program = ("nginx", "nginx-light");
pub(crate) const PING: Program = ("ping", "iputils-ping");
pub(crate) const TSHARK: Program = ("tshark", "tshark");
pub(crate) const STRACE: Program = ("strace", "strace");
pub(crate) const VALGRIND: Program = ("valgrind", "valgrind");
pub(crate) const UML: [Program; 3] =
    [("linux.uml", "user-mode-linux"), ("modprobe", "kmod"), ("python3", "python3")];

/// The packages of `programs` that this machine lacks.
pub(crate) fn missing(programs: &[Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs
        .iter()
        .filter(|(program, _)| lab::need::find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs what is missing of `programs`, without questions; nothing that comes with it is started. The error
/// says what to install by hand.
pub(crate) fn ensure(programs: &[Program]) -> Result<(), String> {
    let packages = missing(programs);
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install with: apt-get install {}", packages.join(" "));
    if lab::need::find_program("apt-get").is_none() {
        return Err(format!("missing Debian packages, and no apt-get here; {by_hand}"));
    }
    if lab::need::check("root").is_err() {
        return Err(format!("missing Debian packages, and not root to install them; {by_hand}"));
    }
    println!("installing Debian packages: {}", packages.join(" "));
    let _quiet = NothingStarts::new();
    // On a fresh machine the lists are empty; a failed update (an unreachable mirror) shows in the install.
    let update = apt(&["update"], &[])?;
    let install = apt(&["install", "--yes", "--no-install-recommends"], &packages)?;
    if !install.status.success() || !missing(programs).is_empty() {
        for output in [update, install] {
            eprint!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        return Err(format!("apt-get could not install {}; {by_hand}", packages.join(" ")));
    }
    // They are for the lab only: not to be started by the next boot either.
    let services = packages.iter().filter_map(|package| match *package {
        "nginx-light" => Some("nginx"),
        "keepalived" => Some("keepalived"),
        "frr" => Some("frr"),
        _ => None,
    });
    let mut disable = Command::new("systemctl");
    disable.args(["disable", "--quiet"]).args(services).stdout(Stdio::null()).stderr(Stdio::null());
    // No systemd, nothing to disable.
    drop(disable.status());
    Ok(())
}

fn apt(arguments: &[&str], packages: &[&str]) -> Result<Output, String> {
    let mut apt = Command::new("apt-get");
    apt.args(["--quiet=2", "-o", "Dpkg::Use-Pty=0"]).args(arguments).args(packages);
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    apt.output().map_err(|error| format!("apt-get: {error}"))
}

/// While this lives, Debian's maintainer scripts start no service (policy-rc.d says no).
struct NothingStarts {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NothingStarts {
    fn new() -> Self {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        let ours = file.and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n")).is_ok();
        Self { ours }
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.ours {
            drop(std::fs::remove_file(POLICY));
        }
    }
}
