//! An independent reader and writer, the `neli` crate, agrees with ours about the bytes of attributes.
#![expect(clippy::unwrap_used, reason = "a panic is this program's way to fail")]

use std::io::Cursor;

use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, Nlattr, NlattrBuilder};
use neli::types::{Buffer, GenlBuffer};
use neli::{FromBytesWithInput, Size, ToBytes};
use netlink::{Attributes, Payload};

/// A generic-netlink command with numbers, text, an address and two levels of nests, written by us.
fn ours() -> Payload {
    Payload::generic(5, 1)
        .nest(1, |p| p.u16(1, 2).attribute(3, &[192, 0, 2, 1]).u16_be(4, 80))
        .nest(2, |p| p.u8(13, 1).u32(4, 100).text(6, "wrr").nest(10, |p| p.u64(4, 1 << 40)))
        .u32(4, 900)
}

fn attribute<P: Size + ToBytes>(kind: u16, value: P) -> Nlattr<u16, Buffer> {
    let kind = AttrTypeBuilder::default().nla_type(kind).build().unwrap();
    NlattrBuilder::default().nla_type(kind).nla_payload(value).build().unwrap()
}

/// The same written by neli.
fn theirs() -> Vec<u8> {
    let nest = |kind, inner: Vec<Nlattr<u16, Buffer>>| {
        let outer = attribute(kind, Buffer::new());
        inner.iter().fold(outer, |outer, attribute| outer.nest(attribute).unwrap())
    };
    let address = Buffer::from(&[192, 0, 2, 1][..]);
    let service =
        nest(1, vec![attribute(1, 2_u16), attribute(3, address), attribute(4, 80_u16.to_be())]);
    let counters = nest(10, vec![attribute(4, 1_u64 << 40)]);
    let destination =
        nest(2, vec![attribute(13, 1_u8), attribute(4, 100_u32), attribute(6, "wrr"), counters]);
    let attributes: GenlBuffer<u16, Buffer> =
        [service, destination, attribute(4, 900_u32)].into_iter().collect();
    let message = GenlmsghdrBuilder::<u8, u16>::default()
        .cmd(5)
        .version(1)
        .attrs(attributes)
        .build()
        .unwrap();
    let mut bytes = Cursor::new(Vec::new());
    message.to_bytes(&mut bytes).unwrap();
    bytes.into_inner()
}

#[test]
fn both_write_the_same_bytes() {
    assert_eq!(ours().as_bytes(), theirs());
}

#[test]
fn each_reads_the_other() {
    let ours = ours();
    let len = ours.as_bytes().len();
    let message =
        Genlmsghdr::<u8, u16>::from_bytes_with_input(&mut Cursor::new(ours.as_bytes()), len)
            .unwrap();
    let attributes = message.attrs().get_attr_handle();
    let destination = attributes.get_attribute(2).unwrap().get_attr_handle::<u16>().unwrap();
    assert_eq!(destination.get_attr_payload_as_with_len::<String>(6).unwrap(), "wrr");
    assert_eq!(attributes.get_attr_payload_as::<u32>(4).unwrap(), 900);

    let theirs = theirs();
    let destination = Attributes::after(&theirs, 4).first(2).unwrap().nested();
    assert_eq!(destination.first(6).and_then(|attribute| attribute.text()), Some("wrr"));
    let counters = destination.first(10).unwrap().nested();
    assert_eq!(counters.first(4).and_then(|attribute| attribute.u64()), Some(1 << 40));
}
