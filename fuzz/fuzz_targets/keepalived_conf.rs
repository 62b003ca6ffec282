//! Any text is a configuration: no panic, every place that is told lies within the text, twice the same.
#![no_main]

#[path = "../../crates/keepalived-conf/tests/properties.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use more of it")]
mod properties;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| properties::check(&String::from_utf8_lossy(octets)));
