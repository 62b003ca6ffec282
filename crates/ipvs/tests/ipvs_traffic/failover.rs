//! Directors that tell each other of connections: what is established survives the change from one to the other.

use crate::{PATIENCE, VIP, address, ask, hold_silently, host, program, serve, server, web};
use core::net::SocketAddr;
use ipvs::{
    Client, Command, ConnectionState, ForwardingMethod, Origin, Scheduler, SyncDaemon, SyncRole,
};
use lab::{Bridge, Namespace, eventually};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn start(director: &Namespace, role: SyncRole) {
    let daemon = SyncDaemon::new(role, "eth0".parse().unwrap(), 7);
    let results = director.run(|| Client::open().unwrap().execute(&[Command::StartDaemon(daemon)]));
    assert_eq!(results, [Ok(())]);
}

fn echo(stream: &mut TcpStream, text: [u8; 4]) -> std::io::Result<()> {
    stream.write_all(&text)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, text);
    Ok(())
}

/// A connection through one director, which then goes away, and through another. Whether it survives.
fn survives(synchronised: bool) -> bool {
    let switch = Bridge::new().unwrap();
    let client = host(&switch, "client", "192.0.2.1/24");
    let directors =
        [host(&switch, "director1", "192.0.2.2/24"), host(&switch, "director2", "192.0.2.3/24")];
    let servers = [host(&switch, "one", "192.0.2.11/24"), host(&switch, "two", "192.0.2.12/24")];
    for (host, name) in servers.iter().zip(["one", "two"]) {
        hold_silently(host, "lo");
        serve(host, SocketAddr::new(address(VIP), 80), name);
    }
    for director in &directors {
        let servers = ["192.0.2.11", "192.0.2.12"]
            .map(|text| server(text, 80, ForwardingMethod::DirectRoute));
        program(director, web(Scheduler::RoundRobin), &servers);
    }
    directors[0].ip(&format!("addr add {VIP}/32 dev eth0")).unwrap();
    if synchronised {
        start(&directors[0], SyncRole::Master);
        start(&directors[1], SyncRole::Backup);
    }

    let (mut stream, name) = ask(&client).unwrap();
    let local = stream.local_addr().unwrap();
    echo(&mut stream, *b"ping").unwrap();
    let known = |director: &Namespace| {
        director.run(|| {
            let connections = Client::open().unwrap().connections_with_origins(100).unwrap();
            connections.entries.into_iter().find(|entry| entry.client == local)
        })
    };
    assert_eq!(known(&directors[0]).unwrap().origin, Some(Origin::Local));
    if synchronised {
        let entry = eventually(PATIENCE, || known(&directors[1])).expect("the backup hears of it");
        assert_eq!(
            (entry.origin, entry.state),
            (Some(Origin::Synchronised), ConnectionState::Established)
        );
        let expected = if name == "one" { "192.0.2.11:80" } else { "192.0.2.12:80" };
        assert_eq!(entry.destination, expected.parse().unwrap());
    } else {
        assert_eq!(known(&directors[1]), None);
    }

    // The first director goes, the second takes the address.
    switch.unplug("director1").unwrap();
    directors[1].ip(&format!("addr add {VIP}/32 dev eth0")).unwrap();
    client.ip("neigh flush dev eth0").unwrap();
    let survived = (0..10).all(|_| echo(&mut stream, *b"pong").is_ok());
    assert!(ask(&client).is_some(), "new connections work in any case");
    survived
}

#[test]
fn established_connections_survive_the_change_of_the_director() {
    lab::need!(ipvs, netns);
    assert!(survives(true));
}

/// The control: it is the sync daemons that do it.
#[test]
fn without_sync_daemons_they_do_not() {
    lab::need!(ipvs, netns);
    assert!(!survives(false));
}
