//! What can go wrong with one file while all others go on.

use rustix::io::Errno;
use std::path::PathBuf;
use umbra_model::{VssCode, VssError};

/// What went wrong with one file or folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The system refused.
    #[error("cannot {doing} {path:?}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: Errno,
    },
    /// A folder on the way is a symbolic link, which is not followed.
    #[error(
        "{0:?} is a symbolic link, which is not followed: a file set, a mapping or a target \
         must name the folder by its real path"
    )]
    LinkOnTheWay(PathBuf),
    /// Something of another kind is in the place of a file or folder.
    #[error("{path:?} is no {expected} any more: move it away and try again")]
    OtherKind {
        /// Which.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A range of a partial file or directed target that the file does not have.
    #[error("{path:?} has {size} bytes, and its range {offset}:{length} ends behind them")]
    RangeBehindEnd {
        /// The file.
        path: PathBuf,
        /// How long it is, in bytes.
        size: u64,
        /// Where the range begins.
        offset: u64,
        /// How long it is.
        length: u64,
    },
    /// A ranges file that is none.
    #[error("the ranges file {path:?}")]
    RangesFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: umbra_documents::RangeListError,
    },
    /// The writer wants files restored only if none of them is there
    /// (`VSS_RME_RESTORE_IF_NOT_THERE`).
    #[error("{0:?} is there already, and its writer wants files restored only if none is")]
    AlreadyThere(PathBuf),
    /// The file must go to an alternate location and its writer named none.
    #[error(transparent)]
    NoAlternateLocation(#[from] umbra_documents::NoAlternateLocation),
}

impl EntryError {
    pub(crate) fn system(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(Errno) -> Self {
        let path = path.into();
        move |cause| Self::System { doing, path, cause }
    }

    /// Whether no other file will fare better: the disk is full, or broken.
    pub(crate) fn ends_everything(&self) -> bool {
        matches!(
            self,
            Self::System {
                cause: Errno::NOSPC | Errno::DQUOT | Errno::ROFS,
                ..
            }
        )
    }
}

impl From<EntryError> for VssError {
    fn from(error: EntryError) -> Self {
        let code = match &error {
            EntryError::System { cause, .. } => match *cause {
                Errno::NOSPC | Errno::DQUOT => VssCode::InsufficientStorage,
                Errno::ACCESS | Errno::PERM | Errno::ROFS => VssCode::AccessDenied,
                Errno::NOENT => VssCode::ObjectNotFound,
                _ => VssCode::Unexpected,
            },
            EntryError::NoAlternateLocation(_) => VssCode::ObjectNotFound,
            _ => VssCode::InvalidArgument,
        };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let said = VssError::new(code, error.to_string());
        match cause {
            Some(cause) => said.caused_by_text(cause),
            None => said,
        }
    }
}
