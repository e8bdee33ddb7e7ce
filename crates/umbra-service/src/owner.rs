//! Which service a record in the catalog belongs to, and whether it lives.

use crate::{catalog::code_of, lock_file::LockFile};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use umbra_model::{VssCode, VssError, VssResult};
use uuid::Uuid;

/// One running service. Several may share a state directory: `umbrad`, and each
/// `umbra` that finds no `umbrad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct OwnerId(Uuid);

impl OwnerId {
    fn lock_path(self, runtime: &Path) -> PathBuf {
        runtime.join(format!("owner-{}.lock", self.0.as_hyphenated()))
    }

    /// Whether this service still runs. The lock file of one that does not is
    /// removed.
    pub(crate) fn is_alive(self, runtime: &Path) -> bool {
        let path = self.lock_path(runtime);
        match LockFile::try_lock_existing(&path) {
            Ok(None) => true,
            Ok(Some(_free)) => {
                // Removed under its lock; a file that stays is tried again.
                let _ = std::fs::remove_file(&path);
                false
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            // Not to be read is not dead: leave its records alone.
            Err(_) => true,
        }
    }
}

/// This service's sign of life.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    pub(crate) id: OwnerId,
    path: PathBuf,
    _lock: LockFile,
}

impl OwnerLock {
    /// # Errors
    ///
    /// The runtime directory cannot be written.
    pub(crate) fn take(runtime: &Path) -> VssResult<Self> {
        let id = OwnerId(Uuid::new_v4());
        let path = id.lock_path(runtime);
        // Locked before it has its name, so that nobody sees it without an owner.
        let making = path.with_extension("new");
        let failed = |error: std::io::Error| {
            VssError::new(
                code_of(&error),
                format!("cannot make the lock {}", path.display()),
            )
            .caused_by(error)
        };
        let lock = LockFile::try_lock(&making)
            .map_err(failed)?
            .ok_or_else(|| {
                VssError::new(
                    VssCode::Unexpected,
                    format!("someone else locked {}", making.display()),
                )
            })?;
        std::fs::rename(&making, &path).map_err(failed)?;
        Ok(Self {
            id,
            path,
            _lock: lock,
        })
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // One that stays is found dead by the next service.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the lock files of services that have ended.
pub(crate) fn remove_dead_locks(runtime: &Path) {
    let Ok(entries) = std::fs::read_dir(runtime) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_prefix("owner-")?.strip_suffix(".lock"))
            .and_then(|id| Uuid::try_parse(id).ok());
        if let Some(id) = id {
            OwnerId(id).is_alive(runtime);
        }
    }
}
