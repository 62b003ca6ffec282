//! A real server behind an LVS director in direct-routing mode: it holds the virtual addresses on `lo` and keeps quiet about them.
//!
//! ```text
//! cargo run --example real_server -- 192.168.1.100
//! ```
//!
//! Until SIGTERM or Ctrl-C the addresses are on `lo`, and ARP is silenced: the kernel neither answers requests for them on other
//! interfaces (`arp_ignore` 1) nor mentions them in its own (`arp_announce` 2), else clients would bypass the director. Afterwards
//! everything is as it was. After `kill -9` it is so at the next start, because each change is in a journal before it is made.

use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::slice;

use journal::Journal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vip_netlink::{Address, Change, Client, SysctlChange};

const JOURNAL: &str = "/run/real_server.journal";

/// `all` is what counts for requests that arrive on other interfaces than `lo`.
const QUIET: [(&str, &str, &str); 4] = [
    ("all", "arp_ignore", "1"),
    ("all", "arp_announce", "2"),
    ("lo", "arp_ignore", "1"),
    ("lo", "arp_announce", "2"),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("real_server: {error}");
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
    let vips =
        std::env::args().skip(1).map(|word| word.parse()).collect::<Result<Vec<IpAddr>, _>>()?;
    if vips.is_empty() {
        return Err("usage: real_server ADDRESS...".into());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?; // from here on they do not end us before we have cleaned up
    let mut client = Client::open()?;
    let (mut journal, leftovers) = Journal::open(JOURNAL)?; // an error names the process that runs already
    for left in &leftovers {
        println!("undoing what was left: {left}");
    }
    undo(&mut client, &mut journal)?;

    let held = hold(&mut client, &mut journal, &vips);
    if held.is_ok() {
        println!("holding {vips:?} on lo");
        signals.forever().next();
    }
    undo(&mut client, &mut journal)?;
    journal.close()?;
    held
}

/// First quiet, then the addresses.
fn hold(client: &mut Client, journal: &mut Journal, vips: &[IpAddr]) -> Result<(), Box<dyn Error>> {
    for (interface, key, value) in QUIET {
        let change = SysctlChange::plan_ipv4(interface, key, value)?;
        if change.is_needed() {
            journal.record(&change.to_string())?;
            change.apply()?;
        }
    }
    let lo = client.link("lo")?;
    for &vip in vips {
        let address = Address::new(lo.index, vip, if vip.is_ipv4() { 32 } else { 128 })?;
        journal.record(&address.to_string())?;
        for result in client.add(slice::from_ref(&address)) {
            if result? == Change::Already {
                journal.forget(&address.to_string())?; // somebody else's: it stays when we go
            }
        }
    }
    Ok(())
}

/// Backwards: the addresses are gone before ARP speaks again. What fails stays in the journal.
fn undo(client: &mut Client, journal: &mut Journal) -> Result<(), Box<dyn Error>> {
    let entries: Vec<String> = journal.entries().into_iter().rev().map(str::to_owned).collect();
    for entry in entries {
        if let Ok(address) = entry.parse::<Address>() {
            for result in client.remove(&[address]) {
                result?;
            }
        } else {
            entry.parse::<SysctlChange>()?.undo()?;
        }
        journal.forget(&entry)?;
    }
    Ok(())
}
