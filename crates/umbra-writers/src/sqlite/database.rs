//! One database, kept by a thread of its own.
//!
//! SQLite's calls block, and a transaction belongs to its connection; so each
//! database of a set has a thread that owns the connection and does one thing
//! after another. When the [`Keeper`] is dropped the thread ends, and with its
//! connection every lock.

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use umbra_writer::{WriterFailure, WriterFailureKind};

/// How often a lock that another program has is asked for again. SQLite's own
/// waiting backs off to 100 ms and starves beside a busy program.
const LOCK_POLL: Duration = Duration::from_millis(2);

/// How long opening waits for a program that is just committing.
const OPEN_WAIT: Duration = Duration::from_secs(5);

type Answer = Result<(), WriterFailure>;

/// What the thread is asked to do.
#[derive(Debug, Clone, Copy)]
enum Task {
    Open,
    Checkpoint,
    Lock(Duration),
    Unlock,
}

/// A database of a set.
pub(crate) struct Keeper {
    tasks: mpsc::Sender<(Task, oneshot::Sender<Answer>)>,
}

impl Keeper {
    /// Opens a database, which must be there.
    pub(crate) async fn open(path: &Path) -> Result<Self, WriterFailure> {
        let (tasks, queue) = mpsc::channel();
        let owned = path.to_owned();
        thread::Builder::new()
            .name("umbra-sqlite".into())
            .spawn(move || serve(&owned, &queue))
            .map_err(|error| {
                WriterFailure::new(
                    WriterFailureKind::OutOfResources,
                    format!(
                        "cannot start a thread for the SQLite database {}: {error}",
                        path.display()
                    ),
                )
            })?;
        let keeper = Self { tasks };
        keeper.ask(Task::Open).await?;
        Ok(keeper)
    }

    /// Moves what it can from the write-ahead log to the database, waiting for
    /// nobody. What stays in the log is copied with the log.
    pub(crate) async fn checkpoint(&self) -> Answer {
        self.ask(Task::Checkpoint).await
    }

    /// Takes the write lock, so that nobody writes until [`Self::unlock`].
    pub(crate) async fn lock(&self, wait: Duration) -> Answer {
        self.ask(Task::Lock(wait)).await
    }

    /// Gives the write lock back.
    ///
    /// # Errors
    ///
    /// Where the lock did not last, or the database was replaced meanwhile.
    pub(crate) async fn unlock(&self) -> Answer {
        self.ask(Task::Unlock).await
    }

    async fn ask(&self, task: Task) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || {
            WriterFailure::new(
                WriterFailureKind::NotResponding,
                "the thread of a SQLite database ended",
            )
        };
        self.tasks.send((task, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn serve(path: &Path, queue: &mpsc::Receiver<(Task, oneshot::Sender<Answer>)>) {
    let mut database = None;
    while let Ok((task, answer)) = queue.recv() {
        let result = match (task, &database) {
            (Task::Open, _) => Database::open(path).map(|opened| database = Some(opened)),
            (_, None) => Err(failure(
                path,
                WriterFailureKind::NonRetryable,
                "it is not open",
            )),
            (Task::Checkpoint, Some(database)) => database.checkpoint(),
            (Task::Lock(wait), Some(database)) => database.lock(wait, &answer),
            (Task::Unlock, Some(database)) => database.unlock(),
        };
        // Whoever asked may have run out of time.
        let _ = answer.send(result);
    }
}

struct Database {
    path: PathBuf,
    connection: Connection,
    file: (u64, u64),
}

impl Database {
    fn open(path: &Path) -> Result<Self, WriterFailure> {
        let file = file_identity(path)?;
        // Never created, and no symbolic link followed: the path was resolved
        // before, and its folder may belong to somebody less trusted.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| sqlite_failure(path, "open", &error))?;
        let database = Self {
            path: path.to_owned(),
            connection,
            file,
        };
        // SQLite reads the file only now: a file that is no database, and a
        // journal that a crashed program left, are met here and not at Freeze.
        let begun = Instant::now();
        database
            .connection
            .busy_timeout(Duration::ZERO)
            .map_err(|error| sqlite_failure(path, "read", &error))?;
        loop {
            let version = database
                .connection
                .pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0));
            match version {
                Ok(_) => return Ok(database),
                Err(error) if is_busy(&error) && begun.elapsed() < OPEN_WAIT => {
                    thread::sleep(LOCK_POLL);
                }
                Err(error) => return Err(sqlite_failure(path, "read", &error)),
            }
        }
    }

    fn checkpoint(&self) -> Answer {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .or_else(|error| match error.sqlite_error_code() {
                // Somebody else is at it: as good.
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Ok(()),
                _ => Err(sqlite_failure(&self.path, "checkpoint", &error)),
            })
    }

    fn lock(&self, wait: Duration, asker: &oneshot::Sender<Answer>) -> Answer {
        self.same_file()?;
        let begun = Instant::now();
        self.connection
            .busy_timeout(Duration::ZERO)
            .map_err(|error| sqlite_failure(&self.path, "lock", &error))?;
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) if asker.is_closed() => return self.roll_back(),
                Ok(()) => return Ok(()),
                Err(error) if is_busy(&error) && begun.elapsed() < wait && !asker.is_closed() => {
                    thread::sleep(LOCK_POLL);
                }
                Err(error) if is_busy(&error) => {
                    return Err(failure(
                        &self.path,
                        WriterFailureKind::Retryable,
                        format!(
                            "another program has been writing to it for {} s; try again, \
                             or raise lock_wait_seconds in sqlite.toml",
                            wait.as_secs()
                        ),
                    ));
                }
                Err(error) => return Err(sqlite_failure(&self.path, "lock", &error)),
            }
        }
    }

    fn unlock(&self) -> Answer {
        let lasted = if self.connection.is_autocommit() {
            Err(failure(
                &self.path,
                WriterFailureKind::Retryable,
                "its write lock did not last from Freeze to Thaw",
            ))
        } else {
            self.same_file()
        };
        let released = self.roll_back();
        lasted.and(released)
    }

    fn roll_back(&self) -> Answer {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection
            .execute_batch("ROLLBACK")
            .map_err(|error| sqlite_failure(&self.path, "unlock", &error))
    }

    /// A lock on a file that was replaced protects nothing.
    fn same_file(&self) -> Answer {
        if file_identity(&self.path)? == self.file {
            Ok(())
        } else {
            Err(failure(
                &self.path,
                WriterFailureKind::Retryable,
                "the file was replaced while the set was made",
            ))
        }
    }
}

/// Device and inode number.
fn file_identity(path: &Path) -> Result<(u64, u64), WriterFailure> {
    std::fs::metadata(path)
        .map(|facts| (facts.dev(), facts.ino()))
        .map_err(|error| {
            failure(
                path,
                WriterFailureKind::NonRetryable,
                format!("cannot look at it: {error}"),
            )
        })
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn sqlite_failure(path: &Path, action: &str, error: &rusqlite::Error) -> WriterFailure {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => WriterFailureKind::Retryable,
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => WriterFailureKind::OutOfResources,
        _ => WriterFailureKind::NonRetryable,
    };
    failure(path, kind, format!("cannot {action} it: {error}"))
}

pub(crate) fn failure(
    path: &Path,
    kind: WriterFailureKind,
    why: impl std::fmt::Display,
) -> WriterFailure {
    WriterFailure::new(
        kind,
        format!("the SQLite database {}: {why}", path.display()),
    )
}
