//! The examples `lvs_dr_director` (two of it) and `real_server` (two of it) together, with a client, on a real kernel:
//! a failover as in a data centre, without any daemon of ours or others.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lab::{Bridge, Node, Process, eventually};

const PATIENCE: Duration = Duration::from_secs(30);
const VIRTUAL: &str = "192.168.1.100";
const SERVERS: [&str; 2] = ["192.168.1.11", "192.168.1.12"];

/// `cargo test` builds the examples of a package beside its tests.
fn program(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build -p examples --examples",
        program.display()
    );
    Command::new(program)
}

fn node(switch: &Bridge, port: &str, address: &str) -> Node {
    let node = Node::new().unwrap();
    switch.attach(&node, "eth0", port).unwrap();
    node.ip(&format!("address add {address}/24 dev eth0")).unwrap();
    node
}

fn director(node: &Node, priority: &str) -> Process {
    let mut command = program("lvs_dr_director");
    command.args(["eth0", "51", priority, VIRTUAL, "80"]).args(SERVERS);
    Process::start(node, "lvs_dr_director", &mut command).unwrap()
}

/// A server on the virtual address that says its name to everybody. Its thread ends when the listener is shut down.
fn serve(node: &Node, name: &'static str) -> Arc<TcpListener> {
    let listener = Arc::new(node.run(|| TcpListener::bind("0.0.0.0:80").unwrap()));
    let accepting = Arc::clone(&listener);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = accepting.accept() {
            drop(stream.write_all(name.as_bytes())); // a check has reset its connection by now
        }
    });
    listener
}

/// The name of the server that answers the client, if one does.
fn answer(client: &Node) -> Option<String> {
    let address = SocketAddr::new(VIRTUAL.parse().unwrap(), 80);
    client.run(|| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        let mut name = String::new();
        stream.read_to_string(&mut name).ok()?;
        Some(name)
    })
}

fn holds(node: &Node) -> bool {
    let shown = node
        .output(Command::new("ip").args(["-oneline", "address", "show", "dev", "eth0"]))
        .unwrap();
    String::from_utf8_lossy(&shown.stdout).contains(&format!(" {VIRTUAL}/"))
}

fn table(node: &Node) -> String {
    let listed = node.output(Command::new("ipvsadm").args(["-S", "-n"])).unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

#[test]
fn two_directors_fail_over_and_check_their_real_servers() {
    lab::need!(ipvs, ipvsadm);
    let switch = Bridge::new().unwrap();
    let client = node(&switch, "client", "192.168.1.1");
    let hosts =
        [node(&switch, "director1", "192.168.1.2"), node(&switch, "director2", "192.168.1.3")];
    let servers = [node(&switch, "server1", SERVERS[0]), node(&switch, "server2", SERVERS[1])];
    let mut silent: Vec<Process> = servers
        .iter()
        .map(|node| {
            Process::start(node, "real_server", program("real_server").arg(VIRTUAL)).unwrap()
        })
        .collect();
    for server in &silent {
        assert!(server.wait_line("holding", PATIENCE).is_some(), "{}", server.log());
    }
    let listeners = [serve(&servers[0], "one"), serve(&servers[1], "two")];

    // Both start; the better one holds the address, and the client is served by both real servers through it.
    let mut first = director(&hosts[0], "100");
    let mut second = director(&hosts[1], "90");
    assert!(first.wait_line("-> master", PATIENCE).is_some(), "{}", first.log());
    assert_eq!((holds(&hosts[0]), holds(&hosts[1])), (true, false));
    let reached: BTreeSet<_> =
        (0..4).map(|_| answer(&client).expect("the client is served")).collect();
    assert_eq!(reached, ["one".to_owned(), "two".to_owned()].into());
    assert_eq!(table(&hosts[0]).lines().count(), 3, "a service and two real servers");
    assert_eq!(table(&hosts[0]), table(&hosts[1]), "both tables are ready");

    // A real server stops: it leaves both tables, and no request goes there.
    rustix::net::shutdown(&*listeners[0], rustix::net::Shutdown::Both).unwrap();
    for director in [&first, &second] {
        let down = format!("real server {}:80 is down: connection refused", SERVERS[0]);
        assert!(director.wait_line(&down, PATIENCE).is_some(), "{}", director.log());
    }
    for host in &hosts {
        assert!(!table(host).contains(SERVERS[0]), "{}", table(host));
    }
    assert_eq!(
        (0..4).map(|_| answer(&client)).collect::<Vec<_>>(),
        vec![Some("two".to_owned()); 4]
    );

    // The Master is asked to end: the other has taken over by then, and nothing of it is left.
    assert!(first.terminate().unwrap().success(), "{}", first.log());
    assert!(!holds(&hosts[0]), "{}", first.log());
    // Not by its log: on a slow machine it may have been master for a moment at the start, too.
    let taken = eventually(PATIENCE, || holds(&hosts[1]).then_some(()));
    assert!(taken.is_some(), "{}", second.log());
    assert_eq!(table(&hosts[0]), "");
    assert_eq!(answer(&client).as_deref(), Some("two"));

    // The other is killed: what it left is cleaned up by its successor, which then ends in good order.
    second.kill().unwrap();
    assert!(holds(&hosts[1]), "nobody could clean up");
    let mut third = director(&hosts[1], "90");
    assert!(third.wait_line("-> master", PATIENCE).is_some(), "{}", third.log());
    assert_eq!(eventually(PATIENCE, || answer(&client)).as_deref(), Some("two"));
    assert!(third.terminate().unwrap().success(), "{}", third.log());
    assert_eq!((holds(&hosts[1]), table(&hosts[1])), (false, String::new()));
    for server in &mut silent {
        assert!(server.terminate().unwrap().success(), "{}", server.log());
    }
}

#[test]
fn what_is_wrong_is_named() {
    lab::need!(ipvs, ipvsadm);
    let node = Node::new().unwrap();
    let said = |arguments: &[&str]| {
        let output = node.output(program("lvs_dr_director").args(arguments)).unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["eth0"]).contains("usage: lvs_dr_director INTERFACE"));
    let missing = said(&["eth7", "51", "100", VIRTUAL, "80"]);
    assert!(missing.contains("no interface \"eth7\""), "{missing}");
    assert_eq!(table(&node), "", "and nothing is left");
}
