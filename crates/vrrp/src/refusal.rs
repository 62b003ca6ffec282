//! Packets that a virtual router does not take: those to addresses that it does not own, without `Accept_Mode`
//! (RFC 9568 §6.4.3), and what the interface of a virtual MAC address would tell switches.

use core::hash::{BuildHasher as _, Hasher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;

use vip_netlink::{Entry, Silence, SilenceError, Silenced};

/// The firewall tables of this router, if it needs any.
#[derive(Debug)]
pub(crate) struct Refusal {
    table: String,
    silence: Option<Silence>,
    /// What is refused, by the place of the virtual router.
    refused: BTreeMap<usize, BTreeSet<Silenced>>,
}

impl Default for Refusal {
    /// Nothing is refused. The name of the tables is no other router's, alive or dead.
    fn default() -> Self {
        let number = RandomState::new().build_hasher().finish();
        Self { table: format!("vrrp_{number:016x}"), silence: None, refused: BTreeMap::new() }
    }
}

impl Refusal {
    /// How the tables are listed in a journal, before anything is refused.
    pub(crate) fn entry(&self) -> String {
        Entry::Silence(self.table.clone()).to_string()
    }

    /// Refuses exactly packets to these addresses of the virtual routers, in one moment.
    pub(crate) fn refuse(
        &mut self,
        refused: BTreeMap<usize, BTreeSet<Silenced>>,
    ) -> Result<(), SilenceError> {
        let all: BTreeSet<Silenced> = refused.values().flatten().copied().collect();
        if self.silence.is_some() || !all.is_empty() {
            self.open()?.set(all)?;
        }
        self.refused = refused;
        Ok(())
    }

    /// A virtual router is not ours any more.
    pub(crate) fn release(&mut self, router: usize) {
        let mut refused = self.refused.clone();
        if refused.remove(&router).is_some()
            && let Err(error) = self.refuse(refused)
        {
            log::error!("{error}");
        }
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
