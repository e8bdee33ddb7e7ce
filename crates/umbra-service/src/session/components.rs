//! The calls about components: the Backup Components Document of a session, and
//! restores.

use super::Session;
use crate::{
    WriterReport,
    blocking::off_loop,
    choice::Choice,
    kept_document::KeptDocument,
    order::{Call, bad_state},
};
use std::sync::Arc;
use umbra_documents::BackupComponentsDocument;
use umbra_model::{VssError, VssResult};

/// What PreRestore and PostRestore give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The document with what the writers said.
    pub document: BackupComponentsDocument,
    /// The failures of writers, and those that are not there although components of
    /// theirs are selected; they do not end a restore.
    pub failures: Vec<VssError>,
}

impl Session {
    /// What the requester chose, before PrepareForBackup (`SetBackupState`,
    /// `AddComponent`). Checks every component against what the writers own; the
    /// document takes the place of one that was kept before.
    ///
    /// From here on the set is one of components, where the document says so or has
    /// any: writers of which none is in it get no events at all, PrepareForBackup
    /// neither. Of the pages that say this, "Backup Components Document Contents" can
    /// be read otherwise; "Working with Selectability and Logical Paths" and "Use of
    /// Components by the Requester" cannot. Without components, every writer with
    /// data on the volumes takes part.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, also for components in a context without writers;
    /// `VSS_E_OBJECT_NOT_FOUND` for a writer or a component that is not there; what
    /// [`umbra_documents::BackupSelection::add_at`] says of a wrong selection. The
    /// session is as it was.
    pub async fn choose_components(&self, document: BackupComponentsDocument) -> VssResult<()> {
        let mut state = self.inner.call(Call::AddComponent).await?;
        let mut document = KeptDocument::new(document);
        if document.has_components() {
            let Some(gathered) = state.gathered.clone() else {
                return Err(bad_state(Call::AddComponent, "GatherWriterMetadata"));
            };
            if !state.context.has_writers() {
                return Err(bad_state(
                    Call::AddComponent,
                    "a session in a context with writers",
                ));
            }
            let parts = document.parts().to_vec();
            off_loop(move || Choice::find(&parts, &gathered).map(drop)).await?;
        }
        if let Some(making) = &state.making {
            document.set_snapshot_set(making.id);
        }
        state.document = Some(document);
        Ok(())
    }

    /// The Backup Components Document with what writers said so far; none where
    /// none is kept. Waits for the call that is running.
    pub async fn document(&self) -> Option<BackupComponentsDocument> {
        let state = self.inner.state.lock().await;
        state.document.as_ref().map(KeptDocument::to_document)
    }

    /// Tells the writers how the backup of each component ended, with the document
    /// as the requester has it now (`SetBackupSucceeded`, `BackupComplete`). Each
    /// writer is told that its backup succeeded where every component of it did.
    ///
    /// # Errors
    ///
    /// As [`Session::backup_complete`], and `VSS_E_OBJECT_NOT_FOUND` for a component
    /// that was not chosen before PrepareForBackup.
    pub async fn backup_complete_of(&self, document: BackupComponentsDocument) -> VssResult<()> {
        self.uninterrupted(Arc::clone(&self.inner).backup_complete_of(document))
            .await
    }

    /// Tells the writers whose components are to be restored (`PreRestore`): those
    /// with components selected for restore, or every writer in a document that
    /// selects none. A writer of the document that is not there, or wants no part in
    /// restores (`VSS_WRE_NEVER`), is told nothing.
    ///
    /// A component need not be there any more: what writers say now does not bind a
    /// restore ("Use of Components by the Requester").
    ///
    /// The session is one of a restore from here on. One that ends before
    /// PostRestore ends for these writers with BackupShutdown, which VSS has for
    /// backups only ("Handling BackupShutdown Events"): else nothing would tell a
    /// writer that waits for its files that there are none to come.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `E_INVALIDARG` for a part of the document that several
    /// running writers could restore.
    pub async fn pre_restore(
        &self,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        self.uninterrupted(Arc::clone(&self.inner).pre_restore(document))
            .await
    }

    /// Tells the writers that were told PreRestore how it went, with the document as
    /// the requester has it now (`SetFileRestoreStatus`, `PostRestore`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_OBJECT_NOT_FOUND` for a component that was not in
    /// the document at PreRestore.
    pub async fn post_restore(
        &self,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        self.uninterrupted(Arc::clone(&self.inner).post_restore(document))
            .await
    }

    /// How the writers are that were gathered; asks nobody
    /// (`GatherWriterStatus`, "Determining Writer Status").
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` before GatherWriterMetadata.
    pub async fn gather_writer_status(&self) -> VssResult<Vec<WriterReport>> {
        let state = self.inner.call(Call::GatherWriterStatus).await?;
        let gathered = state.gathered.as_ref();
        let gathered =
            gathered.ok_or_else(|| bad_state(Call::GatherWriterStatus, "GatherWriterMetadata"))?;
        Ok(self.inner.service.writers.report(gathered))
    }

    /// Gives the set in the making up, also while another call makes it; once it is
    /// made, tells the writers Abort and leaves the copies to the end of the session
    /// (`AbortBackup`, "Aborting VSS Operations"). Where there is nothing to abort
    /// yet, or any more after a failure, it does nothing.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` after BackupComplete and in a restore, which cannot be
    /// aborted; or what failed while undoing.
    pub async fn abort_backup(&self) -> VssResult<()> {
        self.uninterrupted(Arc::clone(&self.inner).abort_backup())
            .await
    }
}
