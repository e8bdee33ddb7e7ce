//! One copy in the making.

use super::{
    chunks::without,
    mirror::{Mirror, Round},
};
use crate::{failure::failed, image_copy, storage_folder::StorageFolder};
use rustix::{
    fs::{fsync, ioctl_ficlone},
    io::Errno,
};
use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Duration};
use umbra_model::{VssCode, VssError, VssResult};
use umbra_provider::PendingShadowCopy;
use umbra_tracker::ChunkRange;
use umbra_volume::{Extent, LockedMemory, reflink::clone_ahead};

/// At most so many rounds before writers are frozen, and so many after.
const ROUNDS: usize = 12;
const LAST_ROUNDS: usize = 3;
/// So little, in bytes, is left for the hold without another round.
const LITTLE: u64 = 4 << 20;
/// The memory reserved for what is read in the hold, in bytes: so many times
/// what the last round copied, within these bounds.
const FACTOR: u64 = 4;
const LEAST: u64 = 16 << 20;
const MOST: u64 = 512 << 20;
/// What is left for the hold may take so long to read: a fraction of the ten
/// seconds that a hold may last.
const READING: Duration = Duration::from_secs(1);

/// Everything in it was opened and reserved before the hold.
pub(super) struct Pending {
    mirror: Mirror,
    image: OwnedFd,
    folder: Arc<StorageFolder>,
    name: String,
    mount_point: PathBuf,
    /// What the last round was.
    last: Option<Round>,
    held: Option<Held>,
}

/// What is read in the hold.
struct Held {
    memory: LockedMemory,
    ranges: Vec<ChunkRange>,
    extents: Vec<Extent>,
}

impl Held {
    fn reserve(bytes: u64, chunk: u64) -> Result<Self, Errno> {
        let memory = LockedMemory::reserve(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        // Each range is at least one chunk.
        let most = usize::try_from(bytes / chunk).unwrap_or(usize::MAX) + 1;
        Ok(Self {
            memory,
            ranges: Vec::with_capacity(most),
            extents: Vec::with_capacity(most),
        })
    }
}

impl Pending {
    pub(super) fn new(
        mirror: Mirror,
        image: OwnedFd,
        folder: Arc<StorageFolder>,
        name: String,
        mount_point: PathBuf,
    ) -> Self {
        Self {
            mirror,
            image,
            folder,
            name,
            mount_point,
            last: None,
            held: None,
        }
    }

    /// Makes rounds until little is left, or it gets no less.
    fn rounds(&mut self, most: usize) -> VssResult<Option<Round>> {
        let mut before = u64::MAX;
        let mut in_vain = 0;
        for _ in 0..most {
            let round = self.mirror.round()?;
            self.last = Some(round);
            in_vain += usize::from(round.bytes > before / 4 * 3);
            before = round.bytes;
            if round.bytes <= LITTLE || in_vain == 2 {
                break;
            }
        }
        Ok(self.last)
    }

    fn too_much(&self, bytes: u64, why: &str) -> VssError {
        VssError::new(
            VssCode::FlushWritesTimeout,
            format!(
                "cannot copy {}: {} MiB were written to it while the last changes were copied, \
                 {why}; try again when less is written to it",
                self.mount_point.display(),
                bytes >> 20
            ),
        )
    }

    fn failed(&self, what: &str, error: impl Into<std::io::Error>) -> VssError {
        failed(format!("{what} {}", self.mount_point.display()), error)
    }
}

impl PendingShadowCopy for Pending {
    fn end_prepare(&mut self) -> VssResult<()> {
        self.mirror.complete()?;
        if let Some(round) = self.rounds(ROUNDS)?
            && !fits_a_hold(round)
        {
            return Err(self.too_much(round.bytes, "so the copy never catches up"));
        }
        // Splitting a mirror in many pieces takes long, and writers wait for it.
        clone_ahead(&self.image, &self.mirror)
            .map_err(|error| self.failed("split ahead the mirror of", error))
    }

    /// Writers have flushed since.
    fn pre_commit(&mut self) -> VssResult<()> {
        let last = self.rounds(LAST_ROUNDS)?.map_or(0, |round| round.bytes);
        let bytes = last.saturating_mul(FACTOR).clamp(LEAST, MOST);
        let held = Held::reserve(bytes, self.mirror.grid().chunk.bytes())
            .map_err(|error| self.failed("reserve memory to copy", error))?;
        self.held = Some(held);
        Ok(())
    }

    fn commit(&mut self) -> VssResult<()> {
        let Some(mut held) = self.held.take() else {
            return Err(VssError::new(
                VssCode::BadState,
                "a shadow copy is committed that was not prepared",
            ));
        };
        self.mirror.take_into(&mut held.ranges)?;
        let grid = self.mirror.grid();
        let room = held.memory.len() as u64;
        if grid.bytes(&held.ranges) > room {
            // Mostly free space that was discarded: it need not be read. Asking
            // takes memory, but the copy would be lost without.
            held.ranges = without(&held.ranges, &self.mirror.free()?);
            let bytes = grid.bytes(&held.ranges);
            if bytes > room {
                return Err(self.too_much(bytes, "more than there is memory reserved for"));
            }
        }
        let extents = held.ranges.iter().map(|range| grid.extent(*range));
        held.extents.extend(extents);
        self.mirror.read(&held.extents, &mut held.memory)?;
        self.held = Some(held);
        Ok(())
    }

    /// The marks go back to the tracker last: whatever ends this in between, the
    /// chunks are copied again next time.
    fn post_commit(&mut self) -> VssResult<()> {
        let Some(held) = self.held.take() else {
            return Err(VssError::new(
                VssCode::BadState,
                "a shadow copy is finished that was not committed",
            ));
        };
        self.mirror.check_device()?;
        self.mirror.write_extents(&held.extents, &held.memory)?;
        self.mirror.make_durable()?;
        reach("system::mirrored")?;
        ioctl_ficlone(&self.image, &self.mirror)
            .and_then(|()| fsync(&self.image))
            .map_err(|error| self.failed("split the mirror of", error))?;
        self.folder.sync()?;
        reach("system::split")?;
        self.mirror.settle();
        Ok(())
    }

    fn abort(&mut self) -> VssResult<()> {
        self.held = None;
        image_copy::remove(&self.name, &self.folder)
    }
}

/// Whether what is written while such a round is made may be left for the hold:
/// about as much will be written again until then.
fn fits_a_hold(round: Round) -> bool {
    round.bytes <= LITTLE || (round.bytes <= MOST / FACTOR && round.reading <= READING)
}

/// A place at which a test can end everything, as a kill would.
#[cfg(feature = "failpoints")]
fn reach(point: &str) -> VssResult<()> {
    fail::fail_point!(point, |_| {
        Err(VssError::new(
            VssCode::ProviderVeto,
            format!("{point} ends it, as the test wants"),
        ))
    });
    Ok(())
}

#[cfg(not(feature = "failpoints"))]
fn reach(_: &str) -> VssResult<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_in_time_is_left_for_the_hold() {
        let fits = |megabytes: u64, seconds| {
            fits_a_hold(Round {
                bytes: megabytes << 20,
                reading: Duration::from_secs(seconds),
            })
        };
        assert!(fits(0, 0));
        assert!(fits(4, 2), "so little always fits");
        assert!(fits(128, 1));
        assert!(!fits(129, 1));
        assert!(!fits(20, 2));
    }
}
