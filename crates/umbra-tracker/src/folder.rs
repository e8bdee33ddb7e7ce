//! Where trackers are pinned.

use crate::{TrackerError, error::on_file};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open, statfs},
    io::Errno,
    mount::{MountFlags, mount},
};
use std::{
    fs::DirBuilder,
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

/// `BPF_FS_MAGIC`.
const BPFFS: u64 = 0xcafe_4a11;
/// Where a distribution mounts the bpffs, and whose service uses it.
const USUAL_BPFFS: &str = "/sys/fs/bpf";
const USUAL_RUN_FOLDER: &str = "/run/umbra";

/// A folder on a bpffs, where the kernel keeps trackers while no process does. They
/// are gone with the machine's uptime, or when that bpffs is unmounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerFolder(PathBuf);

impl TrackerFolder {
    /// An existing folder on a bpffs.
    ///
    /// # Errors
    ///
    /// When it is on no bpffs.
    pub fn at(path: &Path) -> Result<Self, TrackerError> {
        if !is_on_bpffs(path).map_err(on_file("look at", path))? {
            return Err(TrackerError::NoBpffs(path.to_owned()));
        }
        Ok(Self(path.to_owned()))
    }

    /// The folder that belongs to a service with this run folder: on the bpffs
    /// at `/sys/fs/bpf` for `/run/umbra`, if one is mounted there; otherwise on
    /// a bpffs of its own that is mounted at `RUN/bpf`, once, and stays.
    ///
    /// # Errors
    ///
    /// When it can be neither made nor mounted.
    pub fn of_run_folder(run: &Path) -> Result<Self, TrackerError> {
        let usual = Path::new(USUAL_BPFFS);
        if run == Path::new(USUAL_RUN_FOLDER) && is_on_bpffs(usual).unwrap_or(false) {
            let folder = usual.join("umbra");
            make(&folder)?;
            return Self::at(&folder);
        }
        let folder = run.join("bpf");
        make(&folder)?;
        // A second mount on top would hide what is pinned in the first.
        let _lock = lock_of_mounting(run)?;
        if !is_on_bpffs(&folder).map_err(on_file("look at", &folder))? {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("umbra", &folder, "bpf", flags, Some(c"mode=0700")).map_err(|error| {
                if error == Errno::NODEV {
                    return TrackerError::kernel("it was built without BPF");
                }
                on_file("mount a bpffs at", &folder)(error.into())
            })?;
        }
        Self::at(&folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn is_on_bpffs(path: &Path) -> io::Result<bool> {
    Ok(u64::try_from(statfs(path)?.f_type) == Ok(BPFFS))
}

/// Makes a folder that may exist, for root alone.
pub(crate) fn make(folder: &Path) -> Result<(), TrackerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(on_file("make", folder))
}

fn lock_of_mounting(run: &Path) -> Result<OwnedFd, TrackerError> {
    let path = run.join("bpf.lock");
    open(
        &path,
        OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )
    .and_then(|file| flock(&file, FlockOperation::LockExclusive).map(|()| file))
    .map_err(|error| on_file("lock", &path)(error.into()))
}
