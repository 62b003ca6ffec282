//! Holds a virtual address until standard input ends: announced, watched, taken back when somebody removes it, and gone afterwards.
//!
//! ```text
//! cargo run -p vip-netlink --example hold -- eth0 192.0.2.100/24
//! ```
#![allow(clippy::print_stdout, reason = "this is how it talks")]

use core::net::IpAddr;
use core::time::Duration;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vip_netlink::{
    Address, Announcement, AnnouncementSchedule, Announcements, Announcer, Client, Deviation,
    Entry, Event, Link, Monitor, Object, Pacer, Progress, Watch,
};

type Failure = Box<dyn core::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(interface), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: hold INTERFACE ADDRESS/LENGTH".into());
    };
    let (ip, len) = address.split_once('/').ok_or("the address needs a prefix length")?;
    // The monitor before everything else, so that nothing falls between.
    let monitor = Monitor::open()?;
    let mut client = Client::open()?;
    let link = client.link(&interface)?;
    let vip = Address::new(link.index, ip.parse()?, len.parse()?)?;
    // A journal would have this line by now; whoever reads it can undo it, as we do at the end.
    let entry = Entry::from(vip.clone());
    println!("journal: {entry}");
    let held = Holder::new(client, monitor, link, vip)?.run();
    let mut client = Client::open()?;
    println!("{:?}", client.undo(&entry)?);
    held
}

struct Holder {
    client: Client,
    monitor: Monitor,
    announcer: Announcer,
    link: Link,
    vip: Address,
    watch: Watch,
    schedule: AnnouncementSchedule,
    pacer: Pacer,
    start: Instant,
}

impl Holder {
    fn new(client: Client, monitor: Monitor, link: Link, vip: Address) -> Result<Self, Failure> {
        let announcer = Announcer::open()?;
        let schedule = AnnouncementSchedule::new(Announcements::default());
        let (watch, pacer, start) = (Watch::new(), Pacer::new(), now());
        Ok(Self { client, monitor, announcer, link, vip, watch, schedule, pacer, start })
    }

    fn run(mut self) -> Result<(), Failure> {
        self.watch.hold(self.vip.clone());
        self.take(&[self.vip.clone().into()])?;
        let input = std::io::stdin();
        loop {
            self.announce()?;
            let wait = self.schedule.poll_timeout(&self.pacer);
            let wait = wait.map(|at| at.saturating_sub(self.elapsed()));
            let wait = wait.map(Timespec::try_from).transpose()?;
            let mut ready = [
                PollFd::new(&self.monitor, PollFlags::IN),
                PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN),
            ];
            poll(&mut ready, wait.as_ref())?;
            let [_, input_ready] = ready;
            if !input_ready.revents().is_empty() {
                return Ok(());
            }
            self.follow()?;
        }
    }

    /// Adds what is missing, and announces it.
    fn take(&mut self, objects: &[Object]) -> Result<(), Failure> {
        for result in self.client.add(objects) {
            println!("{:?}", result?);
        }
        let announcement = self.announcement();
        self.schedule.handle_present(announcement);
        self.schedule.handle_complete(self.elapsed(), [announcement]);
        Ok(())
    }

    fn follow(&mut self) -> Result<(), Failure> {
        let now = self.elapsed();
        let Self { monitor, watch, schedule, link, .. } = self;
        let each = |event: Event| {
            if let Event::Link(news) = &event
                && news.index == link.index
                && (news.up, news.carrier_ups) != (link.up, link.carrier_ups)
            {
                schedule.handle_link(now, news.index, news.up);
                *link = news.clone();
            }
            watch.handle_event(&event);
        };
        if monitor.poll(each)? == Progress::More {
            return Ok(()); // soon
        }
        self.client.refresh(&mut self.watch)?;
        while let Some(deviation) = self.watch.poll_output() {
            println!("{deviation:?}");
            if let Deviation::Lost { object, .. } = deviation {
                self.take(&[object])?;
            }
        }
        Ok(())
    }

    fn announce(&mut self) -> Result<(), Failure> {
        let now = self.elapsed();
        while self.schedule.poll_output(now, &mut self.pacer).is_some() {
            let Some(mac) = self.link.mac else { return Ok(()) };
            match self.vip.ip() {
                IpAddr::V4(ip) => self.announcer.gratuitous_arp(self.link.index, mac, ip)?,
                IpAddr::V6(ip) => self.announcer.unsolicited_na(self.link.index, mac, ip, false)?,
            }
        }
        Ok(())
    }

    fn announcement(&self) -> Announcement {
        Announcement { address: 0, interface: self.link.index, ipv6: self.vip.ip().is_ipv6() }
    }

    fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.start)
    }
}

#[expect(clippy::disallowed_methods, reason = "a program reads the clock somewhere")]
fn now() -> Instant {
    Instant::now()
}
