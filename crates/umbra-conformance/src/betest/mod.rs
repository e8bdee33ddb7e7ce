//! The test requester ("BETest Tool"): backs up and restores the components that a
//! file selects, call by call as the reference has them, and says how the writers
//! are after each.

mod backup;
mod choice;
mod restore;
mod said;

use crate::configuration::BetestConfiguration;
use std::path::PathBuf;
use umbra_client::{Authority, Connection};
use umbra_model::{BackupType, Context, VssError, VssResult};

/// What to do, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BetestOptions {
    /// What is done, in this order.
    pub tasks: Vec<BetestTask>,
    /// What is chosen (`/X`, `/C`); every component where nothing is said.
    pub configuration: Option<BetestConfiguration>,
    /// The file of the Backup Components Document (`/S`).
    pub document: Option<PathBuf>,
    /// The folder of the backup (`/D`). Without one nothing is copied, and the writers
    /// are told that all went well.
    pub directory: Option<PathBuf>,
    /// What kind of backup (`/T`).
    pub backup_type: BackupType,
    /// The document of the backup that this one builds on (`/Pre`).
    pub previous: Option<PathBuf>,
    /// Whether restored data wins over that of other machines (`/Auth`).
    pub authority: Authority,
    /// Whether the backup has a state that the system can start with (`/O`).
    pub bootable_system_state: bool,
    /// What the set is for: with `/P` or `/Rollback` it stays.
    pub context: Context,
    /// Whether BackupComplete is sent (`/NBC` leaves it out).
    pub completion: Completion,
    /// What happens when a writer fails and the others could go on (`/StopError`).
    pub on_writer_error: OnWriterError,
    /// How much is told (`/V`).
    pub detail: Detail,
}

/// One thing that BETest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetestTask {
    /// A set, and the files out of it (`/B`).
    Backup,
    /// Files back (`/R`).
    Restore,
    /// A set (`/Snapshot`).
    Snapshot,
    /// BackupComplete and nothing before it (`/BC`). The service keeps no session from
    /// one program to the next, so it answers as it does to every call in the wrong
    /// order.
    BackupComplete,
}

/// Whether writers are told that the backup is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Completion {
    /// They are.
    #[default]
    Sent,
    /// They are not, as if the requester had forgotten; the end of the session tells
    /// them that the backup failed.
    Omitted,
}

/// What happens when a writer fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnWriterError {
    /// It is told, and the rest goes on where that makes sense.
    #[default]
    GoOn,
    /// It is the end.
    Stop,
}

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// What came of it, and failures.
    #[default]
    Results,
    /// Every call, and how every writer is.
    Everything,
}

/// Does what the options say and tells it line by line. Dropping the future ends the
/// session, and with it whatever is under way.
///
/// # Errors
///
/// The first failure, with later ones behind it: a call's, a writer's, or of a file
/// that could not be copied.
pub async fn betest(
    connection: &Connection,
    options: &BetestOptions,
    print: &(dyn Fn(&str) + Send + Sync),
) -> VssResult<()> {
    let said = said::Said::new(print, options);
    for task in &options.tasks {
        match task {
            BetestTask::Backup | BetestTask::Snapshot | BetestTask::BackupComplete => {
                backup::back_up(connection, options, *task, &said).await?;
            }
            BetestTask::Restore => restore::restore(connection, options, &said).await?,
        }
    }
    said.verdict()
}

/// Ends a session after what was done in it.
async fn closed(session: umbra_client::BackupComponents, done: VssResult<()>) -> VssResult<()> {
    let closed = session.close().await;
    match (done, closed) {
        (Err(first), Err(later)) => Err(first.followed_by(later)),
        (done, closed) => done.and(closed),
    }
}

/// An error of the machine at a file.
fn at_file(what: &str, file: &std::path::Path, error: &std::io::Error) -> VssError {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => umbra_model::VssCode::ObjectNotFound,
        std::io::ErrorKind::PermissionDenied => umbra_model::VssCode::AccessDenied,
        std::io::ErrorKind::StorageFull => umbra_model::VssCode::InsufficientStorage,
        _ => umbra_model::VssCode::Unexpected,
    };
    VssError::new(code, format!("cannot {what} {}: {error}", file.display()))
}
