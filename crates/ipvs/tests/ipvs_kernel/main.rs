//! Against a real kernel with `ip_vs`, each test in a network namespace of its own. Witness: `ipvsadm`.
#![expect(clippy::unwrap_used, reason = "a panic is this program's way to fail")]

mod changes;
mod connections;
mod differential;
mod golden;
mod kernel;
mod objects;

use core::net::{IpAddr, Ipv4Addr};
use ipvs::{
    Client, Command, CommandError, Destination, DestinationKey, ForwardingMethod, Scheduler,
    Service, ServiceKey, Table,
};
use std::process::Command as Process;

pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A fresh namespace, the client in it, and `ipvsadm` as the outside witness.
pub(crate) struct Lab<'a> {
    pub(crate) namespace: &'a lab::Namespace,
    pub(crate) client: Client,
}

impl Lab<'_> {
    /// Runs `test` in a namespace where 192.0.2.0/24, 10.0.0.0/8 and `2001:db8::/64` lie on a link.
    pub(crate) fn run(test: impl FnOnce(&mut Lab<'_>) + Send) {
        let (namespace, other) = (lab::Namespace::new().unwrap(), lab::Namespace::new().unwrap());
        lab::veth(&namespace, "eth0", &other, "eth0").unwrap();
        namespace
            .ip_batch([
                "addr add 192.0.2.1/24 dev eth0",
                "addr add 10.0.0.1/8 dev eth0",
                "addr add 2001:db8::1/64 dev eth0 nodad",
            ])
            .unwrap();
        namespace.run(|| test(&mut Lab { namespace: &namespace, client: Client::open().unwrap() }));
    }

    pub(crate) fn ipvsadm(&self, arguments: &str) -> String {
        let output =
            self.namespace.output(Process::new("ipvsadm").args(arguments.split(' '))).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ipvsadm {arguments}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `ipvsadm`'s table without headings, white space collapsed.
    pub(crate) fn listed(&self, options: &str) -> Vec<String> {
        let text = self.ipvsadm(format!("-Ln {options}").trim_end());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let objects = ["TCP", "UDP", "SCTP", "FWM", "->"];
        text.lines()
            .map(words)
            .filter(|line| {
                objects.iter().any(|object| line.starts_with(object))
                    && !line.contains("RemoteAddress")
            })
            .collect()
    }

    /// Applies, checks that nothing failed, and that a second time there is nothing to do.
    pub(crate) fn apply(&mut self, desired: &Table) -> Vec<Command> {
        let owned = desired.keys().copied().collect();
        let report = self.client.apply(desired, &owned).unwrap();
        assert_eq!(report.failures, []);
        let again = self.client.apply(desired, &owned).unwrap();
        assert_eq!(
            (again.commands.as_slice(), again.failures.as_slice()),
            (&[][..], &[][..]),
            "idempotent"
        );
        report.commands
    }

    pub(crate) fn one(&mut self, command: Command) -> Result<(), CommandError> {
        let mut results = self.client.execute(&[command]);
        assert_eq!(results.len(), 1);
        results.remove(0)
    }
}

pub(crate) fn server(address: &str, port: u16, method: ForwardingMethod) -> Destination {
    Destination::new(DestinationKey::new(address.parse().unwrap(), port), method)
}

pub(crate) fn table(services: impl IntoIterator<Item = (Service, Vec<Destination>)>) -> Table {
    let mut table = Table::new();
    for (service, destinations) in services {
        let entry = table.insert(service);
        for destination in destinations {
            entry.insert(destination);
        }
    }
    table
}

pub(crate) fn web() -> Service {
    Service::new(ServiceKey::tcp(VIP, 80), Scheduler::RoundRobin)
}
