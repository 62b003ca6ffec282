//! Two masters, and what prevents them: the test that the tutorials make with a firewall rule on the master.
//!
//! ```text
//! sudo cargo run --example split_brain
//! ```
//!
//! Two hosts on a switch, the address 192.0.2.100 on the better one. Then, on that one:
//!
//! ```text
//! iptables -I OUTPUT -p vrrp -j DROP
//! ```
//!
//! Its advertisements do not leave any more; all else does. The other host hears silence, which is also what it hears when
//! the master is dead. keepalived takes the address, and both hosts have it from then on: their neighbours talk now to one, now to the
//! other. Here the same is done to routers of this project: a master that cannot advertise gives its address up, and a backup asks
//! the link first whether anybody still answers for the address (`VipProbe`). With the rule on the other side (`INPUT` of the backup)
//! the master notices nothing, and only the guard helps: without it there are two masters.
//!
//! Everything happens in network namespaces of its own, as root of the machine or in a user namespace; what the pictures show was told by
//! the kernels of the two hosts, not by the daemons. The exit code says whether it ended as described.

use core::time::Duration;
use std::error::Error;
use std::net::IpAddr;
use std::process::{Command, ExitCode};

use lab::peers::Daemon;
use lab::{AddressMonitor, Bridge, Namespace, Node, Process};
use vrrp::{GuardConfig, Router, RunningRouter, Verdict, VipProbe, VirtualRouter, Vrid};

const ADDRESS: &str = "192.0.2.100/24";
const INTERVAL: Duration = Duration::from_millis(300);
/// From the rule to the end: three times what a backup waits for.
const WATCHED: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(20);
/// Columns of the pictures.
const COLUMNS: u32 = 64;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("split_brain: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let guarded = |stage: &Stage| {
        let config = GuardConfig::new(Duration::from_secs(1), Verdict::Veto);
        routers(stage, |router| router.guarded_by(config, VipProbe::new()))
    };
    let unguarded = |stage: &Stage| routers(stage, |router| router);
    let stories = std::thread::scope(|scope| {
        [
            scope.spawn(|| play("keepalived", Rule::OutputOfA, daemons).map_err(text)),
            scope.spawn(|| play("vrrp with VipProbe", Rule::OutputOfA, guarded).map_err(text)),
            scope.spawn(|| play("vrrp without a guard", Rule::InputOfB, unguarded).map_err(text)),
            scope.spawn(|| play("vrrp with VipProbe", Rule::InputOfB, guarded).map_err(text)),
        ]
        .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
    });
    let mut as_described = true;
    for (story, holders) in stories.into_iter().zip([2, 1, 2, 1]) {
        let story = story?;
        println!("{story}");
        as_described &= story.holders_at_the_end() == holders;
        as_described &= holders == 2 || story.both().is_zero();
    }
    Ok(as_described)
}

/// Errors of libraries do not cross threads.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn text(error: Box<dyn Error>) -> String {
    error.to_string()
}

/// keepalived on both hosts.
fn daemons(stage: &Stage) -> Result<(tempfile::TempDir, [Process; 2]), Box<dyn Error>> {
    let configuration = tempfile::tempdir()?;
    let start = |node: &Node, priority| {
        let file = configuration.path().join(format!("{priority}.conf"));
        std::fs::write(&file, keepalived(priority))?;
        Daemon::Keepalived.start(node, &file)
    };
    let daemons = [start(&stage.a, 200)?, start(&stage.b, 100)?];
    Ok((configuration, daemons))
}

/// The tutorials' configuration, with what they leave to taste made short.
fn keepalived(priority: u8) -> String {
    format!(
        "global_defs {{
    vrrp_version 3
}}
vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {}
    virtual_ipaddress {{
        {ADDRESS}
    }}
}}
",
        INTERVAL.as_secs_f64()
    )
}

/// The same two routers of this project.
fn routers(
    stage: &Stage,
    guard: impl Fn(VirtualRouter) -> VirtualRouter,
) -> Result<(tempfile::TempDir, [RunningRouter; 2]), Box<dyn Error>> {
    let run = tempfile::tempdir()?;
    let start = |node: &Node, priority: u8| -> Result<RunningRouter, Box<dyn Error>> {
        let router = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
            .priority(priority)
            .advertisement_interval(INTERVAL)
            .address(ADDRESS.parse()?)
            .candidate(true);
        let builder = Router::builder().run_directory(run.path()).virtual_router(guard(router));
        Ok(node.run(|| builder.start())?)
    };
    let both = [start(&stage.a, 200)?, start(&stage.b, 100)?];
    Ok((run, both))
}

/// Where advertisements are dropped.
#[derive(Clone, Copy)]
enum Rule {
    /// On the master, as the tutorials do. Its kernel says so to the sender.
    OutputOfA,
    /// On the backup. The master does not notice.
    InputOfB,
}

/// Two hosts on a switch.
struct Stage {
    a: Node,
    b: Node,
    _switch: Bridge,
}

/// When the two hosts had the address, counted from the rule.
struct Story {
    name: &'static str,
    rule: Rule,
    /// When each got it (true) or lost it, in order.
    changes: [Vec<(Duration, bool)>; 2],
}

/// Starts two daemons, makes the rule when one is master, and watches both hosts' addresses.
fn play<T>(
    name: &'static str,
    rule: Rule,
    start: impl FnOnce(&Stage) -> Result<T, Box<dyn Error>>,
) -> Result<Story, Box<dyn Error>> {
    let (a, b, switch) = (Node::new()?, Node::new()?, Bridge::new()?);
    for (node, port, address) in [(&a, "port-a", "192.0.2.1/24"), (&b, "port-b", "192.0.2.2/24")] {
        switch.attach(node, "eth0", port)?;
        node.ip(&format!("address add {address} dev eth0"))?;
    }
    let stage = Stage { a, b, _switch: switch };
    let mut monitors = [AddressMonitor::open(&stage.a)?, AddressMonitor::open(&stage.b)?];
    let daemons = start(&stage)?;
    let first = |monitor: &mut AddressMonitor| -> Result<(), Box<dyn Error>> {
        let end = lab::now() + PATIENCE;
        while let Some(event) = monitor.next(end.saturating_sub(lab::now()))? {
            if is_ours(event.address) && event.added {
                return Ok(());
            }
        }
        Err("nobody became master".into())
    };
    let [on_a, _] = &mut monitors;
    first(on_a)?;
    match rule {
        Rule::OutputOfA => drop_advertisements(&stage.a, "OUTPUT")?,
        Rule::InputOfB => drop_advertisements(&stage.b, "INPUT")?,
    }
    let since = lab::now();
    let watch = |monitor: &mut AddressMonitor, first| -> std::io::Result<Vec<_>> {
        let mut changes = vec![(Duration::ZERO, first)];
        while let Some(event) = monitor.next((since + WATCHED).saturating_sub(lab::now()))? {
            if is_ours(event.address) {
                changes.push((event.at.saturating_sub(since), event.added));
            }
        }
        Ok(changes)
    };
    let [on_a, on_b] = &mut monitors;
    // Both at once: the moment of a change is that at which somebody waits for it.
    let (a, b) = std::thread::scope(|scope| {
        let b = scope.spawn(|| watch(on_b, false));
        (watch(on_a, true), b.join())
    });
    let changes = [a?, b.map_err(|_| "a thread panicked")??];
    drop(daemons);
    Ok(Story { name, rule, changes })
}

fn is_ours(address: IpAddr) -> bool {
    ADDRESS.split_once('/').is_some_and(|(ours, _)| ours == address.to_string())
}

/// The rule of the tutorials; where there is no iptables, the same in nftables.
fn drop_advertisements(host: &Namespace, chain: &str) -> Result<(), Box<dyn Error>> {
    let iptables = ["-I", chain, "-p", "vrrp", "-j", "DROP"];
    let hook = chain.to_lowercase();
    let nft = format!(
        "table ip split {{ chain all {{ type filter hook {hook} priority 0; ip protocol vrrp drop; }}; }}"
    );
    let mut said = String::new();
    for (program, arguments) in [("iptables", &iptables[..]), ("nft", &[nft.as_str()][..])] {
        let mut command = Command::new(program);
        match host.output(command.args(arguments).env("PATH", lab::need::search_path())) {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => said.push_str(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => said.push_str(&format!("{program}: {error}\n")),
        }
    }
    Err(said.into())
}

impl Story {
    /// Whether a host has the address at a moment.
    fn has(&self, host: usize, at: Duration) -> bool {
        let mut changes = self.changes.get(host).into_iter().flatten();
        changes.rfind(|(when, _)| *when <= at).is_some_and(|(_, has)| *has)
    }

    fn holders_at_the_end(&self) -> usize {
        (0..2).filter(|host| self.has(*host, WATCHED)).count()
    }

    /// How long both had it.
    fn both(&self) -> Duration {
        let mut moments: Vec<Duration> = self.changes.iter().flatten().map(|(at, _)| *at).collect();
        moments.push(WATCHED);
        moments.sort_unstable();
        let mut total = Duration::ZERO;
        for (from, to) in moments.iter().zip(moments.iter().skip(1)) {
            if self.has(0, *from) && self.has(1, *from) {
                total += *to - *from;
            }
        }
        total
    }
}

impl core::fmt::Display for Story {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let end = WATCHED.as_secs_f64();
        let rule = match self.rule {
            Rule::OutputOfA => "a: iptables -I OUTPUT -p vrrp -j DROP",
            Rule::InputOfB => "b: iptables -I INPUT -p vrrp -j DROP",
        };
        writeln!(f, "{}, {end} s after {rule}", self.name)?;
        for (host, name) in ["a", "b"].iter().enumerate() {
            let column = |column| {
                if self.has(host, WATCHED * column / COLUMNS) { '█' } else { '·' }
            };
            writeln!(f, "  {name} {}", (0..COLUMNS).map(column).collect::<String>())?;
        }
        let masters = match self.holders_at_the_end() {
            0 => "no master",
            1 => "one master",
            _ => "two masters",
        };
        writeln!(f, "    {:.1} s with two, {masters} at the end", self.both().as_secs_f64())
    }
}
