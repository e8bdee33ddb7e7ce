//! What is pinned for one device, under a lock.

use crate::{
    TrackerError, TrackerFolder,
    error::on_file,
    folder::make,
    programs::{self, GAPS, PENDING, RECORD, WRITTEN},
    record::Record,
    shared_words::SharedWords,
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat},
    io::Errno,
};
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};
use umbra_model::DeviceNumber;

/// A tracker that is whole. In a folder of another name it is in the making, or
/// was left so by a process that died; such a one is never adopted.
const TRACKING: &str = "tracking";
const STARTING: &str = "starting";

/// One device's folder on the bpffs, locked against everybody else for as long
/// as this lives.
#[derive(Debug)]
pub(crate) struct Pinned {
    folder: PathBuf,
    _lock: OwnedFd,
}

/// The pinned memory of a tracker.
#[derive(Debug)]
pub(crate) struct Memory {
    pub written: SharedWords,
    pub pending: SharedWords,
    pub gaps: SharedWords,
}

impl Pinned {
    pub fn lock(place: &TrackerFolder, device: DeviceNumber) -> Result<Self, TrackerError> {
        // A bpffs reserves names with a dot; a colon is awkward in a shell.
        let name = format!("{}-{}", device.major, device.minor);
        let folder = place.path().join(name);
        loop {
            make(&folder)?;
            match try_lock(&folder) {
                Ok(Some(_lock)) => return Ok(Self { folder, _lock }),
                // Removed between being made and being locked: once more.
                Ok(None) | Err(Errno::NOENT) => {}
                Err(Errno::WOULDBLOCK) => return Err(TrackerError::InUse(device)),
                Err(error) => return Err(on_file("lock", &folder)(error.into())),
            }
        }
    }

    /// What is pinned, if it is whole and of this version.
    pub fn adopt(&self) -> Option<(Record, Memory)> {
        let folder = self.folder.join(TRACKING);
        let whole = programs::names().all(|name| folder.join(name).exists());
        let record = SharedWords::of_pinned(&folder.join(RECORD));
        match (whole, record) {
            (true, Ok(record)) => Some((Record::read(&record)?, memory(&folder).ok()?)),
            _ => None,
        }
    }

    /// Starts a tracker in place of what is pinned.
    pub fn start(&self, record: &Record) -> Result<Memory, TrackerError> {
        self.clear()?;
        let starting = self.folder.join(STARTING);
        make(&starting)?;
        programs::start(&starting, &record.place, record.chunk)?;
        let path = starting.join(RECORD);
        record.write(&SharedWords::of_pinned(&path).map_err(on_file("map", &path))?);
        // Whole from here on, in one step.
        let tracking = self.folder.join(TRACKING);
        fs::rename(&starting, &tracking).map_err(on_file("name", &tracking))?;
        memory(&tracking)
    }

    /// Removes what is pinned, and so ends tracking.
    pub fn clear(&self) -> Result<(), TrackerError> {
        for name in [STARTING, TRACKING] {
            let folder = self.folder.join(name);
            // Without its record a tracker is not adopted, so it may lose the
            // rest one by one.
            for name in [RECORD].into_iter().chain(programs::names()) {
                let path = folder.join(name);
                gone(fs::remove_file(&path)).map_err(on_file("remove", &path))?;
            }
            gone(fs::remove_dir(&folder)).map_err(on_file("remove", &folder))?;
        }
        Ok(())
    }

    /// Removes everything, with the folder itself.
    pub fn remove(self) -> Result<(), TrackerError> {
        self.clear()?;
        gone(fs::remove_dir(&self.folder)).map_err(on_file("remove", &self.folder))
    }
}

fn try_lock(folder: &Path) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = open(folder, flags, Mode::empty())?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    let is_there = fstat(&lock)?.st_ino == stat(folder)?.st_ino;
    Ok(is_there.then_some(lock))
}

fn memory(folder: &Path) -> Result<Memory, TrackerError> {
    let map = |name| {
        let path = folder.join(name);
        SharedWords::of_pinned(&path).map_err(on_file("map", &path))
    };
    Ok(Memory {
        written: map(WRITTEN)?,
        pending: map(PENDING)?,
        gaps: map(GAPS)?,
    })
}

/// What is not there needs no removal.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
