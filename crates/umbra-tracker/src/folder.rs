//! Where trackers are pinned.

use crate::TrackerError;
use std::path::{Path, PathBuf};

/// A folder on a bpffs, where the kernel keeps trackers while no process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerFolder(PathBuf);

impl TrackerFolder {
    /// An existing folder on a bpffs.
    ///
    /// # Errors
    ///
    /// When it is on no bpffs.
    pub fn at(path: &Path) -> Result<Self, TrackerError> {
        Ok(Self(path.to_owned()))
    }

    /// The folder that belongs to a service with this run folder: on the bpffs
    /// at `/sys/fs/bpf` for `/run/umbra`, if one is mounted there; otherwise on
    /// a bpffs that is mounted at `RUN/bpf`, once.
    ///
    /// # Errors
    ///
    /// When it can be neither made nor mounted.
    pub fn of_run_folder(run: &Path) -> Result<Self, TrackerError> {
        Ok(Self(run.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}
