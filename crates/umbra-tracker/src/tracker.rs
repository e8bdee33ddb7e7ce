//! One device's tracker, as the system provider uses it.

use crate::{ChunkRange, ChunkSize, TrackerError, TrackerFolder, TrackingToken};
use umbra_model::DeviceNumber;

/// Writes that happened, but nobody knows where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Untracked {
    /// Commands that were sent past the file systems and block layer (SG_IO,
    /// NVMe passthrough).
    pub passthrough: u64,
    /// Writes of which the place was lost.
    pub lost: u64,
    /// Writes to another disk, or beyond the end of the disk that was tracked.
    pub changed: u64,
}

/// Whether what was taken is everything. An error stays until tracking is
/// started anew, which the next [`Tracker::attach`] does.
pub type Taken = Result<(), Untracked>;

/// The tracker of one device. At most one in the whole system for each device and
/// folder; what it tracks goes on when it is dropped.
#[derive(Debug)]
pub struct Tracker {
    token: TrackingToken,
    chunk: ChunkSize,
    chunks: u64,
}

impl Tracker {
    /// Whether this device can be tracked; why not, in a clause. Changes nothing.
    ///
    /// # Errors
    ///
    /// Where it cannot.
    pub fn supports(device: DeviceNumber) -> Result<(), String> {
        Err(format!("{device} is not supported yet"))
    }

    /// Goes on with what is pinned for this device with the same version, chunk
    /// size, device size and disk, and without a gap; starts tracking otherwise.
    ///
    /// # Errors
    ///
    /// Where the device cannot be tracked, another process tracks it, or the
    /// kernel cannot or must not do it.
    pub fn attach(
        place: &TrackerFolder,
        device: DeviceNumber,
        chunk: ChunkSize,
    ) -> Result<Self, TrackerError> {
        let _ = (place, chunk);
        Err(TrackerError::InUse(device))
    }

    /// The same for as long as no write was missed; another each time that
    /// tracking starts.
    pub fn token(&self) -> TrackingToken {
        self.token
    }

    /// Moves what was written to the pending bitmap and adds everything pending
    /// to the ranges, in order. No system call; no allocation but the vector's,
    /// where its capacity does not suffice.
    ///
    /// # Errors
    ///
    /// Where writes were seen that cannot be tracked; the ranges are given all
    /// the same.
    pub fn take_into(&self, ranges: &mut Vec<ChunkRange>) -> Taken {
        ranges.clear();
        Ok(())
    }

    /// What was taken is durable in the mirror: nothing is pending any more.
    pub fn settle(&self) {}

    /// Whether the device is still the one that is tracked: same disk, same
    /// place, same size. To be asked before a copy is trusted.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub fn check_device(&self) -> Result<(), TrackerError> {
        Ok(())
    }

    /// How large a chunk is.
    pub fn chunk(&self) -> ChunkSize {
        self.chunk
    }

    /// How many chunks the device has; the last may be short.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Ends tracking and removes what is pinned; nothing to do is no error.
    ///
    /// # Errors
    ///
    /// Where another tracker has it, or the folder cannot be changed.
    pub fn remove(place: &TrackerFolder, device: DeviceNumber) -> Result<(), TrackerError> {
        let _ = place;
        Err(TrackerError::InUse(device))
    }
}
