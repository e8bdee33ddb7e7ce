//! How the system's errors become VSS's.

use rustix::io::Errno;
use std::io;
use umbra_model::{VssCode, VssError};

/// An error of the storage; `what` completes "cannot".
pub(crate) fn failed(what: impl AsRef<str>, error: impl Into<io::Error>) -> VssError {
    let error = error.into();
    let (code, advice) = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT) => (
            VssCode::InsufficientStorage,
            "; free some space on that file system, for example by deleting old shadow copies \
             (`umbra delete --oldest VOLUME`)",
        ),
        Some(Errno::ROFS) => (
            VssCode::Unexpected,
            "; that file system is read-only, and must be mounted writable to keep a shadow copy",
        ),
        Some(Errno::PERM | Errno::ACCESS) => (VssCode::AccessDenied, ""),
        Some(Errno::EXIST) => (VssCode::ObjectAlreadyExists, ""),
        _ => (VssCode::Unexpected, ""),
    };
    VssError::new(code, format!("cannot {}{advice}", what.as_ref())).caused_by(error)
}
