//! Taking what was written, so that nothing is forgotten wherever the taker dies.

use crate::ChunkRange;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Moves every bit from `written` to `pending`. A bit is in one of them at any
/// moment, or in both.
pub(crate) fn collect(written: &[AtomicU64], pending: &[AtomicU64]) {
    for (written, pending) in written.iter().zip(pending) {
        // Most words are empty, and reading leaves the cache line shared.
        let seen = written.load(Relaxed);
        if seen != 0 {
            // In this order, and only the bits that are pending now: others may
            // have been set meanwhile.
            pending.fetch_or(seen, AcqRel);
            written.fetch_and(!seen, AcqRel);
        }
    }
}

/// Replaces the ranges by those of the set bits below a bound, in order; as few
/// as there can be.
pub(crate) fn ranges_of(bits: &[AtomicU64], bound: u64, ranges: &mut Vec<ChunkRange>) {
    ranges.clear();
    let mut add = |first: u64, count: u64| {
        let count = count.min(bound.saturating_sub(first));
        match ranges.last_mut() {
            _ if count == 0 => {}
            Some(last) if last.end() == first => last.count += count,
            _ => ranges.push(ChunkRange { first, count }),
        }
    };
    for (at, word) in (0..).step_by(64).zip(bits) {
        let mut rest = word.load(Acquire);
        let mut first = at;
        while rest != 0 {
            let zeros = rest.trailing_zeros();
            rest >>= zeros;
            let ones = rest.trailing_ones();
            first += u64::from(zeros);
            add(first, u64::from(ones));
            // A shift by 64 has to leave nothing.
            rest = rest.checked_shr(ones).unwrap_or(0);
            first += u64::from(ones);
        }
    }
}

/// Clears every bit.
pub(crate) fn clear(bits: &[AtomicU64]) {
    for word in bits {
        if word.load(Relaxed) != 0 {
            word.store(0, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::atomic::AtomicBool, thread};

    fn words(values: &[u64]) -> Vec<AtomicU64> {
        values.iter().copied().map(AtomicU64::new).collect()
    }

    fn values(words: &[AtomicU64]) -> Vec<u64> {
        words.iter().map(|word| word.load(Relaxed)).collect()
    }

    #[track_caller]
    fn check_ranges(bits: &[u64], bound: u64, expected: &[(u64, u64)]) {
        let mut ranges = vec![ChunkRange { first: 9, count: 9 }];
        ranges_of(&words(bits), bound, &mut ranges);
        let found: Vec<_> = ranges.iter().map(|one| (one.first, one.count)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn ranges_are_as_few_as_there_can_be() {
        check_ranges(&[0, 0], 128, &[]);
        check_ranges(&[0b1011, 0], 128, &[(0, 2), (3, 1)]);
        check_ranges(&[!0, !0, 1], 192, &[(0, 129)]);
        check_ranges(&[1 << 63, 0b101], 128, &[(63, 2), (66, 1)]);
        check_ranges(&[1 << 63, 0, 1 << 63], 192, &[(63, 1), (191, 1)]);
    }

    #[test]
    fn no_range_goes_beyond_the_device() {
        check_ranges(&[!0], 3, &[(0, 3)]);
        check_ranges(&[!0, !0], 65, &[(0, 65)]);
        check_ranges(&[0b1001], 2, &[(0, 1)]);
    }

    #[test]
    fn bits_move_and_stay_pending_until_settled() {
        let (written, pending) = (words(&[0b11, 0]), words(&[0b100, 1]));
        collect(&written, &pending);
        assert_eq!(values(&written), [0, 0]);
        assert_eq!(values(&pending), [0b111, 1]);
        clear(&pending);
        assert_eq!(values(&pending), [0, 0]);
    }

    #[test]
    fn a_bit_set_while_bits_are_taken_is_in_one_of_the_two() {
        for _ in 0..50 {
            let (written, pending) = (words(&[0; 8]), words(&[0; 8]));
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Acquire) {
                        collect(&written, &pending);
                    }
                });
                for bit in 0..512 {
                    let (word, mask) = (bit / 64, 1 << (bit % 64));
                    written[word].fetch_or(mask, AcqRel);
                    // In the order in which bits move.
                    let found = written[word].load(SeqCst) | pending[word].load(SeqCst);
                    assert_ne!(found & mask, 0, "bit {bit} is nowhere");
                }
                done.store(true, Release);
            });
            collect(&written, &pending);
            assert_eq!(values(&pending), [!0; 8]);
        }
    }
}
