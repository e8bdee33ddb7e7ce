//! The trait, its events and what they are told.

use crate::WriterFailure;
use async_trait::async_trait;
use std::{fmt, sync::Arc};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{SessionId, SetId, Volume};

/// The events that a writer answers, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterEvent {
    /// Say what you own.
    Identify,
    /// A backup is coming: `OnPrepareBackup`.
    PrepareForBackup,
    /// A set is about to be made: bring your data into shape, slowly if need be.
    PrepareForSnapshot,
    /// Stop writing.
    Freeze,
    /// Go on writing.
    Thaw,
    /// The copies exist.
    PostSnapshot,
    /// The requester has, or has not, backed your data up.
    BackupComplete,
    /// The session is over.
    BackupShutdown,
    /// The set is not made after all; whatever you stopped goes on.
    Abort,
}

impl fmt::Display for WriterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a writer is told with each event of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEvent {
    /// The requester's session (`CVssWriter::GetSessionId`).
    pub session: SessionId,
    /// The set (`CVssWriter::GetCurrentSnapshotSetId`).
    pub set: SetId,
    /// The volumes of the set (`CVssWriter::GetCurrentVolumeArray`).
    pub volumes: Vec<Volume>,
    /// The writer's own components that are in the set, by full path.
    pub components: Vec<String>,
}

/// How the backup of a writer's data ended (`SetBackupSucceeded`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupOutcome {
    /// Its data was backed up.
    Succeeded,
    /// It was not.
    Failed,
}

/// Who owns data and answers events.
///
/// The service never has two sets at once, so the events between
/// PrepareForSnapshot and PostSnapshot or Abort come for one set at a time;
/// Identify may come at any moment. Every event has a time-out: when it passes,
/// the returned future is dropped and the writer counts as failed.
///
/// Answers to `CVssWriter`.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Who this is. The same for the life of the value.
    fn identity(&self) -> &WriterIdentity;

    /// What it owns, now (`CVssWriter::OnIdentify`).
    async fn identify(&self) -> Result<WriterMetadata, WriterFailure>;

    /// A backup of the named components is coming.
    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Do all slow work: checkpoint, flush, rotate.
    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Bring the data to a state that can be copied and keep it there.
    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Go on. An error here means that the frozen state did not last.
    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The copies exist; an error here still fails the set.
    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The requester's backup ended.
    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let _ = (event, outcome);
        Ok(())
    }

    /// The session ended.
    async fn backup_shutdown(&self, session: SessionId) {
        let _ = session;
    }

    /// The set failed. May come at any point after PrepareForBackup, also when
    /// this writer had answered nothing yet, and must undo a Freeze.
    async fn abort(&self, event: &SetEvent) {
        let _ = event;
    }
}

/// Where writers come from: looked at each time metadata is gathered, so that a
/// database started a minute ago takes part.
#[async_trait]
pub trait WriterSource: Send + Sync {
    /// The writers there are now.
    async fn writers(&self) -> Vec<Arc<dyn Writer>>;
}
