//! `virtual_server`.

use alloc::format;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::{Context, Keyword, Scope, block, idle, named, real_server, value, values};
use crate::config::{
    CheckSettings, Config, Family, Forwarding, Protocol, SchedulerFlag, SorryServer, Target,
    VirtualServer,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::tree::{Block, Statement};

/// The schedulers of IPVS that keepalived knows.
const SCHEDULERS: &[(&str, &str)] = &[
    ("rr", "rr"),
    ("wrr", "wrr"),
    ("lc", "lc"),
    ("wlc", "wlc"),
    ("lblc", "lblc"),
    ("lblcr", "lblcr"),
    ("sh", "sh"),
    ("mh", "mh"),
    ("dh", "dh"),
    ("fo", "fo"),
    ("ovf", "ovf"),
    ("sed", "sed"),
    ("nq", "nq"),
    ("twos", "twos"),
];
pub(super) const METHODS: &[(&str, Forwarding)] =
    &[("NAT", Forwarding::Nat), ("DR", Forwarding::DirectRoute), ("TUN", Forwarding::Tunnel)];
const PROTOCOLS: &[(&str, Protocol)] =
    &[("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
/// 31 days, the longest persistence.
const LONGEST_PERSISTENCE: u32 = 2_678_400;
pub(super) const LONGEST: u64 = 4_294_967_295;

/// A block with the timing keywords of checks.
pub(super) trait Timed {
    fn settings(&mut self) -> &mut CheckSettings;
}

impl Timed for VirtualServer {
    fn settings(&mut self) -> &mut CheckSettings {
        &mut self.checks
    }
}

pub(super) const fn delay_loop<T: Timed>() -> Keyword<T> {
    value("delay_loop", 1, |cx, block, st| {
        let time = cx.seconds(st, 1, LONGEST, "60 s");
        block.settings().delay_loop = time.or(block.settings().delay_loop);
    })
}

pub(super) const fn connect_timeout<T: Timed>() -> Keyword<T> {
    value("connect_timeout", 1, |cx, block, st| {
        let time = cx.seconds(st, 1, LONGEST, "5 s");
        block.settings().connect_timeout = time.or(block.settings().connect_timeout);
    })
}

pub(super) const fn retry<T: Timed>() -> Keyword<T> {
    value("retry", 1, |cx, block, st| {
        let count = cx.number(st, 0, u32::MAX, "1");
        block.settings().retry = count.or(block.settings().retry);
    })
}

pub(super) const fn delay_before_retry<T: Timed>() -> Keyword<T> {
    value("delay_before_retry", 1, |cx, block, st| {
        let time = cx.seconds(st, 0, LONGEST, "1 s");
        block.settings().delay_before_retry = time.or(block.settings().delay_before_retry);
    })
}

pub(super) const fn warmup<T: Timed>() -> Keyword<T> {
    value("warmup", 1, |cx, block, st| {
        let time = cx.seconds(st, 0, LONGEST, "delay_loop");
        block.settings().warmup = time.or(block.settings().warmup);
    })
}

pub(super) const fn alpha<T: Timed>() -> Keyword<T> {
    values("alpha", 0, 1, |cx, block, st| {
        let alpha = cx.boolean(st);
        block.settings().alpha = alpha;
    })
}

/// A keyword that sets flag number `N` of the scheduler.
const fn scheduler_flag<const N: u8>(name: &'static str) -> Keyword<VirtualServer> {
    value(name, 0, |_, server, st| {
        let flag = match N {
            1 => SchedulerFlag::One,
            2 => SchedulerFlag::Two,
            _ => SchedulerFlag::Three,
        };
        server.scheduler_flags.push(Spanned::new(flag, st.keyword.span));
    })
}

impl Scope for VirtualServer {
    const TITLE: &'static str = "virtual_server";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        delay_loop(),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        warmup(),
        alpha(),
        value("lb_algo", 1, scheduler),
        value("lvs_sched", 1, scheduler),
        values("lb_kind", 1, 9, |cx, server, st| {
            server.forwarding = cx.choice(st, METHODS, false, "NAT is used").or(server.forwarding);
        }),
        values("lvs_method", 1, 9, |cx, server, st| {
            server.forwarding = cx.choice(st, METHODS, false, "NAT is used").or(server.forwarding);
        }),
        value("protocol", 1, |cx, server, st| {
            server.protocol = cx.choice(st, PROTOCOLS, true, "UDP is used").or(server.protocol);
        }),
        values("persistence_timeout", 0, 1, |cx, server, st| {
            server.persistence_timeout = if st.arguments.is_empty() {
                Some(Spanned::new(Duration::from_secs(360), st.keyword.span))
            } else {
                cx.number(st, 1, LONGEST_PERSISTENCE, "none").map(|number| {
                    Spanned::new(Duration::from_secs(u64::from(number.value)), number.span)
                })
            };
        }),
        value("persistence_granularity", 1, granularity),
        value("persistence_engine", 1, |_, server, st| {
            server.persistence_engine = Context::text(st);
        }),
        value("ops", 0, |_, server, st| server.one_packet = Some(st.keyword.span)),
        value("weight", 1, |cx, server, st| {
            server.weight = cx.number(st, 0, i32::MAX.unsigned_abs(), "1").or(server.weight);
        }),
        values("inhibit_on_failure", 0, 1, |cx, server, st| {
            server.inhibit_on_failure = cx.boolean(st);
        }),
        value("quorum", 1, |cx, server, st| {
            server.quorum = cx.number(st, 1, u32::MAX, "1").or(server.quorum);
        }),
        value("hysteresis", 1, |cx, server, st| {
            server.hysteresis = cx.number(st, 0, u32::MAX, "0").or(server.hysteresis);
        }),
        values("quorum_up", 1, 3, |cx, server, st| server.quorum_up = cx.command(st)),
        values("quorum_down", 1, 3, |cx, server, st| server.quorum_down = cx.command(st)),
        values("omega", 0, 1, |cx, server, st| server.omega = cx.boolean(st)),
        idle(
            "checks run always",
            values("ha_suspend", 0, 1, |cx, server, st| server.ha_suspend = cx.boolean(st)),
        ),
        value("virtualhost", 1, |_, server, st| server.virtualhost = Context::text(st)),
        values("sorry_server", 1, 2, |cx, server, st| {
            let Some(address) = st.arguments.first().and_then(|word| cx.address(word)) else {
                return;
            };
            server.sorry_server = Some(SorryServer {
                address,
                port: st.arguments.get(1).and_then(|word| cx.port(word)),
            });
        }),
        values("sorry_server_inhibit", 0, 1, |cx, server, st| {
            server.sorry_server_inhibit = cx.boolean(st);
        }),
        values("sorry_server_lvs_method", 1, 9, |cx, server, st| {
            server.sorry_server_forwarding = cx
                .choice(st, METHODS, false, "the virtual server's method is used")
                .or(server.sorry_server_forwarding);
        }),
        value("ip_family", 1, |cx, server, st| {
            let choices = &[("inet", Family::Ipv4), ("inet6", Family::Ipv6)];
            server.family =
                cx.choice(st, choices, false, "the real servers decide").or(server.family);
        }),
        named("hashed", "the kernel sets this flag by itself"),
        scheduler_flag::<2>("sh-port"),
        scheduler_flag::<1>("sh-fallback"),
        scheduler_flag::<2>("mh-port"),
        scheduler_flag::<1>("mh-fallback"),
        scheduler_flag::<1>("flag-1"),
        scheduler_flag::<2>("flag-2"),
        scheduler_flag::<3>("flag-3"),
        named("smtp_alert", "no mail is sent"),
        named("snmp_name", "there is no SNMP agent"),
        block("real_server", 1, 2, real_server::read),
    ];
}

/// The `virtual_server` block of the top level.
pub(super) fn read(cx: &mut Context<'_>, config: &mut Config, st: &Statement, content: &Block) {
    let Some(target) = target(cx, st) else { return };
    let mut server = VirtualServer {
        target,
        protocol: None,
        scheduler: None,
        forwarding: None,
        persistence_timeout: None,
        persistence_granularity: None,
        persistence_engine: None,
        family: None,
        one_packet: None,
        scheduler_flags: alloc::vec::Vec::new(),
        checks: CheckSettings::default(),
        weight: None,
        inhibit_on_failure: None,
        quorum: None,
        hysteresis: None,
        quorum_up: None,
        quorum_down: None,
        omega: None,
        ha_suspend: None,
        virtualhost: None,
        sorry_server: None,
        sorry_server_inhibit: None,
        sorry_server_forwarding: None,
        real_servers: alloc::vec::Vec::new(),
        span: st.span(),
    };
    cx.apply(Some(st), content, &mut server);
    let protocol = server.protocol.map_or(Protocol::Udp, |protocol| protocol.value);
    let key = format!("virtual_server {:?} {protocol:?}", server.target.value);
    if cx.is_first(key, st, "merge the two blocks") {
        config.virtual_servers.push(server);
    }
}

fn target(cx: &mut Context<'_>, st: &Statement) -> Option<Spanned<Target>> {
    let (first, second) = (st.arguments.first()?, st.arguments.get(1));
    let span = second.map_or(first.span, |second| first.span.to(second.span));
    let target = match (first.text.as_str(), second) {
        ("fwmark", Some(mark)) => match mark.text.parse::<u32>() {
            Ok(mark) if mark > 0 => Target::FirewallMark(mark),
            Ok(_) | Err(_) => {
                let message = format!(
                    "`{}` is not a firewall mark; the virtual server is skipped",
                    values::shown(&mark.text)
                );
                cx.report(
                    Diagnostic::warning(Code::BadValue, mark.span, message)
                        .help("write a number from 1 to 4294967295"),
                );
                return None;
            }
        },
        ("group", Some(name)) => Target::Group(name.text.clone()),
        (_, port) => {
            let address = cx.address(first)?.value;
            let port = match port {
                Some(word) if word.text == "0" => 0,
                Some(word) => cx.port(word)?.value,
                None => 0,
            };
            Target::Address { address, port }
        }
    };
    Some(Spanned::new(target, span))
}

fn scheduler(cx: &mut Context<'_>, server: &mut VirtualServer, st: &Statement) {
    let found = cx.choice(st, SCHEDULERS, false, "`wlc` is used");
    server.scheduler =
        found.map(|found| Spanned::new(found.value.into(), found.span)).or(server.scheduler.take());
}

/// `255.255.255.0`: 24. None when ones follow zeros.
fn prefix_of_mask(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    if bits.count_ones() == ones { u8::try_from(ones).ok() } else { None }
}

fn granularity(cx: &mut Context<'_>, server: &mut VirtualServer, st: &Statement) {
    let Some(word) = st.arguments.first() else { return };
    let mask = word.text.parse::<Ipv4Addr>().ok().and_then(prefix_of_mask);
    let prefix =
        mask.or_else(|| word.text.parse().ok().filter(|prefix| (1..=128).contains(prefix)));
    match prefix {
        Some(prefix) => server.persistence_granularity = Some(Spanned::new(prefix, word.span)),
        None => cx.report(
            Diagnostic::warning(
                Code::BadValue,
                word.span,
                "this is not a netmask; every client is remembered by itself",
            )
            .help("write a netmask like 255.255.255.0 for IPv4, a prefix length like 64 for IPv6"),
        ),
    }
}
