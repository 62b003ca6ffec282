//! What is measured, by the wall clock and in instructions alike: the everyday case of each operation.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use vrrp_fsm::vrrp_proto::{
    AddressFamily, Advertisement, ChecksumForm, EmitError, Ipv4Packet, MAX_IPV4_PACKET_LEN,
    MaxAdvertiseInterval, Message, ParseError, Priority, PseudoHeader, Vrid,
};
use vrrp_fsm::{Config, Datagram, Discard, Instant, Output, PathId, State, VirtualRouter};

/// The address of the other router, which is Master in what is received.
pub const THEIRS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
/// Our address.
pub const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 8);
/// The group of RFC 9568 §5.1.1.2.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The virtual address.
pub const VIRTUAL: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100))];
/// The time between two advertisements.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The number of the virtual router that the packets are about.
pub const VRID: Vrid = match Vrid::new(51) {
    Ok(vrid) => vrid,
    Err(_) => panic!("not 0"),
};

const FROM_THEM: PseudoHeader = PseudoHeader::Ipv4 { source: THEIRS, destination: GROUP };

/// A buffer that any packet fits into.
pub type Buffer = [u8; MAX_IPV4_PACKET_LEN];

/// An empty one.
pub const EMPTY: Buffer = [0; MAX_IPV4_PACKET_LEN];

/// A packet with a VRRPv3 advertisement of one IPv4 address, from a router of priority 200.
///
/// # Panics
/// Never: the advertisement is valid.
#[must_use]
pub fn packet() -> Vec<u8> {
    packet_of(VRID)
}

fn packet_of(vrid: Vrid) -> Vec<u8> {
    let mut buffer = EMPTY;
    message(vrid, 200)
        .emit_ipv4_packet(THEIRS, GROUP, NonZeroU16::MIN, &mut buffer)
        .expect("a buffer for any packet")
        .to_vec()
}

/// The message in [`packet`].
///
/// # Panics
/// Never: the packet is valid.
#[must_use]
pub fn octets() -> Vec<u8> {
    let packet = packet();
    let packet = Ipv4Packet::parse(&packet).expect("a valid packet");
    packet.payload().to_vec()
}

/// Parses a message and verifies its checksum.
#[inline]
pub fn parse(octets: &[u8]) -> Result<Advertisement<'_>, ParseError> {
    Advertisement::parse(octets, FROM_THEM)
}

/// Parses a whole IPv4 packet and the message in it.
#[inline]
pub fn parse_packet(octets: &[u8]) -> Result<Advertisement<'_>, Discard> {
    let packet = Ipv4Packet::parse(octets)?;
    Ok(Advertisement::parse(packet.message()?, packet.pseudo_header())?)
}

/// Makes a message and writes it with its checksum.
#[inline]
pub fn emit(priority: u8, buffer: &mut Buffer) -> Result<&[u8], EmitError> {
    message(VRID, priority).emit(FROM_THEM, buffer)
}

/// Makes a message and writes the whole IPv4 packet.
#[inline]
pub fn emit_packet(priority: u8, buffer: &mut Buffer) -> Result<&[u8], EmitError> {
    message(VRID, priority).emit_ipv4_packet(THEIRS, GROUP, NonZeroU16::MIN, buffer)
}

#[inline]
fn message(vrid: Vrid, priority: u8) -> Message<'static> {
    let (interval, form) = (MaxAdvertiseInterval::DEFAULT, ChecksumForm::PseudoHeader);
    Message::v3(vrid, Priority::new(priority), interval, form, &VIRTUAL).expect("one address")
}

/// An election at work and its clock.
#[derive(Debug)]
pub struct Election {
    /// The machine.
    pub router: VirtualRouter,
    /// The present moment.
    pub now: Instant,
}

impl Election {
    /// A candidate of priority 100 with a source address, one interval after its start.
    fn new(vrid: Vrid, source: Ipv4Addr) -> Self {
        let config = Config::new(vrid, AddressFamily::Ipv4).virtual_addresses(VIRTUAL.to_vec());
        let mut router = VirtualRouter::new(config, 1).expect("a valid configuration");
        let mut now = Instant::ZERO;
        router.handle_source_address(now, PathId::FIRST, Some(source.into()));
        router.handle_startup(now);
        now += INTERVAL;
        let mut election = Self { router, now };
        election.drain();
        election
    }

    /// A Backup that has heard its Master once.
    ///
    /// # Panics
    /// If it does not become what it should.
    #[must_use]
    pub fn backup(vrid: Vrid) -> Self {
        let mut election = Self::new(vrid, OURS);
        assert_eq!(election.receive(&packet_of(vrid)), Some(0));
        assert!(election.router.master().is_some(), "the advertisement counts");
        election
    }

    /// A Master that has its addresses.
    ///
    /// # Panics
    /// If it does not become what it should.
    #[must_use]
    pub fn master(vrid: Vrid) -> Self {
        let mut election = Self::new(vrid, THEIRS);
        election.expire();
        assert_eq!(election.router.reported_state(), State::Master);
        election
    }

    /// One interval later a packet comes in: from its octets to the last output, how many there were.
    #[inline]
    pub fn receive(&mut self, packet: &[u8]) -> Option<u32> {
        self.now += INTERVAL;
        let datagram = Datagram::ipv4(PathId::FIRST, packet).ok()?;
        self.handle(datagram)
    }

    /// The same from a datagram on.
    #[inline]
    pub fn handle(&mut self, datagram: Datagram<'_>) -> Option<u32> {
        self.router.handle_datagram(self.now, datagram).ok()?;
        Some(self.drain())
    }

    /// The next deadline comes: how many outputs follow.
    #[inline]
    pub fn expire(&mut self) -> u32 {
        self.now = self.router.poll_timeout().unwrap_or(self.now);
        self.router.handle_timeout(self.now);
        self.drain()
    }

    /// Carries out what is to be done, which always succeeds.
    #[inline]
    pub fn drain(&mut self) -> u32 {
        let mut outputs = 0;
        while let Some(output) = self.router.poll_output() {
            outputs += 1;
            match output {
                Output::Send(_) => self.router.handle_send(self.now, PathId::FIRST, Ok(())),
                Output::SetAddresses { id, .. } => self.router.handle_effect(self.now, id, Ok(())),
                Output::Announce
                | Output::AskPromotion { .. }
                | Output::StateChanged { .. }
                | Output::Contended { .. }
                | Output::Conflict { .. } => {}
            }
        }
        outputs
    }
}
