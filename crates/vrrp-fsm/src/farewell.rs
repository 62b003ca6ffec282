//! What a Master would say if it left, for whoever outlives it.

use core::num::NonZeroU16;

use vrrp_proto::{Priority, Version};

use crate::{Instant, Send, VirtualRouter, state::Phase};

/// Numbers of authentication headers are taken ahead in blocks of this size (a power of two).
const BLOCK: u64 = 1024;

impl VirtualRouter {
    /// The advertisements of priority 0 (RFC 9568 §6.4.3) with which this Master could leave at this moment; none if it is not
    /// Master. Somebody who outlives the caller's process may send what [`encode`](Self::encode) makes of them when the process has
    /// died; nobody else.
    ///
    /// They are to be made again after every output: what is sent in between uses up their sequence numbers. Those of
    /// authentication headers stay good for about a thousand advertisements, so that their bytes rarely change. Those of trailers are
    /// dated now, and are good for the receivers' time window.
    pub fn farewell(&mut self, now: Instant) -> impl Iterator<Item = Send> + use<> {
        let now = self.advance(now);
        let is_master = matches!(self.phase, Phase::Master(_));
        let also = self.config.also_version_2.then_some(Version::V2);
        let versions = [is_master.then_some(self.config.version), also.filter(|_| is_master)];
        let sequence = match (&self.config.trailer, is_master) {
            (Some(_), true) => self.sequences.next_signature(now).to_bits(),
            _ => self.sequences.ahead(BLOCK).into(),
        };
        // Any identification: who would know its own packet by it is gone.
        let identification = NonZeroU16::MIN;
        versions.into_iter().flatten().map(move |version| Send {
            version,
            priority: Priority::RELEASE,
            identification,
            sequence,
        })
    }
}
