//! How long thousands of addresses take, in chunks that leave room for timers. In a network namespace of its own.
//!
//! ```text
//! cargo run --release -p vip-netlink --example many
//! ```
#![allow(clippy::print_stdout, reason = "this is how it talks")]

use core::net::IpAddr;
use core::time::Duration;
use std::time::Instant;

use lab::{Namespace, veth};
use vip_netlink::{Address, AnnounceError, Announcer, Change, ChunkSize, Client};

type Failure = Box<dyn core::error::Error>;

fn main() -> Result<(), Failure> {
    println!("addresses             added     worst chunk   +announced   removed   worst chunk");
    for (count, ipv6) in [(1000, false), (5000, false), (1000, true), (5000, true)] {
        measure(count, ipv6)?;
    }
    Ok(())
}

fn measure(count: u32, ipv6: bool) -> Result<(), Failure> {
    let (here, there) = (Namespace::new()?, Namespace::new()?);
    veth(&here, "eth0", &there, "eth1")?;
    let mut client = here.run(Client::open)?;
    let announcer = here.run(Announcer::open)?;
    let link = client.link("eth0")?;
    let mac = link.mac.ok_or("eth0 has no MAC address")?;
    let addresses: Vec<Address> = (1..=count)
        .map(|n| {
            let ip = if ipv6 {
                IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n)).to_be_bytes())
            } else {
                IpAddr::from((0x0a00_0000_u32 | n).to_be_bytes())
            };
            Address::new(link.index, ip, if ipv6 { 128 } else { 32 })
        })
        .collect::<Result<_, _>>()?;

    let (added, worst_add) = in_chunks(&addresses, |chunk| client.add(chunk))?;
    let before = now();
    for address in &addresses {
        announce(&announcer, address, mac)?;
    }
    let in_all = added + now().saturating_duration_since(before);
    let reversed: Vec<Address> = addresses.into_iter().rev().collect();
    let (removed, worst_removal) = in_chunks(&reversed, |chunk| client.remove(chunk))?;
    let family = if ipv6 { "IPv6" } else { "IPv4" };
    println!(
        "{count:>6} {family:<8} {added:>12.1?} {worst_add:>15.2?} {in_all:>12.1?} {removed:>9.1?} {worst_removal:>13.2?}"
    );
    Ok(())
}

/// How long all took, and the chunk that took longest.
fn in_chunks<E: core::error::Error + 'static>(
    addresses: &[Address],
    mut change: impl FnMut(&[Address]) -> Vec<Result<Change, E>>,
) -> Result<(Duration, Duration), Failure> {
    let (mut size, mut rest) = (ChunkSize::default(), addresses);
    let (mut all, mut worst) = (Duration::ZERO, Duration::ZERO);
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at_checked(size.get()).unwrap_or((rest, &[]));
        let before = now();
        let results = change(chunk);
        let took = now().saturating_duration_since(before);
        for result in results {
            result?;
        }
        size.handle_duration(took);
        all += took;
        worst = worst.max(took);
        rest = tail;
    }
    Ok((all, worst))
}

fn announce(announcer: &Announcer, address: &Address, mac: [u8; 6]) -> Result<(), AnnounceError> {
    match address.ip() {
        IpAddr::V4(ip) => announcer.gratuitous_arp(address.interface(), mac, ip),
        IpAddr::V6(ip) => announcer.unsolicited_na(address.interface(), mac, ip, false),
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}
