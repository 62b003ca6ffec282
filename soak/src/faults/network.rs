//! Links that go down, and a switch that loses.

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::rules::{INTERVAL, SLACK, Side};
use crate::trial::{Broken, Trial, wait_until};

/// Which end of the cable goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// `ip link set eth0 down` on the host.
    Interface,
    /// The switch's port: the host sees the carrier go.
    Carrier,
}

impl Trial<'_> {
    /// A Master without a link lets its addresses go at once, and the other one waits as for a dead one.
    pub(super) fn lose_link(&mut self, how: How) -> Result<(), Broken> {
        let side = self.side();
        let from = self.timeline().act(format!("{side} loses its link ({how:?})"));
        self.set_link(side, how, "down")?;
        let down = lab::now();
        let pause = self.millis(0..1000);
        wait_until(down + pause);
        self.away(side, from, down, pause)?;
        self.timeline().act(format!("{side} has its link again"));
        self.set_link(side, how, "up")?;
        self.pair.acquaint(side)?;
        let up = lab::now();
        if side != self.master {
            return self.settle_unchanged(from, up);
        }
        self.settle(up, self.pair.rules.one_master())
    }

    fn set_link(&self, side: Side, how: How, state: &str) -> io::Result<()> {
        match how {
            How::Interface => self.pair.host(side).ip(&format!("link set eth0 {state}")),
            How::Carrier => {
                let switch = self.pair.switch.namespace();
                switch.ip(&format!("link set {} {state}", side.port()))
            }
        }
    }

    /// What a Master sends is lost: the other one cannot know that it lives, and if it is not better, there are two as long as it lasts.
    /// What a Backup would send is missed by nobody.
    pub(super) fn lose_one_way(&mut self) -> Result<(), Broken> {
        let side = self.side();
        let from = self.timeline().act(format!("what {side} sends is lost"));
        self.nft(&format!(
            "add table netdev lost; add chain netdev lost {side} \
             {{ type filter hook ingress device \"{}\" priority 0; policy drop; }}",
            side.port()
        ))?;
        let lost = lab::now();
        let pause = self.millis(0..1000);
        wait_until(lost + pause);
        if side == self.master && pause > self.pair.rules.master_down(side.other()) + SLACK {
            self.taken_over_of_unheard(side.other(), from, lost)?;
        }
        self.timeline().act(format!("what {side} sends arrives again"));
        self.nft("delete table netdev lost")?;
        let healed = lab::now();
        if side != self.master {
            return self.settle_unchanged(from, healed);
        }
        self.settle(healed, self.pair.rules.one_master())
    }

    /// Both are Masters on their sides of a partition, and one remains when they hear each other again.
    pub(super) fn partition(&mut self) -> Result<(), Broken> {
        let other = self.master.other();
        let from = self.timeline().act("the switch separates the two");
        self.isolate("on")?;
        let apart = lab::now();
        let pause = self.millis(0..1000);
        wait_until(apart + pause);
        if pause > self.pair.rules.master_down(other) + SLACK {
            self.taken_over_of_unheard(other, from, apart)?;
        }
        let two = !self.timeline().advertisements(other, from, lab::now()).is_empty();
        self.timeline().act("the switch joins the two");
        self.isolate("off")?;
        // L5, if there were two: the first advertisement of either ends it.
        let bound = if two { INTERVAL } else { self.pair.rules.one_master() };
        self.settle(lab::now(), bound)
    }

    /// Like [`Trial::taken_over`], when the silent one goes on advertising: the last that was heard is one of before the loss began.
    fn taken_over_of_unheard(
        &mut self,
        by: Side,
        from: Duration,
        lost: Duration,
    ) -> Result<(), Broken> {
        let first = self.timeline().advertisements(by, from, lab::now()).first().copied();
        let bound = self.pair.rules.master_down(by);
        let verdict = match first {
            Some(first) if first <= lost + bound + SLACK => Ok(()),
            _ => Err(format!("{by} did not take over within {bound:?} and {SLACK:?}")),
        };
        self.judge(from, lost + bound + SLACK, verdict)
    }

    /// Isolated ports reach the client's and not each other.
    fn isolate(&self, state: &str) -> io::Result<()> {
        let commands = Side::BOTH
            .map(|side| format!("link set {} type bridge_slave isolated {state}", side.port()));
        self.pair.switch.namespace().ip_batch(commands.iter().map(String::as_str))
    }

    fn nft(&self, commands: &str) -> io::Result<()> {
        let mut nft = Command::new("nft");
        nft.env("PATH", lab::need::search_path()).arg(commands);
        let output = self.pair.switch.namespace().output(&mut nft)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("nft: {} ({commands})", said.trim())))
    }
}
