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
        let mut master = SyncDaemon::new(SyncRole::Master, interface.clone(), 3);
        master.group = Some([224, 0, 0, 82].into());
        master.port = Some(8900);
        master.ttl = Some(2);
        let backup = SyncDaemon::new(SyncRole::Backup, interface, 4);
        let nowhere = SyncDaemon::new(SyncRole::Master, "nothere0".parse().unwrap(), 1);
        let error = lab.one(Command::StartDaemon(nowhere)).unwrap_err();
        assert!(error.to_string().contains("no interface nothere0"), "{error}");

        lab.one(Command::StartDaemon(master.clone())).unwrap();
        lab.one(Command::StartDaemon(backup.clone())).unwrap();
        assert_eq!(lab.one(Command::StartDaemon(backup)).unwrap_err().errno(), Some(errno::EEXIST));
        let daemons = lab.client.daemons().unwrap();
        assert_eq!(daemons.len(), 2);
        assert_eq!((daemons[0].role, daemons[0].sync_id), (SyncRole::Master, 3));
        assert_eq!(
            (daemons[0].group, daemons[0].port, daemons[0].ttl),
            (master.group, master.port, master.ttl)
        );
        assert_eq!(
            (daemons[1].role, daemons[1].sync_id, daemons[1].port),
            (SyncRole::Backup, 4, Some(8848))
        );
        let shown = lab.ipvsadm("-Ln --daemon");
        assert!(shown.contains("mcast=eth0, syncid=3") && shown.contains("port=8900"), "{shown}");

        for role in [SyncRole::Master, SyncRole::Backup] {
            lab.one(Command::StopDaemon(role)).unwrap();
            assert_eq!(lab.one(Command::StopDaemon(role)).unwrap_err().errno(), Some(errno::ESRCH));
        }
        assert_eq!(lab.client.daemons(), Ok(Vec::new()));
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
