//! A third host that throws packets at both.

use std::net::Ipv4Addr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::rules::{Side, VRID};
use crate::trial::{Broken, Trial};

/// What is thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missile {
    /// The Master's own latest advertisement, again and again; or one of a third router that loses against it.
    Valid,
    /// Our VRID with a wrong checksum.
    Broken,
    /// Right advertisements of other virtual routers.
    Foreign,
}

/// Packets a second; the last means as many as one processor can send.
const RATES: [u32; 4] = [1_000, 10_000, 50_000, u32::MAX];
/// From here on a flood takes a processor, and there is one at a time.
const HEAVY: u32 = 50_000;
/// Who throws, where it is not the Master's name.
const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const MAC: [u8; 6] = [2, 0xf, 0, 0, 0, 1];

impl Trial<'_> {
    /// It changes nothing, whatever the rate.
    pub(super) fn flood(&mut self, missile: Missile) -> Result<(), Broken> {
        let rate = RATES[self.rng.usize(..RATES.len())];
        let duration = self.millis(300..600);
        let frames = self.missiles(missile);
        let heavy = self.heavy;
        let guard = (rate >= HEAVY).then(|| heavy.lock().unwrap_or_else(PoisonError::into_inner));
        let from = self.timeline().act(format!("a flood of packets: {missile:?}, {rate} a second"));
        let sent = self.throw(&frames, rate, duration);
        let to = self.timeline().act(format!("it is over after {sent} packets"));
        drop(guard);
        self.thrown.fetch_add(u64::from(sent), Ordering::Relaxed);
        let achieved = f64::from(sent) / to.saturating_sub(from).as_secs_f64();
        // Not negative, and far from the limit.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        self.fastest.fetch_max(achieved as u64, Ordering::Relaxed);
        self.unchanged(from, lab::now())?;
        self.settle_unchanged(from, to)
    }

    fn throw(&self, frames: &[Vec<u8>], rate: u32, duration: Duration) -> u32 {
        let begin = Instant::now();
        let mut sent = 0;
        loop {
            let elapsed = begin.elapsed();
            if elapsed >= duration {
                return sent;
            }
            let due = f64::from(rate) * elapsed.as_secs_f64();
            if f64::from(sent) > due {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            for frame in frames {
                sent += u32::from(self.pair.client.throw(frame));
            }
        }
    }

    fn missiles(&mut self, missile: Missile) -> Vec<Vec<u8>> {
        let Some(model) = self.pair.observer.latest().of(self.master) else { return Vec::new() };
        let mut model = model;
        model[6..12].copy_from_slice(&MAC);
        match missile {
            Missile::Valid => {
                // Not one that is better, or as good: that would be a takeover by right.
                let rival = self.pair.rules.priority(self.master) > 1 && self.rng.bool();
                vec![if rival { forge(&model, VRID, 1) } else { model }]
            }
            Missile::Broken => {
                let mut frame = forge(&model, VRID, self.pair.rules.priority(Side::A));
                let checksum = message(&frame) + 7;
                frame[checksum] ^= 0x55;
                vec![frame]
            }
            Missile::Foreign => {
                let vrids = (1..=255).filter(|vrid| *vrid != VRID);
                vrids.map(|vrid| forge(&model, vrid, 254)).collect()
            }
        }
    }
}

/// Where the VRRP message begins in a frame.
fn message(frame: &[u8]) -> usize {
    14 + usize::from(frame[14] & 0x0f) * 4
}

/// The same advertisement of another source, VRID and priority.
fn forge(model: &[u8], vrid: u8, priority: u8) -> Vec<u8> {
    let mut frame = model.to_vec();
    let message = message(&frame);
    frame[26..30].copy_from_slice(&SOURCE.octets());
    frame[24..26].fill(0);
    let header = checksum(&frame[14..message]);
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    frame[message + 1] = vrid;
    frame[message + 2] = priority;
    frame[message + 6..message + 8].fill(0);
    // The pseudo-header of RFC 5798 §5.2.8: both addresses, the protocol, the length.
    let mut summed = frame[26..34].to_vec();
    let length = u8::try_from(frame.len() - message).unwrap_or_default();
    summed.extend([0, 112, 0, length]);
    summed.extend(&frame[message..]);
    let sum = checksum(&summed);
    frame[message + 6..message + 8].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// RFC 1071, of an even number of octets.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_advertisement_is_right_in_every_respect() {
        let mut model = vec![0; 14];
        // An IPv4 header without options, and an advertisement with one address.
        model.extend([0x45, 0xc0, 0, 32, 0, 1, 0, 0, 255, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18]);
        model.extend([0x31, VRID, 100, 1, 0, 10, 0, 0, 192, 0, 2, 100]);
        let frame = forge(&model, 7, 9);
        let datagram =
            vrrp_fsm::Datagram::ipv4(vrrp_fsm::PathId::FIRST, &frame[14..]).expect("a packet");
        assert_eq!(datagram.source(), SOURCE);
        let header = vrrp_fsm::vrrp_proto::PseudoHeader::Ipv4 {
            source: SOURCE,
            destination: Ipv4Addr::new(224, 0, 0, 18),
        };
        let parsed = vrrp_fsm::vrrp_proto::Advertisement::parse(&frame[34..], header);
        let parsed = parsed.expect("an advertisement");
        assert_eq!((parsed.vrid().get(), parsed.priority().get()), (7, 9));
    }
}
