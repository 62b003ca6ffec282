//! Who is told about real servers and quorums.

use std::collections::BTreeMap;

use ipvs::{DestinationKey, Protocol, ServiceKey};
use keepalived_conf::{Command, Config, Target};
use lvs::{Event, EventKind, Outcome, Status};

use crate::pools;
use crate::scripts::runnable::{Rules, Runnable};
use crate::scripts::{FifoKind, Notification, Scripts};

/// Two scripts and the name in lines for FIFOs.
#[derive(Clone, Debug, Default)]
struct Told {
    name: String,
    up: Option<Runnable>,
    down: Option<Runnable>,
}

/// The virtual and real servers of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    services: BTreeMap<ServiceKey, Told>,
    servers: BTreeMap<(ServiceKey, DestinationKey), Told>,
}

impl Servers {
    pub(crate) fn of(config: &Config, rules: &Rules) -> Self {
        let mut all = Self::default();
        for server in &config.virtual_servers {
            let Some(key) = pools::keys(config, server).first().copied() else { continue };
            let name = match &server.target.value {
                Target::Group(group) => format!("[{group}]:0"),
                Target::Address { .. } | Target::FirewallMark(_) | _ => service_name(&key),
            };
            let target = Told {
                up: runnable(&name, server.quorum_up.as_ref(), rules),
                down: runnable(&name, server.quorum_down.as_ref(), rules),
                name,
            };
            all.services.insert(key, target);
            for real in &server.real_servers {
                let destination = pools::destination_key(server, real);
                let name = address_name(&key, destination);
                let target = Told {
                    up: runnable(&name, real.notify_up.as_ref(), rules),
                    down: runnable(&name, real.notify_down.as_ref(), rules),
                    name,
                };
                all.servers.entry((key, destination)).or_insert(target);
            }
        }
        all
    }

    /// What follows from an event of the director.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of most events nobody is told")]
    pub(crate) fn handle(&self, event: &Event, scripts: &Scripts) {
        let (target, service, up) = match &event.kind {
            EventKind::RealServer { service, destination, outcome, .. } => {
                let target = self.servers.get(&(*service, *destination));
                (target, self.services.get(service), *outcome == Outcome::Up)
            }
            EventKind::QuorumGained { service, .. } => (self.services.get(service), None, true),
            EventKind::QuorumLost { service, .. } => (self.services.get(service), None, false),
            _ => return,
        };
        if let Some(target) = target {
            target.tell(service, up, scripts);
        }
    }

    /// As keepalived tells at the start: those that have their quorum already.
    pub(crate) fn begin(&self, status: &Status, scripts: &Scripts) {
        for service in status.services.iter().filter(|service| service.quorum_held) {
            if let Some(target) = self.services.get(&service.service) {
                target.tell(None, true, scripts);
            }
        }
    }
}

impl Told {
    fn tell(&self, service: Option<&Self>, up: bool, scripts: &Scripts) {
        let (name, state) = (&self.name, if up { "UP" } else { "DOWN" });
        let (line, object) = match service {
            Some(service) => (
                format!("RS {name} {} {state}\n", service.name),
                format!("real server {name} of {}", service.name),
            ),
            None => (format!("VS {name} {state}\n"), format!("virtual server {name}")),
        };
        scripts.write(FifoKind::Lvs, line);
        let script = if up { &self.up } else { &self.down };
        if let Some(script) = script {
            scripts.notify(Notification { object, script: script.clone(), arguments: Vec::new() });
        }
    }
}

fn runnable(name: &str, command: Option<&Command>, rules: &Rules) -> Option<Runnable> {
    let command = command?;
    let refused = |error| {
        let shown = command.words.join(" ");
        log::error!("{name}: the script `{shown}` is left out: {error}");
    };
    rules.runnable(command).map_err(refused).ok()
}

/// `[192.0.2.1]:tcp:80`, `FWM 7`.
fn service_name(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address, port } => {
            format!("[{address}]:{}:{port}", protocol_name(*protocol))
        }
        ServiceKey::FirewallMark { mark, .. } => format!("FWM {mark}"),
    }
}

fn address_name(service: &ServiceKey, server: DestinationKey) -> String {
    let protocol = match service {
        ServiceKey::Address { protocol, .. } => protocol_name(*protocol),
        ServiceKey::FirewallMark { .. } => "none",
    };
    format!("[{}]:{protocol}:{}", server.address, server.port)
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        Protocol::Other(_) | _ => "?",
    }
}
