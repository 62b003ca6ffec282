//! Whatever a kernel may answer: messages, acknowledgements, attributes, and what the crates above make of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netlink::{Attributes, Messages};

fuzz_target!(|octets: &[u8]| {
    let mut len = 0;
    for message in Messages::new(octets) {
        let Ok(message) = message else { break };
        len += 16 + message.payload.len();
        assert!(len <= octets.len(), "more than there is");
        payload(message.payload);
    }
    // Lengths that fit are rare by chance: the same octets without a message header around them.
    payload(octets);
    netlink::fuzzing::acknowledgement(octets);
});

fn payload(octets: &[u8]) {
    for header in [0, 4, 8, 16] {
        let mut attributes = Attributes::after(octets, header);
        walk(&mut attributes, 8);
    }
    ipvs::fuzzing::reply(octets);
    vip_netlink::fuzzing::notification(octets);
}

fn walk(attributes: &mut Attributes<'_>, depth: usize) {
    let before = attributes.leftover().len();
    let mut len = 0;
    for attribute in attributes.by_ref() {
        len += 4 + attribute.value.len();
        assert_eq!(attribute.u16().map(u16::to_be), attribute.u16_be());
        assert!(attribute.text().is_none_or(|text| text.len() <= attribute.value.len()));
        if let Some(depth) = depth.checked_sub(1) {
            walk(&mut attribute.nested(), depth);
        }
    }
    assert!(len <= before, "more than there is");
}
