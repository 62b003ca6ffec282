//! The ping check: an ICMP echo request and its reply (RFC 792, RFC 4443 §4).

use core::time::Duration;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// Header, and as much data as keepalived sends.
const HEADER: usize = 8;
const LENGTH: usize = HEADER + 128;

/// One run of the ping check. The reply is known by its data, which nobody can guess: the number of the request belongs to the kernel
/// when the socket is a ping socket.
#[derive(Debug)]
pub struct PingCheck {
    reply_type: u8,
    message: [u8; LENGTH],
    unsent: bool,
    ending: Ending,
}

impl PingCheck {
    /// A run that asks with data made from `seed`, over `ICMPv6` or ICMP.
    #[must_use]
    pub fn new(ipv6: bool, seed: u64) -> Self {
        let (request_type, reply_type) = if ipv6 { (128, 129) } else { (8, 0) };
        let mut message = [0; LENGTH];
        let mut random = fastrand::Rng::with_seed(seed);
        random.fill(&mut message);
        if let Some(head) = message.first_chunk_mut() {
            let [_, _, _, _, id0, id1, _, _] = *head;
            *head = [request_type, 0, 0, 0, id0, id1, 0, 1];
        }
        if !ipv6 {
            // For ICMPv6 the kernel fills it in: it covers addresses that are not known here.
            let [high, low] = checksum(&message).to_be_bytes();
            if let Some([_, _, sum0, sum1]) = message.first_chunk_mut() {
                (*sum0, *sum1) = (high, low);
            }
        }
        Self { reply_type, message, unsent: false, ending: Ending::Running }
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });
    let mut sum = words.fold(0_u32, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

impl Machine for PingCheck {
    fn handle_connected(&mut self) {
        self.unsent = true;
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        // A raw socket hears all ICMP of the target, and over loopback our own request.
        let is_reply = bytes.first() == Some(&self.reply_type);
        if is_reply && bytes.get(HEADER - 2..) == self.message.get(HEADER - 2..) {
            self.ending.decide(Ok(()));
        }
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.ending.is_running() && core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(&self.message));
        }
        self.ending.poll_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_the_own_request_counts() {
        for (ipv6, request, reply) in [(false, 8, 0), (true, 128, 129)] {
            let mut run = PingCheck::new(ipv6, 7);
            run.handle_connected();
            let Some(Output::Transmit(sent)) = run.poll_output() else { panic!() };
            let mut message = sent.to_vec();
            assert_eq!((message[0], message.len()), (request, 136));
            assert!(ipv6 || checksum(&message) == 0);
            run.handle_data(&message); // our own, heard over loopback
            let other = PingCheck::new(ipv6, 8).message;
            run.handle_data(&[&[reply], &other[1..]].concat());
            run.handle_data(&[]);
            assert_eq!(run.poll_output(), None);
            message[0] = reply;
            message[4] ^= 1; // a ping socket has its own number
            run.handle_data(&message);
            assert_eq!(run.poll_output(), Some(Output::Close));
            assert_eq!(run.poll_output(), Some(Output::Done(Ok(()))));
        }
    }
}
