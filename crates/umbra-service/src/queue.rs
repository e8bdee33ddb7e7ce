//! One set at a time, in this service and among all that share its directory.

use crate::{Requester, cancel::Cancel, catalog::code_of, lock_file::LockFile};
use std::{
    io::{Read, Seek, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use umbra_model::{VssCode, VssError, VssResult};

/// How often another process's turn is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The most that is read of what another process says of itself.
const MAX_HOLDER: u64 = 300;

/// Who waits and whose turn it is.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Fair: whoever came first has the next turn.
    turns: Arc<Semaphore>,
    holder: Arc<Mutex<Option<String>>>,
    lock: PathBuf,
}

/// The right to make a set, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    holder: Arc<Mutex<Option<String>>>,
    lock: LockFile,
    _permit: OwnedSemaphorePermit,
}

impl Queue {
    pub(crate) fn new(lock: PathBuf) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(1)),
            holder: Arc::new(Mutex::new(None)),
            lock,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// `VSS_E_SNAPSHOT_SET_IN_PROGRESS`, naming who has the turn, when the wait
    /// is over.
    pub(crate) async fn turn(
        &self,
        requester: &Requester,
        wait: Duration,
        cancel: &Cancel,
    ) -> VssResult<Turn> {
        tokio::select! {
            biased;
            cancelled = cancel.requested() => Err(cancelled),
            taken = timeout(wait, self.take(requester)) => match taken {
                Ok(turn) => turn,
                Err(_) => Err(self.in_progress(wait)),
            },
        }
    }

    async fn take(&self, requester: &Requester) -> VssResult<Turn> {
        let permit = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|closed| {
                VssError::new(VssCode::Unexpected, "the queue of sets is closed").caused_by(closed)
            })?;
        loop {
            let lock = LockFile::try_lock(&self.lock).map_err(|error| {
                VssError::new(
                    code_of(&error),
                    format!("cannot open the lock {}", self.lock.display()),
                )
                .caused_by(error)
            })?;
            if let Some(lock) = lock {
                let name = requester.to_string();
                say(&lock, &name);
                *holding(&self.holder) = Some(name);
                return Ok(Turn {
                    holder: Arc::clone(&self.holder),
                    lock,
                    _permit: permit,
                });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn in_progress(&self, wait: Duration) -> VssError {
        let here = holding(&self.holder).clone();
        let who = here.or_else(|| self.holder_elsewhere());
        VssError::new(
            VssCode::SnapshotSetInProgress,
            format!(
                "cannot start a shadow copy set: {} is making one and {} s have passed; \
                 try again later",
                who.as_deref().unwrap_or("another program"),
                wait.as_secs_f32()
            ),
        )
    }

    fn holder_elsewhere(&self) -> Option<String> {
        let mut text = String::new();
        std::fs::File::open(&self.lock)
            .ok()?
            .take(MAX_HOLDER)
            .read_to_string(&mut text)
            .ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

/// Best effort: it only makes another's message better.
fn say(lock: &LockFile, text: &str) {
    let mut file = lock.file();
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{text}"));
}

fn holding(holder: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    holder.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Turn {
    fn drop(&mut self) {
        *holding(&self.holder) = None;
        let _ = self.lock.file().set_len(0);
    }
}
