//! VRRP and LVS daemon that runs the keepalived.conf you already have.

fn main() {}
