//! A volume's mirror: an image file that is brought up to date again and again,
//! while the volume is in use, by copying what the tracker has marked.
//!
//! Invariant: a mark is given back to the tracker only when what it stands for
//! is durable in the mirror. So whoever is killed here, at any point, the marks
//! that are left and the mirror are the whole volume together.

use super::{
    chunks::{Batches, Grid, without},
    state::MirrorState,
};
use crate::{failure::failed, image_copy::open_folder, storage_folder::StorageFolder};
use rustix::{
    fs::{
        Advice, AtFlags, FlockOperation, Mode, OFlags, fadvise, fdatasync, flock, openat, syncfs,
        unlinkat,
    },
    io::Errno,
};
use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use umbra_model::{DeviceNumber, Volume, VssCode, VssError, VssResult};
use umbra_tracker::{ChunkRange, ChunkSize, Tracker, TrackerFolder};
use umbra_volume::{DeviceReader, Extent, FreeSpace, LockedMemory, free_space};

/// The name of a mirror in its folder.
pub(super) const NAME: &str = "mirror.img";
/// How much is read at once outside the hold, in bytes.
const BATCH: usize = 8 << 20;
/// After so many bytes of a first copy what is there is made durable, so that
/// the next attempt goes on from there.
const DURABLE_EVERY: u64 = 512 << 20;
/// From so many marked bytes on it pays to ask what of them is free space: after
/// `fstrim` nearly all of a volume is marked.
const MANY: u64 = 64 << 20;

/// One round of copying what was marked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// How much that was, in bytes.
    pub(super) bytes: u64,
    /// How long reading took.
    pub(super) reading: Duration,
}

/// A mirror, open and in nobody else's hands.
pub(super) struct Mirror {
    file: File,
    folder: Arc<StorageFolder>,
    tracker: Tracker,
    device: DeviceReader,
    grid: Grid,
    volume: OwnedFd,
    number: DeviceNumber,
    mount_point: PathBuf,
    buffer: LockedMemory,
}

impl Mirror {
    /// Opens a volume's mirror, or makes an empty one, and has its device
    /// tracked from now on.
    pub(super) fn open(
        folder: &Arc<StorageFolder>,
        volume: &Volume,
        trackers: &TrackerFolder,
    ) -> VssResult<Self> {
        let shown = folder.path().join(NAME);
        let cannot = |error: Errno| failed(format!("open the mirror {}", shown.display()), error);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&**folder, NAME, flags, Mode::RUSR | Mode::WUSR).map_err(cannot)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(VssError::new(
                    VssCode::SnapshotSetInProgress,
                    format!(
                        "the mirror {} is in use for another shadow copy; try again when that is \
                         finished",
                        shown.display()
                    ),
                ));
            }
            Err(error) => return Err(cannot(error)),
        }
        let chunk = ChunkSize::DEFAULT;
        let tracker = Tracker::attach(trackers, volume.number, chunk)?;
        let device = DeviceReader::open(&volume.device, volume.number)
            .map_err(|error| failed(format!("open {}", volume.device.display()), error))?;
        let root = open_folder(&volume.mount_point)
            .map_err(|error| failed(format!("open {}", volume.mount_point.display()), error))?;
        let buffer = LockedMemory::reserve(BATCH)
            .map_err(|error| failed("reserve memory for copying", error))?;
        Ok(Self {
            grid: Grid {
                chunk,
                size: device.size(),
            },
            file: file.into(),
            folder: folder.clone(),
            tracker,
            device,
            volume: root,
            number: volume.number,
            mount_point: volume.mount_point.clone(),
            buffer,
        })
    }

    /// How the device is cut.
    pub(super) fn grid(&self) -> Grid {
        self.grid
    }

    /// Copies everything that the file system uses, unless that was done already
    /// and every change since is marked. Goes on where an earlier attempt ended.
    pub(super) fn complete(&mut self) -> VssResult<()> {
        let mut state = self.begin_completing()?;
        if state.copied >= self.grid.chunks() {
            return Ok(());
        }
        // The tracker was there before this is asked: what comes into use later
        // is written, and so marked.
        let used = without(&self.grid.from(state.copied), &self.free()?);
        let mut mirrored =
            LockedMemory::reserve(BATCH).map_err(|error| self.failed("copy", error))?;
        let mut batches = Batches::of(self.grid, &used);
        let mut extents = Vec::new();
        let mut written = 0;
        while let Some(end) = batches.next_into(&mut extents, BATCH as u64) {
            self.device
                .read(&extents, &mut self.buffer)
                .map_err(|error| self.failed("read", error))?;
            written += self.write_differences(&extents, &mut mirrored)?;
            if written >= DURABLE_EVERY {
                written = 0;
                self.make_durable()?;
                state.copied = end;
                state.write(&self.folder)?;
            }
        }
        self.make_durable()?;
        state.copied = self.grid.chunks();
        state.write(&self.folder)
    }

    fn begin_completing(&mut self) -> VssResult<MirrorState> {
        let fresh = MirrorState {
            size: self.grid.size,
            chunk: self.grid.chunk.bytes(),
            token: self.tracker.token(),
            copied: 0,
        };
        let length = self.file.metadata().map(|found| found.len());
        let length = length.map_err(|error| self.failed("look at the mirror of", error))?;
        let known = MirrorState::read(&self.folder)?.filter(|known| {
            length == self.grid.size
                && MirrorState {
                    copied: 0,
                    ..*known
                } == fresh
        });
        if let Some(known) = known {
            return Ok(known);
        }
        MirrorState::remove(&self.folder)?;
        self.file
            .set_len(self.grid.size)
            .map_err(|error| self.failed("make room for the mirror of", error))?;
        Ok(fresh)
    }

    /// Writes what was read into the buffer where the mirror differs; how much
    /// that was.
    fn write_differences(&self, extents: &[Extent], mirrored: &mut [u8]) -> VssResult<u64> {
        let chunk = usize::try_from(self.grid.chunk.bytes()).unwrap_or(BATCH);
        let mut written = 0;
        let mut rest = &self.buffer[..];
        for extent in extents {
            let (read, behind) = rest.split_at(usize::try_from(extent.length).unwrap_or(BATCH));
            rest = behind;
            let mirrored = &mut mirrored[..read.len()];
            self.file
                .read_exact_at(mirrored, extent.offset)
                .map_err(|error| self.failed("read the mirror of", error))?;
            let mut offset = extent.offset;
            for (new, old) in read.chunks(chunk).zip(mirrored.chunks(chunk)) {
                if new != old {
                    self.write(new, offset)?;
                    written += new.len() as u64;
                }
                offset += new.len() as u64;
            }
        }
        Ok(written)
    }

    /// Flushes the volume and copies what is marked, durably.
    pub(super) fn round(&mut self) -> VssResult<Round> {
        syncfs(&self.volume).map_err(|error| self.failed("flush", error))?;
        let mut marked = Vec::new();
        self.take_into(&mut marked)?;
        // Asked after the marks were taken: what comes into use later is marked
        // again.
        if self.grid.bytes(&marked) >= MANY {
            marked = without(&marked, &self.free()?);
        }
        let mut round = Round {
            bytes: 0,
            reading: Duration::ZERO,
        };
        let mut batches = Batches::of(self.grid, &marked);
        let mut extents = Vec::new();
        while batches.next_into(&mut extents, BATCH as u64).is_some() {
            let begun = Instant::now();
            self.device
                .read(&extents, &mut self.buffer)
                .map_err(|error| self.failed("read", error))?;
            round.reading += begun.elapsed();
            round.bytes += self.write_extents(&extents, &self.buffer)?;
        }
        self.make_durable()?;
        self.tracker.settle();
        Ok(round)
    }

    /// Adds what is marked to the ranges. Fit for the hold.
    pub(super) fn take_into(&self, ranges: &mut Vec<ChunkRange>) -> VssResult<()> {
        self.tracker.take_into(ranges).map_err(|untracked| {
            VssError::new(
                VssCode::UnexpectedProviderError,
                format!(
                    "not every change of {} could be followed: {untracked}; try again, and the \
                     whole volume is read again",
                    self.mount_point.display()
                ),
            )
        })
    }

    /// Reads extents of the device. Fit for the hold.
    pub(super) fn read(&mut self, extents: &[Extent], memory: &mut [u8]) -> VssResult<()> {
        self.device
            .read(extents, memory)
            .map_err(|error| self.failed("read", error))
    }

    /// The chunks that the file system does not use.
    pub(super) fn free(&self) -> VssResult<Vec<ChunkRange>> {
        match free_space(&self.volume, self.number) {
            Ok(FreeSpace::Known(free)) => Ok(self.grid.within(&free)),
            Ok(FreeSpace::Unknown) => Ok(Vec::new()),
            Err(Errno::XDEV) => Err(VssError::new(
                VssCode::VolumeNotSupportedByProvider,
                format!(
                    "{} keeps data on a second device, and only file systems on one device can \
                     be copied",
                    self.mount_point.display()
                ),
            )),
            Err(error) => Err(self.failed("ask for the free space of", error)),
        }
    }

    /// Puts extents, one behind the other in `content`, into the mirror; how
    /// much that was.
    pub(super) fn write_extents(&self, extents: &[Extent], content: &[u8]) -> VssResult<u64> {
        let mut at = 0;
        for extent in extents {
            let end = at + usize::try_from(extent.length).unwrap_or(usize::MAX - at);
            self.write(&content[at..end], extent.offset)?;
            at = end;
        }
        Ok(at as u64)
    }

    fn write(&self, content: &[u8], offset: u64) -> VssResult<()> {
        self.file
            .write_all_at(content, offset)
            .map_err(|error| self.failed("write to the mirror of", error))
    }

    /// Makes the mirror durable. Where that fails nobody knows what is in it, not
    /// even by reading it, so it is thrown away.
    pub(super) fn make_durable(&self) -> VssResult<()> {
        let Err(error) = fdatasync(&self.file) else {
            // The mirror is not read again soon. A hint, nothing more.
            let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
            return Ok(());
        };
        let error = self.failed("make durable the mirror of", error);
        let undone = MirrorState::remove(&self.folder).and_then(|()| {
            unlinkat(&*self.folder, NAME, AtFlags::empty())
                .map_err(|error| self.failed("remove the mirror of", error))
        });
        Err(match undone {
            Ok(()) => error,
            Err(later) => error.followed_by(later),
        })
    }

    /// Whether the device is still the one that was opened, and tracked.
    pub(super) fn check_device(&self) -> VssResult<()> {
        Ok(self.tracker.check_device()?)
    }

    /// Gives the marks back that were taken. Only after [`Mirror::make_durable`].
    pub(super) fn settle(&self) {
        self.tracker.settle();
    }

    fn failed(&self, what: &str, error: impl Into<std::io::Error>) -> VssError {
        failed(format!("{what} {}", self.mount_point.display()), error)
    }
}

impl AsFd for Mirror {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
