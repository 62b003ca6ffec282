//! What was said, as the machine's configuration.

use core::net::IpAddr;
use std::sync::Arc;

use vrrp_fsm::Config;
use vrrp_fsm::vrrp_proto::{AddressFamily, Authentication, Password, Priority};

use super::VirtualRouter;
use crate::address::VirtualAddress;
use crate::error::BuildError;

impl VirtualRouter {
    /// Whether it is in a sync group, which the builder knows.
    pub(crate) fn set_sync_group(&mut self, member: bool) {
        self.template.0.sync_group = member;
    }

    /// The address family: what was said, else that of the first advertised address.
    pub(crate) fn decide_family(&self) -> Result<AddressFamily, BuildError> {
        self.family
            .or_else(|| self.advertised().next().map(|address| AddressFamily::of(&address)))
            .ok_or_else(|| BuildError::NoAddresses { virtual_router: self.name.to_string() })
    }

    /// The names of its trackers, in their order.
    pub(crate) fn tracker_names(&self) -> Vec<Arc<str>> {
        self.trackers.iter().map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Whether advertisements come behind an authentication header.
    pub(crate) fn has_authentication_header(&self) -> bool {
        self.password.is_none() && self.template.0.authentication.header_key().is_some()
    }

    /// The machine's configuration.
    pub(crate) fn config(&self) -> Result<Config, BuildError> {
        let name = || self.name.to_string();
        let family = self.decide_family()?;
        let sources = self.effective_paths().into_iter().filter_map(|path| path.source);
        for address in self.advertised().chain(sources).chain(self.unicast.iter().copied()) {
            if AddressFamily::of(&address) != family {
                return Err(BuildError::WrongFamily { virtual_router: name(), address, family });
            }
        }
        let mut config = self.template.0.clone();
        config.vrid = self.vrid;
        config.family = family;
        config.priority = Priority::new(self.priority);
        config.virtual_addresses = self.advertised().collect();
        if let Some(password) = &self.password {
            let password = Password::new(password.as_bytes())
                .map_err(|source| BuildError::Password { virtual_router: name(), source })?;
            config.authentication = Authentication::SimplePassword(password);
        }
        config.paths = self.path_configs();
        config.peers.clone_from(&self.peers);
        Ok(config)
    }

    fn advertised(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|address| address.advertised).map(VirtualAddress::address)
    }
}
