//! What a hold did, from the moments that were noted.

use crate::{HoldReport, VolumeHold};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use umbra_model::{HoldMethod, Instant as WallClock};

/// When things happened to one volume.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    pub freeze_started: Option<Instant>,
    pub frozen: Option<Instant>,
    pub commit_started: Option<Instant>,
    pub commit_ended: Option<Instant>,
    pub thaw_started: Option<Instant>,
    pub released: Option<Instant>,
}

/// The report of a hold that began then and in which everything was done.
pub(super) fn report(begun: Instant, volumes: &[(HoldMethod, Moments)]) -> HoldReport {
    let since = |moment: Instant| moment.saturating_duration_since(begun);
    let moments = || volumes.iter().map(|(_, moments)| moments);
    let first_freeze = moments().filter_map(|of| of.freeze_started).min();
    let last_thaw = moments().filter_map(|of| of.released).max();
    HoldReport {
        volumes: volumes
            .iter()
            .map(|(method, of)| VolumeHold {
                method: *method,
                freeze_started: of.freeze_started.map(since),
                frozen: of.frozen.map(since),
                commit_started: of.commit_started.map(since).unwrap_or_default(),
                commit_ended: of.commit_ended.map(since).unwrap_or_default(),
                released: of.released.map(since),
            })
            .collect(),
        held: first_freeze
            .zip(last_thaw)
            .map_or(Duration::ZERO, |(first, last)| {
                last.saturating_duration_since(first)
            }),
        skew: skew(volumes),
        instant: instant(volumes),
    }
}

/// When the instant of the copies was: when the last volume stood still, or the
/// last was copied where none could be held.
fn instant(volumes: &[(HoldMethod, Moments)]) -> WallClock {
    let latest = |of: fn(&Moments) -> Option<Instant>| {
        volumes.iter().filter_map(|(_, moments)| of(moments)).max()
    };
    let ago = latest(|moments| moments.frozen)
        .or_else(|| latest(|moments| moments.commit_started))
        .map_or(Duration::ZERO, |moment| moment.elapsed());
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let nanoseconds = since_epoch.saturating_sub(ago).as_nanos();
    WallClock(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// The largest difference between the instants of two copies. Frozen volumes
/// all show any instant between the last freeze and the first thaw; a volume
/// that is atomic by itself shows one between the start and the end of its
/// commit, nobody knows which.
fn skew(volumes: &[(HoldMethod, Moments)]) -> Duration {
    let of = |method: HoldMethod| {
        volumes
            .iter()
            .filter(move |(of, _)| *of == method)
            .map(|(_, moments)| moments)
    };
    let starts = of(HoldMethod::Atomic).filter_map(|of| of.commit_started);
    let ends = of(HoldMethod::Atomic).filter_map(|of| of.commit_ended);
    let Some((first, last)) = starts.min().zip(ends.max()) else {
        return Duration::ZERO;
    };
    let spread = if of(HoldMethod::Atomic).count() > 1 {
        last.saturating_duration_since(first)
    } else {
        Duration::ZERO
    };
    let still_from = of(HoldMethod::Freeze).filter_map(|of| of.frozen).max();
    let still_until = of(HoldMethod::Freeze)
        .filter_map(|of| of.thaw_started)
        .min();
    let before = still_from.map(|from| from.saturating_duration_since(first));
    let after = still_until.map(|until| last.saturating_duration_since(until));
    [Some(spread), before, after]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frozen volume: frozen from, thawed at, in milliseconds.
    fn frozen(from: u64, until: u64) -> (HoldMethod, [u64; 2]) {
        (HoldMethod::Freeze, [from, until])
    }

    /// An atomic one: its commit from, to.
    fn atomic(from: u64, until: u64) -> (HoldMethod, [u64; 2]) {
        (HoldMethod::Atomic, [from, until])
    }

    #[track_caller]
    fn check(volumes: &[(HoldMethod, [u64; 2])], milliseconds: u64) {
        let begun = Instant::now();
        let at = |time| Some(begun + Duration::from_millis(time));
        let volumes: Vec<_> = volumes
            .iter()
            .map(|(method, [from, until])| {
                let moments = match method {
                    HoldMethod::Freeze => Moments {
                        frozen: at(*from),
                        thaw_started: at(*until),
                        ..Moments::default()
                    },
                    HoldMethod::Atomic => Moments {
                        commit_started: at(*from),
                        commit_ended: at(*until),
                        ..Moments::default()
                    },
                };
                (*method, moments)
            })
            .collect();
        let expected = Duration::from_millis(milliseconds);
        assert_eq!(report(begun, &volumes).skew, expected);
    }

    #[test]
    fn one_instant_has_no_skew() {
        check(&[], 0);
        check(&[frozen(1, 9), frozen(3, 7)], 0);
        check(&[atomic(1, 9)], 0);
        check(&[frozen(1, 9), frozen(3, 8), atomic(3, 8)], 0);
    }

    #[test]
    fn several_atomic_ones_differ_by_their_spread_at_most() {
        check(&[atomic(1, 4), atomic(4, 6)], 5);
        check(&[frozen(0, 9), atomic(1, 4), atomic(4, 6)], 5);
    }

    #[test]
    fn an_atomic_one_outside_the_hold_of_the_others_is_as_far_away_as_can_be() {
        check(&[frozen(5, 9), atomic(1, 4)], 4);
        check(&[frozen(5, 9), atomic(7, 12)], 3);
        check(&[frozen(5, 9), atomic(4, 6), atomic(6, 7)], 3);
    }
}
