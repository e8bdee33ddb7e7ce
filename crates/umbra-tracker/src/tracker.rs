//! One device's tracker, as the system provider uses it.

use crate::{
    ChunkRange, ChunkSize, TrackerError, TrackerFolder, TrackingToken,
    bitmaps::{clear, collect, ranges_of},
    device::{self, Place},
    pinned::{Memory, Pinned},
    record::Record,
};
use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use umbra_model::DeviceNumber;

/// Writes that happened, but nobody knows where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, thiserror::Error)]
pub struct Untracked {
    /// Commands that were sent past file systems and block layer (SG_IO, NVMe
    /// passthrough) and carried data to the device.
    pub passthrough: u64,
    /// Requests of which a part was not looked at.
    pub lost: u64,
    /// Writes to another disk of the same number, or beyond the end that the
    /// tracked disk had.
    pub changed: u64,
}

impl Untracked {
    fn of(gaps: &[AtomicU64]) -> Self {
        let count = |kind: usize| gaps.get(kind).map_or(0, |gap| gap.load(Ordering::Acquire));
        // In the order of `enum gap` in the source of the programs.
        Self {
            passthrough: count(0),
            lost: count(1),
            changed: count(2),
        }
    }

    fn nothing_or_err(self) -> Taken {
        if self == Self::default() {
            Ok(())
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Untracked {
    /// A clause: "3 commands were sent past the block layer".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        for (count, what) in [
            (self.passthrough, "commands were sent past the block layer"),
            (self.lost, "writes were too scattered to follow"),
            (self.changed, "writes went beyond the disk that was tracked"),
        ] {
            if count > 0 {
                let comma = if said { ", " } else { "" };
                write!(f, "{comma}{count} {what}")?;
                said = true;
            }
        }
        if said {
            return Ok(());
        }
        f.write_str("no write was missed")
    }
}

/// Whether what was taken is everything. An error stays until tracking starts
/// anew, which the next [`Tracker::attach`] sees to.
pub type Taken = Result<(), Untracked>;

/// The tracker of one device. At most one in the whole system for each device and
/// folder; what it tracks goes on when it is dropped.
#[derive(Debug)]
pub struct Tracker {
    device: DeviceNumber,
    record: Record,
    memory: Memory,
    /// Taking and settling at once would lose what was taken in between.
    pending: Mutex<()>,
    /// Keeps the lock.
    _pinned: Pinned,
}

impl Tracker {
    /// Whether this device can be tracked; why not, in a clause. Changes nothing.
    ///
    /// # Errors
    ///
    /// Where it cannot.
    pub fn supports(device: DeviceNumber) -> Result<(), String> {
        device::look(device).map(drop)
    }

    /// Goes on with what is pinned for this device with the same version, chunk
    /// size, disk, place and size, and without a gap; starts tracking otherwise,
    /// which ends what is pinned.
    ///
    /// # Errors
    ///
    /// Where the device cannot be tracked, another tracker has it, or the kernel
    /// cannot or must not do it.
    pub fn attach(
        place: &TrackerFolder,
        device: DeviceNumber,
        chunk: ChunkSize,
    ) -> Result<Self, TrackerError> {
        let pinned = Pinned::lock(place, device)?;
        let at = look(device)?;
        let adopted = pinned.adopt().filter(|(record, memory)| {
            let same = record.chunk == chunk && record.place == at;
            same && Untracked::of(&memory.gaps).nothing_or_err().is_ok()
        });
        let (record, memory) = match adopted {
            Some(adopted) => adopted,
            None => {
                let record = Record {
                    token: TrackingToken::random(),
                    chunk,
                    place: at,
                };
                let memory = pinned.start(&record)?;
                (record, memory)
            }
        };
        let tracker = Self {
            device,
            record,
            memory,
            pending: Mutex::new(()),
            _pinned: pinned,
        };
        // Its number may have gone to another disk while it was looked at.
        tracker.check_device()?;
        Ok(tracker)
    }

    /// The same for as long as no write was missed; another each time that
    /// tracking starts.
    pub fn token(&self) -> TrackingToken {
        self.record.token
    }

    /// Moves what was written to the pending bitmap and replaces the ranges by
    /// everything pending, in order. No system call; no allocation but the
    /// vector's, where its capacity does not suffice.
    ///
    /// # Errors
    ///
    /// Where writes were seen that cannot be tracked; the ranges are given all
    /// the same.
    pub fn take_into(&self, ranges: &mut Vec<ChunkRange>) -> Taken {
        let _one_at_a_time = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        collect(&self.memory.written, &self.memory.pending);
        ranges_of(&self.memory.pending, self.chunks(), ranges);
        Untracked::of(&self.memory.gaps).nothing_or_err()
    }

    /// What was taken is durable in the mirror: nothing is pending any more.
    pub fn settle(&self) {
        let _one_at_a_time = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        clear(&self.memory.pending);
    }

    /// Whether the device is still the one that is tracked: same disk, same
    /// place, same size. A partition that was resized shows nowhere else, so this
    /// is to be asked before each copy.
    ///
    /// # Errors
    ///
    /// Where it is not; the next [`Tracker::attach`] starts anew.
    pub fn check_device(&self) -> Result<(), TrackerError> {
        match look(self.device)?.difference(&self.record.place) {
            None => Ok(()),
            Some(reason) => Err(TrackerError::Changed {
                device: self.device,
                reason: reason.to_owned(),
            }),
        }
    }

    /// How large a chunk is.
    pub fn chunk(&self) -> ChunkSize {
        self.record.chunk
    }

    /// How many chunks the device has; the last may be short.
    pub fn chunks(&self) -> u64 {
        self.record.chunk.count(self.record.place.bytes())
    }

    /// Ends tracking and removes what is pinned; nothing to do is no error.
    ///
    /// # Errors
    ///
    /// Where another tracker has it, or the folder cannot be changed.
    pub fn remove(place: &TrackerFolder, device: DeviceNumber) -> Result<(), TrackerError> {
        Pinned::lock(place, device)?.remove()
    }
}

fn look(device: DeviceNumber) -> Result<Place, TrackerError> {
    device::look(device).map_err(|reason| TrackerError::Unsupported { device, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_said_in_a_clause() {
        let missed = Untracked {
            passthrough: 2,
            changed: 1,
            ..Untracked::default()
        };
        assert_eq!(
            missed.to_string(),
            "2 commands were sent past the block layer, 1 writes went beyond the disk that was tracked"
        );
        assert_eq!(Untracked::default().nothing_or_err(), Ok(()));
        assert_eq!(missed.nothing_or_err(), Err(missed));
    }
}
