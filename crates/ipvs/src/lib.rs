//! Linux IPVS over generic netlink: services, destinations, statistics, plan and apply.
