//! FRR's VRRP daemon: `vrrpd`, and the `zebra` that it asks about interfaces.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::namespace::Node;
use crate::process::Process;

/// Where Debian's package `frr` keeps its daemons.
const PROGRAMS: &str = "/usr/lib/frr";
/// The user that they run as, and who has to own their sockets' directory.
const USER: &str = "frr";
/// What `zebra` and `vrrpd` ask for.
const CAPABILITIES: &str = "+net_admin,+net_raw,+sys_admin,+setuid,+setgid,+net_bind_service";
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `vrrpd` with its `zebra`, each a child of this process. Dropping it kills both.
///
/// FRR adds no addresses: they are on a macvlan interface with the virtual MAC address, which exists beforehand
/// ([`Frr::virtual_interface`]) and which FRR brings up and down. So an address counts as held while that interface is up.
#[derive(Debug)]
pub struct Frr {
    // In the order of their end: vrrpd says goodbye while zebra still lives.
    vrrpd: Process,
    zebra: Process,
    _files: tempfile::TempDir,
}

impl Frr {
    /// What it says of its version, such as `8.4.4`; nothing where it is not installed.
    pub fn version() -> Option<String> {
        let output = Command::new(program("vrrpd")?).arg("--version").output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // `vrrpd version 8.4.4`
        Some(said.lines().next()?.split_whitespace().nth(2)?.to_owned())
    }

    /// Makes the interface `name` of a virtual router on `parent`, with its addresses (`192.0.2.100/24`).
    pub fn virtual_interface(
        node: &Node,
        name: &str,
        parent: &str,
        vrid: u8,
        addresses: &[&str],
    ) -> io::Result<()> {
        let six = addresses.first().is_some_and(|address| address.contains(':'));
        let mac = format!("00:00:5e:00:0{}:{vrid:02x}", if six { 2 } else { 1 });
        let mut commands = vec![
            format!("link add {name} link {parent} address {mac} type macvlan mode bridge"),
            // Its link-local address would follow from the MAC address, and be the same on every router.
            format!("link set {name} addrgenmode {}", if six { "random" } else { "none" }),
        ];
        // The other routers have them, too: duplicate address detection would take them away.
        let no_detection = if six { " nodad" } else { "" };
        for address in addresses {
            commands.push(format!("addr add {address} dev {name}{no_detection}"));
        }
        commands.push(format!("link set {name} up"));
        node.ip_batch(commands.iter().map(String::as_str))
    }

    /// Starts both on the node, `vrrpd` with this text as its configuration. Their sockets and pid files are in a
    /// directory that ends with them.
    pub fn start(node: &Node, configuration: &str) -> io::Result<Self> {
        let files = tempfile::tempdir()?;
        let (user, group) = owner()?;
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644))?;
            io::Result::Ok(path)
        };
        let zebra_conf = write("zebra.conf", "")?;
        let vrrpd_conf = write("vrrpd.conf", configuration)?;
        chown(files.path(), Some(user), Some(group))?;
        // Compiled into them; without it they complain. The node's own /run.
        node.run(|| {
            std::fs::create_dir_all("/run/frr")?;
            chown("/run/frr", Some(user), Some(group))
        })?;
        let zebra = daemon(node, "zebra", files.path(), &zebra_conf)?;
        let api = files.path().join("zserv.api");
        if crate::eventually(PATIENCE, || api.exists().then_some(())).is_none() {
            return Err(io::Error::other(format!("zebra does not listen: {}", zebra.log())));
        }
        let vrrpd = daemon(node, "vrrpd", files.path(), &vrrpd_conf)?;
        Ok(Self { vrrpd, zebra, _files: files })
    }

    /// `vrrpd` itself.
    pub fn vrrpd(&self) -> &Process {
        &self.vrrpd
    }

    /// The process ids of both.
    pub fn ids(&self) -> [u32; 2] {
        [self.vrrpd.id(), self.zebra.id()]
    }

    /// Stops `vrrpd` as its service manager does, then `zebra`.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        let status = self.vrrpd.terminate()?;
        self.zebra.terminate()?;
        Ok(status)
    }

    /// Kills both at once.
    pub fn kill(mut self) -> io::Result<()> {
        self.zebra.kill()?;
        self.vrrpd.kill()?;
        Ok(())
    }

    /// What both have printed.
    pub fn log(&self) -> String {
        format!("{}\n{}", self.zebra.log(), self.vrrpd.log())
    }
}

/// The lines of `vrrpd`'s configuration for one virtual router of version 2 or 3; `milliseconds` in steps of 10.
#[derive(Clone, Debug)]
pub struct FrrVirtualRouter<'a> {
    /// The parent interface.
    pub interface: &'a str,
    /// Its number.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// 1 to 254.
    pub priority: u8,
    /// The advertisement interval.
    pub milliseconds: u32,
    /// Whether a Master of lower priority is replaced.
    pub preempt: bool,
    /// The virtual addresses, of one family.
    pub addresses: &'a [IpAddr],
}

impl FrrVirtualRouter<'_> {
    /// The text.
    pub fn configuration(&self) -> String {
        use std::fmt::Write;
        let Self { interface, vrid, version, priority, milliseconds, .. } = self;
        let mut text = format!(
            "interface {interface}\n vrrp {vrid} version {version}\n vrrp {vrid} priority {priority}\n \
             vrrp {vrid} advertisement-interval {milliseconds}\n"
        );
        if !self.preempt {
            let _ = writeln!(text, " no vrrp {vrid} preempt");
        }
        for address in self.addresses {
            let family = if address.is_ipv6() { "ipv6" } else { "ip" };
            let _ = writeln!(text, " vrrp {vrid} {family} {address}");
        }
        text
    }
}

/// A program of the package.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    Some(Path::new(PROGRAMS).join(name)).filter(|path| path.is_file())
}

fn daemon(node: &Node, name: &str, files: &Path, configuration: &Path) -> io::Result<Process> {
    // They would become the user themselves, and the kernel forgets then whom they were to die with. So they are
    // that user from the start, with the capabilities that they look for.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
    command.args(["--inh-caps", CAPABILITIES, "--ambient-caps", CAPABILITIES]);
    command.args(["--pdeathsig", "KILL", "--"]);
    command.arg(program(name).ok_or(io::ErrorKind::NotFound)?);
    command.args(["--log", "stdout", "-P", "0", "-f"]).arg(configuration);
    command.arg("-z").arg(files.join("zserv.api")).arg("--vty_socket").arg(files);
    command.arg("-i").arg(files.join(format!("{name}.pid")));
    command.env("PATH", crate::need::search_path());
    Process::start(node, name, &mut command)
}

/// The ids of the user and its group in `/etc/passwd`.
fn owner() -> io::Result<(u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd")?;
    let ids = accounts.lines().find_map(|line| {
        let mut fields = line.strip_prefix(USER)?.strip_prefix(':')?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    ids.ok_or_else(|| io::Error::other(format!("no user {USER} in /etc/passwd")))
}
