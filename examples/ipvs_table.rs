//! Shows the kernel's IPVS table, as `ipvsadm -Ln` does: services, their real servers, counters, connections.
//!
//! ```text
//! cargo run --example ipvs_table -- --stats
//! ```

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ipvs::{
    Client, DestinationStatus, ForwardingMethod, ServiceFlags, ServiceKey, ServiceStatus,
    Statistics,
};

/// Show the services of IPVS and their real servers
#[derive(Debug, Parser)]
#[command(name = "ipvs_table")]
struct Arguments {
    /// Counters instead of settings: connections, packets and octets of clients and of servers
    #[arg(long)]
    stats: bool,
    /// The same for each second, over about the last two
    #[arg(long, conflicts_with = "stats")]
    rate: bool,
    /// The connections instead, at most N
    #[arg(long, value_name = "N", conflicts_with_all = ["stats", "rate"])]
    connections: Option<usize>,
    /// Of another network namespace: /run/netns/NAME or /proc/PID/ns/net
    #[arg(long, value_name = "FILE")]
    netns: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipvs_table: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut client = match &arguments.netns {
        Some(path) => Client::open_in(File::open(path)?)?,
        None => Client::open()?,
    };
    if let Some(limit) = arguments.connections {
        return connections(&client, limit);
    }
    let information = client.information()?;
    let (major, minor, patch) = information.version;
    let size = information.connection_table_size;
    println!("IP Virtual Server version {major}.{minor}.{patch} (size={size})");
    let heading = if arguments.stats {
        ["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]
    } else if arguments.rate {
        ["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]
    } else {
        ["Forward", "Weight", "ActiveConn", "InActConn", ""]
    };
    println!("{}", line("Service", &heading));

    let mut services = client.services()?;
    services.sort_by_key(|status| status.service.key());
    services.dedup_by_key(|status| status.service.key()); // the kernel may tell one twice when the table changes
    for status in &services {
        let key = status.service.key();
        if arguments.stats || arguments.rate {
            println!("{}", line(&name(&key), &numbers(&status.statistics, arguments.rate)));
        } else {
            println!("{} {}", name(&key), settings(status));
        }
        let mut servers = client.destinations(&key)?;
        servers.sort_by_key(|status| status.destination.key());
        servers.dedup_by_key(|status| status.destination.key());
        for server in &servers {
            let name = format!("  -> {}", server.destination.key());
            if arguments.stats || arguments.rate {
                println!("{}", line(&name, &numbers(&server.statistics, arguments.rate)));
            } else {
                println!("{}", line(&name, &state(server)));
            }
        }
    }
    Ok(())
}

fn line(name: &str, columns: &[impl AsRef<str>]) -> String {
    let columns = columns.iter().map(|column| format!(" {:>10}", column.as_ref()));
    format!("{name:<33}{}", columns.collect::<String>()).trim_end().to_owned()
}

fn name(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address, port } => {
            let address = std::net::SocketAddr::new(*address, *port);
            format!("{:<4} {address}", protocol.to_string().to_uppercase())
        }
        ServiceKey::FirewallMark { mark, .. } if key.family() == ipvs::AddressFamily::Ipv6 => {
            format!("FWM  {mark} IPv6")
        }
        ServiceKey::FirewallMark { mark, .. } => format!("FWM  {mark}"),
    }
}

fn settings(status: &ServiceStatus) -> String {
    let service = &status.service;
    let mut words = vec![service.scheduler().to_string()];
    let flags = [
        (ServiceFlags::HASH_FALLBACK, "fallback"),
        (ServiceFlags::HASH_PORT, "port"),
        (ServiceFlags::SCHEDULER_3, "flag-3"),
        (ServiceFlags::ONE_PACKET, "one packet"),
    ];
    words.extend(
        flags
            .iter()
            .filter(|(flag, _)| service.flags().contains(*flag))
            .map(|(_, name)| (*name).to_owned()),
    );
    if let Some(persistence) = service.persistence() {
        words.push(format!("persistent {}", persistence.timeout().as_secs()));
        words.extend(persistence.engine().map(|engine| format!("pe {engine}")));
    }
    words.join(" ")
}

fn state(server: &DestinationStatus) -> [String; 4] {
    let method = match server.destination.method() {
        ForwardingMethod::Masquerade => "Masq".to_owned(),
        ForwardingMethod::Local => "Local".to_owned(),
        ForwardingMethod::DirectRoute => "Route".to_owned(),
        ForwardingMethod::Tunnel(_) => "Tunnel".to_owned(),
        other => other.to_string(),
    };
    let weight = server.destination.weight().to_string();
    [method, weight, server.active_connections.to_string(), server.inactive_connections.to_string()]
}

fn numbers(counters: &Statistics, rate: bool) -> [String; 5] {
    let numbers = if rate {
        [
            counters.connections_per_second,
            counters.incoming_packets_per_second,
            counters.outgoing_packets_per_second,
            counters.incoming_bytes_per_second,
            counters.outgoing_bytes_per_second,
        ]
    } else {
        [
            counters.connections,
            counters.incoming_packets,
            counters.outgoing_packets,
            counters.incoming_bytes,
            counters.outgoing_bytes,
        ]
    };
    numbers.map(|number| number.to_string())
}

fn connections(client: &Client, limit: usize) -> Result<(), Box<dyn Error>> {
    let connections = client.connections(limit)?;
    println!("pro expire state       source             virtual            destination");
    for entry in &connections.entries {
        let protocol = entry.protocol.to_string().to_uppercase();
        let (minutes, seconds) = (entry.expires.as_secs() / 60, entry.expires.as_secs() % 60);
        println!(
            "{protocol:<3} {minutes:02}:{seconds:02}  {:<11} {:<18} {:<18} {}",
            entry.state.to_string(),
            entry.client.to_string(),
            entry.virtual_address.to_string(),
            entry.destination
        );
    }
    if connections.truncated {
        println!("and more");
    }
    Ok(())
}
