//! The receive ladder: every check of RFC 9568 §7.1 and RFC 3768 §7.1, in one order.

use core::net::IpAddr;

use vrrp_proto::{
    Addresses, Advertisement, AuthenticationError, Header, PseudoHeader, Trailer, Version,
};

use crate::{
    AddressListPolicy, ChecksumPolicy, Conflict, Datagram, Discard, Heard, HopLimitPolicy, Instant,
    OwnerReception, PathMode, TrailingOctetsPolicy, VirtualRouter, datagram::Content, state::Phase,
    validate::is_link_local_or_ipv4,
};

impl VirtualRouter {
    /// Takes a datagram for an advertisement of this election and goes on with it, or tells the first
    /// reason why not.
    #[inline]
    pub(crate) fn receive(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), Discard> {
        self.check_packet(now, datagram)?;
        let source = datagram.source();
        let Some(sender) = self.config.sender(datagram.path(), source) else {
            return Err(Discard::UnknownPeer { source_address: source });
        };
        let octets = self.authenticated_message(now, datagram)?;
        let pseudo_header = PseudoHeader::new(datagram.source(), datagram.destination())
            .map_err(|_| Discard::Family { family: datagram.family() })?;
        self.check_version(octets)?;
        let (message, signed) = self.signed_message(now, datagram, pseudo_header, octets)?;
        let advertisement = Advertisement::parse(message, pseudo_header)?;
        let notes = self.check_advertisement(now, &advertisement, datagram, sender)?;
        self.check_twin(now, &advertisement, sender)?;
        if matches!(self.phase, Phase::Initialize) {
            return Err(Discard::NotRunning);
        }
        self.statistics.advertisements_received += 1;
        if advertisement.priority().is_release() {
            self.statistics.priority_zero_received += 1;
        }
        self.statistics.unsigned_received += u64::from(!signed);
        self.statistics.address_list_noted += u64::from(notes.address_list);
        self.statistics.interval_noted += u64::from(notes.interval);
        // Not returned: made where it is used, it is not copied from hand to hand.
        let heard = Heard {
            source: sender,
            priority: advertisement.priority(),
            version: advertisement.version(),
            interval: advertisement.interval().as_duration(),
            checksum: advertisement.checksum_form(),
            path: datagram.path(),
            at: now,
        };
        self.heard(now, source, heard);
        Ok(())
    }

    /// What the IP header tells, but for who sent it.
    #[inline]
    fn check_packet(&self, now: Instant, datagram: &Datagram<'_>) -> Result<(), Discard> {
        if datagram.family() != self.config.family {
            return Err(Discard::Family { family: datagram.family() });
        }
        let (source, destination) = (datagram.source(), datagram.destination());
        let path = self.config.paths.get(datagram.path().index());
        let path = path.ok_or(Discard::UnknownPath { path: datagram.path() })?;
        let least_hop_limit = match &path.mode {
            PathMode::Multicast => {
                if destination != self.config.family.multicast_group() {
                    return Err(Discard::Destination { destination });
                }
                // RFC 9568 §5.1.1.3, §5.1.2.3: a receiver "MUST discard" what was forwarded.
                Some(255)
            }
            PathMode::Unicast { .. } => {
                if destination.is_multicast() {
                    return Err(Discard::Destination { destination });
                }
                match self.config.unicast_hop_limit {
                    HopLimitPolicy::Any => None,
                    HopLimitPolicy::AtLeast(least) => Some(least),
                }
            }
        };
        let found = datagram.hop_limit();
        if let Some(least) = least_hop_limit.filter(|least| found < Some(*least)) {
            return Err(Discard::HopLimit { found, least });
        }
        // RFC 9568 §6.4.3 would have us answer ourselves for ever.
        if self.paths.iter().any(|path| path.source == Some(source)) {
            return Err(self.discard_own_source(now, datagram));
        }
        Ok(())
    }

    /// The message. If it stands behind an authentication header, which comes before anything is
    /// read in it, that one is to be ours and new.
    #[inline]
    fn authenticated_message<'a>(
        &mut self,
        now: Instant,
        datagram: &Datagram<'a>,
    ) -> Result<&'a [u8], Discard> {
        let authentication = &self.config.authentication;
        let key = || {
            let expected = authentication.authentication_type();
            let unexpected = AuthenticationError::HeaderUnexpected { expected };
            authentication.header_key().ok_or(Discard::Authentication(unexpected))
        };
        match datagram.content() {
            Content::Message(message) => Ok(message),
            Content::Authenticated(header) => {
                let message = header.verify(key()?)?;
                let silence = self.master_down_interval(self.config.advertisement_interval);
                self.sequences.accept(now, silence, header.spi().into(), header.sequence())?;
                Ok(message)
            }
            Content::BrokenHeader(error) => key().and(Err(error.into())),
            Content::Other { error, .. } => Err(error.into()),
        }
    }

    /// The message without what follows it, and whether it is as signed as it should be. A trailer
    /// has to be right before anything is read in the message but where it ends.
    #[inline]
    fn signed_message<'a>(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        pseudo_header: PseudoHeader,
        octets: &'a [u8],
    ) -> Result<(&'a [u8], bool), Discard> {
        let config = &self.config;
        if config.trailer.is_none() && config.trailing_octets == TrailingOctetsPolicy::Discard {
            // The parser finds them.
            return Ok((octets, true));
        }
        let (message, behind) = Header::parse(octets)?.split(octets, datagram.family())?;
        let Some(policy) = &config.trailer else { return Ok((message, true)) };
        if behind.is_empty() && policy.accepts_unsigned() {
            return Ok((message, false));
        }
        let trailer = Trailer::parse(message, behind)?;
        let (id, sequence) = (trailer.key_id(), trailer.sequence());
        let key = policy.key(id).ok_or(AuthenticationError::UnknownKey { id })?;
        let message = trailer.verify(key, pseudo_header)?;
        let window = policy.time_window(config.advertisement_interval);
        self.sequences.accept_signature(now, window, datagram.source(), sequence)?;
        Ok((message, true))
    }

    /// Comes before the rest of the message, which the other version lays out differently.
    #[inline]
    fn check_version(&self, message: &[u8]) -> Result<(), Discard> {
        let Ok(Header { version: found, .. }) = Header::parse(message) else {
            // The parser says what is wrong.
            return Ok(());
        };
        let expected = self.config.version;
        if found == expected || self.config.also_version_2 {
            Ok(())
        } else {
            Err(Discard::Version { found, expected })
        }
    }

    /// RFC 9568 §8.4.2: version 2 of a router that sends version 3, too, is to be ignored. It sends
    /// both at once: what comes later than half an interval may mean that version 3 was lost, or
    /// that the router has gone back to version 2.
    #[inline]
    fn check_twin(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        source_address: IpAddr,
    ) -> Result<(), Discard> {
        if !self.config.also_version_2 {
            self.version_3_heard = None;
            return Ok(());
        }
        match advertisement.version() {
            Version::V3 => {
                let until = now + advertisement.interval().as_duration() / 2;
                self.version_3_heard = Some((source_address, until));
                Ok(())
            }
            Version::V2 => match self.version_3_heard {
                Some((source, until)) if source == source_address && now < until => {
                    Err(Discard::AlsoInVersion3 { source_address })
                }
                Some(_) | None => Ok(()),
            },
        }
    }

    /// What takes the configuration to judge. Tells the differences that do not matter.
    #[inline]
    fn check_advertisement(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        datagram: &Datagram<'_>,
        sender: IpAddr,
    ) -> Result<Notes, Discard> {
        let config = &self.config;
        if let ChecksumPolicy::Strict(expected) = config.checksum
            && !advertisement.has_checksum(expected)
        {
            return Err(Discard::ChecksumForm { expected });
        }
        if advertisement.vrid() != config.vrid {
            return Err(Discard::Vrid { vrid: advertisement.vrid().get() });
        }
        let authentic = match datagram.content() {
            Content::Authenticated(_) => config.authentication.verify_type(advertisement),
            Content::Message(_) | Content::BrokenHeader(_) | Content::Other { .. } => {
                config.authentication.verify(advertisement)
            }
        };
        if self.priority.is_owner() {
            let running = !matches!(self.phase, Phase::Initialize);
            if running && authentic.is_ok() && advertisement.priority().is_owner() {
                self.conflicting(now, Conflict::Owner { other: sender });
            }
            if !self.hears_as_owner() {
                return Err(Discard::Owner);
            }
        }
        authentic?;
        let config = &self.config;
        let interval = advertisement.interval().as_duration();
        let notes = Notes {
            address_list: !self.lists_our_addresses(advertisement.addresses()),
            interval: interval != config.advertisement_interval,
        };
        self.check_addresses(advertisement, notes.address_list)?;
        // RFC 3768 §7.1; version 3 learns the interval instead (RFC 9568 §6.4.2), also from version
        // 2 (§8.4.2).
        if notes.interval && config.version == Version::V2 {
            let expected = config.advertisement_interval;
            return Err(Discard::Interval { found: interval, expected });
        }
        Ok(notes)
    }

    /// RFC 3768 §7.1: the owner discards. RFC 9568 §7.1 says so, too; its erratum 8298 has the owner
    /// process it, so that two owners do not stay Master both for ever.
    fn hears_as_owner(&self) -> bool {
        match self.config.owner_reception {
            OwnerReception::ByVersion => self.config.version == Version::V3,
            OwnerReception::Always => true,
            OwnerReception::Never => false,
        }
    }

    #[inline]
    fn check_addresses(
        &self,
        advertisement: &Advertisement<'_>,
        differs: bool,
    ) -> Result<(), Discard> {
        let addresses = advertisement.addresses();
        if let Some(address) = addresses.first() {
            // RFC 9568 §5.2.9, erratum 8300.
            if self.config.link_local_first && !is_link_local_or_ipv4(address) {
                return Err(Discard::FirstNotLinkLocal { address });
            }
        }
        let discard = match self.config.address_list_mismatch {
            // RFC 3768 §7.1: dropped "unless the packet was generated by the address owner".
            AddressListPolicy::ByVersion => {
                advertisement.version() == Version::V2 && !advertisement.priority().is_owner()
            }
            AddressListPolicy::Count => false,
            AddressListPolicy::Discard => true,
        };
        if differs && discard {
            return Err(Discard::AddressList { count: addresses.len() });
        }
        Ok(())
    }

    /// Whether a list holds our addresses, in any order.
    #[inline]
    fn lists_our_addresses(&self, addresses: Addresses<'_>) -> bool {
        let ours: &[IpAddr] = &self.config.virtual_addresses;
        addresses.len() == ours.len()
            && (addresses.iter().eq(ours.iter().copied())
                || ours.iter().all(|own| addresses.iter().any(|listed| listed == *own)))
    }
}

/// Differences that are counted and otherwise passed over (RFC 9568 §7.1).
#[derive(Debug, Clone, Copy)]
struct Notes {
    address_list: bool,
    interval: bool,
}
