//! The faults, each with what must happen meanwhile.

mod flood;
mod host;
mod network;
mod process;

use crate::kind::Kind;
use crate::trial::{Broken, Trial};

impl Trial<'_> {
    /// Does it, waits until it is over, and judges.
    pub(crate) fn run(&mut self, kind: Kind) -> Result<(), Broken> {
        let master = self.master;
        match kind {
            Kind::KillMaster => self.kill(master),
            Kind::KillBackup => self.kill(master.other()),
            Kind::StopMaster => self.stop(master),
            Kind::StopBackup => self.stop(master.other()),
            Kind::Restart => self.restart(),
            Kind::LinkFlap => self.lose_link(network::How::Interface),
            Kind::CarrierLoss => self.lose_link(network::How::Carrier),
            Kind::OneWayLoss => self.lose_one_way(),
            Kind::Partition => self.partition(),
            Kind::Recreate => self.recreate(),
            Kind::Theft => self.steal(),
            Kind::SourceLoss => self.lose_source(),
            Kind::ClockStep => self.step_clock(),
            Kind::Descriptors => self.exhaust_descriptors(),
            Kind::Overrun => self.overrun(),
            Kind::FloodValid => self.flood(flood::Missile::Valid),
            Kind::FloodBroken => self.flood(flood::Missile::Broken),
            Kind::FloodForeign => self.flood(flood::Missile::Foreign),
        }
    }
}
