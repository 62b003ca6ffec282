//! Inputs to start from: the project's test vectors, and chance where an input is a source of chance.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::host;

/// Writes a target's seeds to its corpus. What is there already stays.
pub(super) fn sow(target: &str, corpus: &Path) -> Result<(), String> {
    let seeds = match target {
        "advertisement" | "authentication" => vectors()?,
        "keepalived_conf" => configurations()?,
        "fsm_ops" | "sync_group" => (1..=16).map(chance).collect(),
        "health_checks" => conversations(),
        "journal" => vec![JOURNAL.into()],
        "ipvs_connections" => vec![CONNECTIONS.into()],
        _ => Vec::new(),
    };
    for (index, seed) in seeds.iter().enumerate() {
        let path = corpus.join(format!("seed-{index:04}"));
        fs::write(&path, seed).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// For each machine: a server that answers, in the target's own form (order and length in one octet, then the piece).
fn conversations() -> Vec<Vec<u8>> {
    let said: [&[u8]; 7] = [
        b"+PONG",
        b"220 a\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\naab",
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
        b"3;x\r\naab\r\n0\r\n\r\n",
        b"11\x81\x80\0\x01\0\x01\0\0\0\0",
    ];
    let pieces = said.iter().flat_map(|piece| {
        let order = u8::try_from(piece.len()).unwrap_or(63).min(63) << 2 | 1;
        [&[order], *piece].concat()
    });
    let pieces: Vec<u8> = pieces.collect();
    (0..12).map(|machine| [&[machine, 0], &*pieces].concat()).collect()
}

const JOURNAL: &str = "vip-journal 1 0a5c6d2e-7a37-4b53-8f0b-0c6f4c1d2e3f 4711\n\
    + 192.0.2.100/24 dev 2 label eth0:1\n+ 2001:db8::1/64 dev 2 dad\n- 192.0.2.100/24 dev 2 label eth0:1\n";

const CONNECTIONS: &str = "TCP C0000205 A1F2 C0000201 0050 0A00000B 1F90 ESTABLISHED     898\n\
    UDP C0000205 0000 C0000201 13C4 0A00000C 13C4 NONE             41 sip a84b4c76e66710\n\
    TCP 2001:0db8:0000:0000:0000:0000:0000:0005 B000 2001:0db8:0000:0000:0000:0000:0000:0001 01BB 0A00000B 01BB SYN_RECV         59\n\
    TCP C0000205 A1F3 C0000201 0050 0A00000B 1F90 FIN_WAIT    LOCAL        7\n";

/// Every packet and every message of the vectors.
fn vectors() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = Vec::new();
    for file in ["vrrp.json", "keepalived-2.2.7.json"] {
        let path = host::workspace().join("crates/vrrp-proto/tests/data").join(file);
        let shown = path.display();
        let text = fs::read(&path).map_err(|error| format!("{shown}: {error}"))?;
        let vectors: Vec<Value> =
            serde_json::from_slice(&text).map_err(|error| format!("{shown}: {error}"))?;
        for vector in &vectors {
            let fields =
                ["packet_hex", "payload_hex"].into_iter().filter_map(|name| vector.get(name));
            seeds.extend(fields.filter_map(Value::as_str).filter_map(octets));
        }
    }
    if seeds.is_empty() {
        return Err("the vectors hold no packets".to_owned());
    }
    Ok(seeds)
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

fn configurations() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = Vec::new();
    for folder in ["conf", "verbatim"] {
        let folder =
            host::workspace().join("crates/keepalived-conf/tests/data/tutorials").join(folder);
        let failed = |error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            seeds.push(fs::read(entry.map_err(failed)?.path()).map_err(failed)?);
        }
    }
    Ok(seeds)
}

/// 2 KiB that look like chance and are the same every time (xorshift).
fn chance(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..256)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_hold_packets_and_messages() {
        let seeds = vectors().unwrap();
        assert!(seeds.iter().any(|seed| seed.first() == Some(&0x45)));
        assert!(seeds.iter().any(|seed| seed.first() == Some(&0x31)));
        assert_eq!(octets("0aff"), Some(vec![0x0a, 0xff]));
        assert_eq!(octets("0af"), None);
    }
}
