//! The connection table, `/proc/net/ip_vs_conn`: netlink does not have it. Pure.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, BufRead, Read as _};

use crate::key::Protocol;
use crate::scheduler::Name;

/// Octets of the longest line that is read. Addresses and numbers take 170 at most, data of a persistence engine 255.
const MAX_LINE: u64 = 1024;

/// One connection, or a persistence template (the memory that a client belongs to a server: its client port is 0).
///
/// A template of a firewall-mark service has the mark as its virtual address, and protocol 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Who connected.
    pub client: SocketAddr,
    /// What it connected to.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// How far it is.
    pub state: ConnectionState,
    /// Time until it is forgotten unless something happens, whole seconds.
    pub expires: Duration,
    /// Whether this director made it or heard of it from another; in the list with origins only.
    pub origin: Option<Origin>,
    /// The persistence engine and what it recognises the client by, like a SIP call; in the list without origins only.
    pub engine: Option<(Name, Box<[u8]>)>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel tells these two apart")]
pub enum Origin {
    /// This director scheduled it.
    Local,
    /// The sync daemon brought it.
    Synchronised,
}

/// How far a connection is, as IPVS sees it: with direct routing and tunnels it sees one direction only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// No state: a template, or a protocol without states.
    None,
    /// A template that a connection has confirmed.
    Assured,
    /// TCP, data flows; also SCTP.
    Established,
    /// TCP, the server was asked.
    SynSent,
    /// TCP, the server has answered.
    SynReceived,
    /// TCP, one side has finished.
    FinWait,
    /// TCP, both sides have finished.
    TimeWait,
    /// TCP, reset.
    Close,
    /// TCP, the client has finished.
    CloseWait,
    /// TCP, waiting for the last acknowledgement.
    LastAck,
    /// TCP, under attack defence.
    SynAck,
    /// UDP, datagrams flow.
    Udp,
    /// Any other, by the kernel's name.
    Other(Box<str>),
}

impl ConnectionState {
    fn of(name: &str) -> Self {
        match name {
            "NONE" => Self::None,
            "ASSURED" => Self::Assured,
            "ESTABLISHED" => Self::Established,
            "SYN_SENT" => Self::SynSent,
            "SYN_RECV" => Self::SynReceived,
            "FIN_WAIT" => Self::FinWait,
            "TIME_WAIT" => Self::TimeWait,
            "CLOSE" => Self::Close,
            "CLOSE_WAIT" => Self::CloseWait,
            "LAST_ACK" => Self::LastAck,
            "SYNACK" => Self::SynAck,
            "UDP" => Self::Udp,
            other => Self::Other(other.into()),
        }
    }
}

/// The kernel's name.
impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::Assured => "ASSURED",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
            Self::Other(name) => name,
        })
    }
}

/// What was read of a connection table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// The connections, in the kernel's order, which means nothing.
    pub entries: Vec<Connection>,
    /// There were more than were asked for.
    pub truncated: bool,
    /// Lines that were not understood.
    pub unreadable: usize,
}

impl Connections {
    /// Reads `/proc/net/ip_vs_conn` or `/proc/net/ip_vs_conn_sync` (the heading tells which), at most `limit` connections. Memory is
    /// bounded by `limit`, whatever the file holds.
    ///
    /// # Errors
    ///
    /// Those of `file`.
    pub fn read(mut file: impl BufRead, limit: usize) -> io::Result<Self> {
        let mut connections = Self::default();
        let mut line = Vec::new();
        let mut form = None;
        while next_line(&mut file, &mut line)? {
            let Some(form) = form else {
                let heading = String::from_utf8_lossy(&line);
                form = Some(if heading.contains("Origin") { Form::Origins } else { Form::Engines });
                continue;
            };
            if connections.entries.len() >= limit {
                connections.truncated = true;
                break;
            }
            match connection(&line, form) {
                Some(connection) => connections.entries.push(connection),
                None => connections.unreadable = connections.unreadable.saturating_add(1),
            }
        }
        Ok(connections)
    }
}

/// Which of the two files it is.
#[derive(Clone, Copy, Debug)]
enum Form {
    Engines,
    Origins,
}

/// Reads a line without its end, and not more of it than the longest that makes sense; false at the end.
fn next_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = file.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read > 0 {
        skip_line(file)?;
    }
    Ok(read > 0)
}

/// Passes over the rest of a line.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        let (len, end) = match buffer.iter().position(|&octet| octet == b'\n') {
            Some(at) => (at.saturating_add(1), true),
            None => (buffer.len(), buffer.is_empty()),
        };
        file.consume(len);
        if end {
            return Ok(());
        }
    }
}

/// The words of a line, and the rest when enough of them are taken.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_ascii_start();
        let len = rest.iter().position(|&octet| octet == b' ').unwrap_or(rest.len());
        let (word, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        core::str::from_utf8(word).ok().filter(|word| !word.is_empty())
    }

    fn socket_address(&mut self) -> Option<SocketAddr> {
        let address = address(self.next()?)?;
        Some(SocketAddr::new(address, u16::from_str_radix(self.next()?, 16).ok()?))
    }
}

fn connection(line: &[u8], form: Form) -> Option<Connection> {
    let mut words = Words(line);
    let protocol = protocol(words.next()?)?;
    let (client, virtual_address, destination) =
        (words.socket_address()?, words.socket_address()?, words.socket_address()?);
    let state = ConnectionState::of(words.next()?);
    let origin = match form {
        Form::Engines => None,
        Form::Origins => Some(match words.next()? {
            "LOCAL" => Origin::Local,
            "SYNC" => Origin::Synchronised,
            _ => return None,
        }),
    };
    let expires = Duration::from_secs(words.next()?.parse().ok()?);
    let engine = match form {
        Form::Engines => words.next().and_then(|name| name.parse().ok()),
        Form::Origins => None,
    };
    // One blank, then the engine's octets.
    let data = words.0.strip_prefix(b" ").unwrap_or_default();
    Some(Connection {
        protocol,
        client,
        virtual_address,
        destination,
        state,
        expires,
        origin,
        engine: engine.map(|name| (name, data.into())),
    })
}

/// `ip_vs_proto_name`.
fn protocol(name: &str) -> Option<Protocol> {
    Some(match name {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        "IP" => Protocol::Other(0),
        "ICMP" => Protocol::Other(1),
        "ESP" => Protocol::Other(50),
        "AH" => Protocol::Other(51),
        "ICMPv6" => Protocol::Other(58),
        other => Protocol::from_number(other.strip_prefix("IP_")?.parse().ok()?),
    })
}

/// Eight hexadecimal digits, or eight groups of four.
fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let bits = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8)?;
    Some(Ipv4Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENGINES: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0000205 A1F2 C0000201 0050 0A00000B 1F90 ESTABLISHED     898
UDP C0000205 0000 C0000201 13C4 0A00000C 13C4 NONE             41 sip a84b4c76e66710 @pc
IP  C0000200 0000 00000007 0000 0A00000C 0000 ASSURED         300
TCP 2001:0db8:0000:0000:0000:0000:0000:0005 B000 2001:0db8:0000:0000:0000:0000:0000:0001 01BB 0A00000B 01BB SYN_RECV         59
";
    const ORIGINS: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires
TCP C0000205 A1F2 C0000201 0050 0A00000B 1F90 ESTABLISHED SYNC       117
TCP C0000205 A1F3 C0000201 0050 0A00000B 1F90 FIN_WAIT    LOCAL        7
";

    fn read(text: &str, limit: usize) -> Connections {
        Connections::read(text.as_bytes(), limit).unwrap()
    }

    #[test]
    fn both_files() {
        let Connections { entries, truncated, unreadable } = read(ENGINES, 100);
        assert_eq!((entries.len(), truncated, unreadable), (4, false, 0));
        assert_eq!(
            entries[0],
            Connection {
                protocol: Protocol::Tcp,
                client: "192.0.2.5:41458".parse().unwrap(),
                virtual_address: "192.0.2.1:80".parse().unwrap(),
                destination: "10.0.0.11:8080".parse().unwrap(),
                state: ConnectionState::Established,
                expires: Duration::from_secs(898),
                origin: None,
                engine: None,
            }
        );
        let (engine, data) = entries[1].engine.as_ref().unwrap();
        assert_eq!((engine.as_str(), &data[..]), ("sip", &b"a84b4c76e66710 @pc"[..]));
        assert_eq!(entries[2].virtual_address.ip(), IpAddr::from([0, 0, 0, 7]));
        assert_eq!(entries[3].client, "[2001:db8::5]:45056".parse().unwrap());
        assert_eq!(entries[3].destination.ip(), IpAddr::from([10, 0, 0, 11]));

        let origins: Vec<_> =
            read(ORIGINS, 100).entries.into_iter().filter_map(|entry| entry.origin).collect();
        assert_eq!(origins, [Origin::Synchronised, Origin::Local]);
    }

    #[test]
    fn no_more_than_asked_for() {
        let two = read(ENGINES, 2);
        assert_eq!((two.entries.len(), two.truncated), (2, true));
        assert!(!read(ENGINES, 4).truncated);
        assert_eq!(read("", 4), Connections::default());
    }

    #[test]
    fn lines_that_are_not_connections_are_counted() {
        let text = format!(
            "{ENGINES}TCP nonsense\n{}\n\nTCP C0000205 A1F2 C0000201 0050",
            "x".repeat(5000)
        );
        let connections = read(&text, 100);
        assert_eq!((connections.entries.len(), connections.unreadable), (4, 4));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let text = [ENGINES.as_bytes(), &octets].concat();
            let read = Connections::read(&text[..], 10).unwrap();
            prop_assert!(read.entries.len() >= 4 && read.entries.len() <= 10);
        }
    }
}
