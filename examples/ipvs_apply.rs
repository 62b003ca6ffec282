//! Makes the kernel's IPVS table what a file says, with the fewest changes, and touches nothing that other programs have made.
//!
//! ```text
//! ipvsadm -Sn > rules            # the file has the form that ipvsadm saves; # begins a comment
//! cargo run --example ipvs_apply -- --dry-run rules
//! cargo run --example ipvs_apply -- rules
//! ```
//!
//! What it has made is listed in a journal, so that the next run knows what it may change and remove: an empty file removes
//! everything.

use std::collections::BTreeSet;
use std::error::Error;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};
use ipvs::{
    AddressFamily, Client, Destination, DestinationKey, ForwardingMethod, Name, Netmask, Scheduler,
    Service, ServiceFlags, ServiceKey, Table, Thresholds, Tunnel, TunnelChecksum, Weight, foreign,
    plan,
};
use journal::Journal;

/// Make the kernel's IPVS table what a file says, touching only services that this program has made
#[derive(Debug, Parser)]
#[command(name = "ipvs_apply")]
struct Arguments {
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take over services of the file that another program has made
    #[arg(long)]
    adopt: bool,
    /// Where the services that this program has made are listed
    #[arg(long, value_name = "FILE", default_value = "/run/ipvs_apply/journal")]
    journal: PathBuf,
    /// Rules as `ipvsadm -Sn` writes them: -A -t 192.0.2.1:80 -s rr, -a -t 192.0.2.1:80 -r 10.0.0.11:80 -g -w 1
    rules: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ipvs_apply: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let text = std::fs::read_to_string(&arguments.rules)
        .map_err(|error| format!("{}: {error}", arguments.rules.display()))?;
    let desired = table(&text)
        .map_err(|(line, error)| format!("{}:{line}: {error}", arguments.rules.display()))?;
    if let Some(directory) = arguments.journal.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let (mut journal, leftovers) = Journal::open(&arguments.journal)?;
    let mut owned: BTreeSet<ServiceKey> =
        leftovers.iter().filter_map(|key| key.parse().ok()).collect();
    if arguments.adopt {
        owned.extend(desired.keys());
    }
    let mut client = Client::open()?;
    let current = client.table(|key| desired.contains(key) || owned.contains(key))?;
    if arguments.dry_run {
        for command in plan(&current, &desired, &owned) {
            println!("would {command}");
        }
        for key in foreign(&current, &desired, &owned) {
            println!("would leave service {key} alone: another program has made it");
        }
        return Ok(ExitCode::SUCCESS);
    }

    // Listed first, so that whatever happens next, nothing of ours is forgotten.
    let ours = |key: &&ServiceKey| owned.contains(*key) || !current.contains(key);
    let listed: BTreeSet<ServiceKey> = desired.keys().filter(ours).copied().collect();
    journal.record_all(listed.iter().map(ToString::to_string))?;
    let report = client.apply(&desired, &owned)?;
    for command in &report.commands {
        let failed = report.failures.iter().any(|failure| failure.command() == command);
        if !failed {
            println!("{command}");
        }
    }
    for failure in &report.failures {
        eprintln!("ipvs_apply: {failure}");
    }
    // Not ours are those that were made by somebody else meanwhile, and those that are gone.
    let there = client.table(|key| owned.contains(key) || report.created.contains(key))?;
    let not_ours = listed.union(&owned).filter(|key| !there.contains(key));
    journal.forget_all(not_ours.map(ToString::to_string))?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line of the file.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Rule {
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Kind {
    #[arg(short = 'A')]
    add_service: bool,
    #[arg(short = 'a')]
    add_server: bool,
}

#[derive(Debug, Args)]
struct Key {
    #[arg(short = 't', group = "address")]
    tcp: Option<String>,
    #[arg(short = 'u', group = "address")]
    udp: Option<String>,
    #[arg(long = "sctp-service", group = "address")]
    sctp: Option<String>,
    #[arg(short = 'f', group = "address")]
    mark: Option<NonZeroU32>,
    #[arg(short = '6', requires = "mark")]
    ipv6: bool,
}

#[derive(Debug, Args)]
struct ServiceOptions {
    #[arg(short = 's', default_value = "wlc")]
    scheduler: Scheduler,
    /// Comma between several: sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3
    #[arg(short = 'b', value_delimiter = ',')]
    flags: Vec<String>,
    #[arg(short = 'p')]
    persistent: Option<u64>,
    /// A mask for IPv4, a prefix length for IPv6
    #[arg(short = 'M')]
    netmask: Option<String>,
    #[arg(long = "pe")]
    engine: Option<Name>,
    #[arg(short = 'o')]
    one_packet: bool,
}

#[derive(Debug, Args)]
struct ServerOptions {
    #[arg(short = 'r')]
    server: Option<DestinationKey>,
    #[arg(short = 'g', group = "method")]
    direct: bool,
    #[arg(short = 'i', group = "method")]
    tunnel: bool,
    #[arg(short = 'm', group = "method")]
    masquerade: bool,
    #[arg(short = 'w', default_value_t = 1)]
    weight: u32,
    #[arg(short = 'x', default_value_t = 0)]
    upper: u32,
    #[arg(short = 'y', default_value_t = 0)]
    lower: u32,
    #[arg(long, value_parser = ["ipip", "gue", "gre"], default_value = "ipip")]
    tun_type: String,
    #[arg(long)]
    tun_port: Option<NonZeroU16>,
    #[arg(long, group = "checksum")]
    tun_nocsum: bool,
    #[arg(long, group = "checksum")]
    tun_csum: bool,
    #[arg(long, group = "checksum")]
    tun_remcsum: bool,
}

/// Reads the file, or says in which line what is wrong.
fn table(text: &str) -> Result<Table, (usize, Box<dyn Error>)> {
    let mut table = Table::new();
    for (line, number) in text.lines().zip(1..) {
        let words = line.split('#').next().unwrap_or_default().split_whitespace();
        if words.clone().next().is_some() {
            rule(&mut table, words).map_err(|error| (number, error))?;
        }
    }
    Ok(table)
}

fn rule<'a>(table: &mut Table, words: impl Iterator<Item = &'a str>) -> Result<(), Box<dyn Error>> {
    let rule = Rule::try_parse_from(words)?;
    let key = rule.key.read()?;
    if rule.kind.add_service {
        if table.contains(&key) {
            return Err(format!("service {key} is there already").into());
        }
        table.insert(rule.service.read(key)?);
        return Ok(());
    }
    let destination = rule.server.read()?;
    let entry = table.service_mut(&key).ok_or_else(|| format!("no service {key} above"))?;
    entry.service().check_destination(&destination)?;
    if entry.insert(destination).is_some() {
        return Err(format!("server {} is there already", destination.key()).into());
    }
    Ok(())
}

impl Key {
    fn read(&self) -> Result<ServiceKey, Box<dyn Error>> {
        let named = [("tcp", &self.tcp), ("udp", &self.udp), ("sctp", &self.sctp)];
        let named = named.iter().find_map(|(protocol, key)| Some((protocol, key.as_ref()?)));
        if let Some((protocol, key)) = named {
            return Ok(format!("{protocol}/{key}").parse()?);
        }
        let family = if self.ipv6 { AddressFamily::Ipv6 } else { AddressFamily::Ipv4 };
        let mark = self.mark.ok_or("which service? -t, -u, --sctp-service or -f")?;
        Ok(ServiceKey::firewall_mark(family, mark))
    }
}

impl ServiceOptions {
    fn read(self, key: ServiceKey) -> Result<Service, Box<dyn Error>> {
        let mut service = Service::builder(key, self.scheduler);
        for flag in &self.flags {
            service = service.flag(match flag.as_str() {
                "sh-fallback" | "mh-fallback" | "flag-1" => ServiceFlags::SCHEDULER_1,
                "sh-port" | "mh-port" | "flag-2" => ServiceFlags::SCHEDULER_2,
                "flag-3" => ServiceFlags::SCHEDULER_3,
                _ => return Err(format!("unknown flag {flag}").into()),
            });
        }
        if let Some(seconds) = self.persistent {
            service = service.persistent(Duration::from_secs(seconds));
        }
        if let Some(netmask) = &self.netmask {
            service = match key.family() {
                AddressFamily::Ipv4 => service.netmask(Netmask::ipv4(netmask.parse()?)),
                AddressFamily::Ipv6 => service.prefix(netmask.parse()?),
            };
        }
        if let Some(engine) = self.engine {
            service = service.engine(engine);
        }
        if self.one_packet {
            service = service.one_packet();
        }
        Ok(service.build()?)
    }
}

impl ServerOptions {
    fn read(&self) -> Result<Destination, Box<dyn Error>> {
        let key = self.server.ok_or("which server? -r ADDRESS:PORT")?;
        let checksum = match (self.tun_csum, self.tun_remcsum) {
            (true, _) => TunnelChecksum::Full,
            (_, true) => TunnelChecksum::RemoteOffload,
            _ => TunnelChecksum::None,
        };
        let method = match (self.masquerade, self.tunnel, self.tun_type.as_str()) {
            (true, ..) => ForwardingMethod::Masquerade,
            (_, true, "gue") => {
                let port = self.tun_port.ok_or("a gue tunnel needs --tun-port")?;
                ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum })
            }
            (_, true, "gre") => ForwardingMethod::Tunnel(Tunnel::Gre { checksum }),
            (_, true, _) => ForwardingMethod::Tunnel(Tunnel::Ipip),
            _ => ForwardingMethod::DirectRoute,
        };
        Ok(Destination::new(key, method)
            .with_weight(Weight::new(self.weight)?)
            .with_thresholds(Thresholds::new(self.upper, self.lower)?))
    }
}
