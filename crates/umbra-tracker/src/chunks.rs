//! How a volume is cut into chunks.

use std::fmt;

/// How many bytes one bit of the bitmaps stands for: a power of two from 4 KiB
/// to 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkSize(u32);

impl ChunkSize {
    /// 16 KiB, as in VSS.
    pub const DEFAULT: Self = Self(16 << 10);
    /// The smallest.
    pub const MIN: Self = Self(4 << 10);
    /// The largest.
    pub const MAX: Self = Self(1 << 20);

    /// A chunk of so many bytes, if that is a power of two within the bounds.
    pub fn new(bytes: u64) -> Option<Self> {
        let fits = (Self::MIN.bytes()..=Self::MAX.bytes()).contains(&bytes);
        let bytes = u32::try_from(bytes).ok()?;
        (fits && bytes.is_power_of_two()).then_some(Self(bytes))
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// How many chunks hold so many bytes; the last may be short.
    pub fn count(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes())
    }

    /// The binary logarithm of the sectors (512 bytes) in a chunk.
    pub(crate) fn sector_shift(self) -> u32 {
        self.0.trailing_zeros() - 9
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for ChunkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.0 >> 10)
    }
}

/// Neighbouring chunks, counted from the start of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRange {
    /// The first.
    pub first: u64,
    /// How many; at least one.
    pub count: u64,
}

impl ChunkRange {
    /// The chunk after the last.
    pub fn end(self) -> u64 {
        self.first + self.count
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_within_bounds() {
        for bad in [0, 512, 2048, 5000, 12 << 10, 2 << 20, 1 << 32] {
            assert_eq!(ChunkSize::new(bad), None, "{bad}");
        }
        for good in [4 << 10, 16 << 10, 1 << 20] {
            assert_eq!(ChunkSize::new(good).unwrap().bytes(), good);
        }
        assert_eq!(ChunkSize::DEFAULT.sector_shift(), 5);
        assert_eq!(ChunkSize::DEFAULT.to_string(), "16 KiB");
    }

    #[test]
    fn the_last_chunk_may_be_short() {
        assert_eq!(ChunkSize::MIN.count(0), 0);
        assert_eq!(ChunkSize::MIN.count(4096), 1);
        assert_eq!(ChunkSize::MIN.count(4097), 2);
    }
}
