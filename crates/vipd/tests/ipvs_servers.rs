//! Checks, quorums and their scripts on a kernel that has IPVS, by keepalived 2.2.7 and by vipd on one file.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use lab::peers::{Daemon, Table};
use lab::{Namespace, Node};

use scene::{Scripts, vipd};

/// The emulated kernel is slow.
const PATIENCE: Duration = Duration::from_secs(40);
const SERVICE: &str = "192.0.2.100:80";

/// A web server that answers until it is dropped.
struct Web {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: &'static str,
    namespace: Arc<Namespace>,
}

impl Web {
    fn start(namespace: &Arc<Namespace>, address: &'static str) -> Self {
        let listener = namespace.run(|| TcpListener::bind((address, 80))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(mut connection) = connection else { continue };
                let mut request = [0; 1024];
                let _length = connection.read(&mut request);
                let _written =
                    connection.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes");
            }
        });
        Self { stop, thread: Some(thread), address, namespace: Arc::clone(namespace) }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let address = (self.address, 80);
        drop(self.namespace.run(|| std::net::TcpStream::connect(address)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn quorums_sorry_servers_and_what_is_told_are_the_same_as_with_keepalived() {
    lab::need!(netns, ipvs, keepalived);
    for daemon in [Daemon::Keepalived, Daemon::Vipd(vipd())] {
        one_story(&daemon);
    }
}

fn one_story(daemon: &Daemon) {
    let scripts = Scripts::new();
    let (director, servers) = (Node::new().unwrap(), Arc::new(Namespace::new().unwrap()));
    lab::veth(&director, "eth0", &servers, "eth0").unwrap();
    director.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    servers
        .ip_batch(["addr add 192.0.2.11/24 dev eth0", "addr add 192.0.2.12/24 dev eth0"])
        .unwrap();
    let (first, second) = (Web::start(&servers, "192.0.2.11"), Web::start(&servers, "192.0.2.12"));
    let log = scripts.path("log.sh");
    let log = log.to_str().unwrap();
    let good = scripts.path("good");
    std::fs::write(&good, "").unwrap();
    let misc = scripts.write("misc.sh", "#!/bin/sh\ntest -e \"$(dirname $0)/good\"\n");
    let fifo = scripts.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let times = "delay_loop 1\nwarmup 0\nretry 0\nconnect_timeout 10\n";
    let text = format!(
        "global_defs {{\nscript_user root\nenable_script_security\nlvs_notify_fifo {}\n}}\n\
         virtual_server 192.0.2.100 80 {{\n{times}lb_algo rr\nlb_kind DR\nprotocol TCP\nquorum 2\n\
         quorum_up \"{log} quorum up\"\nquorum_down \"{log} quorum down\"\nsorry_server 192.0.2.13 80\n\
         real_server 192.0.2.11 80 {{\nweight 1\nnotify_up \"{log} first up\"\nnotify_down \"{log} first down\"\n\
         HTTP_GET {{\nurl {{\npath /\nstatus_code 200\n}}\n}}\n}}\n\
         real_server 192.0.2.12 80 {{\nweight 1\nnotify_up \"{log} second up\"\nnotify_down \"{log} second down\"\n\
         MISC_CHECK {{\nmisc_path \"{misc}\"\nmisc_timeout 20\n}}\nTCP_CHECK {{\n}}\n}}\n}}\n",
        fifo.display()
    );
    let path = scripts.path("test.conf");
    std::fs::write(&path, text).unwrap();
    let mut reader = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut running = daemon.start(&director, &path).unwrap();
    let wait = |addresses: &[&str]| {
        let there = || {
            let table = Table::of_proc(&director).unwrap();
            let service = table.service(SERVICE)?;
            let mut found: Vec<&str> =
                service.destinations.iter().map(|one| one.address.as_str()).collect();
            found.sort_unstable();
            (found == addresses).then_some(())
        };
        let found = lab::eventually(PATIENCE, there);
        assert!(found.is_some(), "{} {addresses:?}: {}", daemon.name(), running.log());
    };
    wait(&["192.0.2.11:80", "192.0.2.12:80"]);
    // One of two fails: the quorum is lost, and the server of last resort serves.
    std::fs::remove_file(&good).unwrap();
    wait(&["192.0.2.13:80"]);
    std::fs::write(&good, "").unwrap();
    wait(&["192.0.2.11:80", "192.0.2.12:80"]);
    drop(first);
    wait(&["192.0.2.13:80"]);
    let told = scripts.next(0, 7, &running);
    let expected = [
        "first down",
        "quorum down",
        "quorum down",
        "quorum up",
        "quorum up",
        "second down",
        "second up",
    ];
    let mut told = told;
    told.sort();
    assert_eq!(told, expected, "{}: {}", daemon.name(), running.log());
    assert_eq!(running.terminate().unwrap().code(), Some(0), "{}", running.log());
    let mut lines = String::new();
    while lines.lines().count() < 7 {
        let mut part = [0; 4096];
        let length = reader.read(&mut part).unwrap();
        lines.push_str(core::str::from_utf8(part.get(..length).unwrap()).unwrap());
    }
    let [server, other] = ["[192.0.2.12]:tcp:80", "[192.0.2.11]:tcp:80"];
    let service = "[192.0.2.100]:tcp:80";
    let expected = [
        format!("VS {service} UP"),
        format!("RS {server} {service} DOWN"),
        format!("VS {service} DOWN"),
        format!("RS {server} {service} UP"),
        format!("VS {service} UP"),
        format!("RS {other} {service} DOWN"),
        format!("VS {service} DOWN"),
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "{}", daemon.name());
    drop(second);
}
