//! Interval arithmetic, in integer nanoseconds.

use core::time::Duration;

use vrrp_proto::{Priority, Version};

use crate::time::nanos;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// `Skew_Time`: how much longer than `k` intervals a Backup of this priority waits.
///
/// Version 3 scales it with the Master's interval, `(256 - priority) * Master_Adver_Interval / 256`
/// (RFC 9568 §6.1); version 2 has `(256 - priority) / 256` seconds whatever the interval (RFC 3768
/// §6.1). In nanoseconds every priority keeps its own skew even at an interval of 10 ms, where
/// centiseconds would round all of them to zero.
#[inline]
pub(crate) fn skew_time(
    version: Version,
    priority: Priority,
    master_adver_interval: Duration,
) -> Duration {
    Duration::from_nanos(skew_nanos(version, priority, nanos(master_adver_interval)))
}

#[inline]
fn skew_nanos(version: Version, priority: Priority, master_adver_interval: u64) -> u64 {
    let base = match version {
        Version::V2 => NANOS_PER_SECOND,
        Version::V3 => master_adver_interval,
    };
    base.saturating_mul(256 - u64::from(priority.get())) / 256
}

/// `Master_Down_Interval`: `k * Master_Adver_Interval + Skew_Time` (RFC 9568 §6.1 and RFC 3768
/// §6.1, where `k` is 3).
#[inline]
pub(crate) fn master_down_interval(
    version: Version,
    priority: Priority,
    master_adver_interval: Duration,
    missed_advertisements: u8,
) -> Duration {
    let interval = nanos(master_adver_interval);
    let missed = interval.saturating_mul(u64::from(missed_advertisements));
    Duration::from_nanos(missed.saturating_add(skew_nanos(version, priority, interval)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew_v3(priority: u8, milliseconds: u64) -> u128 {
        skew_time(Version::V3, Priority::new(priority), Duration::from_millis(milliseconds))
            .as_nanos()
    }

    #[test]
    fn the_skew_of_version_3_scales_with_the_interval_of_the_master() {
        assert_eq!(skew_v3(100, 1_000), 609_375_000);
        assert_eq!(skew_v3(254, 1_000), 7_812_500);
        assert_eq!(skew_v3(255, 1_000), 3_906_250);
        assert_eq!(skew_v3(1, 10), 9_960_937);
        assert_eq!(skew_v3(254, 10), 78_125);
        assert_eq!(skew_v3(1, 40_950), 40_790_039_062);
    }

    #[test]
    fn the_skew_of_version_2_does_not_depend_on_the_interval() {
        for seconds in [1, 10, 255] {
            let skew =
                skew_time(Version::V2, Priority::new(100), Duration::from_secs(seconds)).as_nanos();
            assert_eq!(skew, 609_375_000);
        }
    }

    #[test]
    fn every_priority_has_its_own_skew_at_the_smallest_interval() {
        let skews: Vec<u128> = (1..=255).map(|priority| skew_v3(priority, 10)).collect();
        assert!(skews.windows(2).all(|pair| pair[0] > pair[1]), "{skews:?}");
    }

    #[test]
    fn the_master_is_down_after_k_intervals_and_the_skew() {
        let down = |version, interval, k| {
            master_down_interval(version, Priority::DEFAULT, Duration::from_secs(interval), k)
                .as_nanos()
        };
        assert_eq!(down(Version::V3, 1, 3), 3_609_375_000);
        assert_eq!(down(Version::V2, 2, 3), 6_609_375_000);
        assert_eq!(down(Version::V2, 10, 3), 30_609_375_000);
        assert_eq!(down(Version::V3, 1, 5), 5_609_375_000);
    }
}
