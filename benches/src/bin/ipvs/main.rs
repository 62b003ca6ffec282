//! What programming IPVS costs, beside `ipvsadm -R`, keepalived, and a floor: the same messages ready made, 200 a send.
//!
//! ```text
//! cargo xtask bench ipvs
//! ```
//!
//! A thousand services of ten servers, in a kernel with `ip_vs`: this machine's, else one in user-mode Linux. All take turns; what
//! counts is the ratio of the medians. And without a kernel: the plan for a large table in which nothing has changed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod floor;
mod rivals;
mod subject;

use std::error::Error;
use std::fs::File;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ipvs::{Client, Table, plan};

use crate::subject::{PORTS, changed, key, owned, table};

/// Repetitions of what takes less than a second, and of what takes seconds.
const MANY: usize = 15;
const FEW: usize = 3;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        None => planning().and_then(|met| Ok(in_kernel()? && met)),
        Some("kernel") => kernel(),
        Some(_) => Err("usage: ipvs".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ipvs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As many services and servers as keepalived's issue 2318 tells of, unchanged.
fn planning() -> Result<bool> {
    let (services, servers) = (2284, 37_298);
    let current = subject::large(services, servers);
    let (desired, owned) = (current.clone(), owned(&current));
    let mut commands = 0;
    let times = repeat(MANY, || {
        let begin = now();
        commands += plan(&current, &desired, &owned).len();
        Ok(begin.elapsed())
    })?;
    println!("{services} services, {servers} servers, unchanged: {commands} commands");
    Ok(bar("  plan", median(times), Duration::from_millis(30)) && commands == 0)
}

/// Runs the second half where there is a kernel with IPVS.
fn in_kernel() -> Result<bool> {
    if lab::need::check("ipvs").is_ok() {
        return kernel();
    }
    lab::need::check("uml")?;
    println!("in user-mode Linux:");
    let mut guest = lab::uml::Guest::new().command(&std::env::current_exe()?);
    Ok(guest.arg("kernel").status()?.success())
}

#[derive(Debug, Default)]
struct Times {
    floor: Vec<Duration>,
    ours: Vec<Duration>,
    unchanged: Vec<Duration>,
    change: Vec<Duration>,
    apply_change: Vec<Duration>,
    removal: Vec<Duration>,
    ipvsadm: Vec<Duration>,
    keepalived: Vec<Duration>,
    reload: Vec<Duration>,
    stop: Vec<Duration>,
}

fn kernel() -> Result<bool> {
    let mut times = Times::default();
    for round in 0..MANY {
        times.floor.push(subject::in_namespace(|_| floor::program(&table()))?);
        ours(&mut times)?;
        if round < FEW {
            times.ipvsadm.push(subject::in_namespace(rivals::ipvsadm)?);
            let keepalived = subject::in_namespace(rivals::keepalived)?;
            times.keepalived.push(keepalived.start);
            times.reload.push(keepalived.reload);
            times.stop.push(keepalived.stop);
            if keepalived.left > 0 {
                println!("(keepalived ended and left {} services behind)", keepalived.left);
            }
        }
    }
    println!("{PORTS} services of {} servers, medians:", subject::SERVERS);
    let fastest_floor = fastest(&times.floor);
    let floor = line("  floor: ready messages, 200 a send", times.floor);
    let keepalived = line("  keepalived, from start to the last server", times.keepalived);
    let ipvsadm = line("  ipvsadm -R", times.ipvsadm);
    let reload = line("  keepalived, one weight changed and SIGHUP", times.reload);
    let stop = line("  keepalived, SIGTERM until the table is empty", times.stop);
    let mut met = true;
    let fastest = ratio(fastest(&times.ours), fastest_floor);
    let ours = median(times.ours);
    met &= bar("  apply to an empty table", ours, floor.mul_f64(1.15));
    println!(
        "    {:.2} x floor ({fastest:.2} x, the fastest of each), {:.3} x ipvsadm, {:.3} x keepalived",
        ratio(ours, floor),
        ratio(ours, ipvsadm),
        ratio(ours, keepalived)
    );
    met &= bar(
        "  plan, execute, read back: one weight of a known table",
        median(times.change),
        reload.mul_f64(0.15),
    );
    line("  apply, read back: the same after reading everything", times.apply_change);
    line("  apply to a table that is as desired", times.unchanged);
    met &= bar(
        "  apply of nothing: the whole table removed",
        median(times.removal),
        stop.mul_f64(0.1),
    );
    Ok(met)
}

/// On the program's own thread, as a program would that has run for a while: in user-mode Linux memory that was never used before
/// costs more than the kernel's work.
fn ours(times: &mut Times) -> Result<()> {
    let namespace = subject::namespace()?;
    let handle = namespace.run(|| File::open("/proc/thread-self/ns/net"))?;
    let mut client = Client::open_in(handle)?;
    let desired = table();
    let owned = owned(&desired);
    let apply = |client: &mut Client, desired: &Table, commands: usize| {
        let begin = now();
        let report = client.apply(desired, &owned)?;
        let took = begin.elapsed();
        if report.commands.len() != commands || !report.is_complete() {
            return Err(format!(
                "{} commands, {} failures",
                report.commands.len(),
                report.failures.len()
            )
            .into());
        }
        Ok::<_, Box<dyn Error>>(took)
    };
    times.ours.push(apply(&mut client, &desired, PORTS * (1 + subject::SERVERS))?);
    times.unchanged.push(apply(&mut client, &desired, 0)?);

    let other = changed(&desired, 2);
    let begin = now();
    let commands = plan(&desired, &other, &owned);
    client.execute(&commands).into_iter().collect::<std::result::Result<(), _>>()?;
    await_weight(&mut client, 2)?;
    times.change.push(begin.elapsed());

    let begin = now();
    apply(&mut client, &changed(&desired, 3), 1)?;
    await_weight(&mut client, 3)?;
    times.apply_change.push(begin.elapsed());
    times.removal.push(apply(&mut client, &Table::new(), PORTS)?);
    Ok(())
}

/// Looks at the changed service until the kernel shows the weight.
fn await_weight(client: &mut Client, weight: u32) -> Result<()> {
    while !client
        .destinations(&key(PORTS))?
        .iter()
        .any(|status| status.destination.weight().value() == weight)
    {}
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn repeat(times: usize, mut measure: impl FnMut() -> Result<Duration>) -> Result<Vec<Duration>> {
    (0..times).map(|_| measure()).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn fastest(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn line(what: &str, times: Vec<Duration>) -> Duration {
    let median = median(times);
    println!("{what:<56} {:>9.1} ms", median.as_secs_f64() * 1e3);
    median
}

fn bar(what: &str, median: Duration, bar: Duration) -> bool {
    let met = median <= bar;
    println!(
        "{what:<56} {:>9.1} ms  bar {:>7.1} ms {}",
        median.as_secs_f64() * 1e3,
        bar.as_secs_f64() * 1e3,
        if met { "met" } else { "MISSED" }
    );
    met
}
