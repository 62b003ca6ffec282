//! Does the silent Master still answer for its addresses?

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;

use reactor::Clock;
use vip_netlink::{Client, Prober};
use vrrp_fsm::Verdict;

use super::{Guard, Question};

/// Asks the link whether another host has the virtual addresses: by ARP probes (RFC 5227) and by the neighbour solicitations of
/// duplicate address detection (RFC 4862), neither of which changes anybody's cache. An answer is a veto.
///
/// It tells a Master whose advertisements are lost (a firewall, as in `iptables -I OUTPUT -p vrrp -j DROP`; a switch that drops
/// multicast) from one that is dead. It does **not** tell a host from the process on it: a host on which the VRRP process was killed
/// keeps the addresses and answers, so that nobody takes over before its addresses are gone. Let the peers run with a
/// [sentinel](crate::RouterBuilder::sentinel), which sees to that within milliseconds, or limit
/// [`GuardConfig::max_vetoes`](crate::GuardConfig::max_vetoes).
///
/// Whoever can send frames on the link can forge an answer and so prevent a failover; VRRP itself trusts the link no less.
///
/// Failover out of silence takes longer by the whole [timeout](Self::timeout) (30 ms; measured: 30.7 ms): only silence proves that
/// nobody answers.
///
/// ```
/// # use core::time::Duration;
/// use vrrp::{GuardConfig, Verdict, VipProbe, VirtualRouter, Vrid};
///
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .address("192.0.2.100/24".parse()?)
///     .guarded_by(GuardConfig::new(Duration::from_millis(200), Verdict::Promote), VipProbe::new());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct VipProbe {
    timeout: Duration,
    at_most: usize,
    unknown: Verdict,
}

impl Default for VipProbe {
    fn default() -> Self {
        Self::new()
    }
}

impl VipProbe {
    /// A probe that waits 30 ms.
    pub const fn new() -> Self {
        Self { timeout: Duration::from_millis(30), at_most: 16, unknown: Verdict::Promote }
    }

    /// How long an answer is waited for, 30 ms by default. Each address is asked for three times in it, so that one lost frame does
    /// no harm. Less than the deadline of the [`GuardConfig`](crate::GuardConfig).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many of the addresses are asked for, the first ones; 16 by default. A Master has all of them or none.
    pub const fn at_most(mut self, addresses: usize) -> Self {
        self.at_most = addresses;
        self
    }

    /// The verdict when nothing could be asked, for example because the interface has no Ethernet address;
    /// [`Verdict::Promote`] by default.
    pub const fn unknown(mut self, verdict: Verdict) -> Self {
        self.unknown = verdict;
        self
    }

    fn probe(&self, question: &Question) -> io::Result<Option<IpAddr>> {
        let mut kernel = Client::open().map_err(io::Error::other)?;
        let mut on: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
        let asked = question.addresses.iter().zip(&question.interfaces);
        for (address, interface) in asked.take(self.at_most) {
            on.entry(interface).or_default().push(*address);
        }
        let mut links = Vec::with_capacity(on.len());
        for (name, addresses) in on {
            let link = kernel.link(name).map_err(io::Error::other)?;
            let mac = link.mac.ok_or_else(|| io::Error::other("no Ethernet address"))?;
            links.push((Prober::open(link.index, mac)?, addresses));
        }
        // All of them within the timeout.
        let until = Clock::now() + self.timeout;
        let mut answer = Ok(None);
        for (place, (prober, addresses)) in links.iter().enumerate() {
            let remaining = u32::try_from(links.len() - place).unwrap_or(u32::MAX);
            let left = until.saturating_duration_since(Clock::now()) / remaining;
            answer = prober.probe(addresses, left);
            if !matches!(answer, Ok(None)) {
                break;
            }
        }
        // The kernel takes some ten milliseconds to close a packet socket, which the verdict does not wait for.
        let close = std::thread::Builder::new().name("vrrp-guard".to_owned());
        if let Err(error) = close.spawn(move || drop(links)) {
            log::debug!("the probe's sockets were closed at once: {error}");
        }
        answer
    }
}

impl Guard for VipProbe {
    fn ask(&self, question: &Question) -> Verdict {
        match self.probe(question) {
            Ok(None) => Verdict::Promote,
            Ok(Some(address)) => {
                log::warn!("{}: {address} still answers: its Master lives", question.name);
                Verdict::Veto
            }
            Err(error) => {
                log::warn!("{}: the addresses cannot be probed: {error}", question.name);
                self.unknown
            }
        }
    }
}
