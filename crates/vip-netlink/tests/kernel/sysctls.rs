//! Kernel settings changed and put back.

use std::fs;

use lab::Namespace;
use vip_netlink::{SysctlChange, SysctlError};

const ARP_IGNORE: &str = "net/ipv4/conf/lo/arp_ignore";

fn value(namespace: &Namespace) -> String {
    namespace
        .run(|| fs::read_to_string(format!("/proc/sys/{ARP_IGNORE}")).unwrap())
        .trim()
        .to_owned()
}

#[test]
fn a_change_is_made_once_and_undone() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    namespace.sysctl(ARP_IGNORE, "0").unwrap();
    let change = namespace.run(|| SysctlChange::plan_ipv4("lo", "arp_ignore", "1")).unwrap();
    assert_eq!(change.to_string(), format!("{ARP_IGNORE} 0 -> 1"));
    assert_eq!(value(&namespace), "0");
    namespace.run(|| change.apply()).unwrap();
    assert_eq!(value(&namespace), "1");
    let again = namespace.run(|| SysctlChange::plan_ipv4("lo", "arp_ignore", "1")).unwrap();
    assert!(change.is_needed() && !again.is_needed());
    assert!(!namespace.run(|| again.apply().and_then(|()| again.undo())).unwrap());
    assert_eq!(value(&namespace), "1");
    let from_a_journal: SysctlChange = change.to_string().parse().unwrap();
    assert!(namespace.run(|| from_a_journal.undo()).unwrap());
    assert_eq!(value(&namespace), "0");
    assert!(!namespace.run(|| from_a_journal.undo()).unwrap()); // is the same as once
    assert_eq!(value(&namespace), "0");
}

#[test]
fn a_value_that_somebody_else_has_set_since_is_theirs() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    let change = namespace.run(|| SysctlChange::plan(ARP_IGNORE, "1")).unwrap();
    namespace.run(|| change.apply()).unwrap();
    namespace.sysctl(ARP_IGNORE, "2").unwrap();
    assert!(!namespace.run(|| change.undo()).unwrap());
    assert_eq!(value(&namespace), "2");
}

#[test]
fn a_sysctl_without_its_interface_is_named() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    let error = namespace.run(|| SysctlChange::plan_ipv4("eth7", "arp_ignore", "1")).unwrap_err();
    assert!(
        matches!(error, SysctlError::Read { .. })
            && error.to_string().contains("conf/eth7/arp_ignore"),
        "{error}"
    );
    let gone: SysctlChange = "net/ipv4/conf/eth7/arp_ignore 0 -> 1".parse().unwrap();
    assert!(!namespace.run(|| gone.undo()).unwrap());
    let error = namespace.run(|| gone.apply()).unwrap_err();
    assert!(matches!(error, SysctlError::Write { .. }), "{error}");
}
