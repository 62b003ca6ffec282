//! Routes as lines of text, for a journal.

use core::fmt;
use core::str::{FromStr, Split};

use super::{InvalidRoute, Metric, NextHop, Route, RouteKind, RouterPreference};
use crate::address::Scope;
use crate::prefix::Prefix;

const KINDS: [(RouteKind, &str); 5] = [
    (RouteKind::Local, "local"),
    (RouteKind::Blackhole, "blackhole"),
    (RouteKind::Unreachable, "unreachable"),
    (RouteKind::Prohibit, "prohibit"),
    (RouteKind::Throw, "throw"),
];

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        if let Some(gateway) = self.gateway {
            write!(f, "via {gateway}")?;
            space = " ";
        }
        if let Some(interface) = self.interface {
            write!(f, "{space}dev {interface}")?;
        }
        if self.weight != 1 {
            write!(f, " weight {}", self.weight)?;
        }
        if self.on_link {
            write!(f, " onlink")?;
        }
        Ok(())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, word)) = KINDS.iter().find(|(kind, _)| *kind == self.kind) {
            write!(f, "{word} ")?;
        }
        write!(f, "{}", self.destination)?;
        match self.hops.as_slice() {
            [hop] => write!(f, " {hop}")?,
            hops => hops.iter().try_for_each(|hop| write!(f, " nexthop {hop}"))?,
        }
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(source) = self.preferred_source {
            write!(f, " src {source}")?;
        }
        if self.table != Self::MAIN {
            write!(f, " table {}", self.table)?;
        }
        if self.metric != Self::new(self.destination).metric {
            write!(f, " metric {}", self.metric)?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {}", scope.number())?;
        }
        match self.preference {
            RouterPreference::Low => write!(f, " pref low")?,
            RouterPreference::Medium => {}
            RouterPreference::High => write!(f, " pref high")?,
        }
        for (metric, value) in &self.metrics {
            let lock = if self.locked & metric.bit() == 0 { "" } else { "lock " };
            write!(f, " {} {lock}{value}", metric.word())?;
        }
        write!(f, " proto {}", self.protocol)
    }
}

/// The words of a line, one by one.
struct Words<'a>(core::iter::Peekable<Split<'a, char>>);

impl Words<'_> {
    fn value<T: FromStr>(&mut self) -> Result<T, InvalidRoute> {
        self.0.next().and_then(|word| word.parse().ok()).ok_or(InvalidRoute::Text)
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, word: &str) -> bool {
        self.0.next_if(|next| *next == word).is_some()
    }

    /// A next hop; nothing is taken where there is none.
    fn hop(&mut self) -> Result<Option<NextHop>, InvalidRoute> {
        let mut hop = if self.take("via") {
            NextHop::gateway(self.value()?)
        } else if self.take("dev") {
            NextHop::link(self.value()?)
        } else {
            return Ok(None);
        };
        if hop.gateway.is_some() && self.take("dev") {
            hop = hop.interface(self.value()?);
        }
        if self.take("weight") {
            hop = hop.weight(self.value()?);
        }
        Ok(Some(hop.on_link(self.take("onlink"))))
    }
}

impl FromStr for Route {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let mut words = Words(text.split(' ').peekable());
        let kind = KINDS.iter().find(|(_, word)| words.take(word)).map(|(kind, _)| *kind);
        let destination: Prefix = words.value()?;
        let mut route = Self::new(destination).kind(kind.unwrap_or_default()).protocol(0);
        while words.take("nexthop") {
            route = route.next_hop(words.hop()?.ok_or(InvalidRoute::Text)?);
        }
        if route.hops.is_empty()
            && let Some(hop) = words.hop()?
        {
            route = route.next_hop(hop);
        }
        while let Some(word) = words.0.next() {
            route = match word {
                "from" => route.from(words.value()?),
                "src" => route.preferred_source(words.value()?),
                "table" => route.table(words.value()?),
                "metric" => route.metric(words.value()?),
                "tos" => route.tos(words.value()?),
                "scope" => route.scope(Scope::new(words.value()?)),
                "proto" => route.protocol(words.value()?),
                "pref" if words.take("low") => route.preference(RouterPreference::Low),
                "pref" if words.take("high") => route.preference(RouterPreference::High),
                word => {
                    let metric = Metric::from_word(word).ok_or(InvalidRoute::Text)?;
                    if words.take("lock") {
                        route.assume_locked(metric, words.value()?)
                    } else {
                        route.assume(metric, words.value()?)
                    }
                }
            };
        }
        Ok(route)
    }
}
