//! Locks that several services on one state directory share.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    time::{Duration, Instant},
};
use umbra_model::{VssCode, VssError, VssResult};

/// A file whose lock is held until this is dropped. The kernel lets go of it
/// when the process dies.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
}

impl LockFile {
    /// Takes the lock if it is free; makes the file where there is none.
    pub(crate) fn try_lock(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Self::try_lock_open(file)
    }

    /// Takes the lock of an existing file if it is free.
    pub(crate) fn try_lock_existing(path: &Path) -> io::Result<Option<Self>> {
        Self::try_lock_open(OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn try_lock_open(file: File) -> io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the lock, blocking the thread.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` when the wait is over or the file cannot be opened.
    pub(crate) fn lock_within(path: &Path, wait: Duration) -> VssResult<Self> {
        let end = Instant::now() + wait;
        loop {
            match Self::try_lock(path) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => {
                    return Err(VssError::new(
                        VssCode::Unexpected,
                        format!(
                            "another process has kept the lock {} for {} s; end it and try again",
                            path.display(),
                            wait.as_secs()
                        ),
                    ));
                }
                Err(error) => {
                    return Err(VssError::new(
                        crate::catalog::code_of(&error),
                        format!("cannot open the lock {}", path.display()),
                    )
                    .caused_by(error));
                }
            }
        }
    }

    /// The file, for what its holder wants others to read.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}
