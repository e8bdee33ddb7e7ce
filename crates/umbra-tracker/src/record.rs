//! What a pinned tracker says of itself.

use crate::{ChunkSize, TrackingToken, device::Place};
use std::sync::atomic::{AtomicU64, Ordering::*};
use umbra_model::DeviceNumber;

/// The source of the programs. Their text is their version: a tracker of another
/// text is never adopted, without anyone having to remember a number.
const SOURCE: &[u8] = include_bytes!("bpf/tracker.bpf.c");
/// To be raised when a record has another meaning.
const LAYOUT: u64 = 1;
const VERSION: u64 = fingerprint(SOURCE, LAYOUT);

/// Everything that has to be the same for a tracker to be adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub token: TrackingToken,
    pub chunk: ChunkSize,
    pub place: Place,
}

impl Record {
    pub fn write(&self, words: &[AtomicU64]) {
        let token = self.token.to_bytes();
        let [first, second] = [&token[..8], &token[8..]].map(number);
        let values = [
            VERSION,
            first,
            second,
            self.chunk.bytes(),
            self.place.disk.major.into(),
            self.place.disk.minor.into(),
            self.place.disk_sequence,
            self.place.disk_sectors,
            self.place.first_sector,
            self.place.end_sector,
        ];
        for (word, value) in words.iter().zip(values) {
            word.store(value, Release);
        }
    }

    /// Nothing where another version wrote it.
    pub fn read(words: &[AtomicU64]) -> Option<Self> {
        let mut words = words.iter().map(|word| word.load(Acquire));
        let mut next = || words.next();
        if next()? != VERSION {
            return None;
        }
        let mut token = [0; 16];
        token[..8].copy_from_slice(&next()?.to_le_bytes());
        token[8..].copy_from_slice(&next()?.to_le_bytes());
        Some(Self {
            token: TrackingToken::from_bytes(token),
            chunk: ChunkSize::new(next()?)?,
            place: Place {
                disk: DeviceNumber {
                    major: next()?.try_into().ok()?,
                    minor: next()?.try_into().ok()?,
                },
                disk_sequence: next()?,
                disk_sectors: next()?,
                first_sector: next()?,
                end_sector: next()?,
            },
        })
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// FNV-1a.
const fn fingerprint(bytes: &[u8], start: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ start;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_written_by_this_version_only() {
        let record = Record {
            token: TrackingToken::random(),
            chunk: ChunkSize::MAX,
            place: Place {
                disk: DeviceNumber {
                    major: 8,
                    minor: 16,
                },
                disk_sequence: 42,
                disk_sectors: 1000,
                first_sector: 10,
                end_sector: 20,
            },
        };
        let words: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
        assert_eq!(Record::read(&words), None);
        record.write(&words);
        assert_eq!(Record::read(&words), Some(record));
        words[0].fetch_add(1, Relaxed);
        assert_eq!(Record::read(&words), None);
        assert_ne!(fingerprint(b"a", 1), fingerprint(b"b", 1));
        assert_ne!(fingerprint(b"a", 1), fingerprint(b"a", 2));
    }
}
