//! Sets of chunks, as ordered ranges that do not touch.

use umbra_tracker::{ChunkRange, ChunkSize};
use umbra_volume::Extent;

/// How a device is cut: into chunks of one size, of which the last may be short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// The size of a chunk.
    pub(super) chunk: ChunkSize,
    /// The size of the device in bytes.
    pub(super) size: u64,
}

impl Grid {
    /// How many chunks there are.
    pub(super) fn chunks(self) -> u64 {
        self.chunk.count(self.size)
    }

    /// Every chunk from one on.
    pub(super) fn from(self, first: u64) -> Vec<ChunkRange> {
        let count = self.chunks().saturating_sub(first);
        (count > 0)
            .then_some(ChunkRange { first, count })
            .into_iter()
            .collect()
    }

    /// Where a range lies on the device.
    pub(super) fn extent(self, range: ChunkRange) -> Extent {
        let offset = range.first * self.chunk.bytes();
        Extent {
            offset,
            length: (range.end() * self.chunk.bytes()).min(self.size) - offset,
        }
    }

    /// How many bytes some ranges are.
    pub(super) fn bytes(self, ranges: &[ChunkRange]) -> u64 {
        ranges.iter().map(|range| self.extent(*range).length).sum()
    }

    /// The chunks of which every byte is in one of these extents.
    pub(super) fn within(self, extents: &[Extent]) -> Vec<ChunkRange> {
        let chunk = self.chunk.bytes();
        let whole = |extent: &Extent| {
            let first = extent.offset.div_ceil(chunk);
            let end = if extent.end() >= self.size {
                self.chunks()
            } else {
                extent.end() / chunk
            };
            (end > first).then(|| ChunkRange {
                first,
                count: end - first,
            })
        };
        extents.iter().filter_map(whole).collect()
    }
}

/// The chunks that are in the first set and not in the second.
pub(super) fn without(set: &[ChunkRange], other: &[ChunkRange]) -> Vec<ChunkRange> {
    let mut left = Vec::new();
    let mut others = other.iter().peekable();
    for range in set {
        let mut first = range.first;
        while first < range.end() {
            match others.peek() {
                Some(out) if out.end() <= first => {
                    others.next();
                }
                Some(out) if out.first < range.end() => {
                    if out.first > first {
                        left.push(ChunkRange {
                            first,
                            count: out.first - first,
                        });
                    }
                    first = out.end();
                }
                _ => {
                    left.push(ChunkRange {
                        first,
                        count: range.end() - first,
                    });
                    break;
                }
            }
        }
    }
    left
}

/// Cuts ranges into batches of extents of a limited size.
pub(super) struct Batches<'a> {
    grid: Grid,
    ranges: &'a [ChunkRange],
    /// How many chunks of the first range are given out.
    given: u64,
}

impl<'a> Batches<'a> {
    pub(super) fn of(grid: Grid, ranges: &'a [ChunkRange]) -> Self {
        Self {
            grid,
            ranges,
            given: 0,
        }
    }

    /// Puts the next batch, of at most so many bytes and at least a chunk, into
    /// `extents`; the chunk behind it, or `None` where there is no more.
    pub(super) fn next_into(&mut self, extents: &mut Vec<Extent>, limit: u64) -> Option<u64> {
        extents.clear();
        let mut room = (limit / self.grid.chunk.bytes()).max(1);
        let mut end = None;
        while let Some((range, rest)) = self.ranges.split_first()
            && room > 0
        {
            let part = ChunkRange {
                first: range.first + self.given,
                count: (range.count - self.given).min(room),
            };
            extents.push(self.grid.extent(part));
            end = Some(part.end());
            room -= part.count;
            self.given += part.count;
            if self.given == range.count {
                self.ranges = rest;
                self.given = 0;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> Vec<ChunkRange> {
        let range = |&(first, end)| ChunkRange {
            first,
            count: end - first,
        };
        ranges.iter().map(range).collect()
    }

    const GRID: Grid = Grid {
        chunk: ChunkSize::DEFAULT,
        size: 10 * 16_384 + 512,
    };

    #[test]
    fn what_is_left_of_a_set() {
        let check = |one: &[(u64, u64)], other: &[(u64, u64)], left: &[(u64, u64)]| {
            assert_eq!(without(&set(one), &set(other)), set(left));
        };
        check(&[(0, 10)], &[], &[(0, 10)]);
        check(&[], &[(0, 10)], &[]);
        check(&[(0, 10)], &[(0, 10)], &[]);
        check(&[(0, 10)], &[(2, 3), (5, 7)], &[(0, 2), (3, 5), (7, 10)]);
        check(&[(0, 10)], &[(0, 2), (9, 12)], &[(2, 9)]);
        check(
            &[(0, 3), (5, 6), (8, 9)],
            &[(2, 6), (20, 30)],
            &[(0, 2), (8, 9)],
        );
        check(&[(5, 6)], &[(0, 2), (3, 4), (6, 8)], &[(5, 6)]);
    }

    #[test]
    fn only_chunks_that_are_free_as_a_whole_are_free() {
        let extent = |offset, length| Extent { offset, length };
        assert_eq!(GRID.chunks(), 11);
        assert_eq!(GRID.within(&[extent(1, 16_384)]), []);
        assert_eq!(GRID.within(&[extent(0, 16_384)]), set(&[(0, 1)]));
        assert_eq!(GRID.within(&[extent(1, 3 * 16_384)]), set(&[(1, 3)]));
        // The short chunk at the end.
        let end = extent(9 * 16_384 + 1, 16_383 + 512);
        assert_eq!(GRID.within(&[end]), set(&[(10, 11)]));
    }

    #[test]
    fn batches_are_everything_once() {
        let ranges = set(&[(0, 3), (5, 6), (9, 11)]);
        let mut batches = Batches::of(GRID, &ranges);
        let mut extents = Vec::new();
        let mut seen = Vec::new();
        let mut ends = Vec::new();
        while let Some(end) = batches.next_into(&mut extents, 2 * 16_384) {
            seen.extend(extents.iter().map(|extent| (extent.offset, extent.length)));
            ends.push(end);
        }
        assert_eq!(
            seen,
            [
                (0, 32_768),
                (32_768, 16_384),
                (5 * 16_384, 16_384),
                (9 * 16_384, 16_384 + 512)
            ]
        );
        assert_eq!(ends, [2, 6, 11]);
        assert_eq!(GRID.bytes(&ranges), 5 * 16_384 + 512);
    }
}
