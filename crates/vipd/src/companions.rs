//! From the lines of `virtual_routes` and `virtual_rules` to routes and rules: the words of `ip route` and `ip rule`.

use vrrp::{Route, Rule, VirtualRoute};

/// What keepalived marks routes and rules with (`RTPROT_KEEPALIVED`).
const PROTOCOL: &str = "proto 18";

/// The route of a line; `None` for one with words that this version does not know.
pub(crate) fn route(words: &[&str], ipv6: bool) -> Option<VirtualRoute> {
    let (mut kind, mut destination, mut interface) = (None, None, None);
    let (mut hop, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        match word {
            "unicast" | "no_track" => {}
            "local" | "blackhole" | "unreachable" | "prohibit" | "throw" => kind = Some(word),
            "to" => destination = words.next(),
            "via" | "gw" => {
                words.next_if(|next| ["inet", "inet6"].contains(next));
                hop.splice(0..0, ["via", words.next()?]);
            }
            "dev" | "oif" => interface = words.next(),
            "onlink" => hop.push(word),
            "src" | "from" => rest.extend([word, words.next()?]),
            "metric" | "priority" | "preference" => rest.extend(["metric", words.next()?]),
            "table" => rest.extend([word, table(words.next()?)]),
            "scope" => rest.extend([word, scope(words.next()?)]),
            "tos" | "dsfield" => rest.extend(["tos", words.next()?]),
            "mtu" | "advmss" | "window" | "initcwnd" | "initrwnd" | "hoplimit" => {
                rest.push(word);
                rest.extend(words.next_if_eq(&"lock"));
                rest.push(words.next()?);
            }
            prefix if destination.is_none() => destination = Some(prefix),
            _ => return None,
        }
    }
    let destination = match (destination?, ipv6) {
        ("default", false) => "0.0.0.0/0",
        ("default", true) => "::/0",
        (destination, _) => destination,
    };
    // Without a gateway it leads to the link of the interface.
    if !hop.contains(&"via") {
        hop.clear();
    }
    let mut text: Vec<&str> = kind.into_iter().chain([destination]).collect();
    text.extend(hop.iter().chain(&rest).chain(&[PROTOCOL]));
    let route = VirtualRoute::new(text.join(" ").parse::<Route>().ok()?);
    Some(match interface {
        Some(name) => route.interface(name),
        None => route,
    })
}

/// The rule of a line, likewise.
pub(crate) fn rule(words: &[&str], ipv6: bool) -> Option<Rule> {
    let (mut priority, mut action, mut rest) = (None, None, Vec::new());
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "no_track" => {}
            "priority" | "preference" | "order" | "pref" => priority = words.next(),
            "table" | "lookup" => action = Some(format!("lookup {}", table(words.next()?))),
            "goto" => action = Some(format!("goto {}", words.next()?)),
            "nop" | "blackhole" | "unreachable" | "prohibit" => action = Some(word.to_owned()),
            "not" => rest.push(word.to_owned()),
            "from" | "to" => {
                let prefix = words.next()?;
                if !["all", "any", "default"].contains(&prefix) {
                    rest.push(format!("{word} {prefix}"));
                }
            }
            "dev" | "iif" => rest.push(format!("iif {}", words.next()?)),
            "oif" => rest.push(format!("oif {}", words.next()?)),
            "tos" | "dsfield" => rest.push(format!("tos {}", words.next()?)),
            "fwmark" => {
                let mark = words.next()?;
                let (mark, bits) = mark.split_once('/').unwrap_or((mark, "0xffffffff"));
                rest.push(format!("fwmark {}/{}", number(mark)?, number(bits)?));
            }
            "suppress_prefixlength" | "suppress_ifgroup" => {
                rest.push(format!("{word} {}", words.next()?));
            }
            _ => return None,
        }
    }
    let family = if ipv6 { "ipv6" } else { "ipv4" };
    // Without a priority keepalived lets the kernel choose: the one before its own rules.
    let head = format!("{family} priority {} {}", priority.unwrap_or("32765"), action?);
    let text: Vec<String> = [head].into_iter().chain(rest).chain([PROTOCOL.into()]).collect();
    text.join(" ").parse().ok()
}

fn number(text: &str) -> Option<u32> {
    text.strip_prefix("0x")
        .map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
}

/// `linux/rtnetlink.h`, `RT_TABLE_*`.
fn table(name: &str) -> &str {
    match name {
        "local" => "255",
        "main" => "254",
        "default" => "253",
        number => number,
    }
}

/// `linux/rtnetlink.h`, `RT_SCOPE_*`.
fn scope(name: &str) -> &str {
    match name {
        "global" | "universe" => "0",
        "site" => "200",
        "link" => "253",
        "host" => "254",
        "nowhere" => "255",
        number => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_route(line: &str) -> Option<VirtualRoute> {
        route(&line.split(' ').collect::<Vec<_>>(), false)
    }

    #[test]
    fn routes() {
        let parsed = |text: &str| VirtualRoute::new(text.parse::<Route>().unwrap());
        for (line, means) in [
            ("default via 192.0.2.254", "0.0.0.0/0 via 192.0.2.254 proto 18"),
            (
                "10.1.0.0/16 via inet 192.0.2.7 table 100 metric 5",
                "10.1.0.0/16 via 192.0.2.7 table 100 metric 5 proto 18",
            ),
            ("blackhole 10.2.0.0/16", "blackhole 10.2.0.0/16 proto 18"),
            (
                "src 192.0.2.100 to 10.3.0.0/16 via 192.0.2.9 scope global",
                "10.3.0.0/16 via 192.0.2.9 src 192.0.2.100 scope 0 proto 18",
            ),
        ] {
            assert_eq!(of_route(line), Some(parsed(means)), "{line}");
        }
        let link = of_route("10.4.0.0/16 dev eth1").unwrap();
        assert_eq!(link, parsed("10.4.0.0/16 proto 18").interface("eth1"));
        assert_eq!(of_route("10.5.0.0/16 encap mpls 7"), None);
        assert_eq!(of_route("via 192.0.2.1"), None);
    }

    #[test]
    fn rules() {
        let of = |line: &str| rule(&line.split(' ').collect::<Vec<_>>(), false);
        let parsed = |text: &str| text.parse::<Rule>().ok();
        assert_eq!(
            of("from 192.0.2.0/24 table 100 priority 7"),
            parsed("ipv4 priority 7 lookup 100 from 192.0.2.0/24 proto 18")
        );
        assert_eq!(
            of("not to all fwmark 0x10 table main"),
            parsed("ipv4 priority 32765 lookup 254 not fwmark 16/4294967295 proto 18")
        );
        assert_eq!(of("from 192.0.2.0/24"), None, "it does nothing");
    }
}
