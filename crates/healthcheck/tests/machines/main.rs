//! Every machine against anything: exactly one result, nothing after it, nothing without end.
#![cfg(feature = "regex")]

mod conversation;

use proptest::prelude::*;

/// What servers say, and parts of it.
const SAID: [&[u8]; 16] = [
    b"+PONG",
    b"220 a\r\n",
    b"220-a\r\n",
    b"250 b\r\n",
    b"554 no\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 503 no\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"3;x\r\naab\r\n",
    b"0\r\n\r\n",
    b"11\x81\x80\0\x01\0\x01\0\0\0\0",
    b"x",
    b"",
];

fn orders() -> impl Strategy<Value = Vec<u8>> {
    let order = prop_oneof![
        8 => (0..SAID.len()).prop_map(|which| {
            let piece = SAID.get(which).copied().unwrap_or_default();
            [&[u8::try_from(piece.len()).unwrap_or(0) << 2 | 1], piece].concat()
        }),
        2 => proptest::collection::vec(any::<u8>(), 1..64),
        2 => Just(vec![0]),
        1 => Just(vec![3]),
        1 => Just(vec![7]),
    ];
    proptest::collection::vec(order, 0..12).prop_map(|orders| orders.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_conversation_has_exactly_one_end(machine in 0..12_u8, orders in orders()) {
        conversation::play(&[&[machine, 0], &*orders].concat());
    }
}
