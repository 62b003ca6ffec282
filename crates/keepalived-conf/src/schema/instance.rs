//! `vrrp_instance`.

use alloc::format;
use alloc::vec::Vec;

use super::{
    Context, Keyword, Scope, address, block, idle, named, notify, spanned, track, value, values,
};
use crate::config::{
    Authentication, AuthenticationKind, InitialState, UnicastPeer, VrrpInstance, VrrpVersion,
    WordLine,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::tree::{Block, Statement};

pub(super) const VERSIONS: &[(&str, VrrpVersion)] =
    &[("2", VrrpVersion::V2), ("3", VrrpVersion::V3)];
const DAY: u64 = 86_400_000_000;
const NO_VMAC: &str = "advertisements and addresses use the interface's own MAC address";
const NO_MAIL: &str = "no mail is sent";

impl Scope for VrrpInstance {
    const TITLE: &'static str = "vrrp_instance";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("state", 1, state),
        value("interface", 1, |_, instance, st| instance.interface = Context::text(st)),
        value("virtual_router_id", 1, |cx, instance, st| {
            instance.virtual_router_id =
                cx.number(st, 1, 255, "nothing").or(instance.virtual_router_id);
        }),
        value("priority", 1, |cx, instance, st| {
            instance.priority = cx.number(st, 1, 255, "its default, 100").or(instance.priority);
        }),
        value("advert_int", 1, |cx, instance, st| {
            instance.advert_int =
                cx.seconds(st, 10_000, 255_000_000, "1 s").or(instance.advert_int);
        }),
        value("version", 1, |cx, instance, st| {
            instance.version = cx
                .choice(st, VERSIONS, false, "the default stays, 2 for IPv4 and 3 for IPv6")
                .or(instance.version);
        }),
        values("native_ipv6", 0, 1, |cx, instance, st| instance.native_ipv6 = cx.boolean(st)),
        block("authentication", 0, 0, |cx, instance, st, content| {
            let mut authentication = AuthenticationBlock::default();
            cx.apply(Some(st), content, &mut authentication);
            instance.authentication = Some(Spanned::new(authentication.0, st.span()));
        }),
        block("virtual_ipaddress", 0, 0, |cx, instance, _, content| {
            instance.virtual_addresses.extend(address::read(cx, content));
        }),
        block("virtual_ipaddress_excluded", 0, 0, |cx, instance, _, content| {
            instance.excluded_addresses.extend(address::read(cx, content));
        }),
        named("no_virtual_ipaddress", "an instance needs an address"),
        value("nopreempt", 0, |_, instance, st| instance.nopreempt = Some(st.keyword.span)),
        value("preempt", 0, |_, instance, _| instance.nopreempt = None),
        value("preempt_delay", 1, |cx, instance, st| {
            instance.preempt_delay =
                cx.seconds(st, 0, 1_000_000_000, "0").or(instance.preempt_delay);
        }),
        block("track_script", 0, 0, |cx, instance, _, content| {
            instance.track_scripts.extend(track::read(cx, content));
        }),
        block("track_interface", 0, 0, |cx, instance, _, content| {
            instance.track_interfaces.extend(track::read(cx, content));
        }),
        block("track_file", 0, 0, |cx, instance, _, content| {
            instance.track_files.extend(track::read(cx, content));
        }),
        named("track_process", "the process is not watched"),
        named("track_bfd", "no BFD session is watched"),
        value("unicast_src_ip", 1, |cx, instance, st| {
            instance.unicast_src_ip = st.arguments.first().and_then(|word| cx.address(word));
        }),
        block("unicast_peer", 0, 0, unicast_peer),
        named("unicast_ttl", "unicast advertisements are sent with TTL 255"),
        named(
            "check_unicast_src",
            "the sources of unicast advertisements are as the election checks them",
        ),
        named("unicast_fault_no_peer", "a unicast instance without a peer runs"),
        named("old_unicast_checksum", "checksums cover the addresses the packet really has"),
        value("mcast_src_ip", 1, |cx, instance, st| {
            instance.mcast_src_ip = st.arguments.first().and_then(|word| cx.address(word));
        }),
        named("mcast_dst_ip", "advertisements go to the standard group"),
        named("track_src_ip", "the source address is not watched"),
        values("use_vmac", 0, 2, |_, instance, st| {
            // A second word is the MAC address, which is the standard one here.
            let name = st.arguments.first().map(|word| word.text.clone());
            instance.use_vmac = Some(Spanned::new(name, st.keyword.span));
        }),
        named("use_vmac_addr", NO_VMAC),
        value("vmac_xmit_base", 0, |_, instance, st| {
            instance.vmac_xmit_base = Some(st.keyword.span);
        }),
        named("use_ipvlan", NO_VMAC),
        named("vrf", "the interface is used in its own routing domain"),
        value("dont_track_primary", 0, |_, instance, st| {
            instance.dont_track_primary = Some(st.keyword.span);
        }),
        value("garp_master_delay", 1, |cx, instance, st| {
            instance.garp.master_delay = cx.seconds(st, 0, DAY, "5 s");
        }),
        value("garp_master_repeat", 1, |cx, instance, st| {
            instance.garp.master_repeat = cx.number(st, 0, u32::MAX, "5");
        }),
        value("garp_master_refresh", 1, |cx, instance, st| {
            instance.garp.master_refresh = cx.seconds(st, 0, DAY, "0");
        }),
        value("garp_master_refresh_repeat", 1, |cx, instance, st| {
            instance.garp.master_refresh_repeat = cx.number(st, 0, u32::MAX, "1");
        }),
        value("garp_lower_prio_delay", 1, |cx, instance, st| {
            instance.garp.lower_prio_delay = cx.seconds(st, 0, DAY, "5 s");
        }),
        value("garp_lower_prio_repeat", 1, |cx, instance, st| {
            instance.garp.lower_prio_repeat = cx.number(st, 0, u32::MAX, "5");
        }),
        named("garp_extra_if", "gratuitous ARPs go out on the address's interface only"),
        named("vmac_garp_intvl", "gratuitous ARPs go out on the address's interface only"),
        value("down_timer_adverts", 1, |cx, instance, st| {
            instance.down_timer_adverts =
                cx.number(st, 1, 100, "3").or(instance.down_timer_adverts);
        }),
        named("timer_expired_backup", "a master that was paused listens before it speaks, always"),
        values("lower_prio_no_advert", 0, 1, |cx, instance, st| {
            instance.lower_prio_no_advert = cx.boolean(st);
        }),
        values("higher_prio_send_advert", 0, 1, |cx, instance, st| {
            instance.higher_prio_send_advert = cx.boolean(st);
        }),
        named("owner_ignore_adverts", "owners listen"),
        value("accept", 0, |_, instance, _| instance.no_accept = None),
        value("no_accept", 0, |_, instance, st| instance.no_accept = Some(st.keyword.span)),
        named("strict_mode", "nothing is refused for it"),
        named("skip_check_adv_addr", "a different address list is counted and never refused"),
        named("v3_checksum_as_v2", "checksums cover the pseudo header"),
        named("promote_secondaries", "it is set for the moment of a removal, always"),
        block("virtual_routes", 0, 0, |cx, instance, _, content| {
            instance.virtual_routes.extend(word_lines(cx, content));
        }),
        block("virtual_rules", 0, 0, |cx, instance, _, content| {
            instance.virtual_rules.extend(word_lines(cx, content));
        }),
        notify::any(),
        notify::master(),
        notify::backup(),
        notify::fault(),
        notify::stop(),
        values("notify_deleted", 0, 3, |cx, instance, st| {
            instance.notify.tells_deletion = Some(st.keyword.span);
            if !st.arguments.is_empty() {
                instance.notify.deleted = cx.command(st);
            }
        }),
        values("notify_master_rx_lower_pri", 1, 3, |cx, instance, st| {
            instance.notify.master_rx_lower_pri = cx.command(st);
        }),
        idle(
            NO_MAIL,
            values("smtp_alert", 0, 1, |cx, instance, st| instance.smtp_alert = cx.boolean(st)),
        ),
        named("notify_priority_changes", "priority changes are not notified"),
        named("kernel_rx_buf_size", "receive buffers are chosen by the program"),
        named("debug", "the log level is an option of the program"),
        named("linkbeat_use_polling", "link state comes from netlink"),
        named("lvs_sync_daemon_interface", "connections are not synchronised"),
        named("auth_hmac", "advertisements are not signed"),
    ];
}

fn word_lines(cx: &mut Context<'_>, content: &Block) -> Vec<WordLine> {
    let entries = cx.entries(content);
    let line = |entry: &Statement| WordLine {
        words: entry.words().map(|word| word.text.clone()).collect(),
        span: entry.span(),
    };
    entries.into_iter().map(line).collect()
}

fn state(cx: &mut Context<'_>, instance: &mut VrrpInstance, st: &Statement) {
    let Some(word) = st.arguments.first() else { return };
    let state = match word.text.as_str() {
        "MASTER" => InitialState::Master,
        "BACKUP" => InitialState::Backup,
        other => {
            let help = if other.contains('/') {
                "write `state MASTER` in one node's file and `state BACKUP` in the other's"
            } else {
                "write `MASTER` or `BACKUP`, in capitals"
            };
            let message = format!("unknown state `{}`; BACKUP is used", values::shown(other));
            cx.report(Diagnostic::warning(Code::BadValue, word.span, message).help(help));
            InitialState::Backup
        }
    };
    instance.state = Some(Spanned::new(state, word.span));
}

fn unicast_peer(cx: &mut Context<'_>, instance: &mut VrrpInstance, _: &Statement, content: &Block) {
    for entry in cx.entries(content) {
        let Some(address) = cx.address(&entry.keyword) else { continue };
        let mut peer = UnicastPeer { address, min_ttl: None, max_ttl: None };
        let mut words = entry.arguments.iter();
        while let Some(word) = words.next() {
            let ttl = |words: &mut core::slice::Iter<'_, crate::text::lex::Word>| {
                words
                    .next()
                    .and_then(|word| word.text.parse().ok().map(|ttl| Spanned::new(ttl, word.span)))
            };
            match word.text.as_str() {
                "min_ttl" => peer.min_ttl = ttl(&mut words),
                "max_ttl" => peer.max_ttl = ttl(&mut words),
                other => {
                    let message = format!(
                        "`{}` is not known behind a peer; it is ignored",
                        values::shown(other)
                    );
                    cx.report(
                        Diagnostic::warning(Code::UnknownKeyword, word.span, message)
                            .help("write one peer a line: `ADDRESS [min_ttl N] [max_ttl N]`"),
                    );
                }
            }
        }
        instance.unicast_peers.push(peer);
    }
}

/// `authentication { }`, a scope of its own.
#[derive(Default)]
pub(super) struct AuthenticationBlock(Authentication);

impl Scope for AuthenticationBlock {
    const TITLE: &'static str = "authentication";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("auth_type", 1, |cx, block, st| {
            let choices = &[("PASS", AuthenticationKind::Pass), ("AH", AuthenticationKind::Ah)];
            block.0.kind = cx.choice(st, choices, false, "no authentication is used");
        }),
        value("auth_pass", 1, |cx, block, st| {
            let Some(word) = st.arguments.first() else { return };
            if word.text.len() > 8 {
                cx.report(
                    Diagnostic::warning(Code::Truncated, word.span, format!("auth_pass is {} bytes long; only the first 8 are used", word.text.len()))
                        .help("shorten it to 8 bytes on all nodes; with auth_type PASS it travels unencrypted and protects against mistakes only"),
                );
            }
            block.0.auth_pass = Some(spanned(word));
        }),
    ];
}
