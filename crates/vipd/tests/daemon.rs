//! The daemon in network namespaces, watched from outside.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use lab::{AddressMonitor, Process};

use scene::{Advertisement, PATIENCE, Scene, fast, vipd};

#[test]
fn a_version_2_router_from_start_to_stop() {
    lab::need!(netns);
    let scene = Scene::new();
    let text = "vrrp_instance VI_1 {\nstate MASTER\ninterface eth0\nvirtual_router_id 51\npriority 100\nadvert_int 1\nauthentication {\nauth_type PASS\nauth_pass 337639943\n}\nvirtual_ipaddress {\n192.0.2.100\n}\n}\n";
    let mut monitor = AddressMonitor::open(&scene.node).unwrap();
    let begun = lab::now();
    let mut daemon = scene.start(text);
    let first = scene.advertisement();
    // `state MASTER` starts as backup: three intervals and 156/256 s.
    let passed = lab::now().saturating_sub(begun);
    assert!(passed > Duration::from_millis(3600), "{passed:?}");
    assert_eq!(
        (first.ttl, first.source, first.destination),
        (255, Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(224, 0, 0, 18))
    );
    assert_eq!(
        first.message[..6],
        [0x21, 51, 100, 1, 1, 1],
        "version 2, VRID, priority, one address, PASS, 1 s"
    );
    assert_eq!(
        first.message[8..],
        [192, 0, 2, 100, b'3', b'3', b'7', b'6', b'3', b'9', b'9', b'4'],
        "the password is cut to eight bytes"
    );
    let wanted = "192.0.2.100".parse::<core::net::IpAddr>().unwrap();
    let added = core::iter::from_fn(|| monitor.next(PATIENCE).unwrap())
        .find(|event| event.address == wanted);
    assert!(added.is_some_and(|event| event.added && event.prefix == 32));
    assert!(scene.has("192.0.2.100/32"));
    let announced = (0..5)
        .filter_map(|_| scene.capture.find(PATIENCE, |frame| frame.is_arp().then_some(())).unwrap())
        .count();
    assert_eq!(announced, 5);
    let id = format!("{}\n", daemon.id());
    assert_eq!(scene.file_in_run("keepalived.pid").as_ref(), Some(&id));
    assert_eq!(scene.file_in_run("vrrp.pid").as_ref(), Some(&id));
    assert_eq!(scene.file_in_run("checkers.pid"), None, "there are no virtual servers");

    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    let last = scene
        .capture
        .find(PATIENCE, |frame| {
            Advertisement::of(frame).filter(|advertisement| advertisement.priority() == 0)
        })
        .unwrap();
    assert!(last.is_some(), "priority 0 is sent");
    assert!(!scene.has("192.0.2.100"));
    assert_eq!([scene.file_in_run("keepalived.pid"), scene.file_in_run("vrrp.pid")], [None, None]);
}

#[test]
fn unicast_peers_and_two_instances() {
    lab::need!(netns);
    let scene = Scene::new();
    scene.outside.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
    let unicast = fast("one", 7, "192.0.2.107").replace(
        "advert_int",
        "unicast_src_ip 192.0.2.1\nunicast_peer {\n192.0.2.2\n}\nadvert_int",
    );
    let mut daemon = scene.start(&(unicast + &fast("two", 8, "192.0.2.108/24 label eth0:v")));
    let of = |vrid: u8| {
        scene
            .capture
            .find(PATIENCE, |frame| {
                Advertisement::of(frame).filter(|one| one.message.get(1) == Some(&vrid))
            })
            .unwrap()
            .expect("an advertisement")
    };
    let (one, two) = (of(7), of(8));
    assert_eq!(
        (one.source, one.destination, one.ttl),
        (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2), 255)
    );
    assert_eq!(one.destination_mac[0] & 1, 0, "a unicast frame");
    assert_eq!(two.destination, Ipv4Addr::new(224, 0, 0, 18));
    assert_eq!(two.message[..6], [0x31, 8, 100, 1, 0, 10], "version 3, 10 cs");
    assert!(lab::eventually(PATIENCE, || scene.has("192.0.2.108/24").then_some(())).is_some());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    assert!(!scene.has("192.0.2.107") && !scene.has("192.0.2.108"));
}

#[test]
fn signals_that_do_not_stop_are_answered() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut command = Command::new(vipd());
    command.args(["-n", "-f"]).arg(scene.file(&fast("web", 9, "192.0.2.109")));
    command.env("TMPDIR", scene.directory.path());
    let mut daemon = Process::start(&scene.node, "vipd", &mut command).unwrap();
    assert!(
        daemon.wait_line("web: virtual router 9 on eth0", PATIENCE).is_some(),
        "{}",
        daemon.log()
    );
    // What `keepalived --signum=JSON` and `=STATS_CLEAR` print: monitoring sends them, and they would kill us.
    for (number, name, file, said) in [
        (
            "10",
            "SIGUSR1",
            "keepalived.data",
            "web: virtual router 9 on eth0 from 192.0.2.1, priority",
        ),
        ("12", "SIGUSR2", "keepalived.stats", "VRRP Instance: web"),
        ("36", "SIGRTMIN+2", "keepalived.json", "\"virtual_routers\":[{\"name\":\"web\""),
        ("63", "SIGRTMAX-1", "keepalived.stats", "VRRP Instance: web"),
    ] {
        let path = scene.directory.path().join(file);
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", number, &daemon.id().to_string()]).status().unwrap().success());
        let told = format!("{name}: written to {}", path.display());
        assert!(daemon.wait_line(&told, PATIENCE).is_some(), "{}", daemon.log());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(said), "{text}");
    }
    daemon.signal(rustix::process::Signal::INT).unwrap();
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(0));
}

#[test]
fn a_link_that_fails_is_told_and_its_return_too() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut daemon = scene.start(&fast("web", 9, "192.0.2.109"));
    scene.advertisement();
    assert!(lab::eventually(PATIENCE, || scene.has("192.0.2.109").then_some(())).is_some());
    assert!(!daemon.log().contains("Z web: no longer"), "no fault was told: {}", daemon.log());
    scene.outside.ip("link set eth0 down").unwrap();
    assert!(daemon.wait_line("web: cannot take part", PATIENCE).is_some(), "{}", daemon.log());
    assert!(lab::eventually(PATIENCE, || (!scene.has("192.0.2.109")).then_some(())).is_some());
    scene.outside.ip("link set eth0 up").unwrap();
    assert!(daemon.wait_line("Z web: no longer", PATIENCE).is_some(), "{}", daemon.log());
    assert!(lab::eventually(PATIENCE, || scene.has("192.0.2.109").then_some(())).is_some());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
}

#[test]
fn a_missing_interface_is_named_with_those_that_exist() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut daemon = scene.start(&fast("web", 9, "192.0.2.109").replace("eth0", "ens33"));
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1));
    let said = daemon.wait_line("\"ens33\"", PATIENCE).unwrap().text;
    assert!(said.contains("there is no interface") && said.contains("eth0"), "{said}");
    assert_eq!(scene.file_in_run("keepalived.pid"), None);
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    lab::need!(netns);
    let scene = Scene::new();
    let text = fast("web", 9, "192.0.2.109");
    let mut first = scene.start(&text);
    scene.advertisement();
    let mut second = scene.start(&text);
    assert_eq!(second.wait(PATIENCE).unwrap().code(), Some(1));
    let running =
        format!("already running: /run/keepalived.pid belongs to process {} (vipd)", first.id());
    assert!(second.wait_line(&running, PATIENCE).is_some(), "{}", second.log());
    // Without pid files the journal tells.
    let mut third = Command::new(vipd());
    let mut third =
        Process::start(&scene.node, "third", third.arg("run").arg(scene.file(&text))).unwrap();
    assert_eq!(third.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(third.wait_line(&first.id().to_string(), PATIENCE).is_some(), "{}", third.log());
    assert_eq!(scene.file_in_run("keepalived.pid"), Some(format!("{}\n", first.id())));
    scene.capture.drain().unwrap();
    assert_eq!(scene.advertisement().priority(), 100);
    assert!(scene.has("192.0.2.109"));
    assert_eq!(first.terminate().unwrap().code(), Some(0));
}

#[test]
fn a_killed_daemon_is_cleaned_up_after() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut first = scene.start(&fast("web", 9, "192.0.2.109\n192.0.2.110"));
    assert!(
        lab::eventually(PATIENCE, || (scene.has("192.0.2.109") && scene.has("192.0.2.110"))
            .then_some(()))
        .is_some()
    );
    first.kill().unwrap();
    assert!(scene.has("192.0.2.109"), "nobody was there to remove it");
    // The successor has one address less; slow, so that it is a backup for a while.
    let mut second = scene.start(&fast("web", 9, "192.0.2.109").replace("0.1", "5"));
    assert!(second.wait_line("192.0.2.110/32", PATIENCE).is_some(), "{}", second.log());
    assert!(
        lab::eventually(PATIENCE, || (!scene.has("192.0.2.109") && !scene.has("192.0.2.110"))
            .then_some(()))
        .is_some()
    );
    assert_eq!(second.terminate().unwrap().code(), Some(0));
}

#[test]
fn without_privilege_the_remedy_is_told() {
    lab::need!(netns, root);
    let scene = Scene::new();
    let path = scene.file(&fast("web", 9, "192.0.2.109"));
    let directory = scene.directory.path();
    std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    // A copy, because the build directory may be closed to others.
    let copy = directory.join("vipd");
    std::fs::copy(vipd(), &copy).unwrap();
    let mut command = Command::new(copy);
    command.arg("run").arg(path).uid(65_534).gid(65_534);
    let mut daemon = Process::start(&scene.node, "vipd", &mut command).unwrap();
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(
        daemon
            .wait_line("CAP_NET_RAW", PATIENCE)
            .is_some_and(|line| line.text.to_lowercase().contains("run as root")),
        "{}",
        daemon.log()
    );
}

#[test]
fn nothing_is_left_when_virtual_servers_cannot_be_set_up() {
    lab::need!(netns, root);
    let scene = Scene::new();
    let server = "virtual_server 192.0.2.109 80 {\nprotocol TCP\nlb_algo rr\nlb_kind DR\nreal_server 192.0.2.2 80 {\n}\n}\n";
    let mut daemon = scene.start(&(fast("web", 9, "192.0.2.109") + server));
    if lab::need::check("ipvs").is_ok() {
        // This kernel can set them up.
        assert!(
            daemon.wait_line("virtual server 192.0.2.109:80: 1 real server", PATIENCE).is_some(),
            "{}",
            daemon.log()
        );
        assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    } else {
        assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1));
        assert!(daemon.wait_line("modprobe ip_vs", PATIENCE).is_some(), "{}", daemon.log());
        assert!(scene.capture.drain().unwrap().iter().all(|frame| !frame.is_vrrp()));
    }
    assert!(!scene.has("192.0.2.109"));
    assert_eq!(scene.file_in_run("keepalived.pid"), None);
}

/// The tutorials' own files, on a node that has their interfaces: each becomes master and says what it does not do.
#[test]
fn tutorials_run_unchanged() {
    lab::need!(netns);
    let scene = Scene::new();
    for (link, address) in [
        ("ens32", "192.168.100.1/24"),
        ("ens33", "192.168.188.1/24"),
        ("bond0", "20.31.250.10/24"),
        ("eth2", "192.168.10.10/24"),
    ] {
        lab::veth(&scene.node, link, &scene.outside, link).unwrap();
        scene.node.ip(&format!("addr add {address} dev {link}")).unwrap();
    }
    let tutorials = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../keepalived-conf/tests/data/tutorials/conf");
    let mut all = Vec::new();
    for (file, addresses, missing) in [
        ("000-haproxy.d1.conf", &["192.168.0.100/32"][..], &[][..]),
        ("001.d1.conf", &["192.168.188.100/32"], &["`notification_email`", "`smtp_server`"]),
        ("002.d1.conf", &["20.31.250.13/32", "192.168.10.14/32"], &["`notification_email`"]),
        ("003.d1.conf", &["192.168.100.253/32"], &[]),
    ] {
        // Each in a run directory of its own, so that they can run at once.
        let directory = scene.directory.path().join(file);
        let mut command = Command::new(vipd());
        command.arg("run").arg(tutorials.join(file)).arg("--run-directory").arg(directory);
        all.push((
            file,
            addresses,
            missing,
            Process::start(&scene.node, file, &mut command).unwrap(),
        ));
    }
    for (file, addresses, missing, mut daemon) in all {
        for address in addresses {
            assert!(
                lab::eventually(PATIENCE, || scene.has(address).then_some(())).is_some(),
                "{file}: {address}: {}",
                daemon.log()
            );
        }
        let warnings = daemon
            .lines()
            .iter()
            .filter(|line| line.text.contains("not acted on by this version"))
            .count();
        for keyword in missing {
            assert!(
                daemon.log().contains(&format!("{keyword} is understood but not acted on")),
                "{file}: {keyword}"
            );
        }
        assert_eq!(warnings == 0, missing.is_empty(), "{file}: {}", daemon.log());
        assert_eq!(daemon.terminate().unwrap().code(), Some(0));
        assert!(addresses.iter().all(|address| !scene.has(address)), "{file}");
    }
}

/// Debian's unit of keepalived has `Type=notify`.
#[test]
fn a_service_manager_is_told() {
    lab::need!(netns);
    let scene = Scene::new();
    let path = scene.directory.path().join("manager");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
    };
    let link = scene.directory.path().join("keepalived");
    std::os::unix::fs::symlink(vipd(), &link).unwrap();
    let mut command = Command::new(link);
    command
        .args(["--dont-fork", "--use-file"])
        .arg(scene.file(&fast("web", 9, "192.0.2.109")))
        .env("NOTIFY_SOCKET", &path);
    let mut daemon = Process::start(&scene.node, "keepalived", &mut command).unwrap();
    assert_eq!(told(), "READY=1");
    assert_eq!(
        scene.file_in_run("keepalived.pid"),
        Some(format!("{}\n", daemon.id())),
        "keepalived's own default"
    );
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn nothing_to_run_waits_and_says_so() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut daemon = scene.start("! vrrp_instance VI_1 { state MASTER }\n");
    assert!(
        daemon.wait_line("doing nothing until SIGTERM", PATIENCE).is_some(),
        "{}",
        daemon.log()
    );
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
}

#[test]
fn a_slow_log_never_holds_the_election() {
    lab::need!(netns);
    let scene = Scene::new();
    let path = scene.file(&fast("web", 9, "192.0.2.109"));
    // Standard error is a pipe that nobody reads and that is full already.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    rustix::io::ioctl_fionbio(&filler, true).unwrap();
    while std::io::Write::write(&mut filler, &[b'.'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&filler, false).unwrap();
    let mut command = Command::new(vipd());
    command.arg("run").arg(path).stderr(writer);
    let mut child = scene.node.spawn(&mut command).unwrap();
    assert_eq!(scene.advertisement().priority(), 100);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = lab::eventually(PATIENCE, || child.try_wait().unwrap());
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(0),
        "it ends although its log does not move"
    );
    assert!(!scene.has("192.0.2.109"));
    drop(reader);
}
