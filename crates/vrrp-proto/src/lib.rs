//! VRRPv2 and VRRPv3 advertisements as bytes: parse and emit, without allocation.
//!
//! VRRP lets several routers share an IP address: the one whose advertisements are heard holds it,
//! the others wait for it to fall silent. This crate is the advertisement and nothing else: octets in,
//! typed fields out, and back. It keeps no state, opens no socket, reads no clock, allocates nothing
//! and never panics on what a network delivers.
//!
//! # The types
//!
//! ```text
//! received:  IPv4 octets --Ipv4Packet::parse--> Ipv4Packet --message()--> octets of the message
//!            with AH:    --AuthenticationHeader::parse, verify(key)----> octets of the message
//!            signed:     --Header::split, Trailer::parse, verify(key)--> octets of the message
//!            octets + PseudoHeader --Advertisement::parse--> Advertisement, or one ParseError
//! sent:      Message::v2 / Message::v3 --emit--> octets of the message (IPv6)
//!            (.sequence, .signed)      --emit_ipv4_packet--> the whole packet (IPv4)
//! ```
//!
//! # The packets
//!
//! ```text
//!              +-----------+------------------------+---------+-----------+----------+---------+
//! VRRPv3       | IPv4/IPv6 |                        | header  | addresses |          |         |
//! VRRPv2       | IPv4      |                        | header  | addresses | 8 octets |         |
//! VRRPv2, PASS | IPv4      |                        | header  | addresses | password |         |
//! VRRPv2, AH   | IPv4 (51) | authentication header  | header  | addresses | 8 zeros  |         |
//! signed       | IPv4/IPv6 |                        | header  | addresses | as above | trailer |
//!              +-----------+------------------------+---------+-----------+----------+---------+
//!  octets        20-60 / 40  24                       8         4n or 16n   8          28
//! ```
//!
//! [`Advertisement`], [`AuthenticationHeader`] and [`Trailer`] have the fields. What the checksum
//! covers is [`ChecksumForm`]'s matter; a trailer never is.
//!
//! A packet ends where its IP header says: what a link pads it with is cut off. A message ends behind
//! its last field, and more octets are an error, [`ParseError::TrailingOctets`], also if they are a
//! trailer: [`Header::split`] takes it away, for those who verify it and those who do not care.
//! RFC 9568 §7.1 asks for a complete message and no more than that; keepalived and FRR refuse longer
//! ones as well.
//!
//! [`Vrid`], [`Priority`], [`Interval`], [`Authentication`] and their like hold only what the wire can
//! hold. [`Header`] is a first glance at a message, to find out whom it may concern.
//!
//! Over IPv4 the whole packet is read and written, because authentication headers cover the IP header;
//! over IPv6 a raw socket only ever sees the payload.
//!
//! # Example
//!
//! ```
//! use core::{net::{IpAddr, Ipv4Addr}, num::NonZeroU16};
//! use vrrp_proto::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let addresses = [IpAddr::from([192, 0, 2, 1])];
//! let message = Message::v3(
//!     Vrid::new(51)?,
//!     Priority::DEFAULT,
//!     MaxAdvertiseInterval::DEFAULT,
//!     ChecksumForm::default(),
//!     &addresses,
//! )?;
//! let (source, group) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(224, 0, 0, 18));
//! let mut buffer = [0; MAX_IPV4_PACKET_LEN];
//! let octets = message.emit_ipv4_packet(source, group, NonZeroU16::MIN, &mut buffer)?;
//!
//! let packet = Ipv4Packet::parse(octets)?;
//! let read = Advertisement::parse(packet.message()?, packet.pseudo_header())?;
//! assert_eq!(read.vrid().get(), 51);
//! assert!(read.addresses().iter().eq(addresses));
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! - It does not decide whether an advertisement is for you: hop limit, destination, configured
//!   version, interval, password, sequence number and address list are compared by the `vrrp-fsm` crate, which also
//!   runs the election.
//! - It builds no ARP or neighbour discovery packets.
//!
//! It follows RFC 9568 (VRRPv3), RFC 5798 where deployed checksums differ from it, RFC 3768 (VRRPv2),
//! RFC 2338 (its authentication), and keepalived in what is its own. RFC 9568 calls *Active* what these crates call Master.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod advertisement;
mod authentication;
mod authentication_header;
mod checksum;
mod error;
mod family;
mod interval;
mod ipv4;
mod mac;
mod message;
mod priority;
mod trailer;
mod version;
mod vrid;

pub use advertisement::{AddressIter, Addresses, Advertisement, Header};
pub use authentication::{
    Authentication, AuthenticationError, AuthenticationType, Password, PasswordTooLong,
};
pub use authentication_header::{AuthenticationHeader, HeaderKey, TtlCoverage};
pub use checksum::{ChecksumForm, MixedFamilies, PseudoHeader};
pub use error::{EmitError, MessageError, PacketError, ParseError};
pub use family::AddressFamily;
pub use interval::{AdverInt, Interval, IntervalError, MaxAdvertiseInterval};
pub use ipv4::{IpProtocol, Ipv4Packet, MAX_IPV4_PACKET_LEN};
pub use mac::MacAddress;
pub use message::{MAX_ADDRESSES, MAX_IPV4_MESSAGE_LEN, MAX_IPV6_MESSAGE_LEN, Message};
pub use priority::Priority;
pub use trailer::{TRAILER_LEN, Trailer, TrailerKey, TrailerKeyError, TrailerSequence};
pub use version::Version;
pub use vrid::{InvalidVrid, Vrid};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
