//! The readers of the kernel's IPVS table, on a kernel that has one.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::process::Command;

use lab::peers::Table;
use lab::{Namespace, need};

#[test]
fn both_readers_see_what_ipvsadm_added() {
    need!(netns, ipvs, ipvsadm);
    let (director, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    for arguments in [
        "-A -t 192.168.1.150:80 -s rr -p 5",
        "-a -t 192.168.1.150:80 -r 192.168.1.171:80 -g -w 1",
        "-a -t 192.168.1.150:80 -r 192.168.1.172:80 -m -w 7",
    ] {
        let output = director.output(Command::new("ipvsadm").args(arguments.split(' '))).unwrap();
        assert!(
            output.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let shown = Table::by_ipvsadm(&director).unwrap();
    let read = Table::of_proc(&director).unwrap();
    let service = shown.service("192.168.1.150:80").unwrap();
    assert_eq!((service.protocol.as_str(), service.scheduler.as_str()), ("TCP", "rr"));
    assert_eq!(service.flags, "persistent 5");
    let mut servers: Vec<_> = service
        .destinations
        .iter()
        .map(|server| (server.address.as_str(), server.forward.as_str(), server.weight))
        .collect();
    servers.sort_unstable();
    assert_eq!(servers, [("192.168.1.171:80", "Route", 1), ("192.168.1.172:80", "Masq", 7)]);
    assert_eq!(service.destinations, read.service("192.168.1.150:80").unwrap().destinations);
    // Each network namespace has a table of its own.
    assert_eq!(Table::of_proc(&other).unwrap().services, []);
}
