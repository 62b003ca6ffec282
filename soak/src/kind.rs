//! The kinds of faults, and what each is worth.

use crate::router::Without;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The Master's process is killed (kill -9) and started again later
    KillMaster,
    /// The same with the Backup's
    KillBackup,
    /// The Master's process is stopped (SIGSTOP) for up to ten intervals
    StopMaster,
    /// The same with the Backup's
    StopBackup,
    /// The process of either side ends as asked (SIGTERM) and is started again later
    Restart,
    /// The interface of either side is set down and up again
    LinkFlap,
    /// The switch's port of either side goes down and up again
    CarrierLoss,
    /// What either side sends is lost on the switch
    OneWayLoss,
    /// The switch carries nothing between the two
    Partition,
    /// The interface of either side is deleted and made again
    Recreate,
    /// Virtual addresses are deleted on the Master's host
    Theft,
    /// The own address of either side's host is deleted and comes back
    SourceLoss,
    /// The wall clock is stepped by up to years, forwards and backwards: only inside user-mode Linux, and only when asked for
    ClockStep,
    /// Neither process can open a descriptor, and something else happens
    Descriptors,
    /// More netlink news than fit the queue, and a carrier that is lost meanwhile
    Overrun,
    /// Copies of the Master's advertisement, or those of a third router that loses, up to what one processor can send
    FloodValid,
    /// The same with wrong checksums
    FloodBroken,
    /// The same of other virtual routers
    FloodForeign,
}

impl Kind {
    /// Those that are chosen when none are named.
    pub(crate) fn all() -> Vec<Self> {
        let all = clap::ValueEnum::value_variants().iter().copied();
        all.filter(|kind| *kind != Self::ClockStep).collect()
    }

    /// How often it is chosen, compared with others.
    pub(crate) fn weight(self) -> u32 {
        match self {
            // These take a processor.
            Self::Overrun => 1,
            Self::FloodValid | Self::FloodBroken | Self::FloodForeign => 2,
            _ => 4,
        }
    }

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What control runs do without, one at a time, so that this kind of fault must break them.
    pub(crate) fn protections(self) -> &'static [Without] {
        match self {
            Self::KillMaster => &[Without::Driver, Without::Sentinel],
            Self::KillBackup => &[Without::Patience],
            Self::StopMaster => &[Without::LateWake],
            Self::LinkFlap | Self::CarrierLoss | Self::Overrun => &[Without::TrackLink],
            Self::OneWayLoss => &[Without::Ears],
            Self::ClockStep => &[Without::Monotonic],
            Self::Partition => &[Without::LastWord],
            Self::StopBackup
            | Self::Restart
            | Self::Recreate
            | Self::Theft
            | Self::SourceLoss
            | Self::Descriptors
            | Self::FloodValid
            | Self::FloodBroken
            | Self::FloodForeign => &[Without::Driver],
        }
    }
}
