//! Own virtual IP addresses on Linux: add, remove, announce by ARP and ND, watch links.
