//! Whatever a kernel may answer: messages, acknowledgements, attributes, and what the crates above make of them.
#![no_main]

use ipvs::{AddressFamily, Command, ServiceKey, codec};
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
    ipvs(octets);
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

/// Reads octets as every kind of answer; what can be asked for again reads back.
fn ipvs(octets: &[u8]) {
    if let Ok(status) = codec::service(octets) {
        let key = status.service.key();
        assert_eq!(key.to_string().parse(), Ok(key));
        let again = codec::command(&Command::NewService(status.service.clone()));
        assert_eq!(codec::service(&again).map(|again| again.service), Ok(status.service));
    }
    for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
        if let Ok(status) = codec::destination(octets, family) {
            let key = status.destination.key();
            assert_eq!(key.to_string().parse(), Ok(key));
            let _sent = codec::command(&Command::NewDestination(
                ServiceKey::tcp(key.address, key.port),
                status.destination,
            ));
        }
    }
    if let Ok(daemon) = codec::daemon(octets) {
        let again = codec::command(&Command::StartDaemon(daemon.clone()));
        assert_eq!(codec::daemon(&again), Ok(daemon));
    }
    let _timeouts = codec::timeouts(octets);
    let _information = codec::information(octets);
}
