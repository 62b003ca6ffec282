//! A journal file of any octets: its entries are listed, or the file is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| journal::fuzzing::file(octets));
