//! A cable between two namespaces, and what `ip` says about its end: the verdicts of these tests come from there.

use core::net::IpAddr;
use core::time::Duration;
use std::process::Command;

use lab::{Namespace, eventually, veth};
use serde_json::Value;
use vip_netlink::{Address, Client};

/// Long enough for a busy machine; nothing waits for it when all goes well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// `here` and `there`, joined by a cable: `eth0` here, `eth1` there.
pub(crate) struct Cable {
    pub(crate) here: Namespace,
    pub(crate) there: Namespace,
    /// Index of `eth0`.
    pub(crate) index: u32,
}

impl Cable {
    pub(crate) fn new() -> Self {
        let (here, there) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        // No link-local address that the kernel makes: `eth0` has what a test gives it and nothing else.
        here.sysctl("net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        veth(&here, "eth0", &there, "eth1").unwrap();
        let index = here.link_index("eth0").unwrap();
        Self { here, there, index }
    }

    /// A cable that carries frames: until the kernel has noticed the carrier at both ends, up to a second, it loses them
    /// without a word.
    pub(crate) fn carrying() -> Self {
        let cable = Self::new();
        for (end, name) in [(&cable.here, "eth0"), (&cable.there, "eth1")] {
            let mut client = end.run(Client::open).unwrap();
            eventually(PATIENCE, || client.link(name).unwrap().up.then_some(())).expect(name);
        }
        cable
    }

    pub(crate) fn client(&self) -> Client {
        self.here.run(Client::open).unwrap()
    }

    pub(crate) fn address(&self, text: &str) -> Address {
        let (ip, prefix_len) = text.split_once('/').unwrap();
        Address::new(self.index, ip.parse().unwrap(), prefix_len.parse().unwrap()).unwrap()
    }

    /// `addr_info` of `eth0`.
    pub(crate) fn shown(&self) -> Vec<Value> {
        let mut ip = Command::new("ip");
        ip.args(["-json", "-details", "address", "show", "dev", "eth0"]);
        let output = self.here.output(&mut ip).unwrap();
        let links: Value = serde_json::from_slice(&output.stdout).unwrap();
        links[0]["addr_info"].as_array().unwrap().clone()
    }

    /// Address and prefix length of each, as `ip` lists them.
    pub(crate) fn shown_keys(&self) -> Vec<(IpAddr, u64)> {
        let key = |info: &Value| {
            (info["local"].as_str().unwrap().parse().unwrap(), info["prefixlen"].as_u64().unwrap())
        };
        self.shown().iter().map(key).collect()
    }
}
