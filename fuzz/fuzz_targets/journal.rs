//! A journal file of any octets: its entries are listed, or the file is refused. And any line as an entry of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    journal::fuzzing::file(octets);
    if let Ok(line) = core::str::from_utf8(octets) {
        vip_netlink::fuzzing::entry(line);
    }
});
