//! The contract of a provider: who makes and keeps shadow copies.
//!
//! Calls block; the service makes them off its event loop. A provider makes one
//! copy in the steps of "State Transitions in Shadow Copy Providers"
//! (`IVssSoftwareSnapshotProvider`), each a method of [`PendingShadowCopy`]:
//!
//! ```text
//! begin_prepare → end_prepare → pre_commit → commit → post_commit
//!               → pre_final_commit → post_final_commit       (or abort, from anywhere)
//! ```
//!
//! Invariant: all slow work ends in `end_prepare`; `commit` is the least that
//! the storage allows, allocates no large memory, starts no process and writes
//! no file but the copy.
//! Invariant: everything a provider leaves on disk carries the shadow copy's id
//! in its name, from its first moment.
//! Invariant: `abort` and `delete` leave nothing of the copy behind, may be
//! called again, and succeed where there is nothing.

mod storage;

pub use storage::{Migration, Persistence, StorageManagement};

use std::{any::Any, fmt, path::PathBuf};
use umbra_model::{
    HoldMethod, ProviderCapabilities, ProviderId, ProviderLocation, ProviderType, ShadowCopy,
    ShadowCopyId, Volume, VssResult,
};

/// Which kind of provider (`VSS_PROVIDER_TYPE`). The service asks hardware
/// providers first, then software, then the system provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    /// `VSS_PROV_HARDWARE`.
    Hardware,
    /// `VSS_PROV_SOFTWARE`.
    Software,
    /// `VSS_PROV_SYSTEM`.
    System,
}

impl From<ProviderKind> for ProviderType {
    fn from(kind: ProviderKind) -> Self {
        match kind {
            ProviderKind::Hardware => Self::Hardware,
            ProviderKind::Software => Self::Software,
            ProviderKind::System => Self::System,
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware",
            Self::Software => "software",
            Self::System => "system",
        })
    }
}

/// Who a provider is (`VSS_PROVIDER_PROP`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderProperties {
    /// Its id, fixed for all time.
    pub id: ProviderId,
    /// One lower-case word: `btrfs`, `reflink`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its kind.
    pub kind: ProviderKind,
    /// What it needs of a volume, in a few words.
    pub needs: &'static str,
}

/// Whether a provider can copy a volume (`IsVolumeSupported`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It can, and the file system is to be held like this meanwhile.
    Supported(HoldMethod),
    /// It cannot: why, in a clause.
    Unsupported(String),
}

/// Whether a copy that the catalog knows is really there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is gone.
    Missing,
    /// The storage it lies on is not there now: why.
    Unreachable(String),
}

/// What a file system mount of a copy needs. It is always read-only, `nosuid`
/// and `nodev`; that is not said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSource {
    /// The file system's type.
    pub file_system: String,
    /// The device.
    pub source: PathBuf,
    /// The file system's own options, each `name` or `name=value`.
    pub options: Vec<String>,
}

/// A copy that can be mounted now (`m_pwszSnapshotDeviceObject`).
///
/// Dropping it lets go of what the provider attached, as soon as nobody has it
/// mounted any more.
pub struct Surface {
    /// How to mount it.
    pub mount: MountSource,
    /// The copy's own block device, where it has one.
    pub device: Option<PathBuf>,
    /// Kept alive for as long as the copy is surfaced.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface")
            .field("mount", &self.mount)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Who makes and keeps shadow copies.
pub trait Provider: Send + Sync {
    /// Who this is.
    fn properties(&self) -> &ProviderProperties;

    /// What it can do (`IVssAdminEx::GetProviderCapability`).
    fn capabilities(&self) -> ProviderCapabilities {
        ProviderCapabilities::COMPLIANT
    }

    /// How the storage of its copies is managed, where it has storage of its own.
    fn storage(&self) -> Option<&dyn StorageManagement> {
        None
    }

    /// Whether it can copy this volume. Changes nothing.
    fn is_volume_supported(&self, volume: &Volume) -> Support;

    /// Where the copy with this id will be kept. Writes nothing: the service
    /// puts it in the catalog before anything is made, so that a crash leaves
    /// nothing that nobody knows.
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER`, or what finding out failed with.
    fn location(&self, id: ShadowCopyId, volume: &Volume) -> VssResult<ProviderLocation>;

    /// Starts a copy (`BeginPrepareSnapshot`): opens and reserves.
    ///
    /// # Errors
    ///
    /// Any error fails the set, and nothing of the copy is left.
    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>>;

    /// Makes a finished copy mountable.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where the copy is gone, or the system's error.
    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface>;

    /// Whether the copy is really there.
    fn presence(&self, copy: &ShadowCopy) -> Presence;

    /// Deletes a copy, finished or half made (`DeleteSnapshots`). Succeeds
    /// where there is nothing.
    ///
    /// # Errors
    ///
    /// The copy, or a part of it, is still there.
    fn delete(&self, copy: &ShadowCopy) -> VssResult<()>;
}

/// One copy in the making.
pub trait PendingShadowCopy: Send {
    /// All slow work ends here (`EndPrepareSnapshots`).
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn end_prepare(&mut self) -> VssResult<()>;

    /// The last call before the hold (`PreCommitSnapshots`).
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn pre_commit(&mut self) -> VssResult<()> {
        Ok(())
    }

    /// Makes the copy, inside the hold (`CommitSnapshots`).
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn commit(&mut self) -> VssResult<()>;

    /// The first call after the hold (`PostCommitSnapshots`): makes the copy
    /// durable.
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn post_commit(&mut self) -> VssResult<()>;

    /// Before writers see the copy (`PreFinalCommitSnapshots`).
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn pre_final_commit(&mut self) -> VssResult<()> {
        Ok(())
    }

    /// Seals the copy read-only (`PostFinalCommitSnapshots`).
    ///
    /// # Errors
    ///
    /// Any error fails the set.
    fn post_final_commit(&mut self) -> VssResult<()> {
        Ok(())
    }

    /// Undoes everything so far (`AbortSnapshots`).
    ///
    /// # Errors
    ///
    /// Something of the copy is still there; the service will try
    /// [`Provider::delete`] again at its next start.
    fn abort(&mut self) -> VssResult<()>;
}
