//! The requester's interface.

use crate::{
    access::Right,
    connections::Peer,
    sessions::{SessionStream, Sessions},
};
use std::sync::Arc;
use tonic::{Request, Response, Status, codegen::BoxStream};
use umbra_documents::BackupComponentsDocument;
use umbra_model::{Context, VssCode, VssError, VssResult};
use umbra_protocol::{fields, to_status, v1};
use umbra_service::{RestoreReport, Service, Session, WriterReport, WriterSelection};
use umbra_writer::BackupOutcome;
use v1::{requester_server, select_writers_request::Selection};

pub(crate) struct RequesterInterface {
    pub(crate) service: Service,
    pub(crate) sessions: Arc<Sessions>,
}

impl RequesterInterface {
    /// Checks the caller, makes the call in its session, and wraps the answer.
    async fn call<R, T, F>(
        &self,
        request: Request<R>,
        session_id: impl FnOnce(&R) -> &str,
        work: impl FnOnce(Arc<Session>, R) -> F,
    ) -> Result<Response<T>, Status>
    where
        F: Future<Output = VssResult<T>>,
    {
        let peer = Peer::of(&request, Right::Requester)?;
        let request = request.into_inner();
        let session = session_id(&request).to_owned();
        self.sessions
            .call(peer.credentials, &session, |session| work(session, request))
            .await
            .map(Response::new)
            .map_err(|error| to_status(&error))
    }
}

#[tonic::async_trait]
impl requester_server::Requester for RequesterInterface {
    type OpenSessionStream = SessionStream;
    type GatherWriterMetadataStream = BoxStream<v1::WriterReport>;
    type GatherWriterStatusStream = BoxStream<v1::WriterReport>;

    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<SessionStream>, Status> {
        let peer = Peer::of(&request, Right::Requester)?;
        let name = request.into_inner().name;
        Ok(Response::new(self.sessions.open(
            &self.service,
            name,
            peer.credentials,
        )))
    }

    async fn set_context(
        &self,
        request: Request<v1::SetContextRequest>,
    ) -> Result<Response<v1::SetContextResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let context = Context::from_value(request.context)?;
                session.set_context(context).await?;
                Ok(v1::SetContextResponse {})
            },
        )
        .await
    }

    async fn gather_writer_metadata(
        &self,
        request: Request<v1::GatherWriterMetadataRequest>,
    ) -> Result<Response<Self::GatherWriterMetadataStream>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move { Ok(one_by_one(session.gather_writer_metadata().await?)) },
        )
        .await
    }

    async fn select_writers(
        &self,
        request: Request<v1::SelectWritersRequest>,
    ) -> Result<Response<v1::SelectWritersResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let field = "SelectWritersRequest.selection";
                let selection = match fields::required(field, request.selection)? {
                    Selection::All(true) => WriterSelection::All,
                    Selection::None(true) => WriterSelection::None,
                    Selection::Only(only) => WriterSelection::Only(only.names),
                    Selection::Except(except) => WriterSelection::Except(except.names),
                    Selection::All(false) | Selection::None(false) => {
                        return Err(fields::invalid(field, "`false` selects nothing"));
                    }
                };
                session.select_writers(selection).await?;
                Ok(v1::SelectWritersResponse {})
            },
        )
        .await
    }

    async fn start_snapshot_set(
        &self,
        request: Request<v1::StartSnapshotSetRequest>,
    ) -> Result<Response<v1::StartSnapshotSetResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move {
                let set = session.start_snapshot_set().await?;
                Ok(v1::StartSnapshotSetResponse {
                    set_id: set.to_string(),
                })
            },
        )
        .await
    }

    async fn add_to_snapshot_set(
        &self,
        request: Request<v1::AddToSnapshotSetRequest>,
    ) -> Result<Response<v1::AddToSnapshotSetResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let name = fields::name("AddToSnapshotSetRequest.volume", request.volume)?;
                let (id, volume) = session.add_to_snapshot_set(&name).await?;
                Ok(v1::AddToSnapshotSetResponse {
                    shadow_copy_id: id.to_string(),
                    volume: Some(volume.into()),
                })
            },
        )
        .await
    }

    async fn prepare_for_backup(
        &self,
        request: Request<v1::PrepareForBackupRequest>,
    ) -> Result<Response<v1::PrepareForBackupResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                if let Some(document) = from_wire(request.document).await? {
                    session.choose_components(document).await?;
                }
                session.prepare_for_backup().await?;
                let document = to_wire(session.document().await).await?;
                Ok(v1::PrepareForBackupResponse { document })
            },
        )
        .await
    }

    async fn do_snapshot_set(
        &self,
        request: Request<v1::DoSnapshotSetRequest>,
    ) -> Result<Response<v1::DoSnapshotSetResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move {
                let set = session.do_snapshot_set().await?;
                Ok(v1::DoSnapshotSetResponse {
                    set: Some(set.into()),
                    document: to_wire(session.document().await).await?,
                })
            },
        )
        .await
    }

    async fn surface(
        &self,
        request: Request<v1::SurfaceRequest>,
    ) -> Result<Response<v1::SurfaceResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let id = fields::id("SurfaceRequest.shadow_copy_id", &request.shadow_copy_id)?;
                let (mount, device) = session.surface(id).await?;
                Ok(v1::SurfaceResponse {
                    mount: Some(v1::MountSource {
                        file_system: mount.file_system,
                        source: fields::bytes(&mount.source),
                        options: mount.options,
                    }),
                    device: device.as_deref().map(fields::bytes),
                })
            },
        )
        .await
    }

    async fn backup_complete(
        &self,
        request: Request<v1::BackupCompleteRequest>,
    ) -> Result<Response<v1::BackupCompleteResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                match from_wire(request.document).await? {
                    Some(document) => session.backup_complete_of(document).await?,
                    None if request.succeeded => {
                        session.backup_complete(BackupOutcome::Succeeded).await?;
                    }
                    None => session.backup_complete(BackupOutcome::Failed).await?,
                }
                let document = to_wire(session.document().await).await?;
                Ok(v1::BackupCompleteResponse { document })
            },
        )
        .await
    }

    async fn gather_writer_status(
        &self,
        request: Request<v1::GatherWriterStatusRequest>,
    ) -> Result<Response<Self::GatherWriterStatusStream>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move { Ok(one_by_one(session.gather_writer_status().await?)) },
        )
        .await
    }

    async fn abort_backup(
        &self,
        request: Request<v1::AbortBackupRequest>,
    ) -> Result<Response<v1::AbortBackupResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move {
                session.abort_backup().await?;
                Ok(v1::AbortBackupResponse {})
            },
        )
        .await
    }

    async fn pre_restore(
        &self,
        request: Request<v1::RestoreRequest>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let document = restored(request.document).await?;
                restore_response(session.pre_restore(document).await?).await
            },
        )
        .await
    }

    async fn post_restore(
        &self,
        request: Request<v1::RestoreRequest>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, request| async move {
                let document = restored(request.document).await?;
                restore_response(session.post_restore(document).await?).await
            },
        )
        .await
    }

    async fn get_document(
        &self,
        request: Request<v1::GetDocumentRequest>,
    ) -> Result<Response<v1::GetDocumentResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move {
                let document = to_wire(session.document().await).await?;
                Ok(v1::GetDocumentResponse { document })
            },
        )
        .await
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        self.call(
            request,
            |request| &request.session_id,
            |session, _| async move {
                let result = session.close().await;
                self.sessions.close(session.id());
                result.map(|()| v1::CloseSessionResponse {})
            },
        )
        .await
    }
}

async fn restore_response(report: RestoreReport) -> VssResult<v1::RestoreResponse> {
    Ok(v1::RestoreResponse {
        document: to_wire(Some(report.document)).await?,
        failures: report.failures.into_iter().map(Into::into).collect(),
    })
}

async fn restored(document: Vec<u8>) -> VssResult<BackupComponentsDocument> {
    fields::required("RestoreRequest.document", from_wire(document).await?)
}

/// A thousand writers in one message would keep both ends from pings for longer
/// than they wait for one.
fn one_by_one(reports: Vec<WriterReport>) -> BoxStream<v1::WriterReport> {
    let reports = reports.into_iter().map(writer_report).map(Ok);
    Box::pin(tokio_stream::iter(reports))
}

/// A document, where one is kept.
async fn from_wire(document: Vec<u8>) -> VssResult<Option<BackupComponentsDocument>> {
    if document.is_empty() {
        return Ok(None);
    }
    off_loop(move || BackupComponentsDocument::from_xml(&document).map(Some)).await
}

async fn to_wire(document: Option<BackupComponentsDocument>) -> VssResult<Vec<u8>> {
    match document {
        Some(document) => off_loop(move || document.to_xml().map(String::into_bytes)).await,
        None => Ok(Vec::new()),
    }
}

/// Works where nobody waits for the event loop: a large document takes longer than
/// the other end waits for a sign of life.
async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> VssResult<T> + Send + 'static,
) -> VssResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| {
            let what = "converting something for the wire broke off";
            Err(VssError::new(VssCode::Unexpected, what).caused_by(panic))
        })
}

/// A writer as requesters and administrators see it.
pub(crate) fn writer_report(report: WriterReport) -> v1::WriterReport {
    v1::WriterReport {
        metadata: Some(report.metadata.into()),
        state: report.state.to_string(),
        failure: report.failure.map(Into::into),
        application_code: report.application_code,
        origin: report.origin,
    }
}
