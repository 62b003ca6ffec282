//! Whatever `/proc/net/ip_vs_conn` may hold, in bounded memory.
#![no_main]

use ipvs::Connections;
use libfuzzer_sys::fuzz_target;

const HEADINGS: [&[u8]; 2] = [
    b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n",
    b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n",
];

fuzz_target!(|octets: &[u8]| {
    for heading in HEADINGS {
        let file = [heading, octets].concat();
        let Ok(all) = Connections::read(&file[..], usize::MAX) else {
            panic!("memory can be read")
        };
        let lines = octets.split(|&octet| octet == b'\n').count();
        assert!(all.entries.len() + all.unreadable <= lines && !all.truncated);
        for limit in [0, 1, 3] {
            let Ok(few) = Connections::read(&file[..], limit) else { panic!("memory can be read") };
            assert!(few.entries.len() <= limit);
            assert_eq!(few.entries.as_slice(), &all.entries[..few.entries.len()]);
        }
    }
});
