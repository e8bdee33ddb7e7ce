//! What can go wrong with tracking.

use std::{
    io,
    path::{Path, PathBuf},
};
use umbra_model::{DeviceNumber, VssCode, VssError};

/// Why tracking could not be started, adopted or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// The device is of a kind whose writes cannot all be seen.
    #[error("writes to device {device} cannot be tracked: {reason}")]
    Unsupported {
        /// Which.
        device: DeviceNumber,
        /// Why, in a clause.
        reason: String,
    },
    /// Another process, or another tracker of this one, has it.
    #[error("device {0} is being tracked by another process, or by this one already")]
    InUse(DeviceNumber),
    /// The kernel cannot do it, or does not let this process do it.
    #[error("the kernel does not take the tracker's programs: {reason}")]
    Kernel {
        /// What is missing, in a clause.
        reason: String,
        /// What libbpf said.
        #[source]
        source: Option<libbpf_rs::Error>,
    },
    /// The device is not what it was: of another size, or another disk under
    /// the same number.
    #[error("device {device} is no longer what was tracked: {reason}")]
    Changed {
        /// Which.
        device: DeviceNumber,
        /// What differs, in a clause.
        reason: String,
    },
    /// What is pinned has to be on a bpffs.
    #[error("{0:?} is on no bpffs")]
    NoBpffs(PathBuf),
    /// A file or folder could not be used.
    #[error("cannot {what} {path:?}")]
    File {
        /// What was tried: "open", "read".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl TrackerError {
    pub(crate) fn kernel(reason: &str) -> Self {
        Self::Kernel {
            reason: reason.to_owned(),
            source: None,
        }
    }
}

/// Says what was tried with which file.
pub(crate) fn on_file<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> TrackerError + use<'a> {
    move |source| TrackerError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

impl From<TrackerError> for VssError {
    fn from(error: TrackerError) -> Self {
        let (code, advice) = match &error {
            TrackerError::Unsupported { .. } | TrackerError::Changed { .. } => {
                (VssCode::VolumeNotSupported, "")
            }
            TrackerError::InUse(_) => (
                VssCode::SnapshotSetInProgress,
                "; wait until it has finished",
            ),
            TrackerError::Kernel { .. } | TrackerError::NoBpffs(_) | TrackerError::File { .. } => {
                (VssCode::UnexpectedProviderError, "")
            }
        };
        let message = format!("cannot track the changes of a volume{advice}");
        VssError::new(code, message).caused_by(error)
    }
}
