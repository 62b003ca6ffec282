//! Routers that are known by name, because they have one address on each of several paths.

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

use vrrp_proto::AddressFamily;

use crate::{
    Config, ConfigError, Instant, MAX_PATHS, PathConfig, PathId, PathMode, VirtualRouter,
    copies::News, state::Phase, validate::check_all, virtual_router::Path,
};

/// Another router of the virtual router, known by name.
///
/// An advertisement does not say who sent it: there is only the source address, which is another one
/// on every path. So a router that is to be recognised on several paths needs a name here. In reports
/// and in ties it is represented by its address on the first path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerConfig {
    /// Tells the peer from others, also across changes of its addresses. Not empty.
    pub name: String,
    /// One address for each path, in the order of [`Config::paths`].
    pub addresses: Vec<IpAddr>,
}

impl PeerConfig {
    /// A peer that sends from these addresses.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Vec<IpAddr>) -> Self {
        Self { name: name.into(), addresses }
    }

    fn address(&self, path: PathId) -> Option<IpAddr> {
        self.addresses.get(path.index()).copied()
    }

    /// The address it is represented by.
    fn first(&self) -> Option<IpAddr> {
        self.address(PathId::FIRST)
    }
}

const MAX_PEERS: usize = 255;

impl Config {
    /// The name of the peer that reports call by this address: its address on the first path.
    #[must_use]
    pub fn peer_name(&self, address: IpAddr) -> Option<&str> {
        let peer = self.peers.iter().find(|peer| peer.first() == Some(address))?;
        Some(&peer.name)
    }

    /// By which address the sender of a datagram is known; `None` for a stranger.
    #[inline]
    pub(crate) fn sender(&self, path: PathId, source: IpAddr) -> Option<IpAddr> {
        if !self.peers.is_empty() {
            return self.peers.iter().find(|peer| peer.address(path) == Some(source))?.first();
        }
        match &self.paths.get(path.index())?.mode {
            PathMode::Unicast { peers } => peers.contains(&source).then_some(source),
            PathMode::Multicast => Some(source),
        }
    }

    /// To whom a unicast path leads; nobody on other paths.
    pub(crate) fn unicast_peers(&self, path: PathId) -> impl Iterator<Item = IpAddr> {
        let listed = match self.paths.get(path.index()).map(|path| &path.mode) {
            Some(PathMode::Unicast { peers }) => Some(peers),
            Some(PathMode::Multicast) | None => None,
        };
        let named = listed.map(|_| self.peers.iter().filter_map(move |peer| peer.address(path)));
        let listed = listed.into_iter().flatten().copied();
        listed.chain(named.into_iter().flatten())
    }

    /// What the peer of this address is called by in `other`, if it is still there.
    pub(crate) fn address_in(&self, other: &Self, address: IpAddr) -> IpAddr {
        let same = self.peer_name(address).and_then(|name| {
            other.peers.iter().find(|peer| peer.name == name).and_then(PeerConfig::first)
        });
        same.unwrap_or(address)
    }

    pub(crate) fn validate_paths(&self) -> Result<(), ConfigError> {
        let paths = self.paths.len();
        if self.paths.is_empty() {
            return Err(ConfigError::NoPath);
        }
        if paths > MAX_PATHS {
            return Err(ConfigError::TooManyPaths { count: paths });
        }
        if self.peers.is_empty() {
            return self.validate_nameless();
        }
        if self.peers.len() > MAX_PEERS {
            return Err(ConfigError::TooManyPeers { count: self.peers.len() });
        }
        for (index, peer) in self.peers.iter().enumerate() {
            if peer.name.is_empty() {
                return Err(ConfigError::NamelessPeer { peer: index });
            }
            if self.peers.iter().take(index).any(|earlier| earlier.name == peer.name) {
                return Err(ConfigError::DuplicatePeer { peer: index });
            }
            let addresses = peer.addresses.len();
            if addresses != paths {
                return Err(ConfigError::PeerAddresses { peer: index, addresses, paths });
            }
        }
        let lists_peers = |path: &PathConfig| matches!(&path.mode, PathMode::Unicast { peers } if !peers.is_empty());
        if let Some(path) = self.paths.iter().position(lists_peers) {
            return Err(ConfigError::PeersTwice { path });
        }
        self.validate_peer_addresses()
    }

    fn validate_nameless(&self) -> Result<(), ConfigError> {
        match self.paths.as_slice() {
            [PathConfig { mode: PathMode::Multicast }] => Ok(()),
            [PathConfig { mode: PathMode::Unicast { peers } }] => {
                if peers.is_empty() {
                    return Err(ConfigError::NoPeers);
                }
                check_all("paths", peers, self.family)
            }
            more => Err(ConfigError::PathsNeedPeers { count: more.len() }),
        }
    }

    /// No address twice: but for link-local ones, which may be the same on several links, if no
    /// sequence numbers are counted by address.
    fn validate_peer_addresses(&self) -> Result<(), ConfigError> {
        let field = "peers";
        let may_repeat = |address: IpAddr| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local() && !self.remembers_senders(),
        };
        let addresses =
            || self.peers.iter().flat_map(|peer| peer.addresses.iter().copied().enumerate());
        for (index, (path, address)) in addresses().enumerate() {
            if AddressFamily::of(&address) != self.family {
                return Err(ConfigError::WrongFamily { field, address, family: self.family });
            }
            if address.is_multicast() || address.is_unspecified() {
                return Err(ConfigError::NotAHost { field, address });
            }
            let is_same = |(other, earlier): (usize, IpAddr)| {
                earlier == address && (other == path || !may_repeat(address))
            };
            if addresses().take(index).any(is_same) {
                return Err(ConfigError::Duplicate { field, address });
            }
        }
        Ok(())
    }
}

impl VirtualRouter {
    /// Other paths or peers: of the paths that stay what is known of them, of the peers who is who.
    pub(crate) fn configure_paths(&mut self, now: Instant, config: &Config) {
        self.paths.resize(config.paths.len(), Path { sent_at: now, ..Path::NEW });
        if config.paths.len() != self.config.paths.len() || config.peers != self.config.peers {
            self.news = News::for_paths(config.paths.len());
        }
        let former = &self.config;
        let rename = |address: &mut IpAddr| *address = former.address_in(config, *address);
        match &mut self.phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => backup.addresses().for_each(rename),
            Phase::Master(master) => {
                master.contention.iter_mut().for_each(|contention| rename(&mut contention.loser));
            }
        }
    }
}
