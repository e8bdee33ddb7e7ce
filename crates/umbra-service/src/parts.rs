//! What the service is given.

use crate::Limits;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use umbra_model::VssResult;
use umbra_provider::{Provider, Surface};
use umbra_volume::Volumes;
use umbra_writer::WriterSource;

/// Everything that a service works with.
pub struct ServiceParts {
    /// The machine's storage.
    pub volumes: Arc<dyn Volumes>,
    /// Who makes copies, in any order: hardware, software and system providers
    /// are asked in this order, those of one kind as they stand here.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Where in-box writers come from.
    pub writer_sources: Vec<Arc<dyn WriterSource>>,
    /// Where state and locks are.
    pub directory: StateDirectory,
    /// Who mounts copies for users.
    pub mounter: Arc<dyn Mounter>,
    /// How long things may take.
    pub limits: Limits,
}

/// Where the service keeps what must outlive it, and what must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDirectory {
    /// The catalog: `/var/lib/umbra`.
    pub state: PathBuf,
    /// Locks: `/run/umbra`. Lost at a restart of the machine.
    pub runtime: PathBuf,
}

/// Mounts shadow copies where users see them (`ExposeSnapshot`).
pub trait Mounter: Send + Sync {
    /// Checks that a copy can be mounted here: an absolute path of an existing,
    /// empty directory that nothing is mounted on.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` or `VSS_E_OBJECT_ALREADY_EXISTS`, saying what is wrong.
    fn check_target(&self, dir: &Path) -> VssResult<()>;

    /// Mounts a surfaced copy, read-only, `nosuid`, `nodev`.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn mount(&self, surface: &Surface, dir: &Path) -> VssResult<()>;

    /// Unmounts; succeeds where nothing is mounted.
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_IN_USE` while somebody uses it.
    fn unmount(&self, dir: &Path) -> VssResult<()>;

    /// Whether something is mounted here.
    fn is_mounted(&self, dir: &Path) -> bool;
}

/// Who opened a session; for messages to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The program's name, or empty.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// Its process.
    pub pid: i32,
}

impl std::fmt::Display for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() {
            "a requester"
        } else {
            &self.name
        };
        write!(f, "{name} (pid {})", self.pid)
    }
}
