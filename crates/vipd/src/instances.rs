//! From `vrrp_instance` blocks to virtual routers.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipnet::IpNet;
use keepalived_conf::{
    AuthenticationKind, Config, Garp, InitialState, VirtualAddress as Written, VrrpInstance,
    VrrpVersion, WordLine,
};
use vrrp::{
    AddressListPolicy, AddressesLostPolicy, Announcements, Authentication, HeaderKey,
    HopLimitPolicy, OwnerReception, Password, SendFailurePolicy, Version, VirtualAddress,
    VirtualMac, VirtualRouter, Vrid,
};

use crate::companions;
use crate::routers::Planned;
use crate::trackers::Trackers;

/// Why a `vrrp_instance` cannot become a virtual router.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InstanceError {
    #[error("vrrp_instance {name}: virtual_router_id is missing; add a number from 1 to 255")]
    NoVrid { name: String },
    #[error("vrrp_instance {name}: interface is missing; add its name")]
    NoInterface { name: String },
}

/// All virtual routers of a configuration. Instances without an address are left out: nobody would accept their
/// advertisements (RFC 9568 §5.2.5), and the configuration's findings say so.
pub(crate) fn virtual_routers(
    config: &Config,
    trackers: &Trackers,
) -> Result<Vec<Planned>, InstanceError> {
    let with_address =
        config.vrrp_instances.iter().filter(|instance| !instance.virtual_addresses.is_empty());
    let planned = |instance: &VrrpInstance| {
        let both = instance.virtual_addresses.iter().chain(&instance.excluded_addresses);
        let (name, router) = (&instance.name.value, virtual_router(config, instance)?);
        Ok(Planned {
            name: name.clone(),
            reloaded: trackers.add(name, router.clone(), true),
            router: trackers.add(name, router, false),
            addresses: both.map(|written| written.address.value.addr()).collect(),
        })
    };
    with_address.map(planned).collect()
}

/// The sync groups and the names of their virtual routers.
pub(crate) fn sync_groups(config: &Config) -> Vec<(&str, Vec<&str>)> {
    let runs = |name: &&str| {
        let instance = config.vrrp_instance(name);
        instance.is_some_and(|instance| !instance.virtual_addresses.is_empty())
    };
    let groups = config.effective_sync_groups().into_iter();
    groups
        .map(|(group, members)| (group, members.into_iter().filter(runs).collect()))
        .filter(|(_, members): &(&str, Vec<&str>)| !members.is_empty())
        .collect()
}

fn virtual_router(
    config: &Config,
    instance: &VrrpInstance,
) -> Result<VirtualRouter, InstanceError> {
    let name = || instance.name.value.clone();
    let vrid = instance
        .virtual_router_id
        .and_then(|id| Vrid::new(id.value).ok())
        .ok_or_else(|| InstanceError::NoVrid { name: name() })?;
    let interface =
        instance.interface.as_ref().ok_or_else(|| InstanceError::NoInterface { name: name() })?;
    let version = match instance.effective_version(&config.global) {
        VrrpVersion::V2 => Version::V2,
        VrrpVersion::V3 => Version::V3,
    };
    let missed = instance
        .down_timer_adverts
        .or(config.global.down_timer_adverts)
        .map_or(3, |count| count.value);
    let answer = !instance
        .lower_prio_no_advert
        .or(config.global.lower_prio_no_advert)
        .is_some_and(|silent| silent.value);
    let mut router = VirtualRouter::new(&instance.name.value, vrid, &interface.value)
        .version(version)
        .priority(instance.effective_priority())
        .advertisement_interval(instance.advertisement_interval(&config.global))
        .preempt_mode(instance.preempts())
        .addresses(addresses(instance))
        .announcements(announcements(config, instance))
        .missed_advertisements(missed)
        .immediate_answer(answer)
        .track_link(instance.dont_track_primary.is_none())
        .unicast(instance.unicast_peers.iter().map(|peer| peer.address.value))
        .candidate(true);
    // What keepalived does where the RFC, or our own default, is stricter or safer.
    router = router
        .accept_mode(instance.no_accept.is_none())
        .owner_reception(OwnerReception::Always)
        .owner_skips_backup(instance.initial_state() == InitialState::Master)
        .link_local_first(false)
        .address_list_mismatch(AddressListPolicy::Count)
        .unicast_hop_limit(HopLimitPolicy::Any)
        .send_failure(SendFailurePolicy::Keep)
        .addresses_lost(AddressesLostPolicy::StepDown);
    if let Some(delay) = instance.preempt_delay.filter(|_| instance.preempts()) {
        router = router.preempt_delay(delay.value);
    }
    if let Some(delay) = config.global.vrrp_startup_delay {
        router = router.start_delay(delay.value);
    }
    let announce_yielding =
        instance.higher_prio_send_advert.or(config.global.higher_prio_send_advert);
    router = router.advertise_before_yielding(announce_yielding.is_some_and(|on| on.value));
    let ipv6 = instance.is_ipv6();
    for line in &instance.virtual_routes {
        match companions::route(&words(line), ipv6) {
            Some(route) => router = router.route(route),
            None => left_out(&instance.name.value, "route", line),
        }
    }
    for line in &instance.virtual_rules {
        match companions::rule(&words(line), ipv6) {
            Some(rule) => router = router.rule(rule),
            None => left_out(&instance.name.value, "rule", line),
        }
    }
    if let Some(written) = &instance.use_vmac {
        let mac = VirtualMac::new().advertise_from_parent(instance.vmac_xmit_base.is_some());
        router = router.virtual_mac(match &written.value {
            Some(name) => mac.interface(name),
            None => mac,
        });
    }
    if let Some(source) = instance.unicast_src_ip.or(instance.mcast_src_ip) {
        router = router.source(source.value);
    }
    Ok(router.authentication(authentication(instance, version).unwrap_or_default()))
}

fn words(line: &WordLine) -> Vec<&str> {
    line.words.iter().map(String::as_str).collect()
}

fn left_out(instance: &str, what: &str, line: &WordLine) {
    log::error!(
        "{instance}: the {what} `{}` is left out: this version does not know all of its words",
        line.words.join(" ")
    );
}

/// How advertisements of version 2 are authenticated, the only version that has it.
fn authentication(instance: &VrrpInstance, version: Version) -> Option<Authentication> {
    let written = &instance.authentication.as_ref()?.value;
    let password = Password::truncated(written.password().filter(|_| version == Version::V2)?);
    match written.kind?.value {
        AuthenticationKind::Pass => Some(Authentication::SimplePassword(password)),
        AuthenticationKind::Ah => Some(Authentication::Header(HeaderKey::new(password))),
        _ => None,
    }
}

/// The addresses of both blocks, each once; what an advertisement has no room for is installed but not listed.
fn addresses(instance: &VrrpInstance) -> Vec<VirtualAddress> {
    let most = instance.most_advertised();
    let listed = instance
        .virtual_addresses
        .iter()
        .enumerate()
        .map(|(index, written)| (written, index < most));
    let unlisted = instance.excluded_addresses.iter().map(|written| (written, false));
    let mut seen = std::collections::BTreeSet::new();
    listed
        .chain(unlisted)
        .filter(|(written, _)| seen.insert(written.address.value.addr()))
        .map(|(written, advertised)| address(written).advertised(advertised))
        .collect()
}

fn address(written: &Written) -> VirtualAddress {
    let written_net = written.address.value;
    let ip = written_net.addr();
    let net = IpNet::new(ip, written_net.prefix_len()).unwrap_or_else(|_| ip.into());
    let mut address = VirtualAddress::new(net)
        .watched(written.no_track.is_none())
        .duplicate_detection(written.detect_duplicates.is_some());
    if let Some(interface) = &written.interface {
        address = address.interface(&interface.value);
    }
    if let Some(label) = &written.label {
        address = address.label(&label.value);
    }
    if let Some(scope) = written.scope.as_ref().and_then(|scope| scope_number(&scope.value)) {
        address = address.scope(scope);
    }
    if let Some(broadcast) =
        written.broadcast.as_ref().and_then(|broadcast| broadcast_address(&broadcast.value, net))
    {
        address = address.broadcast(broadcast);
    }
    if let Some(lifetime) = &written.preferred_lifetime {
        address = address.preferred(lifetime.value != "0");
    }
    address
}

/// The kernel's number of a scope (`linux/rtnetlink.h`, `RT_SCOPE_*`).
fn scope_number(name: &str) -> Option<u8> {
    match name {
        "global" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}

/// `+`: all host bits one, `-`: all zero; else an address.
fn broadcast_address(text: &str, net: IpNet) -> Option<Ipv4Addr> {
    match (text, net) {
        ("+", IpNet::V4(net)) => Some(net.broadcast()),
        ("-", IpNet::V4(net)) => Some(net.network()),
        (text, IpNet::V4(_)) => text.parse().ok(),
        (_, IpNet::V6(_)) => None,
    }
}

/// Bursts of gratuitous ARPs: the instance's settings over the global ones.
fn announcements(config: &Config, instance: &VrrpInstance) -> Announcements {
    let (own, global): (&Garp, &Garp) = (&instance.garp, &config.global.garp);
    let minimal = config.global.min_garp.is_some_and(|minimal| minimal.value);
    let (count, delay) = if minimal { (1, Duration::ZERO) } else { (5, Duration::from_secs(5)) };
    let number = |written: Option<keepalived_conf::Spanned<u32>>, default| {
        written.map_or(default, |number| u16::try_from(number.value).unwrap_or(u16::MAX))
    };
    let count = number(own.master_repeat.or(global.master_repeat), count);
    let delay = own.master_delay.or(global.master_delay).map_or(delay, |delay| delay.value);
    let mut announcements = Announcements::default()
        .count(count)
        .again_after(Some(delay).filter(|delay| !delay.is_zero()));
    if let Some(period) = own.master_refresh.or(global.master_refresh) {
        announcements = announcements.refresh(
            period.value,
            number(own.master_refresh_repeat.or(global.master_refresh_repeat), 1),
        );
    }
    if own.lower_prio_repeat.or(global.lower_prio_repeat).is_some()
        || own.lower_prio_delay.or(global.lower_prio_delay).is_some()
    {
        let again = own.lower_prio_delay.or(global.lower_prio_delay);
        let again = again.map_or(delay, |again| again.value);
        announcements = announcements.repeated(
            number(own.lower_prio_repeat.or(global.lower_prio_repeat), count),
            Some(again).filter(|again| !again.is_zero()),
        );
    }
    let gap =
        if instance.is_ipv6() { config.global.gna_interval } else { config.global.garp_interval };
    announcements.gap(gap.map_or(Duration::ZERO, |gap| gap.value))
}

/// `VI_1: VRID 51 on eth0, priority 100, 192.0.2.1` for the log.
pub(crate) fn describe(instance: &VrrpInstance) -> String {
    let interface = instance.interface.as_ref().map_or("?", |interface| interface.value.as_str());
    let vrid = instance.virtual_router_id.map_or(0, |id| id.value);
    let addresses: Vec<IpAddr> =
        instance.virtual_addresses.iter().map(|address| address.address.value.addr()).collect();
    let shown = addresses.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = addresses.len().saturating_sub(3);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{}: virtual router {vrid} on {interface}, priority {}, {shown}{more}",
        instance.name.value,
        instance.effective_priority()
    )
}

#[cfg(test)]
mod tests;
