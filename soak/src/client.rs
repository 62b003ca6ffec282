//! The third host: it asks who has an address, uses it, and throws packets.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use lab::{Bridge, Capture, Filter, Frame, Namespace};
use socket2::{Domain, Protocol, Socket, Type};

/// The switch's port that it is plugged into.
pub(crate) const PORT: &str = "port-c";
/// Its own address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
/// Answers to an ARP request come within this time; an echo's answer, too.
const PATIENCE: Duration = Duration::from_millis(200);

/// A host on the switch that is nobody's router.
#[derive(Debug)]
pub(crate) struct Client {
    _namespace: Namespace,
    arp: Capture,
    echo: Socket,
    mac: [u8; 6],
}

impl Client {
    pub(crate) fn new(switch: &Bridge) -> io::Result<Self> {
        let namespace = Namespace::new()?;
        switch.attach(&namespace, "eth0", PORT)?;
        let mac = [2, 0, 0, 0, 0, 0xc];
        namespace.ip_batch([
            "link set eth0 address 02:00:00:00:00:0c",
            format!("addr add {ADDRESS}/24 dev eth0").as_str(),
        ])?;
        let arp = Capture::open(&namespace, "eth0", Filter::Arp)?;
        let echo =
            namespace.run(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))?;
        Ok(Self { _namespace: namespace, arp, echo, mac })
    }

    /// Asks the network who has an address, and collects the MAC addresses of all who say they do.
    pub(crate) fn who_has(&self, address: Ipv4Addr) -> io::Result<Vec<[u8; 6]>> {
        drop(self.arp.drain()?);
        let mut frame = vec![0xff; 6];
        frame.extend(self.mac);
        // ARP over Ethernet for IPv4, request (RFC 826).
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(self.mac);
        frame.extend(ADDRESS.octets());
        frame.extend([0; 6]);
        frame.extend(address.octets());
        self.arp.send(&frame)?;
        let end = Instant::now() + PATIENCE;
        let mut hosts = Vec::new();
        // Who answers does so at once: after the first answer others have a tenth of the time.
        let mut patience = PATIENCE;
        while let Some(frame) =
            self.arp.next(patience.min(end.saturating_duration_since(Instant::now())))?
        {
            if let Some(mac) = answer(&frame, address) {
                hosts.push(mac);
                patience = PATIENCE / 10;
            }
        }
        Ok(hosts)
    }

    /// Sends a frame as it is: whether there was room for it.
    pub(crate) fn throw(&self, frame: &[u8]) -> bool {
        self.arp.send(frame).is_ok()
    }

    /// Sends an echo request to an address, as any program would: whether it is answered.
    pub(crate) fn reaches(&self, address: Ipv4Addr, number: u16) -> io::Result<bool> {
        let [high, low] = number.to_be_bytes();
        // Echo request (RFC 792), identifier 0x534f.
        let mut message = [8, 0, 0, 0, 0x53, 0x4f, high, low];
        let sum = message
            .chunks_exact(2)
            .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
            .sum::<u32>();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = u16::try_from(folded & 0xffff).unwrap_or_default();
        message[2..4].copy_from_slice(&(!checksum).to_be_bytes());
        self.echo.send_to(&message, &SocketAddrV4::new(address, 0).into())?;
        let end = Instant::now() + PATIENCE;
        let mut socket = &self.echo;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.echo.set_read_timeout(Some(left))?;
            let mut packet = [0; 256];
            let length = match io::Read::read(&mut socket, &mut packet) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let from = packet.get(12..16).filter(|_| length >= 28);
            if from == Some(&address.octets())
                && packet.get(20) == Some(&0)
                && packet[26..28] == [high, low]
            {
                return Ok(true);
            }
        }
    }
}

/// Who answers for this address, if the frame is such an answer.
fn answer(frame: &Frame, address: Ipv4Addr) -> Option<[u8; 6]> {
    let arp = frame.payload();
    let is_reply = arp.get(6..8) == Some(&[0, 2]) && arp.get(14..18) == Some(&address.octets());
    let to_us = arp.get(24..28) == Some(&ADDRESS.octets());
    arp.get(8..14).filter(|_| is_reply && to_us)?.try_into().ok()
}
