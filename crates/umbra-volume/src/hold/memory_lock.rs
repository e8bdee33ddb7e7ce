//! Keeps this process in memory while file systems stand still: a page of code
//! that has to be read from a frozen file system, or written to swap on one,
//! would never come.

use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use std::sync::{Mutex, PoisonError};
use umbra_model::{VssCode, VssError, VssResult};

/// How many of these values there are. The kernel keeps one lock for the whole
/// process, so it has to be counted for the whole process.
static HOLDERS: Mutex<usize> = Mutex::new(0);

/// While it lives, every page of this process, present and future, is in memory.
#[derive(Debug)]
pub(super) struct MemoryLock(());

impl MemoryLock {
    /// Locks.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` where the process may not lock so much.
    pub fn take() -> VssResult<Self> {
        let mut holders = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *holders == 0 {
            lock().map_err(|error| {
                VssError::new(
                    VssCode::Unexpected,
                    "cannot lock this process in memory, without which no file system may be \
                     held; run as root (CAP_IPC_LOCK) or raise the limit (ulimit -l, LimitMEMLOCK=)",
                )
                .caused_by(error)
            })?;
        }
        *holders += 1;
        Ok(Self(()))
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut holders = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        *holders -= 1;
        if *holders == 0 {
            // It cannot fail; and if it did, memory would only stay locked.
            let _ = munlockall();
        }
    }
}

/// Locks for the rest of the process's life; for the guardian.
pub(super) fn lock() -> rustix::io::Result<()> {
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
}
