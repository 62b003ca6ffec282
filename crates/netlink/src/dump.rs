//! Dumps: collected whole, repeated when the table changed meanwhile.

use crate::error::{DecodeError, RequestError};
use crate::exchange::Exchange;

/// Attempts to dump a table that changes meanwhile.
const ATTEMPTS: u32 = 16;

/// The messages of one dump.
#[derive(Debug, Default)]
pub(crate) struct Table {
    bytes: Vec<u8>,
    /// Type and octets of each message.
    messages: Vec<(u16, usize)>,
}

impl Table {
    pub(crate) fn push(&mut self, message_type: u16, payload: &[u8]) {
        self.messages.push((message_type, payload.len()));
        self.bytes.extend_from_slice(payload);
    }

    /// Type and payload of each message, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.messages.iter().map(move |&(message_type, len)| {
            let (payload, tail) = rest.split_at_checked(len).unwrap_or_default();
            rest = tail;
            (message_type, payload)
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
    }
}

/// Makes attempts until one was not disturbed. `attempt` fills the empty table.
pub(crate) fn repeat(
    mut attempt: impl FnMut(&mut Table) -> Result<Exchange, RequestError>,
) -> Result<Table, RequestError> {
    let mut table = Table::default();
    for _ in 0..ATTEMPTS {
        table.clear();
        let exchange = match attempt(&mut table) {
            // The buffer has grown, the next attempt fits.
            Err(RequestError::Malformed(DecodeError::Truncated { .. })) => continue,
            other => other?,
        };
        if exchange.interrupted || exchange.lost {
            continue;
        }
        exchange.into_results(None).collect::<Result<(), _>>()?;
        return Ok(table);
    }
    Err(RequestError::Interrupted { attempts: ATTEMPTS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;
    use crate::message::{DUMP_INTERRUPTED, NLMSG_DONE};

    /// A dump of one message, as the kernel sends it.
    fn dump(
        table: &mut Table,
        flags: u16,
        payload: &[u8],
        code: i32,
    ) -> Result<Exchange, RequestError> {
        let mut datagram = message(20, flags, 1, payload);
        datagram.extend(message(NLMSG_DONE, 2, 1, &code.to_ne_bytes()));
        let mut exchange = Exchange::new(1, 1);
        exchange.feed(&datagram, |kind, payload| table.push(kind, payload))?;
        Ok(exchange)
    }

    #[test]
    fn only_the_undisturbed_attempt_counts() {
        let mut attempts = 0;
        let table = repeat(|table| {
            attempts += 1;
            match attempts {
                1 => dump(table, DUMP_INTERRUPTED, &[1; 5], 0),
                2 => dump(table, 0, &[2; 6], 0).map(|mut exchange| {
                    exchange.lost = true;
                    exchange
                }),
                3 => {
                    table.push(20, &[3]);
                    Err(DecodeError::Truncated { len: 9, buffer: 8 }.into())
                }
                _ => dump(table, 0, &[4; 7], 0),
            }
        });
        assert_eq!(attempts, 4);
        assert_eq!(table.unwrap().iter().collect::<Vec<_>>(), [(20, &[4; 7][..])]);
    }

    #[test]
    fn a_table_that_never_holds_still() {
        let mut attempts = 0;
        let result = repeat(|table| {
            attempts += 1;
            dump(table, DUMP_INTERRUPTED, &[], 0)
        });
        assert_eq!(result.unwrap_err(), RequestError::Interrupted { attempts: 16 });
        assert_eq!(attempts, 16);
    }

    #[test]
    fn a_refusal_is_not_repeated() {
        let mut attempts = 0;
        let result = repeat(|table| {
            attempts += 1;
            dump(table, 0, &[], -1)
        });
        assert_eq!((result.unwrap_err().errno(), attempts), (Some(1), 1));
    }
}
