//! ICMP echo (RFC 792, RFC 4443 §4): octets in, octets out. Pure.

/// Identifier, sequence and nonce of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// Nobody who does not see the request can guess it.
    pub(super) nonce: u64,
}

/// Octets of a request.
pub(super) const LEN: usize = 16;

impl Echo {
    /// The request. `ICMPv6` sums are the kernel's, which knows the addresses.
    pub(super) fn request(self, ipv6: bool) -> [u8; LEN] {
        let mut message = [0; LEN];
        let kind = if ipv6 { 128 } else { 8 };
        let body = self.nonce.to_be_bytes();
        for (to, from) in message.iter_mut().zip([kind, 0, 0, 0].into_iter().chain(self.id())) {
            *to = from;
        }
        for (to, from) in message.iter_mut().skip(8).zip(body) {
            *to = from;
        }
        if !ipv6 {
            let [high, low] = checksum(&message).to_be_bytes();
            for (to, from) in message.iter_mut().skip(2).zip([high, low]) {
                *to = from;
            }
        }
        message
    }

    /// Whether what a raw socket received is the answer: of IPv4 the whole packet, of IPv6 the message, whose sum the kernel has
    /// verified.
    pub(super) fn is_answered_by(self, ipv6: bool, received: &[u8]) -> bool {
        let header = if ipv6 {
            0
        } else {
            received.first().map_or(0, |octet| usize::from(octet & 0x0f) * 4)
        };
        let Some(message) = received.get(header..) else { return false };
        let kind = if ipv6 { 129 } else { 0 };
        let sound = ipv6 || checksum(message) == 0;
        sound
            && message.get(..2) == Some(&[kind, 0])
            && message.get(4..8) == Some(self.id().as_slice())
            && message.get(8..LEN) == Some(self.nonce.to_be_bytes().as_slice())
    }

    /// Identifier and sequence number: a part of the nonce.
    fn id(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.nonce.to_le_bytes();
        [a, b, c, d]
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        u16::from_be_bytes([
            pair.first().copied().unwrap_or_default(),
            pair.get(1).copied().unwrap_or_default(),
        ])
    });
    !words.fold(0_u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { nonce: 0x0102_0304_0506_0708 };

    /// An IPv4 packet with that answer.
    fn answer(message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45; 20];
        packet.extend(message);
        packet
    }

    fn reply() -> [u8; LEN] {
        let mut reply = ECHO.request(false);
        (reply[0], reply[2], reply[3]) = (0, 0, 0);
        let sum = checksum(&reply).to_be_bytes();
        (reply[2], reply[3]) = (sum[0], sum[1]);
        reply
    }

    #[test]
    fn a_request_has_a_right_sum() {
        let request = ECHO.request(false);
        assert_eq!((request[0], checksum(&request)), (8, 0));
        assert_eq!(ECHO.request(true)[..4], [128, 0, 0, 0]);
        // RFC 1071 §3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn only_the_answer_is_one() {
        let reply = reply();
        assert!(ECHO.is_answered_by(false, &answer(&reply)));
        assert!(!ECHO.is_answered_by(false, &answer(&ECHO.request(false))), "the request");
        for length in 0..20 + LEN {
            assert!(!ECHO.is_answered_by(false, &answer(&reply)[..length]), "{length} octets");
        }
        for at in 0..LEN {
            let mut forged = reply;
            forged[at] ^= 1;
            assert!(!ECHO.is_answered_by(false, &answer(&forged)), "octet {at}");
        }
        assert!(!Echo { nonce: ECHO.nonce ^ 1 << 63 }.is_answered_by(false, &answer(&reply)));
        let mut v6 = ECHO.request(true);
        v6[0] = 129;
        assert!(ECHO.is_answered_by(true, &v6));
        assert!(!ECHO.is_answered_by(true, &ECHO.request(true)));
    }
}
