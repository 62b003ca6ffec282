//! What others do to a host and its kernel: addresses deleted, interfaces made anew, descriptors and news that run out.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::kind::Kind;
use crate::rules::{INTERVAL, Mode, SLACK, Side, VIPS};
use crate::timeline::What;
use crate::trial::{Broken, Trial, wait_until};

/// What can happen while there are no descriptors left.
const MEANWHILE: [Kind; 7] = [
    Kind::KillMaster,
    Kind::StopMaster,
    Kind::Restart,
    Kind::LinkFlap,
    Kind::CarrierLoss,
    Kind::Theft,
    Kind::SourceLoss,
];

/// A router that could not open its sockets tries again after this time.
const RETRY: Duration = Duration::from_millis(200);

impl Trial<'_> {
    /// Somebody deletes virtual addresses of the Master: they are back at once, or after 100 ms if they were deleted just before.
    pub(super) fn steal(&mut self) -> Result<(), Broken> {
        let side = self.master;
        let stolen: Vec<_> = match self.rng.u8(..3) {
            0 => VIPS.to_vec(),
            one => vec![VIPS[usize::from(one - 1)]],
        };
        let from = self.timeline().act(format!("somebody deletes {stolen:?} on {side}"));
        let mode = self.pair.rules.mode;
        let (prefix, device) = (mode.prefix(), mode.device());
        let commands: Vec<String> =
            stolen.iter().map(|vip| format!("addr del {vip}/{prefix} dev {device}")).collect();
        self.pair.host(side).ip_batch(commands.iter().map(String::as_str))?;
        let gone = lab::now();
        self.settle(gone, INTERVAL)?;
        let events = self.timeline().between(from, lab::now());
        let other = events.iter().find(|event| match event.what {
            What::Advertisement { from, priority } => from != side || priority == 0,
            _ => false,
        });
        let verdict = match other {
            Some(event) => Err(format!("mastership was to go on: {}", event.what)),
            None => Ok(()),
        };
        self.judge(from, lab::now(), verdict)
    }

    /// A host loses its own address, without which it cannot advertise; Linux deletes the virtual ones of the subnet with it.
    pub(super) fn lose_source(&mut self) -> Result<(), Broken> {
        let side = self.side();
        let from = self.timeline().act(format!("{side} loses its own address"));
        self.pair.host(side).ip(&format!("addr del {}/24 dev eth0", side.address()))?;
        let lost = lab::now();
        let pause = self.millis(0..1000);
        wait_until(lost + pause);
        self.away(side, from, lost, pause)?;
        self.timeline().act(format!("{side} has its own address again"));
        self.pair.host(side).ip(&format!("addr add {}/24 dev eth0", side.address()))?;
        self.pair.acquaint(side)?;
        let back = lab::now();
        if side != self.master {
            return self.settle_unchanged(from, back);
        }
        self.settle(back, self.pair.rules.one_master())
    }

    /// An interface is deleted and made again, with another index.
    pub(super) fn recreate(&mut self) -> Result<(), Broken> {
        let side = self.side();
        let from = self.timeline().act(format!("the interface of {side} is deleted"));
        self.pair.host(side).ip("link del eth0")?;
        let lost = lab::now();
        let pause = self.millis(0..1000);
        wait_until(lost + pause);
        self.away(side, from, lost, pause)?;
        self.timeline().act(format!("{side} has an interface again"));
        self.pair.plug_in(side)?;
        let back = lab::now();
        if side != self.master {
            return self.settle_unchanged(from, back);
        }
        self.settle(back, self.pair.rules.one_master())
    }

    /// A Master that cannot go on lets its addresses go, and the other one takes over.
    pub(super) fn away(
        &mut self,
        side: Side,
        from: Duration,
        lost: Duration,
        pause: Duration,
    ) -> Result<(), Broken> {
        if side != self.master {
            return Ok(());
        }
        if pause > SLACK {
            self.gone(side, lost, lost + SLACK)?;
        }
        if pause > self.pair.rules.master_down(side.other()) + SLACK {
            self.taken_over(side.other(), from)?;
        }
        Ok(())
    }

    /// Neither process can open anything any more, and then something else happens.
    pub(super) fn exhaust_descriptors(&mut self) -> Result<(), Broken> {
        if self.rng.u8(..) < 64 {
            return self.recreate_without_descriptors();
        }
        let mut meanwhile = MEANWHILE[self.rng.usize(..MEANWHILE.len())];
        if self.pair.rules.mode == Mode::VirtualMac && meanwhile == Kind::Restart {
            // It cannot put back its sysctls, which takes files: they stay listed, and the next start does it.
            meanwhile = Kind::KillMaster;
        }
        self.timeline().act(format!("no descriptors are left, and {}", meanwhile.name()));
        for process in self.pair.processes() {
            limit_descriptors(process, 0)?;
        }
        let result = self.run(meanwhile);
        for process in self.pair.processes() {
            limit_descriptors(process, 1024)?;
        }
        result
    }

    /// An interface is made anew while its sockets cannot be: they are when there are descriptors again, and nobody says so.
    fn recreate_without_descriptors(&mut self) -> Result<(), Broken> {
        let side = self.side();
        let process = self.pair.router(side)?.id();
        limit_descriptors(process, 0)?;
        let from = self.timeline().act(format!(
            "no descriptors are left, and the interface of {side} is deleted and made again"
        ));
        self.pair.host(side).ip("link del eth0")?;
        self.pair.plug_in(side)?;
        let pause = self.millis(0..1000);
        wait_until(lab::now() + pause);
        self.away(side, from, lab::now().saturating_sub(pause), pause)?;
        limit_descriptors(process, 1024)?;
        let back = self.timeline().act("there are descriptors again");
        if side != self.master {
            return self.settle_unchanged(from, back);
        }
        self.settle(back, RETRY + self.pair.rules.one_master())
    }

    /// The administrator, or NTP, sets the wall clock of the whole machine.
    pub(super) fn step_clock(&mut self) -> Result<(), Broken> {
        // What was seen before has times of another age.
        self.timeline().forget_before(Duration::MAX);
        let then = lab::now();
        let now = stepped(then, self.rng.u8(..));
        let time = Timespec::try_from(now).map_err(io::Error::other)?;
        clock_settime(ClockId::Realtime, time)?;
        let from = lab::now();
        self.timeline().act(format!(
            "the clock said {} s and says {} s",
            then.as_secs(),
            now.as_secs()
        ));
        self.settle_unchanged(from, from)
    }

    /// More news of the kernel than the queue has room for, and the one that matters among those that are lost.
    pub(super) fn overrun(&mut self) -> Result<(), Broken> {
        let side = self.side();
        self.pair.signal(side, Signal::STOP)?;
        let result = self.overflow(side);
        let woken = self.pair.signal(side, Signal::CONT)?;
        result?;
        let checked = woken + self.pair.rules.one_master();
        wait_until(checked);
        self.gone(side, woken, woken + SLACK)?;
        self.timeline().act(format!("{side} has its link again"));
        self.pair.switch.namespace().ip(&format!("link set {} up", side.port()))?;
        self.pair.acquaint(side)?;
        self.settle(lab::now(), self.pair.rules.one_master())
    }

    fn overflow(&mut self, side: Side) -> Result<(), Broken> {
        let process = self.pair.router(side)?.id();
        let before = news_lost(process)?;
        let churn = ["addr add 10.9.9.9/32 dev lo", "addr del 10.9.9.9/32 dev lo"];
        for _ in 0..20 {
            self.pair.host(side).ip_batch(churn.into_iter().cycle().take(4_000))?;
            if news_lost(process)? > before {
                self.timeline().act(format!("{side} has missed news, and loses its link"));
                let switch = self.pair.switch.namespace();
                return Ok(switch.ip(&format!("link set {} down", side.port()))?);
            }
        }
        Err(Broken::Lab(io::Error::other("the queue had room for all news")))
    }
}

/// The moment to which a step leads: seconds to years away, in either direction.
fn stepped(now: Duration, draw: u8) -> Duration {
    const SECOND: Duration = Duration::from_secs(1);
    let step = SECOND * [1, 30, 3_600, 86_400, 300_000_000][usize::from(draw >> 1) % 5];
    if draw & 1 == 0 { now + step } else { now.saturating_sub(step) }
}

fn limit_descriptors(process: u32, number: u64) -> io::Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: Some(number), maximum: Some(4096) };
    prlimit(process, Resource::Nofile, limit)?;
    Ok(())
}

/// How many messages a process's netlink sockets had no room for.
fn news_lost(process: u32) -> io::Result<u64> {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/netlink"))?;
    // One line a socket of the whole namespace; the routers' are the only ones that lose.
    let lost = |line: &str| line.split_whitespace().nth(8)?.parse::<u64>().ok();
    Ok(table.lines().skip(1).filter_map(lost).sum())
}
