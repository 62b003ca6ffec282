//! VRRPv2 and VRRPv3 advertisements as bytes: parse and emit, without allocation.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod advertisement;
mod authentication;
mod checksum;
mod error;
mod family;
mod interval;
mod ipv4;
mod mac;
mod message;
mod priority;
mod version;
mod vrid;

pub use advertisement::{AddressIter, Addresses, Advertisement, Header};
pub use authentication::{
    Authentication, AuthenticationError, AuthenticationType, Password, PasswordTooLong,
};
pub use checksum::{ChecksumForm, MixedFamilies, PseudoHeader};
pub use error::{EmitError, MessageError, PacketError, ParseError};
pub use family::AddressFamily;
pub use interval::{AdverInt, Interval, IntervalError, MaxAdvertiseInterval};
pub use ipv4::{IpProtocol, Ipv4Packet, MAX_IPV4_PACKET_LEN};
pub use mac::MacAddress;
pub use message::{MAX_ADDRESSES, MAX_IPV4_MESSAGE_LEN, MAX_IPV6_MESSAGE_LEN, Message};
pub use priority::Priority;
pub use version::Version;
pub use vrid::{InvalidVrid, Vrid};
