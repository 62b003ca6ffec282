//! What everything does at one moment, and why, in lines for the log.

use core::fmt::Write;
use core::time::Duration;

use lvs::RunningDirector;
use vrrp::{SyncGroupStatus, VirtualRouterStatus};

use crate::routers::Routers;

/// A line for each virtual router, sync group, virtual server and real server.
pub(crate) fn lines(routers: Option<&Routers>, director: Option<&RunningDirector>) -> Vec<String> {
    let mut lines = Vec::new();
    for status in routers.map(Routers::status).unwrap_or_default() {
        lines.extend(status.virtual_routers.iter().map(virtual_router));
        let group = |group: &SyncGroupStatus| {
            format!("{}: sync group of {}: {group}", group.name, group.members.join(", "))
        };
        lines.extend(status.sync_groups.iter().map(group));
    }
    if let Some(status) = director.and_then(|director| director.status().ok()) {
        for service in &status.services {
            let installed = if service.installed { "" } else { ", not in the kernel's table" };
            let count = service.real_servers.len();
            lines.push(format!("{}: {count} real servers{installed}", service.service));
            for server in &service.real_servers {
                lines.push(format!("{}: {}", service.service, real_server(server)));
            }
        }
        if status.in_trouble {
            lines.push("the kernel's table is not as wanted; it is tried again".to_owned());
        }
    }
    lines
}

/// `web: virtual router 9 on eth0 from 192.0.2.1, priority 100, backup (192.0.2.2 is master ...); ...`
fn virtual_router(status: &VirtualRouterStatus) -> String {
    let counted = &status.statistics;
    let source = status.source.map_or_else(String::new, |source| format!(" from {source}"));
    let mut line = format!(
        "{}: virtual router {} on {}{source}, priority {}, {} ({}); masterships: {}, advertisements sent: {}, received: {}",
        status.name,
        status.vrid,
        status.interface,
        status.priority,
        status.state,
        status.why,
        counted.master_transitions,
        counted.advertisements_sent,
        counted.advertisements_received,
    );
    for (cause, number) in counted.discards().filter(|(_, number)| *number > 0) {
        // Writing to a string cannot fail.
        write!(line, ", {number} discarded ({cause})").unwrap_or_default();
    }
    line
}

/// `real server 192.0.2.10:80 is down, not in the table; 3 checks passed, 2 failed: connection refused`
fn real_server(server: &lvs::RealServerStatus) -> String {
    let weight = server
        .weight
        .map_or_else(|| "not in the table".to_owned(), |weight| format!("weight {weight}"));
    let mut line = format!("real server {} is {}, {weight}", server.destination, server.outcome);
    for check in &server.checks {
        let status = &check.status;
        let took = status.last_duration.unwrap_or(Duration::ZERO);
        write!(
            line,
            "; {} checks passed, {} failed, the last took {took:.1?}",
            status.successes, status.failures
        )
        .unwrap_or_default();
        if let Some(failure) = &status.last_failure {
            write!(line, "; last failure: {failure}").unwrap_or_default();
        }
    }
    line
}
