//! The rules of a lease that is kept in files: what they say, and when somebody else may have it. Pure.
//!
//! The lease has a number, its token, and each token has a file of its own, `NAME.TOKEN`: the file with the greatest token
//! is the lease. Who takes it makes the next file, which the file system lets only one do, and renews it by replacing its
//! content. So nobody ever writes what another one has written, and no two holders have one token.
//!
//! Clocks of two hosts are never compared. Whoever wants the lease watches: what has not changed for the lease's duration by the
//! watcher's own clock has expired. A holder that could not renew for that long knows itself that it has lost it.

use core::time::Duration;

/// The longest content that is looked at, in octets.
pub(super) const MAX_CONTENT: usize = 256;

const MAGIC: &str = "vrrp-lease 1";

/// The lease as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) token: u64,
    /// Whatever is in the file, cut at [`MAX_CONTENT`].
    pub(super) content: Vec<u8>,
}

/// What a holder writes.
pub(super) fn held_content(holder: &str, counter: u64) -> String {
    format!("{MAGIC} held {counter} {holder}\n")
}

/// What a holder writes that gives it back.
pub(super) fn released_content(holder: &str) -> String {
    format!("{MAGIC} released {holder}\n")
}

/// The file name of a token.
pub(super) fn file_name(name: &str, token: u64) -> String {
    format!("{name}.{token}")
}

/// The token of a file, if it is one of this lease.
pub(super) fn token_of(name: &str, file: &str) -> Option<u64> {
    let digits = file.strip_prefix(name)?.strip_prefix('.')?;
    let token = digits.parse().ok()?;
    // One name a token: neither "+1" nor "01".
    (token > 0 && file_name(name, token) == file).then_some(token)
}

/// Whether a text can be the name of a holder: a line with it, and a temporary file, stay what they are.
pub(super) fn is_holder(holder: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    (1..=64).contains(&holder.len()) && holder.bytes().all(allowed)
}

impl Found {
    fn is_released(&self) -> bool {
        let text = core::str::from_utf8(&self.content).ok();
        let holder = text.and_then(|text| {
            text.strip_prefix(MAGIC)?.strip_prefix(" released ")?.strip_suffix('\n')
        });
        holder.is_some_and(is_holder)
    }
}

/// What one watcher has seen.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    duration: Duration,
    /// The latest, and since when it is unchanged.
    seen: Option<(Option<Found>, Duration)>,
    /// The greatest token ever seen: files may disappear, numbers are not used twice.
    greatest: u64,
}

/// Whether the lease can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// With this token.
    Free(u64),
    /// Not before it is unchanged for so long more.
    Held(Duration),
    /// Nothing was seen yet.
    Unknown,
    /// No greater token exists: somebody has written nonsense.
    Exhausted,
}

impl Watch {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, seen: None, greatest: 0 }
    }

    /// What the files say at `now`, by any clock that never goes back.
    pub(super) fn see(&mut self, now: Duration, found: Option<Found>) {
        self.greatest = self.greatest.max(found.as_ref().map_or(0, |found| found.token));
        match &self.seen {
            Some((same, _)) if *same == found => {}
            _ => self.seen = Some((found, now)),
        }
    }

    /// The greatest token ever seen.
    pub(super) fn greatest(&self) -> u64 {
        self.greatest
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let Some((found, since)) = &self.seen else { return Standing::Unknown };
        let left = (*since + self.duration).saturating_sub(now);
        let free = match found {
            // Never there, or not for long: then files were deleted, and who held it is about to see that.
            None => self.greatest == 0 || left.is_zero(),
            Some(found) => found.is_released() || left.is_zero(),
        };
        match self.greatest.checked_add(1) {
            None => Standing::Exhausted,
            Some(next) if free => Standing::Free(next),
            Some(_) => Standing::Held(left),
        }
    }
}

/// What a holder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) token: u64,
    pub(super) counter: u64,
    /// When the last renewal that succeeded was begun.
    pub(super) renewed: Duration,
}

impl Holding {
    /// Whether it is still held: nobody has a greater token, and the last renewal is not too old.
    pub(super) fn is_valid(&self, now: Duration, greatest: u64, duration: Duration) -> bool {
        greatest <= self.token && now < self.renewed + duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn found(token: u64, content: &str) -> Found {
        Found { token, content: content.as_bytes().to_vec() }
    }

    #[test]
    fn what_has_not_changed_for_its_duration_has_expired() {
        let mut watch = Watch::new(LEASE);
        assert_eq!(watch.standing(at(100)), Standing::Unknown);
        watch.see(at(100), Some(found(7, &held_content("a", 1))));
        assert_eq!(watch.standing(at(100)), Standing::Held(at(10)));
        watch.see(at(105), Some(found(7, &held_content("a", 2))));
        assert_eq!(watch.standing(at(110)), Standing::Held(at(5)));
        watch.see(at(114), Some(found(7, &held_content("a", 2))));
        assert_eq!(watch.standing(at(114)), Standing::Held(at(1)));
        assert_eq!(watch.standing(at(115)), Standing::Free(8));
        // Somebody else was faster.
        watch.see(at(116), Some(found(8, &held_content("b", 1))));
        assert_eq!(watch.standing(at(116)), Standing::Held(at(10)));
    }

    #[test]
    fn free_is_what_nobody_ever_had_and_what_was_given_back() {
        let mut watch = Watch::new(LEASE);
        watch.see(at(0), None);
        assert_eq!(watch.standing(at(0)), Standing::Free(1));
        watch.see(at(1), Some(found(3, &held_content("a", 1))));
        watch.see(at(2), Some(found(3, &released_content("a"))));
        assert_eq!(watch.standing(at(2)), Standing::Free(4));
        // Deleted by somebody: numbers go on, and not at once.
        watch.see(at(3), Some(found(4, &held_content("b", 1))));
        watch.see(at(4), None);
        assert_eq!(watch.standing(at(4)), Standing::Held(at(10)));
        assert_eq!(watch.standing(at(14)), Standing::Free(5));
    }

    #[test]
    fn garbage_is_a_lease_of_somebody_until_it_is_old() {
        for garbage in
            ["", "\0\0", "released", "vrrp-lease 1 released", "vrrp-lease 1 released a b\n"]
        {
            let mut watch = Watch::new(LEASE);
            watch.see(at(0), Some(found(1, garbage)));
            assert_eq!(watch.standing(at(9)), Standing::Held(at(1)), "{garbage:?}");
            assert_eq!(watch.standing(at(10)), Standing::Free(2), "{garbage:?}");
        }
        let mut watch = Watch::new(LEASE);
        watch.see(at(0), Some(found(u64::MAX, "nonsense")));
        assert_eq!(watch.standing(at(99)), Standing::Exhausted);
    }

    #[test]
    fn only_exact_names_are_tokens() {
        assert_eq!(token_of("lease", "lease.1"), Some(1));
        assert_eq!(token_of("lease", &file_name("lease", u64::MAX)), Some(u64::MAX));
        for other in [
            "lease",
            "lease.",
            "lease.0",
            "lease.01",
            "lease.+1",
            "lease.-1",
            "lease.1x",
            "lease1",
            "other.1",
            "lease.18446744073709551616",
            "lease.tmp-a",
            "lease.１",
        ] {
            assert_eq!(token_of("lease", other), None, "{other}");
        }
    }

    #[test]
    fn a_holder_loses_it_to_a_greater_token_or_by_its_own_clock() {
        let holding = Holding { token: 5, counter: 1, renewed: at(100) };
        assert!(holding.is_valid(at(109), 5, LEASE));
        assert!(!holding.is_valid(at(109), 6, LEASE));
        assert!(!holding.is_valid(at(110), 5, LEASE));
        // Whoever watches has seen the renewal later than it was begun.
        let mut watch = Watch::new(LEASE);
        watch.see(at(100), Some(found(5, &held_content("a", 1))));
        assert_eq!(watch.standing(at(110)), Standing::Free(6));
    }

    #[test]
    fn holders_have_plain_names() {
        for (name, good) in [
            ("a", true),
            ("host-1.example_x", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a\n", false),
        ] {
            assert_eq!(is_holder(name), good, "{name:?}");
        }
        assert!(!is_holder(&"a".repeat(65)));
    }
}
