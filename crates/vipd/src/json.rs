//! The state of everything as JSON, for `vipd status --json` and the file that SIGRTMIN+2 asks for.

use core::fmt::{Display, Write};

use vrrp::VirtualRouterStatus;

/// Text that is JSON already.
#[derive(Debug, Default)]
pub(crate) struct Json(String);

impl Json {
    pub(crate) fn text(value: impl Display) -> Self {
        let mut text = String::from('"');
        for character in value.to_string().chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                control if control.is_control() => {
                    // Writing to a string cannot fail. What is not in the first plane is never a control character.
                    write!(text, "\\u{:04x}", u32::from(control)).unwrap_or_default();
                }
                other => text.push(other),
            }
        }
        text.push('"');
        Self(text)
    }

    /// A number or a truth value.
    pub(crate) fn plain(value: impl Display) -> Self {
        Self(value.to_string())
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<String> = items.into_iter().map(|item| item.0).collect();
        Self(format!("[{}]", items.join(",")))
    }

    pub(crate) fn object<K: Display>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        let members =
            members.into_iter().map(|(key, value)| format!("{}:{}", Self::text(key).0, value.0));
        Self(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    fn optional(value: Option<impl Display>) -> Self {
        value.map_or_else(|| Self::plain("null"), Self::text)
    }
}

impl Display for Json {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole state. Members may be added; those that are there keep their meaning.
pub(crate) fn state(routers: &[vrrp::Status], director: Option<&lvs::Status>) -> Json {
    let instances = routers.iter().flat_map(|status| status.virtual_routers.iter().map(instance));
    let groups = routers.iter().flat_map(|status| {
        status.sync_groups.iter().map(|group| {
            Json::object([
                ("name", Json::text(&group.name)),
                ("state", Json::text(group.state)),
                ("members", Json::list(group.members.iter().map(Json::text))),
                ("unable", Json::list(group.unable.iter().map(Json::text))),
                ("asking", Json::list(group.asking.iter().map(Json::text))),
            ])
        })
    });
    let services = director.into_iter().flat_map(|status| status.services.iter().map(service));
    Json::object([
        ("virtual_routers", Json::list(instances)),
        ("sync_groups", Json::list(groups)),
        ("virtual_servers", Json::list(services)),
    ])
}

fn instance(status: &VirtualRouterStatus) -> Json {
    let counted = &status.statistics;
    let discards =
        counted.discards().map(|(cause, number)| (cause.to_string(), Json::plain(number)));
    let trackers = status.trackers.iter().map(|tracker| {
        Json::object([
            ("name", Json::text(&tracker.name)),
            ("condition", Json::text(format!("{:?}", tracker.condition).to_lowercase())),
            ("influence", Json::text(format!("{:?}", tracker.influence).to_lowercase())),
        ])
    });
    Json::object([
        ("name", Json::text(&status.name)),
        ("vrid", Json::plain(status.vrid)),
        ("interface", Json::text(&status.interface)),
        ("state", Json::text(status.state)),
        ("why", Json::text(status.why)),
        ("candidate", Json::plain(status.candidate)),
        ("term", Json::plain(status.term)),
        ("priority", Json::plain(status.priority)),
        ("source", Json::optional(status.source)),
        ("addresses", Json::list(status.addresses.iter().map(Json::text))),
        ("trackers", Json::list(trackers)),
        ("masterships", Json::plain(counted.master_transitions)),
        ("advertisements_sent", Json::plain(counted.advertisements_sent)),
        ("advertisements_received", Json::plain(counted.advertisements_received)),
        ("discarded", Json::object(discards)),
    ])
}

fn service(status: &lvs::ServiceStatus) -> Json {
    let servers = status.real_servers.iter().map(|server| {
        Json::object([
            ("server", Json::text(server.destination)),
            ("health", Json::text(server.outcome)),
            (
                "weight",
                Json::plain(
                    server.weight.map_or_else(|| "null".into(), |weight| weight.to_string()),
                ),
            ),
            ("ups", Json::plain(server.ups)),
            ("downs", Json::plain(server.downs)),
        ])
    });
    Json::object([
        ("service", Json::text(status.service)),
        ("installed", Json::plain(status.installed)),
        ("quorum_held", Json::plain(status.quorum_held)),
        ("alive_weight", Json::plain(status.alive)),
        ("quorum", Json::plain(status.quorum)),
        ("real_servers", Json::list(servers)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let json = Json::object([
            ("a\"b", Json::text("line\nback\\slash \u{85} \u{1f600}")),
            ("list", Json::list([Json::plain(1), Json::plain(true), Json::optional(None::<u8>)])),
        ]);
        let text = json.to_string();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["a\"b"], "line\nback\\slash \u{85} \u{1f600}");
        assert_eq!(read["list"], serde_json::json!([1, true, null]));
        let empty: serde_json::Value = serde_json::from_str(&state(&[], None).to_string()).unwrap();
        assert_eq!(empty["virtual_routers"], serde_json::json!([]));
    }
}
