//! The octets that a kernel sends, as the unit tests of the codec have them from Linux 6.1.

use crate::{Lab, VIP, server, table, web};
use core::fmt::Write as _;
use core::num::NonZeroU16;
use core::time::Duration;
use ipvs::codec::{self, Question};
use ipvs::{
    AddressFamily, Command, ForwardingMethod, Netmask, Persistence, Scheduler, Service,
    ServiceFlags, ServiceKey, SyncDaemon, SyncRole, Thresholds, Tunnel, TunnelChecksum, Weight,
};
use netlink::{Flags, Payload, Protocol, Request, Socket};

/// What the kernel answers, each message as hexadecimal digits.
fn answers(socket: &mut Socket, family: u16, question: &Question) -> Vec<String> {
    let request = Request::new(family, Flags::NONE, Payload::from(codec::question(question)));
    let mut answers = Vec::new();
    let mut each = |_: u16, octets: &[u8]| {
        answers.push(octets.iter().fold(String::new(), |mut text, octet| {
            write!(text, "{octet:02x}").unwrap();
            text
        }));
    };
    if question.is_dump() {
        socket.dump(&request, &mut each).unwrap();
    } else {
        socket.query(&request, &mut each).unwrap();
    }
    answers
}

#[test]
fn the_kernel_still_says_what_the_unit_tests_know() {
    lab::need!(ipvs, netns);
    Lab::run(|lab| {
        let mask = Netmask::prefix(AddressFamily::Ipv4, 24).unwrap();
        let persistence = Persistence::new(Duration::from_secs(600), mask).unwrap();
        let four = web()
            .with_flags(ServiceFlags::ONE_PACKET)
            .with_persistence(persistence.with_engine("sip".parse().unwrap()))
            .unwrap();
        let by_mark = ServiceKey::firewall_mark(AddressFamily::Ipv6, 7.try_into().unwrap());
        let marked =
            Service::new(by_mark, Scheduler::MaglevHash).with_flags(ServiceFlags::HASH_PORT);
        let checksum = TunnelChecksum::RemoteOffload;
        let gue = Tunnel::Gue { port: NonZeroU16::new(5555).unwrap(), checksum };
        let tunnelled = server("10.0.0.11", 80, ForwardingMethod::Tunnel(gue))
            .with_weight(Weight::from(5))
            .with_thresholds(Thresholds::new(100, 50).unwrap());
        let six = server("2001:db8::11", 0, ForwardingMethod::Masquerade);
        lab.apply(&table([(four, vec![tunnelled]), (marked, vec![six])]));
        let mut daemon = SyncDaemon::new(SyncRole::Master, "eth0".parse().unwrap(), 3);
        daemon.group = Some("ff05::82".parse().unwrap());
        lab.one(Command::StartDaemon(daemon)).unwrap();

        let mut socket = Socket::open(Protocol::Generic).unwrap();
        let family = socket.family("IPVS").unwrap();
        let mut said = String::new();
        for (name, question) in [
            ("service", Question::Service(ServiceKey::tcp(VIP, 80))),
            ("service-by-mark", Question::Service(by_mark)),
            ("destination", Question::Destinations(ServiceKey::tcp(VIP, 80))),
            ("destination-ipv6", Question::Destinations(by_mark)),
            ("daemon", Question::Daemons),
            ("timeouts", Question::Timeouts),
            ("information", Question::Information),
        ] {
            for answer in answers(&mut socket, family, &question) {
                writeln!(said, "{name} {answer}").unwrap();
            }
        }
        // A younger kernel may say more; what it says has to begin in the same way.
        let known = include_str!("../data/linux-6.1.txt");
        let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(!version.starts_with("6.1.") || known == said, "{said}");
    });
}
