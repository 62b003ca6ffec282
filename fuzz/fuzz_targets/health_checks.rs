//! The check machines, against servers that say anything: what the tests of `lvs-healthcheck` hold them to.
#![no_main]

#[path = "../../crates/healthcheck/tests/machines/conversation.rs"]
mod conversation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| conversation::play(data));
