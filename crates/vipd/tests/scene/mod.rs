//! A daemon on a host of its own, and the other end of its cable.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use core::net::Ipv4Addr;
use core::time::Duration;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use lab::peers::Daemon;
use lab::{Capture, Filter, Frame, Namespace, Node, Process};

/// Guards against hanging only.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon's host `node` with `eth0` 192.0.2.1/24, and the other end of its cable.
pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) outside: Namespace,
    pub(crate) capture: Capture,
    pub(crate) directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
        lab::veth(&node, "eth0", &outside, "eth0").unwrap();
        node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        let capture = Capture::open(&outside, "eth0", Filter::Failover).unwrap();
        Self { node, outside, capture, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("test.conf");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts vipd as the lab starts keepalived: with keepalived's options.
    pub(crate) fn start(&self, text: &str) -> Process {
        Daemon::Vipd(vipd()).start(&self.node, &self.file(text)).unwrap()
    }

    /// The next advertisement.
    pub(crate) fn advertisement(&self) -> Advertisement {
        self.capture.find(PATIENCE, Advertisement::of).unwrap().expect("an advertisement")
    }

    pub(crate) fn has(&self, address: &str) -> bool {
        let shown = self.node.output(Command::new("ip").args(["-o", "addr"])).unwrap();
        String::from_utf8_lossy(&shown.stdout).contains(&format!(" {address}"))
    }

    pub(crate) fn file_in_run(&self, name: &str) -> Option<String> {
        self.node.run(|| std::fs::read_to_string(format!("/run/{name}")).ok())
    }
}

pub(crate) fn vipd() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_vipd"))
}

/// An IPv4 advertisement as it was seen on the wire.
#[derive(Debug)]
pub(crate) struct Advertisement {
    pub(crate) destination_mac: [u8; 6],
    pub(crate) ttl: u8,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) message: Vec<u8>,
}

impl Advertisement {
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        if !frame.is_vrrp() || frame.ethertype() != 0x0800 {
            return None;
        }
        let packet = frame.payload();
        let address = |at: usize| {
            Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4).unwrap()).unwrap())
        };
        let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        Some(Self {
            destination_mac: frame.bytes.get(..6)?.try_into().ok()?,
            ttl: *packet.get(8)?,
            source: address(12),
            destination: address(16),
            message: packet.get(20..length)?.to_vec(),
        })
    }

    pub(crate) fn priority(&self) -> u8 {
        self.message.get(2).copied().unwrap()
    }
}

/// A version 3 instance that is master after a third of a second.
pub(crate) fn fast(name: &str, vrid: u8, address: &str) -> String {
    format!(
        "vrrp_instance {name} {{\nversion 3\ninterface eth0\nvirtual_router_id {vrid}\nadvert_int 0.1\nvirtual_ipaddress {{\n{address}\n}}\n}}\n"
    )
}

/// A directory whose scripts write down how they are called.
pub(crate) struct Scripts {
    pub(crate) directory: tempfile::TempDir,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let scripts = Self { directory: tempfile::tempdir().unwrap() };
        scripts.write("log.sh", "#!/bin/sh\necho \"$*\" >> \"$0.log\"\n");
        scripts
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("log.sh.log")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The lines after the first `seen`, in their order, as soon as there are so many.
    pub(crate) fn next(&self, seen: usize, count: usize, daemon: &Process) -> Vec<String> {
        let there = || Some(self.logged()).filter(|lines| lines.len() >= seen + count);
        let lines = lab::eventually(PATIENCE, there);
        let lines = lines.unwrap_or_else(|| {
            assert_eq!(self.logged().len(), seen + count, "{:?}: {}", self.logged(), daemon.log());
            Vec::new()
        });
        lines.get(seen..).unwrap().to_vec()
    }
}
