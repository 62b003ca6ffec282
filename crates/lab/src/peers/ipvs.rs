//! The kernel's IPVS table as others read it: by `ipvsadm -Ln`, and from `/proc/net/ip_vs`.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use crate::namespace::Namespace;

/// What one director's kernel balances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The virtual services in the kernel's order.
    pub services: Vec<Service>,
    /// The text it was read from.
    pub text: String,
}

/// A virtual service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `TCP`, `UDP`, `SCTP` or `FWM`.
    pub protocol: String,
    /// `192.168.1.150:80`, or the firewall mark.
    pub address: String,
    /// `rr`, `wlc` ...
    pub scheduler: String,
    /// What follows the scheduler, such as `persistent 5` (`/proc/net/ip_vs` has it in the kernel's ticks).
    pub flags: String,
    /// Its real servers, sorted by the text of their addresses.
    pub destinations: Vec<Destination>,
}

/// A real server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// `192.168.1.171:80`.
    pub address: String,
    /// `Route` (direct routing), `Masq`, `Tunnel` or `Local`.
    pub forward: String,
    /// Its weight.
    pub weight: u32,
    /// Connections that are established.
    pub active: u32,
    /// Connections in any other state.
    pub inactive: u32,
}

impl Table {
    /// Asks `ipvsadm -Ln` inside the namespace.
    pub fn by_ipvsadm(namespace: &Namespace) -> io::Result<Self> {
        let program = crate::need::find_program("ipvsadm").ok_or(io::ErrorKind::NotFound)?;
        let output = namespace.output(Command::new(program).arg("-Ln"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("ipvsadm: {}", said.trim())));
        }
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Reads `/proc/net/ip_vs` of the namespace: cheap enough to do often. IPv4 only.
    pub fn of_proc(namespace: &Namespace) -> io::Result<Self> {
        namespace.run(Self::of_this_thread)
    }

    /// Reads `/proc/thread-self/net/ip_vs`: the namespace that the calling thread is in.
    pub fn of_this_thread() -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string("/proc/thread-self/net/ip_vs")?))
    }

    /// The service at `address` (`192.168.1.150:80`).
    pub fn service(&self, address: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.address == address)
    }

    fn parse(text: &str) -> Self {
        let mut services: Vec<Service> = Vec::new();
        // Three lines of headings.
        for line in text.lines().skip(3) {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_default();
            let first = word();
            if first == "->" {
                let destination = Destination {
                    address: address(word()),
                    forward: word().to_owned(),
                    weight: word().parse().unwrap_or_default(),
                    active: word().parse().unwrap_or_default(),
                    inactive: word().parse().unwrap_or_default(),
                };
                if let Some(service) = services.last_mut() {
                    service.destinations.push(destination);
                }
            } else if !first.is_empty() {
                services.push(Service {
                    protocol: first.to_owned(),
                    address: address(word()),
                    scheduler: word().to_owned(),
                    flags: words.collect::<Vec<_>>().join(" "),
                    destinations: Vec::new(),
                });
            }
        }
        for service in &mut services {
            service.destinations.sort_by(|a, b| a.address.cmp(&b.address));
        }
        Self { services, text: text.to_owned() }
    }
}

/// `C0A80196:0050` of `/proc/net/ip_vs` as `192.168.1.150:80`; everything else as it stands.
fn address(text: &str) -> String {
    let hexadecimal = || {
        let (address, port) =
            text.split_once(':').filter(|(address, port)| (address.len(), port.len()) == (8, 4))?;
        let address = u32::from_str_radix(address, 16).ok()?;
        Some(SocketAddrV4::new(Ipv4Addr::from(address), u16::from_str_radix(port, 16).ok()?))
    };
    hexadecimal().map_or_else(|| text.to_owned(), |socket| socket.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_table_say_the_same() {
        let head = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> \
                    RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
        let shown = format!(
            "{head}TCP  192.168.1.150:80 rr persistent 5\n  -> 192.168.1.171:80 Route 1 0 12\n"
        );
        let raw = format!(
            "{head}TCP  C0A80196:0050 rr persistent 500 FFFFFFFF\n  -> C0A801AB:0050 Route 1 0 12\n"
        );
        let (shown, raw) = (Table::parse(&shown), Table::parse(&raw));
        let service = shown.service("192.168.1.150:80").expect("the table has it");
        assert_eq!((service.scheduler.as_str(), service.flags.as_str()), ("rr", "persistent 5"));
        assert_eq!(service.destinations, raw.services[0].destinations);
        assert_eq!(service.destinations[0].inactive, 12);
        assert_eq!(Table::parse(head).services, []);
    }
}
