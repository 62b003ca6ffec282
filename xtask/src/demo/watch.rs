//! The watchers: each director's addresses and IPVS table, asked of its kernel, and the wire between them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::peers::{Service, Table};
use lab::{AddressMonitor, Capture, Filter, Frame, Namespace, Node};

use crate::demo::events::{Advertisement, Change, Log, What, Who};
use crate::demo::scene::Scene;

/// How often the IPVS tables are read: the resolution of their events.
const TABLE_INTERVAL: Duration = Duration::from_millis(20);

/// Watching threads; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Watchers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watchers {
    pub(crate) fn start(
        scene: &Scene,
        switch: &Namespace,
        nodes: [&Arc<Node>; 2],
        log: &Log,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let monitor = AddressMonitor::open(node)?;
            let watch = Director {
                index,
                address: scene.virtual_address,
                tables: !scene.servers.is_empty(),
                log: log.clone(),
            };
            let (node, stop) = (Arc::clone(node), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name(format!("director {} watch", index + 1));
            threads.push(thread.spawn(move || watch.run(&node, monitor, &stop))?);
        }
        let capture = Capture::open_all(switch, Filter::Failover)?;
        let mut wire = Wire::new(scene, log.clone());
        let end = Arc::clone(&stop);
        threads.push(std::thread::Builder::new().name("wire watch".to_owned()).spawn(
            move || {
                while !end.load(Ordering::Relaxed) {
                    match capture.next(Duration::from_millis(100)) {
                        Ok(Some(frame)) => wire.frame(&frame),
                        Ok(None) => {}
                        Err(error) => return eprintln!("the capture ended: {error}"),
                    }
                }
            },
        )?);
        Ok(Self { stop, threads })
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// What one director's kernel says.
struct Director {
    index: usize,
    address: Ipv4Addr,
    tables: bool,
    log: Log,
}

impl Director {
    fn run(&self, node: &Node, mut monitor: AddressMonitor, stop: &AtomicBool) {
        if let Err(error) = node.enter() {
            return eprintln!("director {}: {error}", self.index + 1);
        }
        let mut table = Table::default();
        while !stop.load(Ordering::Relaxed) {
            match monitor.next(TABLE_INTERVAL) {
                Ok(Some(event)) if event.address == IpAddr::V4(self.address) => {
                    let what = What::Address { added: event.added };
                    self.log.push(event.at, Who::Director(self.index), what);
                }
                Ok(_) => {}
                Err(error) => return eprintln!("director {}: {error}", self.index + 1),
            }
            if self.tables
                && let Ok(new) = Table::of_this_thread()
            {
                for change in changes(&table, &new) {
                    self.log.push(lab::now(), Who::Director(self.index), What::Table(change));
                }
                table = new;
            }
        }
    }
}

/// What differs between two readings, but for the connection counters.
fn changes(old: &Table, new: &Table) -> Vec<Change> {
    let service = |service: &Service| {
        format!("{} {} {} {}", service.protocol, service.address, service.scheduler, service.flags)
    };
    let has = |table: &Table, wanted: &Service| {
        table.services.iter().any(|other| service(other) == service(wanted))
    };
    let mut changes = Vec::new();
    for gone in old.services.iter().filter(|gone| !has(new, gone)) {
        changes.push(Change::ServiceRemoved(gone.address.clone()));
    }
    for now in &new.services {
        let empty = Vec::new();
        let before = old.service(&now.address).map_or(&empty, |before| &before.destinations);
        if !has(old, now) {
            changes.push(Change::ServiceAdded(now.address.clone()));
        }
        let same = |a: &lab::peers::Destination, b: &lab::peers::Destination| {
            (&a.address, a.weight) == (&b.address, b.weight)
        };
        for server in
            before.iter().filter(|server| !now.destinations.iter().any(|other| same(server, other)))
        {
            changes.push(Change::ServerRemoved(server.address.clone()));
        }
        for server in
            now.destinations.iter().filter(|server| !before.iter().any(|other| same(server, other)))
        {
            changes.push(Change::ServerAdded(server.address.clone()));
        }
    }
    changes
}

/// What goes over the switch.
struct Wire {
    virtual_address: Ipv4Addr,
    directors: [Ipv4Addr; 2],
    log: Log,
    /// Which director was heard last, and with which priority.
    advertised: Option<(usize, u8)>,
    /// Which director announced the address last, and when.
    announced: Option<(usize, Duration)>,
}

impl Wire {
    fn new(scene: &Scene, log: Log) -> Self {
        Self {
            virtual_address: scene.virtual_address,
            directors: scene.directors.map(|director| director.address),
            log,
            advertised: None,
            announced: None,
        }
    }

    fn frame(&mut self, frame: &Frame) {
        if frame.outgoing {
            return; // it was seen where it came in
        }
        if frame.is_vrrp() {
            self.advertisement(frame);
        } else if frame.is_arp() {
            self.arp(frame);
        }
    }

    fn advertisement(&mut self, frame: &Frame) {
        let packet = frame.payload();
        let Some(source) = packet.get(12..).and_then(<[u8]>::first_chunk::<4>) else { return };
        let Some(index) = self.director(Ipv4Addr::from(*source)) else { return };
        let header = usize::from(packet.first().unwrap_or(&0) & 0x0f) * 4;
        let Some(&priority) = packet.get(header + 2) else { return };
        self.log.advertisement(Advertisement { at: frame.at, director: index, priority });
        // Worth telling: another speaker than before, and leaving (which keepalived says twice).
        let news = self.advertised.replace((index, priority)) != Some((index, priority));
        if news {
            self.log.push(frame.at, Who::Director(index), What::Advertises { priority });
        }
    }

    /// An ARP message whose sender and target address are both the virtual address.
    fn arp(&mut self, frame: &Frame) {
        let message = frame.payload();
        let address = |at: usize| {
            message.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|b| Ipv4Addr::from(*b))
        };
        let wanted = Some(self.virtual_address);
        if address(14) != wanted || address(24) != wanted {
            return;
        }
        // The lab's MAC addresses end in the IP address.
        let Some([_, _, a, b, c, d]) = frame.source_mac() else { return };
        let Some(index) = self.director(Ipv4Addr::new(a, b, c, d)) else { return };
        // The repeats that follow at once, and those 5 s later, are no news.
        let last = self.announced.replace((index, frame.at));
        let repeated = |(by, at): (usize, Duration)| {
            by == index && frame.at.saturating_sub(at) < Duration::from_secs(6)
        };
        if !last.is_some_and(repeated) {
            self.log.push(frame.at, Who::Director(index), What::Announces);
        }
    }

    fn director(&self, address: Ipv4Addr) -> Option<usize> {
        self.directors.iter().position(|director| *director == address)
    }
}

#[cfg(test)]
mod tests {
    use lab::peers::Destination;

    use super::*;

    fn table(weights: &[u32]) -> Table {
        let destinations = (1..)
            .zip(weights)
            .map(|(host, weight)| Destination {
                address: format!("192.168.1.{host}:80"),
                weight: *weight,
                ..Destination::default()
            })
            .collect();
        let service = Service {
            protocol: "TCP".to_owned(),
            address: "192.168.1.150:80".to_owned(),
            scheduler: "rr".to_owned(),
            flags: "persistent 500".to_owned(),
            destinations,
        };
        Table { services: vec![service], text: String::new() }
    }

    #[test]
    fn changes_are_what_was_added_and_removed() {
        let service = "192.168.1.150:80".to_owned();
        let server = |host: u8| format!("192.168.1.{host}:80");
        let none = Table::default();
        assert_eq!(
            changes(&none, &table(&[1])),
            [Change::ServiceAdded(service.clone()), Change::ServerAdded(server(1))]
        );
        assert_eq!(changes(&table(&[1, 1]), &table(&[1])), [Change::ServerRemoved(server(2))]);
        assert_eq!(changes(&table(&[1]), &none), [Change::ServiceRemoved(service)]);
        // Another weight is another server; other counters are not.
        let reweighted = [Change::ServerRemoved(server(1)), Change::ServerAdded(server(1))];
        assert_eq!(changes(&table(&[1]), &table(&[2])), reweighted);
        let mut busy = table(&[1]);
        busy.services[0].destinations[0].active = 7;
        assert_eq!(changes(&table(&[1]), &busy), []);
    }

    #[test]
    fn the_wire_tells_leaving_once_and_announcements_once() {
        let scene = Scene::of("004");
        let log = Log::default();
        let mut wire = Wire::new(&scene, log.clone());
        let mut see = |at: u64, ethertype: [u8; 2], source: [u8; 6], payload: Vec<u8>| {
            let bytes = [&[0xff; 6], &source[..], &ethertype, &payload].concat();
            wire.frame(&Frame { at: Duration::from_millis(at), link: 1, outgoing: false, bytes });
        };
        let director = crate::demo::stage::mac(scene.directors[0].address);
        let advertisement = |priority| {
            let mut packet = vec![0; 40];
            packet[0] = 0x45;
            packet[9] = 112;
            packet[12..16].copy_from_slice(&scene.directors[0].address.octets());
            packet[22] = priority;
            packet
        };
        for (at, priority) in [(0, 100), (1000, 100), (1500, 0), (1500, 0)] {
            see(at, [8, 0], director, advertisement(priority));
        }
        let mut gratuitous = vec![0; 28];
        gratuitous[14..18].copy_from_slice(&scene.virtual_address.octets());
        gratuitous[24..28].copy_from_slice(&scene.virtual_address.octets());
        for at in [1600, 1601, 6601] {
            see(at, [8, 6], director, gratuitous.clone());
        }
        // A request for the address by somebody else is none.
        gratuitous[14..18].copy_from_slice(&scene.clients[0].octets());
        see(1700, [8, 6], crate::demo::stage::mac(scene.clients[0]), gratuitous);
        let told: Vec<_> =
            log.all().into_iter().map(|event| (event.at.as_millis(), event.what)).collect();
        let expected = [
            (0, What::Advertises { priority: 100 }),
            (1500, What::Advertises { priority: 0 }),
            (1600, What::Announces),
        ];
        assert_eq!(told, expected);
        assert_eq!(log.advertisements().len(), 4);
    }
}
