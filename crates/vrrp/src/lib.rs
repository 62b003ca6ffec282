//! VRRP in your process: active/standby in ten lines, with virtual IP addresses.
