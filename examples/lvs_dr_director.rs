//! A complete LVS director with failover in direct-routing mode, without any daemon: run it on two hosts with different priorities.
//!
//! ```text
//! cargo run --example lvs_dr_director -- eth0 51 100 192.168.1.100 80 192.168.1.11 192.168.1.12
//!                                        |    |  |   |             |  real servers
//!                                        |    |  |   virtual address and port
//!                                        interface, VRID, priority (the higher one is Master)
//! ```
//!
//! Both hosts check the real servers and keep their IPVS tables ready; VRRP decides which of them holds the virtual address. Until
//! SIGTERM or Ctrl-C; then the other host takes over within the skew time, and nothing is left in the kernel. The real servers
//! hold the virtual address too, silently: see the example `real_server`.

use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use ipvs::{Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey};
use lvs::{Config, Director, RealServer, ServiceConfig, Timing};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vrrp::{Router, VirtualRouter, Vrid};

const USAGE: &str =
    "usage: lvs_dr_director INTERFACE VRID PRIORITY VIRTUAL_ADDRESS PORT REAL_SERVER...";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("lvs_dr_director: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(" ({error})");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [interface, vrid, priority, address, port, servers @ ..] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let (address, port): (IpAddr, u16) = (address.parse()?, port.parse()?);
    let mut signals = Signals::new([SIGINT, SIGTERM])?; // from here on they do not end us before we have cleaned up

    // The pool, on both hosts: services with those real servers that answer.
    let timing =
        Timing::new().interval(Duration::from_secs(2)).retry_interval(Duration::from_millis(500));
    let service = Service::new(ServiceKey::tcp(address, port), Scheduler::RoundRobin);
    let mut service = ServiceConfig::new(service);
    for server in servers {
        let key = DestinationKey::new(server.parse()?, port); // packets arrive unchanged: the service's port
        let destination = Destination::new(key, ForwardingMethod::DirectRoute);
        service = service.real_server(RealServer::new(destination).tcp_check(timing));
    }
    let director = Director::builder(Config::new().service(service)).start()?;

    // The election: who is Master holds the address.
    let virtual_router = VirtualRouter::new("director", Vrid::new(vrid.parse()?)?, interface)
        .priority(priority.parse()?)
        .address(address.to_string().parse()?)
        .candidate(true);
    let router = Router::builder().virtual_router(virtual_router).start()?;

    let (elections, checks) = (router.events(), director.events());
    std::thread::spawn(move || elections.iter().for_each(|event| println!("{event}")));
    std::thread::spawn(move || checks.iter().for_each(|event| println!("{event}")));
    signals.forever().next();

    router.shutdown()?; // priority 0 is sent and the address gone: the other host has taken over
    director.stop()?; // only now the services go
    Ok(())
}
