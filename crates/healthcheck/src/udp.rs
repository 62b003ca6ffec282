//! The UDP check: something is sent, and silence or an answer is well; a port that nobody serves is told by ICMP.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// What a UDP check sends and wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Udp {
    payload: Arc<[u8]>,
    reply: Option<Reply>,
}

/// Which datagrams are the wanted answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    lengths: RangeInclusive<usize>,
    /// `None`: any byte.
    begins: Arc<[Option<u8>]>,
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    /// Any datagram.
    #[must_use]
    pub fn new() -> Self {
        Self { lengths: 0..=usize::MAX, begins: Arc::new([]) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn lengths(self, lengths: RangeInclusive<usize>) -> Self {
        Self { lengths, ..self }
    }

    /// How it begins; `None` stands for any byte.
    #[must_use]
    pub fn begins(self, bytes: impl Into<Arc<[Option<u8>]>>) -> Self {
        Self { begins: bytes.into(), ..self }
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        self.lengths.contains(&bytes.len())
            && self.begins.len() <= bytes.len()
            && self
                .begins
                .iter()
                .zip(bytes)
                .all(|(want, byte)| want.is_none_or(|want| want == *byte))
    }
}

impl Udp {
    /// Sends this datagram; the server is up when no ICMP error has come back by the end of the check's time.
    #[must_use]
    pub fn new(payload: impl Into<Arc<[u8]>>) -> Self {
        Self { payload: payload.into(), reply: None }
    }

    /// The server is up when it answers so, and down when it answers otherwise or not at all.
    #[must_use]
    pub fn reply(self, reply: Reply) -> Self {
        Self { reply: Some(reply), ..self }
    }
}

/// One run of the UDP check.
#[derive(Debug)]
pub struct UdpCheck {
    udp: Udp,
    unsent: bool,
    ending: Ending,
}

impl UdpCheck {
    /// A run that sends when its socket is there.
    #[must_use]
    pub fn new(udp: Udp) -> Self {
        Self { udp, unsent: false, ending: Ending::Running }
    }
}

impl Machine for UdpCheck {
    fn handle_connected(&mut self) {
        self.unsent = true;
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        let good = self.udp.reply.as_ref().is_none_or(|reply| reply.matches(bytes));
        self.ending.decide(if good { Ok(()) } else { Err(Failure::Unexpected) });
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        if self.udp.reply.is_none() {
            self.ending.decide(Ok(()));
        }
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.ending.is_running() && core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(&self.udp.payload));
        }
        self.ending.poll_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(udp: Udp, input: impl FnOnce(&mut UdpCheck)) -> Result<(), Failure> {
        let mut run = UdpCheck::new(udp);
        run.handle_connected();
        assert_eq!(run.poll_output(), Some(Output::Transmit(b"x")));
        assert_eq!(run.poll_output(), None);
        input(&mut run);
        loop {
            if let Some(Output::Done(result)) = run.poll_output() {
                return result;
            }
        }
    }

    #[test]
    fn silence_is_well_unless_an_answer_is_wanted() {
        let plain = || Udp::new(*b"x");
        let after = Duration::from_secs(1);
        assert_eq!(verdict(plain(), |run| run.handle_timeout(after)), Ok(()));
        assert_eq!(verdict(plain(), |run| run.handle_data(b"anything")), Ok(()));
        let refused = verdict(plain(), |run| run.handle_closed(Some(Failure::Refused)));
        assert_eq!(refused, Err(Failure::Refused));
        let any = || plain().reply(Reply::new());
        let silent = verdict(any(), |run| run.handle_timeout(after));
        assert_eq!(silent, Err(Failure::TimedOut { after }));
        assert_eq!(verdict(any(), |run| run.handle_data(b"")), Ok(()));
    }

    #[test]
    fn an_answer_is_compared_by_length_and_beginning() {
        let reply = Reply::new().lengths(3..=5).begins([Some(b'a'), None, Some(b'c')]);
        let of = |bytes: &[u8]| {
            verdict(Udp::new(*b"x").reply(reply.clone()), |run| run.handle_data(bytes)).is_ok()
        };
        let verdicts = [&b"abc"[..], b"a-cde", b"ab", b"abcdef", b"abd", b""].map(of);
        assert_eq!(verdicts, [true, true, false, false, false, false]);
    }
}
