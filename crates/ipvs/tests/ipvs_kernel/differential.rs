//! The same random operations on the kernel and on [`FakeKernel`]: every answer and every table has to be the same.

use crate::Lab;
use core::time::Duration;
use ipvs::{
    AddressFamily, Backend, Command, CommandError, Destination, DestinationKey, FakeKernel,
    ForwardingMethod, Netmask, Persistence, Scheduler, Service, ServiceFlags, ServiceKey,
    SyncDaemon, SyncRole, Table, Thresholds, Timeouts, Tunnel, TunnelChecksum, Weight,
};
use std::collections::BTreeSet;

const SERVICES: [&str; 8] = [
    "tcp/192.0.2.1:80",
    "udp/192.0.2.1:80",
    "sctp/192.0.2.1:80",
    "tcp/192.0.2.1:0",
    "tcp/[2001:db8::1]:80",
    "fwmark/1/ipv4",
    "fwmark/1/ipv6",
    "47/192.0.2.1:80",
];
/// Those that packets can be sent to come more often.
const SERVERS: [&str; 14] = [
    "10.0.0.11",
    "10.0.0.12",
    "10.0.0.13",
    "2001:db8::11",
    "2001:db8::12",
    "127.0.0.1",
    "::1",
    "203.0.113.1",
    "224.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "fe80::5",
    "ff02::1",
    "::",
];

/// Draws operations over a small world, so that they meet.
struct Draw(fastrand::Rng);

impl Draw {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.0.choice(choices).unwrap()
    }

    fn key(&mut self) -> ServiceKey {
        self.of(&SERVICES).parse().unwrap()
    }

    fn service(&mut self) -> Service {
        let names = Scheduler::KNOWN.map(|scheduler| scheduler.name().to_owned());
        let name = match self.0.u8(..12) {
            0 => "nonesuch",
            n if n < 6 => "rr",
            _ => self.0.choice(&names).unwrap(),
        };
        let flags = ServiceFlags::from_bits_truncate(self.0.u32(..));
        let service = Service::new(self.key(), name.parse().unwrap()).with_flags(flags);
        if self.0.bool() {
            return service;
        }
        let family = service.key().family();
        let len = match family {
            AddressFamily::Ipv4 => self.0.u8(0..=32),
            AddressFamily::Ipv6 => self.0.u8(1..=128),
        };
        let timeout = Duration::from_secs(self.0.u64(1..=u64::from(Persistence::MAX_SECONDS)));
        let persistence = Persistence::new(timeout, Netmask::prefix(family, len).unwrap()).unwrap();
        let persistence = match self.0.u8(..8) {
            0 => persistence.with_engine("nonesuch".parse().unwrap()),
            1 | 2 => persistence.with_engine("sip".parse().unwrap()),
            _ => persistence,
        };
        service.with_persistence(persistence).unwrap()
    }

    fn destination_key(&mut self) -> DestinationKey {
        let known = self.0.u8(..3) > 0;
        let address = self.of(if known { &SERVERS[..5] } else { &SERVERS[..] });
        DestinationKey::new(address.parse().unwrap(), self.of(&[0, 80, 8080]))
    }

    fn destination(&mut self) -> Destination {
        let gue = |checksum| Tunnel::Gue { port: 5555.try_into().unwrap(), checksum };
        let method = self.of(&[
            ForwardingMethod::Masquerade,
            ForwardingMethod::DirectRoute,
            ForwardingMethod::Local,
            ForwardingMethod::Bypass,
            ForwardingMethod::Tunnel(Tunnel::Ipip),
            ForwardingMethod::Tunnel(gue(TunnelChecksum::Full)),
            ForwardingMethod::Tunnel(gue(TunnelChecksum::RemoteOffload)),
            ForwardingMethod::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::None }),
        ]);
        let upper = self.of(&[0, 5, 0x7fff_ffff]);
        let thresholds = Thresholds::new(upper, self.0.u32(0..=upper)).unwrap();
        let weight = self.of(&[0, 1, 2, 100, 0x7fff_ffff]);
        Destination::new(self.destination_key(), method)
            .with_weight(Weight::new(weight).unwrap())
            .with_thresholds(thresholds)
    }

    fn daemon(&mut self) -> SyncDaemon {
        let interface = self.of(&["eth0", "eth0", "lo", "nothere0"]).parse().unwrap();
        let mut daemon = SyncDaemon::new(self.role(), interface, self.0.u8(..));
        let group = self.of(&[None, Some("224.0.0.82"), Some("192.0.2.7"), Some("2001:db8::7")]);
        daemon.group = group.map(|group| group.parse().unwrap());
        daemon.port = self.of(&[None, Some(8900)]);
        daemon.ttl = self.of(&[None, Some(3)]);
        daemon.max_message_len = self.of(&[None, Some(100), Some(1200), Some(u16::MAX)]);
        daemon
    }

    fn role(&mut self) -> SyncRole {
        self.of(&[SyncRole::Master, SyncRole::Backup])
    }

    fn command(&mut self) -> Command {
        match self.0.u8(..100) {
            0..15 => Command::NewService(self.service()),
            15..25 => Command::SetService(self.service()),
            25..31 => Command::DelService(self.key()),
            31..60 => Command::NewDestination(self.key(), self.destination()),
            60..75 => Command::SetDestination(self.key(), self.destination()),
            75..88 => Command::DelDestination(self.key(), self.destination_key()),
            88..90 => Command::Zero(Some(self.key())),
            90 => Command::Zero(None),
            91 => Command::Flush,
            92..94 => {
                let seconds = [0, 1, 600, 1_000_000, 1 << 31, u64::from(u32::MAX), 1 << 40];
                let mut draw = || Duration::from_secs(self.of(&seconds));
                Command::SetTimeouts(Timeouts { tcp: draw(), tcp_fin: draw(), udp: draw() })
            }
            94..96 => Command::StartDaemon(self.daemon()),
            _ => Command::StopDaemon(self.role()),
        }
    }
}

fn errnos(results: &[Result<(), CommandError>]) -> Vec<Option<i32>> {
    results.iter().map(|result| result.as_ref().err().and_then(CommandError::errno)).collect()
}

/// A fake that lacks the schedulers that this kernel lacks.
fn fake_of(kernel: &mut dyn Backend) -> FakeKernel {
    let mut fake = FakeKernel::new();
    for scheduler in Scheduler::KNOWN {
        let service = Service::new("tcp/192.0.2.1:1".parse().unwrap(), scheduler.clone());
        let commands = [Command::NewService(service.clone()), Command::DelService(service.key())];
        if kernel.execute(&commands).first().is_some_and(Result::is_err) {
            fake.remove_scheduler(&scheduler);
        }
    }
    fake
}

fn compare(kernel: &mut dyn Backend, fake: &mut FakeKernel) -> Table {
    let table = kernel.table(&mut |_| true).unwrap();
    assert_eq!(fake.table(&mut |_| true).unwrap(), table);
    assert_eq!(fake.daemons().unwrap(), kernel.daemons().unwrap());
    assert_eq!(fake.timeouts().unwrap(), kernel.timeouts().unwrap());
    for key in SERVICES.map(|key| key.parse().unwrap()) {
        assert_eq!(fake.service(&key).unwrap(), kernel.service(&key).unwrap());
        let sorted = |statuses: Vec<ipvs::DestinationStatus>| {
            let mut texts: Vec<_> = statuses.iter().map(|status| format!("{status:?}")).collect();
            texts.sort_unstable();
            texts
        };
        let destinations = sorted(kernel.destinations(&key).unwrap());
        assert_eq!(sorted(fake.destinations(&key).unwrap()), destinations);
    }
    table
}

#[test]
fn the_fake_answers_as_the_kernel_does() {
    lab::need!(ipvs, netns);
    Lab::run(|lab| {
        let mut fake = fake_of(&mut lab.client);
        let (mut done, mut refused, mut errors) = (0, 0, BTreeSet::new());
        for seed in 0..30 {
            let mut draw = Draw(fastrand::Rng::with_seed(seed));
            for _ in 0..10 {
                let commands: Vec<_> = (0..draw.0.usize(1..40)).map(|_| draw.command()).collect();
                let results = Backend::execute(&mut lab.client, &commands);
                let expected = fake.execute(&commands);
                for ((command, result), other) in commands.iter().zip(&results).zip(&expected) {
                    assert_eq!(other, result, "seed {seed}: {command:?}");
                }
                done += results.iter().filter(|result| result.is_ok()).count();
                refused += results.iter().filter(|result| result.is_err()).count();
                errors.extend(errnos(&results).into_iter().flatten());
                compare(&mut lab.client, &mut fake);
            }
        }
        // Every kind of refusal was met, and neither good nor bad results were rare.
        assert!(done > 500 && refused > 500, "{done} done, {refused} refused");
        assert_eq!(errors.len(), 5, "EEXIST, EINVAL, ENODEV, ENOENT, ESRCH: {errors:?}");
    });
}

#[test]
fn tables_are_applied_alike() {
    lab::need!(ipvs, netns);
    Lab::run(|lab| {
        let mut fake = fake_of(&mut lab.client);
        let mut draw = Draw(fastrand::Rng::with_seed(99));
        let mut owned = BTreeSet::new();
        for round in 0..60 {
            let mut desired = Table::new();
            for _ in 0..draw.0.usize(..6) {
                let entry = desired.insert(draw.service());
                for _ in 0..draw.0.usize(..6) {
                    entry.insert(draw.destination());
                }
            }
            if draw.0.u8(..4) == 0 {
                // Another program.
                let foreign = [Command::NewService(draw.service())];
                let results = lab.client.execute(&foreign);
                assert_eq!(errnos(&fake.execute(&foreign)), errnos(&results));
            }
            let before = lab.client.table(|key| !owned.contains(key)).unwrap();
            let report = lab.client.apply(&desired, &owned).unwrap();
            assert_eq!(fake.apply(&desired, &owned).unwrap(), report, "round {round}");
            owned.extend(report.created.iter().copied());
            let after = compare(&mut lab.client, &mut fake);
            for (key, entry) in before.iter() {
                assert_eq!(after.service(key), Some(entry), "{key} is not ours");
            }
            owned.retain(|key| after.contains(key));
        }
    });
}
