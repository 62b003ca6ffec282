//! A real server as it is configured.

use core::net::SocketAddr;
use core::time::Duration;

use healthcheck::{Check, Kind, Timing};
use ipvs::{Destination, DestinationKey, ServiceKey};

/// What becomes of a real server that is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// It is taken out of the table: its connections find no destination any more.
    #[default]
    Remove,
    /// It stays with weight 0: no new connections, and existing ones go on.
    Quiesce,
    /// It stays with weight 0 until its connections have ended, but not longer than this; then it is taken out.
    Drain(Duration),
}

/// What the number that a check tells does to the weight of its real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightRule {
    /// Nothing.
    #[default]
    Ignored,
    /// It is the exit code of a script with [`Script::weights`](healthcheck::Script::weights): 2 to 255 mean a weight of 0 to 253, 0 leaves
    /// the weight as it is.
    ExitCode,
    /// It is the weight. Less than 0 is 0.
    Number,
    /// So many times the number is added to the weight. Less than 0 is 0.
    Added(i32),
}

/// A check and what its number does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeighingCheck {
    pub(crate) check: Check,
    pub(crate) rule: WeightRule,
}

/// One real server of a service, and how its health is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    destination: Destination,
    checks: Vec<WeighingCheck>,
    when_down: WhenDown,
}

impl RealServer {
    /// A real server without checks: always up.
    ///
    /// Port 0 stands for the port of the service: a group of services with several ports shares its real servers so.
    #[must_use]
    pub fn new(destination: Destination) -> Self {
        Self { destination, checks: Vec::new(), when_down: WhenDown::default() }
    }

    /// Adds a check. The real server is up while all of its checks are.
    #[must_use]
    pub fn check(self, check: Check) -> Self {
        self.weighing_check(check, WeightRule::Ignored)
    }

    /// Adds a check whose number, the exit code of a script or what is in a file, decides about the weight. Of several weights the least
    /// counts.
    #[must_use]
    pub fn weighing_check(mut self, check: Check, rule: WeightRule) -> Self {
        self.checks.push(WeighingCheck { check, rule });
        self
    }

    /// Adds a TCP check of the destination's own address and port.
    #[must_use]
    pub fn tcp_check(self, timing: Timing) -> Self {
        let target = SocketAddr::new(self.key().address, self.key().port);
        self.check(Check::new(target, Kind::Tcp).timing(timing))
    }

    /// Sets what becomes of it when it is down.
    #[must_use]
    pub fn when_down(self, when_down: WhenDown) -> Self {
        Self { when_down, ..self }
    }

    /// The destination, with the weight that holds while nothing else says one.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Its checks.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().map(|weighing| &weighing.check)
    }

    pub(crate) fn weighing_checks(&self) -> &[WeighingCheck] {
        &self.checks
    }

    /// What becomes of it when it is down.
    #[must_use]
    pub const fn down_rule(&self) -> WhenDown {
        self.when_down
    }

    pub(crate) fn key(&self) -> DestinationKey {
        self.destination.key()
    }
}

/// The destination in the table of `service`: port 0 becomes the service's port. With a firewall mark it stays 0.
pub(crate) fn serving_port(destination: Destination, service: &ServiceKey) -> Destination {
    let key = destination.key();
    match service {
        ServiceKey::Address { port, .. } if key.port == 0 => {
            Destination::new(DestinationKey::new(key.address, *port), destination.method())
                .with_weight(destination.weight())
                .with_thresholds(destination.thresholds())
        }
        ServiceKey::Address { .. } | ServiceKey::FirewallMark { .. } => destination,
    }
}
