//! What a test needs of the machine: asked at its start by [`need!`](crate::need!), told when it is missing.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::privilege;

/// Leaves the test when something that it needs is missing, and says so.
///
/// `need!(netns, keepalived)` for a test without a result, `need!(netns => Ok(()))` for one with. A skip is printed,
/// and appended as `test TAB need TAB why and how to get it` to the file named by `LAB_SKIP_LOG`. Where the
/// environment variable `REQUIRE` (names with commas between) lists the need, its absence is a failure instead.
///
/// The needs: `netns` (root, or a user namespace: the test binary is then started again inside one), `root` (of the
/// machine itself), `ipvs` (the running kernel has `ip_vs`; `REQUIRE=uml` requires it too, because user-mode Linux can
/// always supply it), `nftables` and `macvlan` (the running kernel has them), `uml`, `frr` (FRR, macvlan, and root of the
/// machine, because FRR runs as a user of its own),
/// `captures` (tcpdump's test captures of VRRP, in the folder [`captures`]), and the programs `keepalived`, `nginx`, `ipvsadm`, `tcpdump`, `tshark`, `python3`, `systemd` (its `systemd-analyze`).
#[macro_export]
macro_rules! need {
    ($($need:ident),+ $(,)?) => {
        $crate::need!($($need),+ => ())
    };
    ($($need:ident),+ => $value:expr) => {
        if !$crate::need::all(&[$(stringify!($need)),+]) {
            return $value;
        }
    };
}

/// Whether every need is met; tells about the first that is not. Panics when `REQUIRE` lists it.
pub fn all(needs: &[&str]) -> bool {
    for need in needs {
        let Err(why) = check(need) else { continue };
        let required = std::env::var("REQUIRE").unwrap_or_default();
        assert!(!is_required(need, &required), "{need} is required (REQUIRE) and missing: {why}");
        tell(need, &why);
        return false;
    }
    true
}

/// Whether the list of `REQUIRE` has the need.
fn is_required(need: &str, list: &str) -> bool {
    let listed = |name: &str| list.split([',', ' ']).any(|listed| listed == name);
    listed(need) || (need == "ipvs" && listed("uml"))
}

/// Whether the machine has what `need` names; else why not, and how to get it.
pub fn check(need: &str) -> Result<(), String> {
    static ROOT: OnceLock<Result<(), String>> = OnceLock::new();
    static NETNS: OnceLock<Result<(), String>> = OnceLock::new();
    static IPVS: OnceLock<Result<(), String>> = OnceLock::new();
    static NFTABLES: OnceLock<Result<(), String>> = OnceLock::new();
    static MACVLAN: OnceLock<Result<(), String>> = OnceLock::new();
    match need {
        "root" => ROOT
            .get_or_init(|| {
                if privilege::is_machine_root() { Ok(()) } else { Err("run as root".to_owned()) }
            })
            .clone(),
        "netns" => NETNS.get_or_init(network_namespaces).clone(),
        "ipvs" => IPVS.get_or_init(ipvs).clone(),
        "nftables" => NFTABLES.get_or_init(nftables).clone(),
        "macvlan" => MACVLAN.get_or_init(macvlan).clone(),
        "systemd" => program("systemd-analyze", "systemd"),
        "uml" => {
            program("linux.uml", "user-mode-linux")?;
            program("python3", "python3")?;
            program("insmod", "kmod")?;
            let script = crate::uml::script();
            std::fs::File::open(&script)
                .map(drop)
                .map_err(|error| format!("{}: {error}", script.display()))
        }
        "keepalived" | "ipvsadm" | "tcpdump" | "tshark" | "python3" => program(need, need),
        "nginx" => program("nginx", "nginx-light"),
        "frr" => frr(),
        "captures" => captures().map(drop),
        other => panic!("no such need: {other}"),
    }
}

/// The directories of `PATH` and those where Debian keeps programs for root.
pub fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for extra in ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
        if !directories.iter().any(|directory| directory == Path::new(extra)) {
            directories.push(extra.into());
        }
    }
    std::env::join_paths(directories).unwrap_or(path)
}

/// Where the program `name` is, if this machine has it.
pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

fn program(name: &str, package: &str) -> Result<(), String> {
    if find_program(name).is_some() {
        return Ok(());
    }
    Err(format!("no program `{name}`; install it with: apt-get install {package}"))
}

/// The folder with tcpdump's test captures of VRRP: the environment variable `VRRP_CAPTURES`, and nothing else. They are
/// not ours to publish.
pub fn captures() -> Result<PathBuf, String> {
    let get = "from `tests/` of https://github.com/the-tcpdump-group/tcpdump";
    let Some(folder) = std::env::var_os("VRRP_CAPTURES").map(PathBuf::from) else {
        return Err(format!("set VRRP_CAPTURES to a folder with vrrp*.pcap and vrrp*.out {get}"));
    };
    let capture = folder.join("vrrp.pcap");
    if capture.is_file() {
        Ok(folder)
    } else {
        Err(format!("{} is missing; get it {get}", capture.display()))
    }
}

/// Its daemons run as a user of their own, whom a user namespace does not have.
fn frr() -> Result<(), String> {
    if crate::peers::frr::program("vrrpd").is_none() {
        return Err("no program `vrrpd`; install it with: apt-get install frr".to_owned());
    }
    program("setpriv", "util-linux")?;
    check("macvlan")?;
    if privilege::is_machine_root() { Ok(()) } else { Err("run as root".to_owned()) }
}

fn network_namespaces() -> Result<(), String> {
    program("ip", "iproute2")?;
    privilege::become_root()?;
    match crate::Namespace::new() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no network namespace can be made ({error}); run as root")),
    }
}

fn nftables() -> Result<(), String> {
    program("nft", "nftables")?;
    network_namespaces()?;
    let nft = |namespace: crate::Namespace| {
        namespace.output(std::process::Command::new("nft").args(["add", "table", "inet", "probe"]))
    };
    match crate::Namespace::new().and_then(nft) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("the kernel has no nf_tables ({}); modprobe nf_tables", said.trim()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn macvlan() -> Result<(), String> {
    network_namespaces()?;
    let probe = ["link add probe0 type veth", "link add link probe0 name probe1 type macvlan"];
    crate::Namespace::new()
        .and_then(|namespace| namespace.ip_batch(probe))
        .map_err(|error| format!("the kernel has no macvlan ({error}); modprobe macvlan"))
}

fn ipvs() -> Result<(), String> {
    let present = || Path::new("/proc/net/ip_vs").exists();
    if !present()
        && privilege::is_machine_root()
        && let Some(modprobe) = find_program("modprobe")
    {
        // Failure shows in the file's absence.
        drop(std::process::Command::new(modprobe).args(["-q", "ip_vs"]).status());
    }
    if !present() {
        return Err(
            "the running kernel has no ip_vs and `modprobe ip_vs` fails; user-mode Linux has it \
                    (apt-get install user-mode-linux, then `cargo xtask test` uses it)"
                .to_owned(),
        );
    }
    if !privilege::is_machine_root() {
        return Err("IPVS can be changed by root of the machine only; run as root".to_owned());
    }
    Ok(())
}

/// Says that the running test is skipped, on its output and in the skip log.
fn tell(need: &str, why: &str) {
    let thread = std::thread::current();
    let name = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => std::env::args().next().unwrap_or_default(),
    };
    let program = std::env::current_exe().ok();
    let stem = program.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    // cargo appends a hash to the target's name
    let target = stem.rsplit_once('-').map_or(&*stem, |(target, _hash)| target);
    println!("skipped {target}::{name}: needs {need}: {why}");
    let Some(log) = std::env::var_os("LAB_SKIP_LOG") else { return };
    let line = format!("{target}::{name}\t{need}\t{why}\n");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn require_is_a_list_of_names() {
        for (need, list, required) in [
            ("netns", "", false),
            ("netns", "netns,uml", true),
            ("uml", "netns,uml", true),
            ("netns", "netnsx", false),
            ("keepalived", "netns keepalived", true),
            // user-mode Linux always has it
            ("ipvs", "netns,uml", true),
            ("ipvs", "netns,keepalived", false),
        ] {
            assert_eq!(is_required(need, list), required, "{need} in {list:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_with_a_remedy() {
        let why = program("no-such-program", "some-package").expect_err("no machine has it");
        assert!(why.contains("apt-get install some-package"), "{why}");
        assert_eq!(program("sh", "dash"), Ok(()));
    }
}
