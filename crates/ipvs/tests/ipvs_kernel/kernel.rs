//! What else the kernel keeps, and what it demands.

use crate::{Lab, VIP, table, web};
use core::time::Duration;
use ipvs::{
    Client, Command, Name, OpenError, Protocol, Scheduler, Service, ServiceKey, SyncDaemon,
    SyncRole, Timeouts,
};
use netlink::errno;

#[test]
fn an_unusual_protocol_survives_the_round_trip() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let sctp = Service::new(ServiceKey::sctp(VIP, 3868), Scheduler::RoundRobin);
        let key = ServiceKey::Address { protocol: Protocol::Other(47), address: VIP, port: 1 };
        let desired =
            table([(sctp, Vec::new()), (Service::new(key, Scheduler::RoundRobin), Vec::new())]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        assert!(lab.listed("").contains(&"SCTP 192.0.2.1:3868 rr".to_owned()));
    });
}

#[test]
fn information_timeouts_and_flush() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let information = lab.client.information().unwrap();
        let heading = lab.ipvsadm("-Ln");
        let (major, minor, patch) = information.version;
        let expected = format!(
            "IP Virtual Server version {major}.{minor}.{patch} (size={})",
            information.connection_table_size
        );
        assert_eq!(heading.lines().next(), Some(expected.as_str()));

        let seconds = Duration::from_secs;
        let timeouts = Timeouts { tcp: seconds(901), tcp_fin: seconds(31), udp: Duration::ZERO };
        let udp = lab.client.timeouts().unwrap().udp;
        lab.one(Command::SetTimeouts(timeouts)).unwrap();
        assert_eq!(lab.client.timeouts().unwrap(), Timeouts { udp, ..timeouts }, "zero keeps");
        let shown = lab.ipvsadm("-Ln --timeout");
        assert_eq!(shown.trim(), format!("Timeout (tcp tcpfin udp): 901 31 {}", udp.as_secs()));
        let error = lab
            .one(Command::SetTimeouts(Timeouts { tcp: seconds(1 << 31), ..timeouts }))
            .unwrap_err();
        assert!(error.to_string().contains("too long for the kernel"), "{error}");

        lab.one(Command::NewService(web())).unwrap();
        lab.one(Command::Flush).unwrap();
        assert!(lab.listed("").is_empty());
    });
}

#[test]
fn sync_daemons() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let interface: Name = "eth0".parse().unwrap();
        let nowhere = SyncDaemon::new(SyncRole::Master, "nothere0".parse().unwrap(), 1);
        let error = lab.one(Command::StartDaemon(nowhere)).unwrap_err();
        assert!(error.to_string().contains("no interface nothere0"), "{error}");
        let mut unicast = SyncDaemon::new(SyncRole::Master, interface.clone(), 1);
        unicast.group = Some([192, 0, 2, 9].into());
        let error = lab.one(Command::StartDaemon(unicast)).unwrap_err();
        assert!(error.to_string().contains("must be a multicast address"), "{error}");

        // Every attribute in both roles, IPv4 and IPv6.
        for (group, len) in [("224.0.0.82", 1400), ("ff05::82", 1300)] {
            let mut daemons = [
                SyncDaemon::new(SyncRole::Master, interface.clone(), 3),
                SyncDaemon::new(SyncRole::Backup, interface.clone(), 4),
            ];
            for daemon in &mut daemons {
                daemon.group = Some(group.parse().unwrap());
                daemon.port = Some(8900);
                daemon.ttl = Some(2);
                daemon.max_message_len = Some(len);
                lab.one(Command::StartDaemon(daemon.clone())).unwrap();
                let again = lab.one(Command::StartDaemon(daemon.clone())).unwrap_err();
                assert_eq!(again.errno(), Some(errno::EEXIST));
            }
            assert_eq!(lab.client.daemons().unwrap(), daemons);
            let shown = lab.ipvsadm("-Ln --daemon");
            for part in [
                "master sync daemon (mcast=eth0, syncid=3",
                "backup sync daemon (mcast=eth0, syncid=4",
                group,
            ] {
                assert!(shown.contains(part), "{shown}");
            }
            for role in [SyncRole::Master, SyncRole::Backup] {
                lab.one(Command::StopDaemon(role)).unwrap();
                let again = lab.one(Command::StopDaemon(role)).unwrap_err();
                assert_eq!(again.errno(), Some(errno::ESRCH));
            }
            assert_eq!(lab.client.daemons(), Ok(Vec::new()));
        }

        // What is not asked for.
        lab.one(Command::StartDaemon(SyncDaemon::new(SyncRole::Backup, interface, 0))).unwrap();
        let daemon = lab.client.daemons().unwrap().remove(0);
        assert_eq!(
            (daemon.group, daemon.port, daemon.ttl, daemon.max_message_len),
            (Some([224, 0, 0, 81].into()), Some(8848), Some(1), Some(1472))
        );
    });
}

#[test]
fn a_client_of_another_namespace() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let elsewhere = lab::Namespace::new().unwrap();
        let handle = elsewhere.run(|| std::fs::File::open("/proc/thread-self/ns/net").unwrap());
        let mut other = Client::open_in(&handle).unwrap();
        assert_eq!(other.execute(&[Command::NewService(web())]), [Ok(())]);
        assert_eq!(other.services().unwrap().len(), 1);
        assert_eq!(lab.client.services().unwrap(), [], "the caller stayed where it was");
        assert_eq!(lab.listed(""), [""; 0]);
        let shown = elsewhere.output(std::process::Command::new("ipvsadm").arg("-Sn")).unwrap();
        assert!(String::from_utf8_lossy(&shown.stdout).contains("-A -t 192.0.2.1:80 -s rr"));
        // Its connections are those of its namespace, wherever it is asked.
        assert_eq!(other.connections(10).unwrap().entries, []);

        let file = std::fs::File::open("/proc/version").unwrap();
        let error = Client::open_in(&file).unwrap_err();
        assert!(matches!(error, OpenError::Namespace { .. }), "{error}");
    });
}

#[test]
fn without_the_capability_the_error_names_it() {
    lab::need!(ipvs, netns);
    Lab::run(|_| {
        // Capabilities are a thread's; this one ends with the test.
        std::thread::spawn(|| {
            let none = rustix::thread::CapabilitySet::empty();
            let sets = rustix::thread::CapabilitySets {
                effective: none,
                permitted: none,
                inheritable: none,
            };
            rustix::thread::set_capabilities(None, sets).unwrap();
            let error = Client::open().unwrap_err();
            assert_eq!(error, OpenError::NotPermitted);
            assert!(
                error.to_string().contains("CAP_NET_ADMIN in the initial user namespace"),
                "{error}"
            );
        })
        .join()
        .unwrap();
    });
}
