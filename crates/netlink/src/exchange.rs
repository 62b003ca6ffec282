//! The answers to requests that were sent together. Pure: datagrams in, verdicts out.

use crate::error::{DecodeError, Refusal, RequestError};
use crate::message::{
    DUMP_INTERRUPTED, Messages, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
};

/// More than any table of the kernel: the largest dump known to us (a million destinations) is half of it.
const MAX_OCTETS: usize = 1 << 28;

/// Collects answers to `count` requests numbered from `first`. Only the last one asks for an
/// acknowledgement; refusals come for all. The kernel works in order, so the last answer ends it.
#[derive(Debug)]
pub(crate) struct Exchange {
    first: u32,
    answers: Vec<Option<Result<(), Refusal>>>,
    octets: usize,
    /// Nothing follows the refusal of the first.
    first_may_end: bool,
    /// The table changed while it was dumped.
    pub(crate) interrupted: bool,
    /// Some answer did not fit the receive buffer.
    pub(crate) lost: bool,
}

impl Exchange {
    pub(crate) fn new(first: u32, count: usize) -> Self {
        Self {
            first,
            answers: vec![None; count],
            octets: 0,
            first_may_end: false,
            interrupted: false,
            lost: false,
        }
    }

    /// As [`new`](Self::new), of a transaction: the first message begins it, and when that is refused, so is everything.
    pub(crate) fn transaction(first: u32, count: usize) -> Self {
        Self { first_may_end: true, ..Self::new(first, count) }
    }

    /// Takes in one datagram of the kernel; `data` gets messages that are not acknowledgements.
    pub(crate) fn feed(
        &mut self,
        datagram: &[u8],
        mut data: impl FnMut(u16, &[u8]),
    ) -> Result<(), DecodeError> {
        self.octets = self.octets.saturating_add(datagram.len());
        if self.octets > MAX_OCTETS {
            return Err(DecodeError::Endless { octets: MAX_OCTETS });
        }
        for message in Messages::new(datagram) {
            let message = message?;
            // A stale answer to an earlier request fails here: its number is not one of ours.
            let index =
                usize::try_from(message.sequence.wrapping_sub(self.first)).unwrap_or(usize::MAX);
            let Some(answer) = self.answers.get_mut(index) else {
                continue;
            };
            self.interrupted |= message.flags & DUMP_INTERRUPTED != 0;
            match message.message_type {
                NLMSG_NOOP => {}
                NLMSG_OVERRUN => self.lost = true,
                NLMSG_ERROR | NLMSG_DONE => {
                    let verdict = message.acknowledgement()?;
                    answer.get_or_insert(verdict);
                }
                other => data(other, message.payload),
            }
        }
        Ok(())
    }

    /// Whether nothing more will come.
    pub(crate) fn is_complete(&self) -> bool {
        let ended = self.first_may_end && matches!(self.answers.first(), Some(Some(Err(_))));
        ended || self.answers.last().is_none_or(Option::is_some)
    }

    /// Why an answer that is missing is missing.
    pub(crate) fn silence(&self) -> RequestError {
        if self.lost { RequestError::Lost } else { RequestError::NoAnswer }
    }

    /// One result for each request. `failure` is why the exchange ended early, if it did.
    pub(crate) fn into_results(
        self,
        failure: Option<&RequestError>,
    ) -> impl Iterator<Item = Result<(), RequestError>> {
        let complete = self.is_complete();
        let lost = self.lost;
        self.answers.into_iter().map(move |answer| match answer {
            Some(verdict) => verdict.map_err(RequestError::Refused),
            None if lost => Err(RequestError::Lost),
            None if complete => Ok(()),
            None => Err(failure.cloned().unwrap_or(RequestError::NoAnswer)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::tests::message;

    fn ack(sequence: u32, code: i32) -> Vec<u8> {
        message(NLMSG_ERROR, 0x100, sequence, &[&code.to_ne_bytes()[..], &[0; 16]].concat())
    }

    fn results(exchange: Exchange) -> Vec<Result<(), RequestError>> {
        exchange.into_results(None).collect()
    }

    fn errnos(exchange: Exchange) -> Vec<Option<i32>> {
        results(exchange)
            .iter()
            .map(|result| result.as_ref().err().and_then(RequestError::errno))
            .collect()
    }

    #[test]
    fn a_refusal_in_the_middle_and_the_last_acknowledgement() {
        let mut exchange = Exchange::new(10, 4);
        exchange.feed(&ack(11, -17), |_, _| {}).unwrap();
        assert!(!exchange.is_complete());
        exchange.feed(&ack(13, 0), |_, _| {}).unwrap();
        assert!(exchange.is_complete());
        assert_eq!(errnos(exchange), [None, Some(17), None, None]);
    }

    #[test]
    fn a_transaction_that_does_not_begin_is_over() {
        let mut exchange = Exchange::transaction(10, 4);
        exchange.feed(&ack(11, -17), |_, _| {}).unwrap();
        assert!(!exchange.is_complete());
        exchange.feed(&ack(10, -1), |_, _| {}).unwrap();
        assert!(exchange.is_complete());
        assert_eq!(errnos(exchange), [Some(1), Some(17), None, None]);
    }

    #[test]
    fn numbers_wrap_and_strangers_are_ignored() {
        let mut exchange = Exchange::new(u32::MAX, 2);
        exchange.feed(&ack(1, -1), |_, _| {}).unwrap();
        exchange.feed(&ack(u32::MAX - 1, -1), |_, _| {}).unwrap();
        assert!(!exchange.is_complete());
        exchange.feed(&ack(u32::MAX, -2), |_, _| {}).unwrap();
        exchange.feed(&ack(0, 0), |_, _| {}).unwrap();
        assert_eq!(errnos(exchange), [Some(2), None]);
    }

    #[test]
    fn after_a_loss_silence_is_not_success() {
        let mut exchange = Exchange::new(1, 3);
        exchange.lost = true;
        exchange.feed(&ack(1, -17), |_, _| {}).unwrap();
        exchange.feed(&ack(3, 0), |_, _| {}).unwrap();
        let results = results(exchange);
        assert!(matches!(results[0], Err(RequestError::Refused(_))));
        assert_eq!(results[1], Err(RequestError::Lost));
        assert_eq!(results[2], Ok(()));
    }

    #[test]
    fn an_unfinished_exchange_has_no_success() {
        let mut exchange = Exchange::new(1, 2);
        exchange.feed(&ack(1, 0), |_, _| {}).unwrap();
        assert_eq!(results(exchange), [Ok(()), Err(RequestError::NoAnswer)]);
    }

    #[test]
    fn an_interrupted_dump_is_noticed_on_any_part() {
        for flags in [[0x12, 2, 2], [2, 2, 0x12]] {
            let mut exchange = Exchange::new(5, 1);
            let mut seen = Vec::new();
            for (part, flags) in flags.into_iter().enumerate() {
                let done = part == 2;
                let bytes = message(if done { NLMSG_DONE } else { 20 }, flags, 5, &[0; 4]);
                exchange.feed(&bytes, |kind, _| seen.push(kind)).unwrap();
            }
            assert!(exchange.interrupted && exchange.is_complete());
            assert_eq!(seen, [20, 20]);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6)) {
            let mut exchange = Exchange::new(1, 3);
            for datagram in &datagrams {
                if exchange.feed(datagram, |_, _| {}).is_err() {
                    break;
                }
            }
            prop_assert_eq!(results(exchange).len(), 3);
        }

        /// Well-formed headers around arbitrary bodies get past the first length check.
        #[test]
        fn arbitrary_messages_never_panic(
            parts in proptest::collection::vec((0_u16..6, any::<u16>(), 0_u32..4, proptest::collection::vec(any::<u8>(), 0..80)), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut datagram: Vec<u8> = parts.iter().flat_map(|(kind, flags, sequence, body)| message(*kind, *flags, *sequence, body)).collect();
            let mut exchange = Exchange::new(1, 2);
            let mut octets = 0;
            let whole = exchange.feed(&datagram, |_, payload| octets += payload.len());
            prop_assert!(octets <= datagram.len());
            prop_assert!(whole.is_ok() || parts.iter().any(|(kind, ..)| *kind == NLMSG_ERROR || *kind == NLMSG_DONE));
            datagram.truncate(cut.index(datagram.len() + 1));
            let mut exchange = Exchange::new(1, 2);
            let _ended = exchange.feed(&datagram, |_, _| {});
            prop_assert_eq!(results(exchange).len(), 2);
        }
    }
}
