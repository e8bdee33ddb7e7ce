//! The contract between the service and the machine's storage. The service's
//! unit tests give it a simulation; [`crate::LinuxVolumes`] is the real one.

use std::{path::Path, time::Duration};
use umbra_model::{HoldMethod, Instant, Volume, VssResult};

/// One mounted file system, and whether it is a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeListing {
    /// Where it is mounted.
    pub mount_point: std::path::PathBuf,
    /// Its type.
    pub file_system: String,
    /// What it is mounted from.
    pub source: String,
    /// The volume, or why it is none, in a clause.
    pub volume: Result<Volume, String>,
}

/// The storage of this machine.
pub trait Volumes: Send + Sync {
    /// Every mounted file system on storage of this machine, each device and
    /// subvolume once; pseudo file systems (proc, sysfs, …) are not in it.
    ///
    /// # Errors
    ///
    /// The mount table cannot be read.
    fn list(&self) -> VssResult<Vec<VolumeListing>>;

    /// The volume with this name: a mount point, a block device or a volume id.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where the name is no volume,
    /// `VSS_E_VOLUME_NOT_SUPPORTED` where it is one that nothing can copy
    /// (tmpfs, overlay, a network file system).
    fn resolve(&self, name: &Path) -> VssResult<Volume>;

    /// The volume that an existing path lies on, symbolic links followed.
    ///
    /// # Errors
    ///
    /// As [`Volumes::resolve`].
    fn containing(&self, path: &Path) -> VssResult<Volume>;

    /// Gets a hold of these volumes ready: opens and pins each file system,
    /// locks memory, starts the guardian. Freezes nothing yet.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where a volume was unmounted meanwhile, or the
    /// system's error.
    fn prepare_hold(
        &self,
        volumes: Vec<HoldVolume>,
        limits: HoldLimits,
    ) -> VssResult<Box<dyn PreparedHold>>;
}

/// A volume to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldVolume {
    /// Which.
    pub volume: Volume,
    /// How its provider wants it held.
    pub method: HoldMethod,
}

/// How long a hold may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimits {
    /// From the first freeze to the last thaw; past it the guardian thaws
    /// (VSS: 10 s).
    pub deadline: Duration,
    /// How long the holding process may give no sign of life.
    pub stall: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            stall: Duration::from_secs(1),
        }
    }
}

/// What a provider does inside the hold for one volume.
pub type Commit<'a> = Box<dyn FnOnce() -> VssResult<()> + Send + 'a>;

/// A hold that is ready. Dropping it ends the guardian and unlocks memory.
pub trait PreparedHold: Send {
    /// Freezes and thaws each file system once, alone, after flushing it: finds
    /// one that someone else has frozen, and leaves journals so short that the
    /// hold itself has little to do.
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_IN_USE` naming the volume that is frozen already, or the
    /// system's error.
    fn rehearse(&mut self) -> VssResult<()>;

    /// Holds every file system, calls the commits (one for each volume, in the
    /// order the volumes were given), releases. See "The hold" in
    /// `docs/architecture.md` for the order of things.
    ///
    /// When it returns, nothing is held, whatever it returns.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong, with later ones attached:
    /// `VSS_E_HOLD_WRITES_TIMEOUT` where the guardian had to end the hold,
    /// `VSS_E_VOLUME_IN_USE` where someone else froze a volume first,
    /// `VSS_E_FLUSH_WRITES_TIMEOUT` or the system's error where freezing failed,
    /// or a commit's own error.
    fn run(&mut self, commits: Vec<Commit<'_>>) -> VssResult<HoldReport>;
}

/// What the hold did, in the order the volumes were given. Times count from the
/// start of the hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldReport {
    /// Each volume's part.
    pub volumes: Vec<VolumeHold>,
    /// From the first freeze to the last thaw; zero where nothing was frozen.
    pub held: Duration,
    /// The largest difference between the instants of two copies; zero where
    /// there was a moment at which every copy's volume stood as it was copied.
    pub skew: Duration,
    /// When the instant was that all copies show.
    pub instant: Instant,
}

/// One volume's part in a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeHold {
    /// How it was held.
    pub method: HoldMethod,
    /// When its freeze was asked for, for a volume that was frozen.
    pub freeze_started: Option<Duration>,
    /// When it stood still.
    pub frozen: Option<Duration>,
    /// When its commit began.
    pub commit_started: Duration,
    /// When its commit ended.
    pub commit_ended: Duration,
    /// When it was thawed.
    pub released: Option<Duration>,
}
