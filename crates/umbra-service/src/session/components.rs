//! The calls about components: the Backup Components Document of a session, and
//! restores.

use super::Session;
use crate::WriterReport;
use umbra_documents::BackupComponentsDocument;
use umbra_model::{VssCode, VssError, VssResult};

/// What PreRestore and PostRestore give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The document with what the writers said.
    pub document: BackupComponentsDocument,
    /// The failures of writers; they do not end a restore.
    pub failures: Vec<VssError>,
}

impl Session {
    /// What the requester chose, before PrepareForBackup. Checks every component
    /// against what the writers own.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_OBJECT_NOT_FOUND` for a writer or a component that
    /// is not there; what [`umbra_documents`] says of a wrong selection.
    pub async fn choose_components(&self, document: BackupComponentsDocument) -> VssResult<()> {
        let _ = document;
        Err(not_yet("choose_components"))
    }

    /// The Backup Components Document with what writers said so far; none where
    /// none is kept.
    pub async fn document(&self) -> Option<BackupComponentsDocument> {
        None
    }

    /// Tells the writers how the backup of each component ended, with the document
    /// as the requester has it now (`SetBackupSucceeded`, `BackupComplete`).
    ///
    /// # Errors
    ///
    /// As [`Session::backup_complete`].
    pub async fn backup_complete_of(&self, document: BackupComponentsDocument) -> VssResult<()> {
        let _ = document;
        Err(not_yet("backup_complete_of"))
    }

    /// Tells the writers whose components are to be restored (`PreRestore`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or `VSS_E_OBJECT_NOT_FOUND` for a component of a writer
    /// that is there and does not have it.
    pub async fn pre_restore(
        &self,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let _ = document;
        Err(not_yet("pre_restore"))
    }

    /// Tells them how it went (`PostRestore`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub async fn post_restore(
        &self,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let _ = document;
        Err(not_yet("post_restore"))
    }

    /// How the writers are that were gathered; asks nobody
    /// (`GatherWriterStatus`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` before GatherWriterMetadata.
    pub async fn gather_writer_status(&self) -> VssResult<Vec<WriterReport>> {
        Err(not_yet("gather_writer_status"))
    }

    /// Gives the set in the making up, or tells the writers that the backup failed
    /// (`AbortBackup`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or what failed while undoing.
    pub async fn abort_backup(&self) -> VssResult<()> {
        Err(not_yet("abort_backup"))
    }
}

fn not_yet(what: &str) -> VssError {
    VssError::new(VssCode::NotSupported, format!("{what} is not there yet"))
}
