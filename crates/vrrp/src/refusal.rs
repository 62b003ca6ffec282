//! Packets that a virtual router does not take: those to addresses that it does not own, without `Accept_Mode`
//! (RFC 9568 §6.4.3), and what the interface of a virtual MAC address would tell switches.

use core::hash::{BuildHasher as _, Hasher as _};
use std::collections::BTreeSet;
use std::hash::RandomState;

use vip_netlink::{Entry, Silence, SilenceError, Silenced};

/// The firewall tables of this router, if it needs any.
#[derive(Debug)]
pub(crate) struct Refusal {
    table: String,
    silence: Option<Silence>,
}

impl Default for Refusal {
    /// Nothing is refused. The name of the tables is no other router's, alive or dead.
    fn default() -> Self {
        let number = RandomState::new().build_hasher().finish();
        Self { table: format!("vrrp_{number:016x}"), silence: None }
    }
}

impl Refusal {
    /// How the tables are listed in a journal, before anything is refused.
    pub(crate) fn entry(&self) -> String {
        Entry::Silence(self.table.clone()).to_string()
    }

    /// Refuses exactly packets to these addresses, in one moment.
    pub(crate) fn refuse(&mut self, addresses: BTreeSet<Silenced>) -> Result<(), SilenceError> {
        if self.silence.is_none() && addresses.is_empty() {
            return Ok(());
        }
        self.open()?.set(addresses)
    }

    /// Keeps exactly these interfaces from telling what they listen to.
    pub(crate) fn quieten(&mut self, interfaces: Vec<u32>) -> Result<(), SilenceError> {
        if self.silence.is_none() && interfaces.is_empty() {
            return Ok(());
        }
        self.open()?.set_quiet(interfaces)
    }

    fn open(&mut self) -> Result<&mut Silence, SilenceError> {
        let silence = match self.silence.take() {
            Some(silence) => silence,
            None => Silence::open(&self.table)?,
        };
        Ok(self.silence.insert(silence))
    }

    /// What is refused stays so when this ends.
    pub(crate) fn keep(&mut self) {
        self.silence = None;
    }

    /// Ends all that; whether it could be.
    pub(crate) fn remove(&mut self) -> Result<(), SilenceError> {
        if let Some(silence) = &mut self.silence {
            silence.remove()?;
        }
        self.silence = None;
        Ok(())
    }
}

/// A router that could not be built leaves no tables.
impl Drop for Refusal {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::error!("{error}");
        }
    }
}
