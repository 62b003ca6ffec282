//! The lab of a tutorial: a switch, two directors, the real servers, a client, and who watches them.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lab::peers::{Daemon, Nginx};
use lab::probe::Prober;
use lab::{Bridge, Namespace, Node, Process};

use crate::demo::client::Browser;
use crate::demo::events::Log;
use crate::demo::scene::Scene;
use crate::demo::watch::Watchers;

/// How often the prober asks.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(1);

/// Everything on the stage. Fields are dropped in this order: those who watch first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) browser: Browser,
    pub(crate) prober: Prober,
    _watchers: Watchers,
    pub(crate) directors: [Director; 2],
    pub(crate) servers: Vec<Server>,
    pub(crate) client: Arc<Namespace>,
    pub(crate) switch: Bridge,
    pub(crate) log: Log,
}

/// A director: a node, and the daemon that is to run there.
#[derive(Debug)]
pub(crate) struct Director {
    pub(crate) node: Arc<Node>,
    pub(crate) daemon: Daemon,
    pub(crate) process: Option<Process>,
    configuration: PathBuf,
    interface: &'static str,
    /// Without real servers the director itself has a web server.
    _nginx: Option<Nginx>,
}

/// A real server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node: Namespace,
    pub(crate) address: Ipv4Addr,
    pub(crate) nginx: Option<Nginx>,
}

impl Stage {
    pub(crate) fn build(scene: &Scene, daemons: [Daemon; 2]) -> io::Result<Self> {
        let switch = Bridge::new()?;
        let [first, second] = daemons;
        let directors = [director(scene, &switch, 0, first)?, director(scene, &switch, 1, second)?];
        let mut servers = Vec::new();
        for (index, address) in scene.servers.iter().enumerate() {
            servers.push(server(scene, &switch, index, *address)?);
        }
        let client = Arc::new(Namespace::new()?);
        plug(&switch, &client, "eth0", "client", &scene.clients)?;
        let log = Log::default();
        let nodes = [&directors[0].node, &directors[1].node];
        let watchers = Watchers::start(scene, switch.namespace(), nodes, &log)?;
        let [source, ..] = scene.clients;
        let prober = Prober::start(&client, source, scene.service(), PROBE_INTERVAL)?;
        let browser = Browser::start(&client, source, scene.service(), log.clone())?;
        Ok(Self { browser, prober, _watchers: watchers, directors, servers, client, switch, log })
    }
}

/// The switch's port of a director.
pub(crate) fn port(director: usize) -> String {
    format!("director{}", director + 1)
}

/// The MAC address that the machine with this IP address has in the lab.
pub(crate) fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [2, 0, a, b, c, d]
}

/// A cable to the switch, a MAC address that tells who it is, and the addresses.
fn plug(
    switch: &Bridge,
    node: &Namespace,
    name: &str,
    port: &str,
    addresses: &[Ipv4Addr],
) -> io::Result<()> {
    switch.attach(node, name, port)?;
    let [first, ..] = addresses else { return Ok(()) };
    let mac = mac(*first).map(|byte| format!("{byte:02x}")).join(":");
    let mut commands = vec![
        // Nothing here speaks IPv6: no router solicitations among the captured frames.
        format!("link set {name} addrgenmode none"),
        format!("link set {name} address {mac}"),
    ];
    commands.extend(addresses.iter().map(|address| format!("addr add {address}/24 dev {name}")));
    node.ip_batch(commands.iter().map(String::as_str))
}

fn director(scene: &Scene, switch: &Bridge, index: usize, daemon: Daemon) -> io::Result<Director> {
    let node = Arc::new(Node::new()?);
    plug(switch, &node, scene.interface, &port(index), &[scene.directors[index].address])?;
    let nginx = if scene.servers.is_empty() {
        Some(Nginx::start(&node, &format!("director {}", index + 1))?)
    } else {
        None
    };
    Ok(Director {
        node,
        daemon,
        process: None,
        configuration: scene.configuration(index),
        interface: scene.interface,
        _nginx: nginx,
    })
}

/// A real server for direct routing: it holds the virtual address on `lo`, says nothing about it by ARP, and
/// answers the client itself.
fn server(scene: &Scene, switch: &Bridge, index: usize, address: Ipv4Addr) -> io::Result<Server> {
    let node = Namespace::new()?;
    node.run(|| {
        for (name, value) in [("arp_ignore", "1"), ("arp_announce", "2"), ("rp_filter", "0")] {
            for place in ["all", "default", "lo"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{place}/{name}"), value)?;
            }
        }
        io::Result::Ok(())
    })?;
    plug(switch, &node, "eth0", &format!("server{}", index + 1), &[address])?;
    node.ip(&format!("addr add {}/32 dev lo", scene.virtual_address))?;
    let mut server = Server { node, address, nginx: None };
    server.start(index)?;
    Ok(server)
}

impl Server {
    /// Starts nginx, which answers with the server's name.
    pub(crate) fn start(&mut self, index: usize) -> io::Result<()> {
        self.nginx = Some(Nginx::start(&self.node, &format!("real server {}", index + 1))?);
        Ok(())
    }
}

impl Director {
    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.process = Some(self.daemon.start(&self.node, &self.configuration)?);
        Ok(())
    }

    /// Whether its interface has the address, as `ip addr` shows it.
    pub(crate) fn shows(&self, address: Ipv4Addr) -> io::Result<bool> {
        let program = lab::need::find_program("ip").ok_or(io::ErrorKind::NotFound)?;
        let shown = self.node.output(Command::new(program).args(["-o", "-4", "addr", "show"]))?;
        let text = String::from_utf8_lossy(&shown.stdout);
        let wanted = format!("inet {address}/");
        Ok(text.lines().any(|line| line.contains(&wanted) && line.contains(self.interface)))
    }
}
