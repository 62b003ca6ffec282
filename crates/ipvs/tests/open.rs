//! Opening IPVS on whatever kernel runs the tests.

use std::path::Path;

use ipvs::{Client, OpenError};

/// With `ip_vs` there is a client (or the lack of privilege is named), without it the error says how to get it.
#[test]
fn a_client_or_what_is_missing() {
    let result = Client::open();
    // The kernel may have loaded the module just now.
    let has_ipvs = Path::new("/proc/net/ip_vs").exists();
    match result {
        Ok(_) | Err(OpenError::NotPermitted) => assert!(has_ipvs),
        Err(error) => {
            assert_eq!(error, OpenError::NoIpvs);
            assert!(!has_ipvs);
            let text = error.to_string();
            assert!(text.contains("modprobe ip_vs") && text.contains("CONFIG_IP_VS"), "{text}");
        }
    }
}
