//! The observer of a pair: a capture on the switch and a netlink monitor on each host, written into the timeline.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::{AddressMonitor, Capture, Filter, Frame, Namespace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::rules::{Side, VIPS, VRID};
use crate::timeline::{Timeline, What};

/// A running observer; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    latest: Arc<Latest>,
}

/// The latest advertisement of each host, as a frame.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<[Option<Vec<u8>>; 2]>);

impl Latest {
    pub(crate) fn of(&self, side: Side) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[side.index()].clone()
    }

    fn set(&self, side: Side, frame: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[side.index()] = Some(frame);
    }
}

impl Observer {
    /// Watches the switch's ports but those of `except`, and both hosts.
    pub(crate) fn start(
        switch: &Namespace,
        except: &[u32],
        hosts: [&Namespace; 2],
        timeline: Arc<Timeline>,
    ) -> io::Result<Self> {
        let capture = Capture::open_incoming(switch, except, Filter::Failover)?;
        let monitors = [AddressMonitor::open(hosts[0])?, AddressMonitor::open(hosts[1])?];
        let stop = Arc::new(AtomicBool::new(false));
        let latest = Arc::new(Latest::default());
        let (end, frames) = (Arc::clone(&stop), Arc::clone(&latest));
        let thread = std::thread::Builder::new().name("observer".to_owned()).spawn(move || {
            if let Err(error) = observe(&capture, monitors, &timeline, &frames, &end) {
                timeline.act(format!("the observer failed: {error}"));
                eprintln!("soak: the observer failed: {error}");
                // Without eyes there are no verdicts.
                std::process::abort();
            }
        })?;
        Ok(Self { stop, thread: Some(thread), latest })
    }

    pub(crate) fn latest(&self) -> &Latest {
        &self.latest
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn observe(
    capture: &Capture,
    mut monitors: [AddressMonitor; 2],
    timeline: &Timeline,
    latest: &Latest,
    stop: &AtomicBool,
) -> io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let [a, b] = &monitors;
        let mut sources = [capture.as_fd(), a.as_fd(), b.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match poll(&mut sources, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for frame in capture.drain()? {
            note(&frame, timeline, latest);
        }
        for (side, monitor) in Side::BOTH.into_iter().zip(&mut monitors) {
            while let Some(event) = monitor.next(Duration::ZERO)? {
                let vip = VIPS.iter().position(|vip| IpAddr::V4(*vip) == event.address);
                if let Some(vip) = vip {
                    timeline.push(event.at, What::Address { on: side, vip, present: event.added });
                }
            }
        }
    }
    Ok(())
}

fn note(frame: &Frame, timeline: &Timeline, latest: &Latest) {
    let side = |address: Option<&[u8]>| {
        Side::BOTH.into_iter().find(|side| address == Some(&side.address().octets()))
    };
    if let Some(priority) = priority(frame) {
        let Some(from) = side(frame.payload().get(12..16)) else { return };
        timeline.push(frame.at, What::Advertisement { from, priority });
        latest.set(from, frame.bytes.clone());
    } else if frame.is_arp() {
        let sender = frame.payload().get(14..18);
        let vip = VIPS.iter().position(|vip| sender == Some(&vip.octets()));
        // Of a gratuitous one the target is the sender (RFC 5227 §3).
        if let Some(vip) = vip.filter(|_| frame.payload().get(24..28) == sender) {
            let mac = frame.source_mac().unwrap_or_default();
            timeline.push(frame.at, What::Announcement { mac, vip });
        }
    }
}

/// The priority of an advertisement of our virtual router.
fn priority(frame: &Frame) -> Option<u8> {
    if !frame.is_vrrp() || frame.ethertype() != 0x0800 {
        return None;
    }
    let packet = frame.payload();
    let message = packet.get(usize::from(*packet.first()? & 0x0f) * 4..)?;
    (message.get(1) == Some(&VRID)).then(|| message.get(2).copied()).flatten()
}
