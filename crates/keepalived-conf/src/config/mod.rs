//! What a configuration says, typed, every value with the place it was written at.
//!
//! `Option` means "may be absent": defaults are applied by the methods, not stored, so that a reader can tell them apart.

mod check;
mod global;
mod lvs;
mod network;
mod vrrp;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

pub use check::{
    Check, Connection, DnsCheck, FileCheck, HttpCheck, HttpProtocol, MiscCheck, SmtpCheck,
    UdpCheck, UnsupportedCheck, Url,
};
pub use global::{Garp, Global, SmtpServer};
pub use lvs::{
    CheckSettings, Family, Forwarding, GroupEntry, Protocol, RealServer, SchedulerFlag,
    SorryServer, Target, VirtualServer, VirtualServerGroup,
};
pub use network::Network;
pub use vrrp::{
    Authentication, AuthenticationKind, Command, InitialState, Notify, SyncGroup, Track, TrackFile,
    UnicastPeer, VirtualAddress, VrrpInstance, VrrpScript, VrrpVersion, WordLine,
};

use crate::source::{Span, Spanned};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `global_defs`, all of them together.
    pub global: Global,
    /// `vrrp_instance` blocks, in the order of the file.
    pub vrrp_instances: Vec<VrrpInstance>,
    /// `vrrp_sync_group` blocks.
    pub sync_groups: Vec<SyncGroup>,
    /// `vrrp_script` blocks.
    pub scripts: Vec<VrrpScript>,
    /// `track_file` blocks.
    pub track_files: Vec<TrackFile>,
    /// `virtual_server_group` blocks.
    pub virtual_server_groups: Vec<VirtualServerGroup>,
    /// `virtual_server` blocks.
    pub virtual_servers: Vec<VirtualServer>,
    /// `@vipd` lines.
    pub directives: Vec<Directive>,
}

impl Config {
    /// The instance of that name.
    #[must_use]
    pub fn vrrp_instance(&self, name: &str) -> Option<&VrrpInstance> {
        self.vrrp_instances.iter().find(|instance| instance.name.value == name)
    }

    /// The names of the sync groups, each with the members that count, as for keepalived 2.2.7: instances that exist, each
    /// only where it is named first. A group without any is left out.
    #[must_use]
    pub fn effective_sync_groups(&self) -> Vec<(&str, Vec<&str>)> {
        let mut taken = BTreeSet::new();
        let mut groups = Vec::new();
        for group in &self.sync_groups {
            let named = group.members.iter().map(|member| member.value.as_str());
            let members: Vec<&str> = named
                .filter(|name| self.vrrp_instance(name).is_some() && taken.insert(*name))
                .collect();
            if !members.is_empty() {
                groups.push((group.name.value.as_str(), members));
            }
        }
        groups
    }

    /// Whether there is neither a virtual router nor a virtual server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vrrp_instances.is_empty() && self.virtual_servers.is_empty()
    }
}

/// A line `@vipd words...`, which keepalived skips.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directive {
    /// The words after `@vipd`.
    pub words: Vec<Spanned<String>>,
    /// The block it stands in, e.g. `vrrp_instance VI_1`; `None` at the top level.
    pub inside: Option<String>,
    /// The whole line.
    pub span: Span,
}
