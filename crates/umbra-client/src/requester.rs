//! One session of a requester.

use crate::{
    BackupOutcome, Connection, Progress, RestoreReport, Surfaced, WriterReport, WriterSelection,
    off_loop::off_loop,
};
use std::path::Path;
use tokio::{sync::broadcast, task::JoinHandle};
use tonic::{Streaming, transport::Channel};
use umbra_documents::BackupComponentsDocument;
use umbra_model::{Context, SessionId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssResult};
use umbra_protocol::{MAX_REPLY, fields, from_status, v1};
use v1::{requester_client::RequesterClient, session_event::Event};

/// How many progress events a slow reader may be behind before it misses some.
const PROGRESS_BACKLOG: usize = 64;

/// A session with the service, from `InitializeForBackup` on
/// (`IVssBackupComponents`). Every call fails with the service's own error, or
/// with `VSS_E_BAD_STATE` in the wrong order.
///
/// Dropping it ends the session: a set in the making is aborted and auto-release
/// copies are deleted. [`Requester::close`] does that too, and waits and reports.
#[derive(Debug)]
pub struct Requester {
    client: RequesterClient<Channel>,
    session: SessionId,
    progress: broadcast::WeakSender<Progress>,
    stream: JoinHandle<()>,
}

/// Makes one call with one request.
macro_rules! call {
    ($self:ident.$method:ident($request:expr)) => {
        $self
            .client
            .clone()
            .$method($request)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| from_status(&status))
    };
}

impl Requester {
    /// Opens a session (`InitializeForBackup`) under a name that others will
    /// read when they have to wait.
    ///
    /// # Errors
    ///
    /// `E_ACCESSDENIED` where this user may not be a requester.
    pub async fn open(connection: &Connection, name: &str) -> VssResult<Self> {
        let mut client =
            RequesterClient::new(connection.channel()).max_decoding_message_size(MAX_REPLY);
        let request = v1::OpenSessionRequest {
            name: name.to_owned(),
        };
        let mut events = client
            .open_session(request)
            .await
            .map_err(|status| from_status(&status))?
            .into_inner();
        let first = events
            .message()
            .await
            .map_err(|status| from_status(&status))?;
        let Some(Event::Opened(opened)) = first.and_then(|first| first.event) else {
            return Err(fields::invalid(
                "SessionEvent.event",
                "`opened` is not the first",
            ));
        };
        let session = fields::id("SessionOpened.session_id", &opened.session_id)?;
        let (progress, _) = broadcast::channel(PROGRESS_BACKLOG);
        let weak = progress.downgrade();
        let stream = tokio::spawn(pass_on(events, progress));
        Ok(Self {
            client,
            session,
            progress: weak,
            stream,
        })
    }

    /// The session's id.
    pub fn session_id(&self) -> SessionId {
        self.session
    }

    /// The states that the set reaches from now on. None comes while file
    /// systems are held. The receiver is closed when the session is over at the
    /// other end, as when the service went away.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        match self.progress.upgrade() {
            Some(progress) => progress.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// `SetContext`, before anything else; a backup without it.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNSUPPORTED_CONTEXT`, `VSS_E_BAD_STATE`.
    pub async fn set_context(&self, context: Context) -> VssResult<()> {
        let request = v1::SetContextRequest {
            session_id: self.session.to_string(),
            context: context.value(),
        };
        call!(self.set_context(request)).map(drop)
    }

    /// `GatherWriterMetadata`: asks every writer who it is and what it owns.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`. A writer that fails is in the list with its failure.
    pub async fn gather_writer_metadata(&self) -> VssResult<Vec<WriterReport>> {
        let request = v1::GatherWriterMetadataRequest {
            session_id: self.session.to_string(),
        };
        every(call!(self.gather_writer_metadata(request))?).await
    }

    /// Which writers take part; all with data on the volumes without it.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a name that no writer has.
    pub async fn select_writers(&self, selection: &WriterSelection) -> VssResult<()> {
        let request = v1::SelectWritersRequest {
            session_id: self.session.to_string(),
            selection: Some(selection.into()),
        };
        call!(self.select_writers(request)).map(drop)
    }

    /// `StartSnapshotSet`; waits while another set is being made.
    ///
    /// # Errors
    ///
    /// `VSS_E_SNAPSHOT_SET_IN_PROGRESS` when the service's wait limit passed.
    pub async fn start_snapshot_set(&self) -> VssResult<SetId> {
        let request = v1::StartSnapshotSetRequest {
            session_id: self.session.to_string(),
        };
        let response = call!(self.start_snapshot_set(request))?;
        fields::id("StartSnapshotSetResponse.set_id", &response.set_id)
    }

    /// `AddToSnapshotSet`: a mount point, a block device or a volume id.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, `VSS_E_VOLUME_NOT_SUPPORTED`,
    /// `VSS_E_OBJECT_ALREADY_EXISTS`.
    pub async fn add_to_snapshot_set(&self, volume: &Path) -> VssResult<(ShadowCopyId, Volume)> {
        let request = v1::AddToSnapshotSetRequest {
            session_id: self.session.to_string(),
            volume: fields::bytes(volume),
        };
        let response = call!(self.add_to_snapshot_set(request))?;
        let id = fields::id(
            "AddToSnapshotSetResponse.shadow_copy_id",
            &response.shadow_copy_id,
        )?;
        let volume = fields::required("AddToSnapshotSetResponse.volume", response.volume)?;
        Ok((id, volume.try_into()?))
    }

    /// `GatherWriterStatus`: how the writers are that were gathered. Asks nobody.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` before GatherWriterMetadata.
    pub async fn gather_writer_status(&self) -> VssResult<Vec<WriterReport>> {
        let request = v1::GatherWriterStatusRequest {
            session_id: self.session.to_string(),
        };
        every(call!(self.gather_writer_status(request))?).await
    }

    /// `PrepareForBackup` of every component on the volumes of the set: tells the
    /// writers that take part.
    ///
    /// # Errors
    ///
    /// A writer's veto.
    pub async fn prepare_for_backup(&self) -> VssResult<()> {
        let request = v1::PrepareForBackupRequest {
            session_id: self.session.to_string(),
            document: Vec::new(),
        };
        call!(self.prepare_for_backup(request)).map(drop)
    }

    /// `PrepareForBackup` of the components that a document names. Gives the
    /// document back with what the writers said.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a writer or a component that is not there, a
    /// wrong selection, or a writer's veto.
    pub async fn prepare_for_backup_of(
        &self,
        document: &BackupComponentsDocument,
    ) -> VssResult<BackupComponentsDocument> {
        let request = v1::PrepareForBackupRequest {
            session_id: self.session.to_string(),
            document: to_wire(document).await?,
        };
        from_wire(call!(self.prepare_for_backup(request))?.document).await
    }

    /// `DoSnapshotSet`. Dropping the future aborts the set.
    ///
    /// # Errors
    ///
    /// Whatever failed first; nothing is kept and nothing is frozen then.
    pub async fn do_snapshot_set(&self) -> VssResult<ShadowCopySet> {
        let request = v1::DoSnapshotSetRequest {
            session_id: self.session.to_string(),
        };
        let response = call!(self.do_snapshot_set(request))?;
        fields::required("DoSnapshotSetResponse.set", response.set)?.try_into()
    }

    /// `DoSnapshotSet` after [`Requester::prepare_for_backup_of`]. Gives the
    /// document back with what the writers said.
    ///
    /// # Errors
    ///
    /// As [`Requester::do_snapshot_set`].
    pub async fn do_snapshot_set_of(&self) -> VssResult<(ShadowCopySet, BackupComponentsDocument)> {
        let request = v1::DoSnapshotSetRequest {
            session_id: self.session.to_string(),
        };
        let response = call!(self.do_snapshot_set(request))?;
        let set = fields::required("DoSnapshotSetResponse.set", response.set)?;
        Ok((set.try_into()?, from_wire(response.document).await?))
    }

    /// Makes a copy of this session's set mountable until the session ends.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or what the provider failed with.
    pub async fn surface(&self, copy: ShadowCopyId) -> VssResult<Surfaced> {
        let request = v1::SurfaceRequest {
            session_id: self.session.to_string(),
            shadow_copy_id: copy.to_string(),
        };
        call!(self.surface(request))?.try_into()
    }

    /// `SetBackupSucceeded` and `BackupComplete`: tells the writers how the
    /// backup ended.
    ///
    /// # Errors
    ///
    /// A writer's failure.
    pub async fn backup_complete(&self, outcome: BackupOutcome) -> VssResult<()> {
        let request = v1::BackupCompleteRequest {
            session_id: self.session.to_string(),
            succeeded: outcome == BackupOutcome::Succeeded,
            document: Vec::new(),
        };
        call!(self.backup_complete(request)).map(drop)
    }

    /// `BackupComplete` with a document, in which each component says how its
    /// backup ended (`SetBackupSucceeded`). Gives it back with what the writers
    /// said.
    ///
    /// # Errors
    ///
    /// A writer's failure.
    pub async fn backup_complete_of(
        &self,
        document: &BackupComponentsDocument,
    ) -> VssResult<BackupComponentsDocument> {
        let request = v1::BackupCompleteRequest {
            session_id: self.session.to_string(),
            succeeded: true,
            document: to_wire(document).await?,
        };
        from_wire(call!(self.backup_complete(request))?.document).await
    }

    /// `AbortBackup`: gives the set in the making up, or tells the writers that
    /// the backup failed.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or what failed while undoing.
    pub async fn abort_backup(&self) -> VssResult<()> {
        let request = v1::AbortBackupRequest {
            session_id: self.session.to_string(),
        };
        call!(self.abort_backup(request)).map(drop)
    }

    /// `PreRestore`: tells the writers whose components are to be restored.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or `VSS_E_OBJECT_NOT_FOUND` for a component that its
    /// writer does not have. What a writer failed with is in the report.
    pub async fn pre_restore(
        &self,
        document: &BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let request = self.restore_request(document).await?;
        restore_report(call!(self.pre_restore(request))?).await
    }

    /// `PostRestore`: tells them how it went.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`. What a writer failed with is in the report.
    pub async fn post_restore(
        &self,
        document: &BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let request = self.restore_request(document).await?;
        restore_report(call!(self.post_restore(request))?).await
    }

    /// The document as the service has it (`SaveAsXML`): after a call that failed,
    /// with what writers left there to say why. None where none is kept.
    ///
    /// # Errors
    ///
    /// The document cannot be written as XML.
    pub async fn document(&self) -> VssResult<Option<BackupComponentsDocument>> {
        let request = v1::GetDocumentRequest {
            session_id: self.session.to_string(),
        };
        let document = call!(self.get_document(request))?.document;
        if document.is_empty() {
            return Ok(None);
        }
        from_wire(document).await.map(Some)
    }

    async fn restore_request(
        &self,
        document: &BackupComponentsDocument,
    ) -> VssResult<v1::RestoreRequest> {
        Ok(v1::RestoreRequest {
            session_id: self.session.to_string(),
            document: to_wire(document).await?,
        })
    }

    /// Ends the session and waits until everything is cleaned up.
    ///
    /// # Errors
    ///
    /// What could not be cleaned up.
    pub async fn close(self) -> VssResult<()> {
        let request = v1::CloseSessionRequest {
            session_id: self.session.to_string(),
        };
        call!(self.close_session(request)).map(drop)
    }
}

async fn every(mut reports: Streaming<v1::WriterReport>) -> VssResult<Vec<WriterReport>> {
    let mut all = Vec::new();
    let mut next = async || {
        reports
            .message()
            .await
            .map_err(|status| from_status(&status))
    };
    while let Some(report) = next().await? {
        all.push(report.try_into()?);
    }
    Ok(all)
}

async fn to_wire(document: &BackupComponentsDocument) -> VssResult<Vec<u8>> {
    let document = document.clone();
    off_loop(move || document.to_xml().map(String::into_bytes)).await
}

async fn from_wire(document: Vec<u8>) -> VssResult<BackupComponentsDocument> {
    off_loop(move || BackupComponentsDocument::from_xml(&document)).await
}

async fn restore_report(response: v1::RestoreResponse) -> VssResult<RestoreReport> {
    Ok(RestoreReport {
        document: from_wire(response.document).await?,
        failures: response.failures.into_iter().map(Into::into).collect(),
    })
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

/// Reads the session's stream to its end. An error there needs no report: every
/// later call of the session gets one.
async fn pass_on(mut events: Streaming<v1::SessionEvent>, progress: broadcast::Sender<Progress>) {
    while let Ok(Some(event)) = events.message().await {
        if let Some(Event::Progress(event)) = event.event {
            // Fails only while nobody listens.
            let _ = progress.send(Progress {
                state: event.state,
                message: event.message,
            });
        }
    }
}
