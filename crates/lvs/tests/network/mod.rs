//! A client, a director and real servers in namespaces, on a real kernel with `ip_vs`. Witnesses: `ipvsadm`, and a client that connects to
//! the virtual address.
//!
//! ```text
//!   client 10.0.0.2 ──── 10.0.0.1 director 10.1.0.1 ──── 10.1.0.11 ... 10.1.0.16 real servers
//!                        10.0.0.100 virtual address             (masquerading: they answer through the director)
//! ```
#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::allow_attributes, reason = "which part is unused differs between the targets")]

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command as Process;
use std::sync::Arc;
use std::thread::JoinHandle;

use lab::Namespace;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const VIRTUAL: &str = "10.0.0.100:80";
pub(crate) const FOREIGN: &str = "TCP 10.0.0.101:80 sh";

pub(crate) struct Lab {
    pub(crate) client: Namespace,
    pub(crate) director: Namespace,
    pub(crate) servers: Namespace,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let [client, director, servers] = [(); 3].map(|()| Namespace::new().unwrap());
        lab::veth(&client, "eth0", &director, "eth0").unwrap();
        lab::veth(&director, "eth1", &servers, "eth0").unwrap();
        client.ip("addr add 10.0.0.2/24 dev eth0").unwrap();
        director
            .ip_batch([
                "addr add 10.0.0.1/24 dev eth0",
                "addr add 10.0.0.100/32 dev eth0",
                "addr add 10.1.0.1/24 dev eth1",
            ])
            .unwrap();
        director.sysctl("net/ipv4/ip_forward", "1").unwrap();
        servers.ip("addr add 10.1.0.2/24 dev eth0").unwrap();
        for last in 11..=16 {
            servers.ip(&format!("addr add 10.1.0.{last}/32 dev eth0")).unwrap();
        }
        servers.ip("route add default via 10.1.0.1").unwrap();
        let lab = Self { client, director, servers };
        lab.ipvsadm("-A -t 10.0.0.101:80 -s sh"); // somebody else's
        lab
    }

    pub(crate) fn ipvsadm(&self, arguments: &str) -> String {
        let output =
            self.director.output(Process::new("ipvsadm").args(arguments.split(' '))).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ipvsadm {arguments}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `ipvsadm` lists, without headings and connection counts.
    pub(crate) fn listed(&self) -> BTreeSet<String> {
        self.ipvsadm("-Ln")
            .lines()
            .filter(|line| !line.contains("RemoteAddress"))
            .map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
            .filter(|line| ["TCP", "->"].iter().any(|object| line.starts_with(object)))
            .collect()
    }

    /// The names of the servers that so many connections reach, one after the other.
    pub(crate) fn reached(&self, connections: usize) -> Vec<String> {
        self.client.run(|| {
            (0..connections)
                .map(|_| {
                    let address: SocketAddr = VIRTUAL.parse().unwrap();
                    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
                    let mut name = String::new();
                    stream.read_to_string(&mut name).unwrap();
                    name
                })
                .collect()
        })
    }

    pub(crate) fn serve(&self, address: &str) -> Server {
        Server::start(self.servers.run(|| TcpListener::bind(address).unwrap()), address.to_owned())
    }
}

/// A server that says its name to everybody.
pub(crate) struct Server {
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, name: String) -> Self {
        let listener = Arc::new(listener);
        let accepting = Arc::clone(&listener);
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = accepting.accept() {
                // A check has reset its connection by now.
                drop(stream.write_all(name.as_bytes()));
            }
        });
        Self { listener, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap(); // ends the accept
        self.thread.take().unwrap().join().unwrap();
    }
}
