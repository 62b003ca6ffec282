//! Against the running kernel, in network namespaces of our own. Witness: `ip`.
#![expect(clippy::unwrap_used, reason = "a panic is this program's way to fail")]

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use std::os::fd::AsFd;
use std::process::Command;

use netlink::message_type::{RTM_DELADDR, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK};
use netlink::{
    Attributes, Flags, Group, Monitor, MonitorError, Payload, Progress, Protocol, Request,
    RequestError, Socket, errno,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, getsockname, sendto, socket_with,
};

const AF_INET: u8 = 2;
const LOOPBACK: u32 = 1;
const IFA_LOCAL: u16 = 2;

/// `struct ifaddrmsg`.
fn address_header(index: u32) -> Vec<u8> {
    [&[AF_INET, 32, 0, 0][..], &index.to_ne_bytes()].concat()
}

fn add(index: u32, number: u16) -> Request {
    let payload = Payload::with_header(&address_header(index))
        .attribute(IFA_LOCAL, &address(number).octets());
    Request::new(RTM_NEWADDR, Flags::CREATE | Flags::EXCLUSIVE, payload)
}

fn remove(index: u32, number: u16) -> Request {
    let payload = Payload::with_header(&address_header(index))
        .attribute(IFA_LOCAL, &address(number).octets());
    Request::new(RTM_DELADDR, Flags::NONE, payload)
}

fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(192, 0, high, low)
}

fn address_of(payload: &[u8]) -> Option<[u8; 4]> {
    Attributes::after(payload, 8).first(IFA_LOCAL)?.value.first_chunk().copied()
}

/// Runs `job` in a fresh namespace that has only `lo`.
fn inside<T: Send>(job: impl FnOnce(&lab::Namespace) -> T + Send) -> T {
    let namespace = lab::Namespace::new().unwrap();
    namespace.run(|| job(&namespace))
}

fn ip(namespace: &lab::Namespace, arguments: &str) -> String {
    let output = namespace.output(Command::new("ip").args(arguments.split(' '))).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn is_readable(socket: impl AsFd, patience: Timespec) -> bool {
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

/// Polls once there is something; panics when the kernel stays silent.
fn wait_for(monitor: &mut Monitor, each: impl FnMut(u16, &[u8])) -> Result<Progress, MonitorError> {
    assert!(
        is_readable(&monitor, Timespec { tv_sec: 10, tv_nsec: 0 }),
        "no notification within 10 s"
    );
    monitor.poll(each)
}

#[test]
fn a_link_dump_names_the_links() {
    lab::need!(netns);
    let (left, right) = (lab::Namespace::new().unwrap(), lab::Namespace::new().unwrap());
    lab::veth(&left, "left0", &right, "right0").unwrap();
    left.run(|| {
        let mut names = BTreeSet::new();
        let dump = Request::new(RTM_GETLINK, Flags::NONE, Payload::with_header(&[0; 16]));
        let mut socket = Socket::open(Protocol::Route).unwrap();
        socket
            .dump(&dump, |kind, link| {
                assert_eq!(kind, RTM_NEWLINK);
                names.insert(
                    Attributes::after(link, 16).first(3).unwrap().text().unwrap().to_owned(),
                );
            })
            .unwrap();
        assert_eq!(names, BTreeSet::from(["lo".to_owned(), "left0".to_owned()]));
    });
}

#[test]
fn a_query_returns_data_and_then_the_verdict() {
    lab::need!(netns);
    inside(|_| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let get = |name| {
            Request::new(RTM_GETLINK, Flags::NONE, Payload::with_header(&[0; 16]).text(3, name))
        };
        let mut seen = Vec::new();
        socket.query(&get("lo"), |kind, _| seen.push(kind)).unwrap();
        assert_eq!(seen, [RTM_NEWLINK]);
        let missing = socket.query(&get("nothere0"), |_, _| panic!("data for a missing link"));
        assert_eq!(missing.unwrap_err().errno(), Some(errno::ENODEV));
    });
}

#[test]
fn a_duplicate_address_is_refused_in_the_kernels_words() {
    lab::need!(netns);
    inside(|namespace| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        socket.request(&add(LOOPBACK, 700)).unwrap();
        assert!(ip(namespace, "-4 addr show dev lo").contains("192.0.2.188/32"));
        let error = socket.request(&add(LOOPBACK, 700)).unwrap_err();
        assert_eq!(error.errno(), Some(errno::EEXIST));
        assert_eq!(error.message(), Some("ipv4: Address already assigned"), "{error}");
        assert!(!error.outcome_unknown());
        let error = socket.request(&add(9999, 701)).unwrap_err();
        assert_eq!(error.errno(), Some(errno::ENODEV));
    });
}

#[test]
fn a_batch_goes_on_after_a_failing_message() {
    lab::need!(netns);
    inside(|namespace| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let results = socket.batch(&[add(LOOPBACK, 1), add(LOOPBACK, 1), add(LOOPBACK, 2)]);
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let refused = results[1].as_ref().unwrap_err();
        assert_eq!((refused.errno(), refused.message().is_some()), (Some(errno::EEXIST), true));
        let shown = ip(namespace, "-4 addr show dev lo");
        assert!(shown.contains("192.0.0.1/32") && shown.contains("192.0.0.2/32"), "{shown}");
        assert!(socket.batch(&[]).is_empty());
    });
}

/// Ten times more answers than the receive buffer holds, and none is lost.
#[test]
fn thousands_of_refusals_do_not_overrun_the_buffer() {
    lab::need!(netns);
    inside(|_| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let requests: Vec<_> = (0..20_000).map(|number| remove(LOOPBACK, number)).collect();
        let results = socket.batch(&requests);
        assert_eq!(results.len(), 20_000);
        for result in results {
            assert_eq!(result.unwrap_err().errno(), Some(errno::EADDRNOTAVAIL));
        }
    });
}

#[test]
fn a_thousand_addresses_come_and_are_dumped() {
    lab::need!(netns);
    inside(|namespace| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let requests: Vec<_> = (0..1000).map(|number| add(LOOPBACK, number)).collect();
        let results = socket.batch(&requests);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1000);
        assert_eq!(ip(namespace, "-4 -o addr show dev lo").lines().count(), 1001);

        for result in socket.batch(&requests) {
            assert_eq!(result.unwrap_err().errno(), Some(errno::EEXIST));
        }

        let mut seen = BTreeSet::new();
        let dump = Request::new(
            RTM_GETADDR,
            Flags::NONE,
            Payload::with_header(&address_header(LOOPBACK)[..]),
        );
        // Strict checking: everything but the interface must be zero in a dump.
        assert_eq!(socket.dump(&dump, |_, _| {}).unwrap_err().errno(), Some(errno::EINVAL));
        let header = [&[AF_INET, 0, 0, 0][..], &LOOPBACK.to_ne_bytes()].concat();
        let dump = Request::new(RTM_GETADDR, Flags::NONE, header);
        let mut count = 0;
        socket
            .dump(&dump, |_, payload| {
                count += 1;
                seen.extend(address_of(payload));
            })
            .unwrap();
        assert_eq!((count, seen.len()), (1001, 1001));
    });
}

#[test]
fn a_monitor_reports_addresses_as_they_come() {
    lab::need!(netns);
    inside(|namespace| {
        let mut monitor = Monitor::open(&[Group::Ipv4Address, Group::Link]).unwrap();
        assert_eq!(monitor.poll(|_, _| panic!("nothing has happened")), Ok(Progress::Drained));
        ip(namespace, "addr add 192.0.2.7/32 dev lo");
        let mut seen = Vec::new();
        wait_for(&mut monitor, |kind, payload| seen.push((kind, address_of(payload)))).unwrap();
        assert_eq!(seen, [(RTM_NEWADDR, Some([192, 0, 2, 7]))]);
    });
}

#[test]
fn a_monitor_that_lost_events_says_so_and_goes_on() {
    lab::need!(netns);
    inside(|namespace| {
        let mut monitor = Monitor::with_receive_buffer(&[Group::Ipv4Address], 1).unwrap();
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let requests: Vec<_> = (0..500).map(|number| add(LOOPBACK, number)).collect();
        assert!(socket.batch(&requests).iter().all(Result::is_ok));
        assert_eq!(wait_for(&mut monitor, |_, _| {}), Err(MonitorError::Overrun));
        assert_eq!(monitor.poll(|_, _| panic!("older than the loss")), Ok(Progress::Drained));

        ip(namespace, "addr add 198.51.100.1/32 dev lo");
        let mut seen = Vec::new();
        assert_eq!(
            wait_for(&mut monitor, |_, payload| seen.extend(address_of(payload))),
            Ok(Progress::Drained)
        );
        assert_eq!(seen, [[198, 51, 100, 1]]);
    });
}

#[test]
fn only_the_kernel_is_listened_to() {
    lab::need!(netns);
    inside(|_| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let port = SocketAddrNetlink::try_from(getsockname(&socket).unwrap()).unwrap().pid();
        // What the kernel would say to our first request if it refused it, said by another process.
        let forged = [
            &36_u32.to_ne_bytes()[..],
            &2_u16.to_ne_bytes(),
            &0x100_u16.to_ne_bytes(),
            &1_u32.to_ne_bytes(),
            &port.to_ne_bytes(),
            &(-17_i32).to_ne_bytes(),
            &[0; 16],
        ]
        .concat();
        let liar = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .unwrap();
        sendto(&liar, &forged, SendFlags::empty(), &SocketAddrNetlink::new(port, 0)).unwrap();
        assert!(is_readable(&socket, Timespec::default()), "the forgery is queued");
        socket.request(&add(LOOPBACK, 1)).unwrap();
    });
}

#[test]
fn generic_families_are_found_by_name() {
    let mut socket = Socket::open(Protocol::Generic).unwrap();
    assert_eq!(socket.family("nlctrl"), Ok(0x10));
    for name in ["no-such-thing", "", "a name of more than fifteen letters"] {
        assert_eq!(socket.family(name), Err(RequestError::UnknownFamily { name: name.to_owned() }));
    }
    let error = socket.family("no-such-thing").unwrap_err();
    assert_eq!(error.errno(), Some(errno::ENOENT));
    assert_eq!(error.to_string(), "kernel has no generic netlink family \"no-such-thing\"");
}

/// Attempts that were interrupted leave nothing behind: each lasting address is there exactly once.
///
/// Only additions at the table's end here: while addresses are removed the kernel itself can lose one of the others,
/// because it unlinks an address a moment before it marks the table as changed.
#[test]
fn dumps_of_a_growing_table_are_whole() {
    lab::need!(netns);
    inside(|namespace| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let lasting: Vec<_> = (0..2000).map(|number| add(LOOPBACK, number)).collect();
        assert!(socket.batch(&lasting).iter().all(Result::is_ok));
        let mut whole = 0;
        std::thread::scope(|scope| {
            let grower = scope.spawn(|| {
                namespace.enter().unwrap();
                let mut socket = Socket::open(Protocol::Route).unwrap();
                for number in 3000..3400 {
                    socket.request(&add(LOOPBACK, number)).unwrap();
                    // A chance for the dump between two changes.
                    std::thread::park_timeout(Duration::from_micros(500));
                }
            });
            let dump =
                Request::new(RTM_GETADDR, Flags::NONE, [AF_INET, 0, 0, 0, 0, 0, 0, 0].to_vec());
            while !grower.is_finished() {
                let mut seen = Vec::new();
                match socket.dump(&dump, |_, payload| seen.extend(address_of(payload))) {
                    Ok(()) => {
                        whole += 1;
                        seen.sort_unstable();
                        assert!(seen.is_sorted_by(|one, next| one < next), "an address came twice");
                        let lasting = (0..2000)
                            .filter(|&n| seen.binary_search(&address(n).octets()).is_ok())
                            .count();
                        assert_eq!(lasting, 2000);
                    }
                    Err(error) => {
                        assert!(matches!(error, RequestError::Interrupted { .. }), "{error}");
                    }
                }
            }
        });
        assert!(whole > 0, "no dump succeeded");
    });
}

#[test]
fn a_transaction_of_netfilter_is_all_or_nothing() {
    const NF_TABLES: u8 = 10;
    lab::need!(netns, nftables);
    let namespace = lab::Namespace::new().unwrap();
    let mut socket = namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap();
    let inet = || Payload::with_header(&[1, 0, 0, 0]);
    let table = |message: u16, name: &str| {
        Request::new(u16::from(NF_TABLES) << 8 | message, Flags::CREATE, inet().text(1, name))
    };
    let (new, delete) = (|name| table(0, name), |name| table(2, name));
    let listed = || {
        let mut nft = Command::new("nft");
        let output = namespace.output(nft.args(["list", "tables"])).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    socket.transaction(NF_TABLES, &[new("a"), new("b"), delete("a")]).unwrap();
    assert_eq!(listed(), "table inet b\n");
    let error = socket.transaction(NF_TABLES, &[new("c"), delete("x"), new("d")]).unwrap_err();
    assert_eq!((error.request, error.source.errno()), (Some(1), Some(errno::ENOENT)));
    assert_eq!(listed(), "table inet b\n", "a part of it was done");
    // A subsystem that there is not: nothing is begun.
    let error = socket.transaction(200, &[new("e")]).unwrap_err();
    assert_eq!((error.request, error.source.errno().is_some()), (None, true), "{error:?}");
    socket.transaction(NF_TABLES, &[delete("b")]).unwrap();
    assert_eq!(listed(), "");
}
