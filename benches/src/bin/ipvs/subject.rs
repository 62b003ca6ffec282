//! The tables that are measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipvs::{
    Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Table, Weight,
};
use lab::Namespace;

use crate::Result;

/// Services, one a port from 1 on, and servers of each.
pub(crate) const PORTS: usize = 1000;
pub(crate) const SERVERS: usize = 10;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn port(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

pub(crate) fn key(number: usize) -> ServiceKey {
    ServiceKey::tcp(ADDRESS.into(), port(number))
}

fn server(number: usize, port: u16) -> Destination {
    let [.., high, low] = number.to_be_bytes();
    let key = DestinationKey::new([10, 0, high, low].into(), port);
    Destination::new(key, ForwardingMethod::DirectRoute)
}

pub(crate) fn table() -> Table {
    let mut table = Table::new();
    for number in 1..=PORTS {
        let entry = table.insert(Service::new(key(number), Scheduler::WeightedRoundRobin));
        for last in 1..=SERVERS {
            entry.insert(server(last, port(number)));
        }
    }
    table
}

/// `servers` spread evenly over `services`.
pub(crate) fn large(services: usize, servers: usize) -> Table {
    let mut table = Table::new();
    for number in 0..services {
        let entry = table.insert(Service::new(key(number + 1), Scheduler::WeightedRoundRobin));
        for server_number in (0..servers).skip(number).step_by(services) {
            entry.insert(server(server_number, port(number + 1)));
        }
    }
    table
}

pub(crate) fn owned(table: &Table) -> BTreeSet<ServiceKey> {
    table.keys().copied().collect()
}

/// The same with another weight of the last server of the last service.
pub(crate) fn changed(table: &Table, weight: u16) -> Table {
    let mut changed = table.clone();
    if let Some(entry) = changed.service_mut(&key(PORTS)) {
        entry.insert(server(SERVERS, port(PORTS)).with_weight(Weight::from(weight)));
    }
    changed
}

/// As `ipvsadm -R` reads it.
pub(crate) fn rules() -> String {
    let mut rules = String::new();
    for number in 1..=PORTS {
        let service = format!("-t {ADDRESS}:{number}");
        writeln!(rules, "-A {service} -s wrr").expect("a string can be written to");
        for last in 1..=SERVERS {
            writeln!(rules, "-a {service} -r 10.0.0.{last}:{number} -g -w 1")
                .expect("a string can be written to");
        }
    }
    rules
}

/// As keepalived reads it, the last server with this weight.
pub(crate) fn configuration(weight: u16) -> String {
    let mut text = String::new();
    for number in 1..=PORTS {
        writeln!(
            text,
            "virtual_server {ADDRESS} {number} {{\n lvs_sched wrr\n lvs_method DR\n protocol TCP"
        )
        .expect("a string can be written to");
        for last in 1..=SERVERS {
            let weight = if (number, last) == (PORTS, SERVERS) { weight } else { 1 };
            writeln!(text, " real_server 10.0.0.{last} {number} {{\n weight {weight}\n }}")
                .expect("a string can be written to");
        }
        text.push_str("}\n");
    }
    text
}

/// A namespace for one measurement: what was removed from a table is kept for two minutes, and searched by who adds.
pub(crate) fn namespace() -> Result<Namespace> {
    let namespace = Namespace::new()?;
    namespace.ip("addr add 10.0.0.254/8 dev lo")?;
    Ok(namespace)
}

/// Measures in a namespace of its own.
pub(crate) fn in_namespace<T: Send>(
    measure: impl FnOnce(&Namespace) -> Result<T> + Send,
) -> Result<T> {
    let namespace = namespace()?;
    namespace.run(|| measure(&namespace).map_err(|error| error.to_string())).map_err(Into::into)
}
