use core::{net::IpAddr, slice};

use crate::{
    AddressFamily, AdverInt, AuthenticationType, ChecksumForm, Interval, MaxAdvertiseInterval,
    ParseError, Priority, PseudoHeader, Version, Vrid, checksum::Sum,
};

/// The fields every version has in the same place, before anything is verified.
///
/// Tells whom a message may concern (which counter, which virtual router); never act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The version.
    pub version: Version,
    /// The VRID octet, 0 included.
    pub vrid: u8,
    /// The priority.
    pub priority: Priority,
    /// How many addresses the message claims to list.
    pub address_count: u8,
}

impl Header {
    /// Reads the header of a message, which may be anything.
    ///
    /// # Errors
    /// [`ParseError::TooShort`], [`ParseError::UnknownVersion`] or [`ParseError::UnknownType`].
    #[inline]
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let Some(([version_type, vrid, priority, address_count, ..], _)) =
            message.split_first_chunk::<8>()
        else {
            return Err(ParseError::TooShort { len: message.len() });
        };
        let (version, kind) = (version_type >> 4, version_type & 0x0f);
        let version =
            Version::from_number(version).ok_or(ParseError::UnknownVersion { version })?;
        // RFC 9568 §5.2.2: "A packet with unknown type MUST be discarded."
        if kind != 1 {
            return Err(ParseError::UnknownType { found: kind });
        }
        Ok(Self {
            version,
            vrid: *vrid,
            priority: Priority::new(*priority),
            address_count: *address_count,
        })
    }

    /// Octets of the whole message, if the packet is of this family. A trailer is no part of it.
    #[must_use]
    pub fn message_len(&self, family: AddressFamily) -> usize {
        message_len(self.version, usize::from(self.address_count), family)
    }

    /// Parts the octets this header was read from into the message and what follows it: nothing, or
    /// a [`Trailer`](crate::Trailer), or octets that have no business there.
    ///
    /// # Errors
    /// [`ParseError::Incomplete`].
    pub fn split<'a>(
        &self,
        octets: &'a [u8],
        family: AddressFamily,
    ) -> Result<(&'a [u8], &'a [u8]), ParseError> {
        let (count, need, len) = (self.address_count, self.message_len(family), octets.len());
        octets.split_at_checked(need).ok_or(ParseError::Incomplete { count, need, len })
    }
}

/// A valid advertisement, viewed in the octets it came in.
///
/// ```text
/// VRRPv3 (RFC 9568 §5.2)
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  |     VRID      |   Priority    | Address count |
/// +-------+-------+---------------+---------------+---------------+
/// |Reserve| Max Advertise Interval|           Checksum            |
/// +-------+-----------------------+-------------------------------+
/// |            address count x (4 or 16) octets of IP addresses   |
/// +---------------------------------------------------------------+
///
/// VRRPv2 (RFC 3768 §5.3, RFC 2338 §5.3), where it differs
/// +---------------+---------------+-------------------------------+
/// |   Auth Type   |   Adver Int   |           Checksum            |
/// +---------------+---------------+-------------------------------+
/// |            address count x 4 octets of IPv4 addresses         |
/// +---------------------------------------------------------------+
/// |            Authentication Data, 8 octets, always there        |
/// +---------------------------------------------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement<'a> {
    vrid: Vrid,
    priority: Priority,
    interval: Interval,
    checksum: Option<Forms>,
    addresses: Addresses<'a>,
    authentication: Option<(AuthenticationType, &'a [u8; 8])>,
}

/// Which sums of the message came out right, where there is a choice: VRRPv3 over IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forms {
    with_pseudo_header: bool,
    of_message: bool,
    with_group: bool,
}

impl<'a> Advertisement<'a> {
    /// Verifies a message against all that needs no configuration, in the order of [`ParseError`].
    ///
    /// `message` is the payload of an IP packet of protocol 112, `packet` the addresses of that
    /// packet. Whether the advertisement is for us (hop limit, destination, version, VRID,
    /// authentication, interval, addresses) is for `vrrp-fsm`.
    ///
    /// # Errors
    /// The first [`ParseError`] met.
    #[inline]
    pub fn parse(message: &'a [u8], packet: PseudoHeader) -> Result<Self, ParseError> {
        let header = Header::parse(message)?;
        let Some(([.., word_high, word_low, sum_high, sum_low], body)) =
            message.split_first_chunk::<8>()
        else {
            return Err(ParseError::TooShort { len: message.len() });
        };
        if (header.version, packet.family()) == (Version::V2, AddressFamily::Ipv6) {
            return Err(ParseError::Version2OverIpv6);
        }
        let (addresses, trailer) = split_body(header, packet, message.len(), body)?;
        let checksum = verify_checksum(message, header.version, packet, [*sum_high, *sum_low])?;
        let vrid = Vrid::new(header.vrid).map_err(|_| ParseError::ZeroVrid)?;
        let authentication = match trailer {
            Some(data) => {
                let found = *word_high;
                let known = AuthenticationType::from_number(found)
                    .ok_or(ParseError::UnknownAuthenticationType { found })?;
                Some((known, data))
            }
            None => None,
        };
        if addresses.is_empty() {
            return Err(ParseError::NoAddresses);
        }
        let interval = match header.version {
            Version::V2 => AdverInt::from_seconds(*word_low).map(Interval::Seconds),
            Version::V3 => {
                // RFC 9568 §5.2.6: the reserved bits "MUST be ignored on reception".
                let centiseconds = u16::from_be_bytes([word_high & 0x0f, *word_low]);
                MaxAdvertiseInterval::from_centiseconds(centiseconds).map(Interval::Centiseconds)
            }
        };
        Ok(Self {
            vrid,
            priority: header.priority,
            interval: interval.map_err(|_| ParseError::ZeroInterval)?,
            checksum,
            addresses,
            authentication,
        })
    }

    /// The version of the message.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.interval.version()
    }

    /// The virtual router it speaks of.
    #[must_use]
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// The sender's priority.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// The sender's advertisement interval.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// The virtual addresses, in the order of the message; never empty.
    #[must_use]
    pub const fn addresses(&self) -> Addresses<'a> {
        self.addresses
    }

    /// VRRPv2: the authentication type and the eight octets that go with it.
    #[must_use]
    pub const fn authentication(&self) -> Option<(AuthenticationType, &'a [u8; 8])> {
        self.authentication
    }

    /// VRRPv3 over IPv4: which octets the sender's checksum covers. `None` for the rest, where there
    /// is no choice.
    ///
    /// For one source address in 65,535 the pseudo-header sums to zero and two forms are the same
    /// number; then the first of [`ChecksumForm::ALL`] is reported and
    /// [`has_checksum`](Self::has_checksum) is true for both.
    #[must_use]
    pub const fn checksum_form(&self) -> Option<ChecksumForm> {
        match self.checksum {
            None => None,
            Some(Forms { with_pseudo_header: true, .. }) => Some(ChecksumForm::PseudoHeader),
            Some(Forms { of_message: true, .. }) => Some(ChecksumForm::MessageOnly),
            Some(Forms { .. }) => Some(ChecksumForm::GroupPseudoHeader),
        }
    }

    /// Whether a receiver that insists on `form` accepts the checksum. True where there is no choice.
    #[must_use]
    pub const fn has_checksum(&self, form: ChecksumForm) -> bool {
        let Some(forms) = self.checksum else { return true };
        match form {
            ChecksumForm::PseudoHeader => forms.with_pseudo_header,
            ChecksumForm::MessageOnly => forms.of_message,
            ChecksumForm::GroupPseudoHeader => forms.with_group,
        }
    }
}

/// Octets of a message: the fixed header, the addresses and VRRPv2's authentication data.
pub(crate) const fn message_len(version: Version, count: usize, family: AddressFamily) -> usize {
    let authentication_data = match version {
        Version::V2 => 8,
        Version::V3 => 0,
    };
    8 + count * family.address_len() + authentication_data
}

/// The addresses behind the fixed header, and VRRPv2's authentication data behind them.
#[inline]
fn split_body(
    header: Header,
    packet: PseudoHeader,
    len: usize,
    body: &[u8],
) -> Result<(Addresses<'_>, Option<&[u8; 8]>), ParseError> {
    let count = header.address_count;
    let addresses_len = usize::from(count) * packet.family().address_len();
    let need = header.message_len(packet.family());
    let incomplete = ParseError::Incomplete { count, need, len };
    if len > need {
        return Err(ParseError::TrailingOctets { count, need, len });
    }
    let (addresses, trailer) = body.split_at_checked(addresses_len).ok_or(incomplete)?;
    let trailer = match header.version {
        Version::V2 => Some(trailer.first_chunk::<8>().ok_or(incomplete)?),
        Version::V3 => None,
    };
    let addresses = match packet {
        PseudoHeader::Ipv4 { .. } => Addresses(Octets::Ipv4(addresses.as_chunks().0)),
        PseudoHeader::Ipv6 { .. } => Addresses(Octets::Ipv6(addresses.as_chunks().0)),
    };
    Ok((addresses, trailer))
}

#[inline]
fn verify_checksum(
    message: &[u8],
    version: Version,
    packet: PseudoHeader,
    found: [u8; 2],
) -> Result<Option<Forms>, ParseError> {
    let of_message = Sum::default().octets(message);
    let with_pseudo_header = packet.sum(message.len()).plus(of_message);
    let (right, forms, sum) = match (version, packet) {
        // RFC 3768 §5.3.8: the message from the version field on.
        (Version::V2, _) => (of_message.is_valid(), None, of_message),
        // RFC 9568 §5.2.8 and RFC 8200 §8.1.
        (Version::V3, PseudoHeader::Ipv6 { .. }) => {
            (with_pseudo_header.is_valid(), None, with_pseudo_header)
        }
        // RFC 5798 §5.2.8 as deployed, with either destination, and RFC 9568 §5.2.8: whichever the
        // sender follows.
        (Version::V3, PseudoHeader::Ipv4 { .. }) => {
            let forms = Forms {
                with_pseudo_header: with_pseudo_header.is_valid(),
                of_message: of_message.is_valid(),
                with_group: packet.to_group().sum(message.len()).plus(of_message).is_valid(),
            };
            let right = forms.with_pseudo_header || forms.of_message || forms.with_group;
            (right, Some(forms), with_pseudo_header)
        }
    };
    if right {
        return Ok(forms);
    }
    let found = u16::from_be_bytes(found);
    Err(ParseError::Checksum { found, expected: sum.expected(found) })
}

/// The virtual addresses of an advertisement, all of one family, in the order of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses<'a>(Octets<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Octets<'a> {
    Ipv4(&'a [[u8; 4]]),
    Ipv6(&'a [[u8; 16]]),
}

impl<'a> Addresses<'a> {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Octets::Ipv4(addresses) => addresses.len(),
            Octets::Ipv6(addresses) => addresses.len(),
        }
    }

    /// Whether there is none; never so in a parsed [`Advertisement`].
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The addresses, one after the other.
    #[must_use]
    pub fn iter(&self) -> AddressIter<'a> {
        AddressIter(match self.0 {
            Octets::Ipv4(addresses) => OctetsIter::Ipv4(addresses.iter()),
            Octets::Ipv6(addresses) => OctetsIter::Ipv6(addresses.iter()),
        })
    }

    /// The first address. Over IPv6 it is to be the link-local one (RFC 9568 §5.2.9, erratum 8300).
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<IpAddr> {
        self.iter().next()
    }
}

impl<'a> IntoIterator for Addresses<'a> {
    type Item = IpAddr;
    type IntoIter = AddressIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &Addresses<'a> {
    type Item = IpAddr;
    type IntoIter = AddressIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over [`Addresses`].
#[derive(Debug, Clone)]
pub struct AddressIter<'a>(OctetsIter<'a>);

#[derive(Debug, Clone)]
enum OctetsIter<'a> {
    Ipv4(slice::Iter<'a, [u8; 4]>),
    Ipv6(slice::Iter<'a, [u8; 16]>),
}

impl Iterator for AddressIter<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            OctetsIter::Ipv4(addresses) => addresses.next().map(|octets| IpAddr::from(*octets)),
            OctetsIter::Ipv6(addresses) => addresses.next().map(|octets| IpAddr::from(*octets)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            OctetsIter::Ipv4(addresses) => addresses.size_hint(),
            OctetsIter::Ipv6(addresses) => addresses.size_hint(),
        }
    }
}

impl ExactSizeIterator for AddressIter<'_> {}

#[cfg(test)]
mod tests;
