//! The administrator's interface.

use crate::{access::Right, connections::Peer, requester::writer_report};
use tonic::{Request, Response, Status};
use umbra_model::{Context, ShadowCopyId, VssResult};
use umbra_protocol::{fields, to_status, v1};
use umbra_service::{Selection, Service, SessionReport, VolumeReport};
use umbra_writer::{ExpressWriterEntry, ExpressWriterMetadata};
use v1::{admin_server, delete_request, express_writer_entry};

pub(crate) struct AdminInterface {
    pub(crate) service: Service,
}

/// Checks the caller, makes the call, and wraps the answer.
pub(crate) async fn call<R, T, F>(
    request: Request<R>,
    right: Right,
    work: impl FnOnce(R, Peer) -> F,
) -> Result<Response<T>, Status>
where
    F: Future<Output = VssResult<T>>,
{
    let peer = Peer::of(&request, right)?;
    work(request.into_inner(), peer)
        .await
        .map(Response::new)
        .map_err(|error| to_status(&error))
}

#[tonic::async_trait]
impl admin_server::Admin for AdminInterface {
    async fn list_volumes(
        &self,
        request: Request<v1::ListVolumesRequest>,
    ) -> Result<Response<v1::ListVolumesResponse>, Status> {
        call(request, Right::Requester, |_, _| async move {
            let volumes = self.service.volumes().await?;
            Ok(v1::ListVolumesResponse {
                volumes: volumes.into_iter().map(volume_report).collect(),
            })
        })
        .await
    }

    async fn list_providers(
        &self,
        request: Request<v1::ListProvidersRequest>,
    ) -> Result<Response<v1::ListProvidersResponse>, Status> {
        call(request, Right::Requester, |_, _| async move {
            let providers = self.service.providers().into_iter();
            Ok(v1::ListProvidersResponse {
                providers: providers
                    .map(|provider| v1::ProviderReport {
                        id: provider.id.to_string(),
                        name: provider.name.to_owned(),
                        version: provider.version.to_owned(),
                        kind: provider.kind.to_string(),
                        needs: provider.needs.to_owned(),
                    })
                    .collect(),
            })
        })
        .await
    }

    async fn list_writers(
        &self,
        request: Request<v1::ListWritersRequest>,
    ) -> Result<Response<v1::ListWritersResponse>, Status> {
        call(request, Right::Requester, |_, _| async move {
            let writers = self.service.writers().await;
            Ok(v1::ListWritersResponse {
                writers: writers.into_iter().map(writer_report).collect(),
            })
        })
        .await
    }

    async fn list_sets(
        &self,
        request: Request<v1::ListSetsRequest>,
    ) -> Result<Response<v1::ListSetsResponse>, Status> {
        call(request, Right::Requester, |_, _| async move {
            let sets = self.service.sets().await?;
            Ok(v1::ListSetsResponse {
                sets: sets.into_iter().map(Into::into).collect(),
            })
        })
        .await
    }

    async fn select_for_deletion(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let selection = selection(request)?;
            let ids = self.service.select_for_deletion(&selection).await?;
            Ok(deleted(&ids))
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let selection = selection(request)?;
            let ids = self.service.delete(&selection).await?;
            Ok(deleted(&ids))
        })
        .await
    }

    async fn expose(
        &self,
        request: Request<v1::ExposeRequest>,
    ) -> Result<Response<v1::ExposeResponse>, Status> {
        call(request, Right::Exposer, |request, _| async move {
            let id = fields::id("ExposeRequest.shadow_copy_id", &request.shadow_copy_id)?;
            let folder = fields::path("ExposeRequest.path", request.path)?;
            self.service.expose(id, &folder).await?;
            Ok(v1::ExposeResponse {})
        })
        .await
    }

    async fn unexpose(
        &self,
        request: Request<v1::UnexposeRequest>,
    ) -> Result<Response<v1::UnexposeResponse>, Status> {
        call(request, Right::Exposer, |request, _| async move {
            let id = fields::id("UnexposeRequest.shadow_copy_id", &request.shadow_copy_id)?;
            self.service.unexpose(id).await?;
            Ok(v1::UnexposeResponse {})
        })
        .await
    }

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        call(request, Right::Requester, |_, peer| async move {
            let status = self.service.status();
            let own = |session: &SessionReport| {
                let requester = &session.requester;
                requester.pid == peer.credentials.pid && requester.uid == peer.credentials.uid
            };
            let sessions = status.sessions.into_iter().filter(|session| !own(session));
            Ok(v1::StatusResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                sessions: sessions.map(session_report).collect(),
                connected_writers: u32::try_from(status.connected_writers).unwrap_or(u32::MAX),
                held: status.held.iter().map(|path| fields::bytes(path)).collect(),
                reconciled: status.reconciled,
            })
        })
        .await
    }

    async fn abort_all_snapshots_in_progress(
        &self,
        request: Request<v1::AbortAllSnapshotsInProgressRequest>,
    ) -> Result<Response<v1::AbortAllSnapshotsInProgressResponse>, Status> {
        call(request, Right::Administrator, |_, _| async move {
            let sets = u32::try_from(self.service.abort_all()).unwrap_or(u32::MAX);
            Ok(v1::AbortAllSnapshotsInProgressResponse { sets })
        })
        .await
    }

    async fn register_provider(
        &self,
        request: Request<v1::RegisterProviderRequest>,
    ) -> Result<Response<v1::RegisterProviderResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let id = fields::id("RegisterProviderRequest.provider_id", &request.provider_id)?;
            self.service.register_provider(id, &request.name)?;
            Ok(v1::RegisterProviderResponse {})
        })
        .await
    }

    async fn unregister_provider(
        &self,
        request: Request<v1::UnregisterProviderRequest>,
    ) -> Result<Response<v1::UnregisterProviderResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let id = fields::id(
                "UnregisterProviderRequest.provider_id",
                &request.provider_id,
            )?;
            self.service.unregister_provider(id)?;
            Ok(v1::UnregisterProviderResponse {})
        })
        .await
    }

    async fn get_provider_capability(
        &self,
        request: Request<v1::GetProviderCapabilityRequest>,
    ) -> Result<Response<v1::GetProviderCapabilityResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let field = "GetProviderCapabilityRequest.provider_id";
            let id = fields::id(field, &request.provider_id)?;
            Ok(v1::GetProviderCapabilityResponse {
                capabilities: self.service.provider_capabilities(id)?.bits(),
            })
        })
        .await
    }

    async fn get_provider_context(
        &self,
        request: Request<v1::GetProviderContextRequest>,
    ) -> Result<Response<v1::GetProviderContextResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let field = "GetProviderContextRequest.provider_id";
            let id = fields::id(field, &request.provider_id)?;
            Ok(v1::GetProviderContextResponse {
                context: self.service.provider_context(id)?.value(),
            })
        })
        .await
    }

    async fn set_provider_context(
        &self,
        request: Request<v1::SetProviderContextRequest>,
    ) -> Result<Response<v1::SetProviderContextResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let field = "SetProviderContextRequest.provider_id";
            let id = fields::id(field, &request.provider_id)?;
            let context = Context::from_value(request.context)?;
            self.service.set_provider_context(id, context)?;
            Ok(v1::SetProviderContextResponse {})
        })
        .await
    }

    async fn list_express_writers(
        &self,
        request: Request<v1::ListExpressWritersRequest>,
    ) -> Result<Response<v1::ListExpressWritersResponse>, Status> {
        call(request, Right::Requester, |_, _| async move {
            let writers = self.service.express_writers().await?;
            Ok(v1::ListExpressWritersResponse {
                writers: writers.into_iter().map(express_writer).collect(),
            })
        })
        .await
    }

    async fn register_express_writer(
        &self,
        request: Request<v1::RegisterExpressWriterRequest>,
    ) -> Result<Response<v1::RegisterExpressWriterResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let metadata = ExpressWriterMetadata::load(&request.document)?;
            let entry = self.service.register_express_writer(metadata).await?;
            Ok(v1::RegisterExpressWriterResponse {
                writer: Some(express_writer(entry)),
            })
        })
        .await
    }

    async fn unregister_express_writer(
        &self,
        request: Request<v1::UnregisterExpressWriterRequest>,
    ) -> Result<Response<v1::UnregisterExpressWriterResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let field = "UnregisterExpressWriterRequest.writer_id";
            let id = fields::id(field, &request.writer_id)?;
            self.service.unregister_express_writer(id).await?;
            Ok(v1::UnregisterExpressWriterResponse {})
        })
        .await
    }
}

fn express_writer(entry: ExpressWriterEntry) -> v1::ExpressWriterEntry {
    use express_writer_entry::Outcome;
    v1::ExpressWriterEntry {
        file: fields::bytes(&entry.file),
        outcome: Some(match entry.writer {
            Ok(writer) => Outcome::Writer(writer.into()),
            Err(problem) => Outcome::Problem(problem.into()),
        }),
    }
}

fn selection(request: v1::DeleteRequest) -> VssResult<Selection> {
    use delete_request::Selection as Wire;
    Ok(
        match fields::required("DeleteRequest.selection", request.selection)? {
            Wire::Copies(copies) => Selection::Copies(
                copies
                    .ids
                    .iter()
                    .map(|id| fields::id("ShadowCopyIds.ids", id))
                    .collect::<VssResult<_>>()?,
            ),
            Wire::SetId(set) => Selection::Set(fields::id("DeleteRequest.set_id", &set)?),
            Wire::OldestOfVolume(volume) => {
                Selection::OldestOf(fields::name("DeleteRequest.oldest_of_volume", volume)?)
            }
            Wire::All(true) => Selection::All,
            Wire::All(false) => {
                return Err(fields::invalid(
                    "DeleteRequest.all",
                    "`false` selects nothing",
                ));
            }
        },
    )
}

fn deleted(ids: &[ShadowCopyId]) -> v1::DeleteResponse {
    v1::DeleteResponse {
        ids: ids.iter().map(ToString::to_string).collect(),
    }
}

fn volume_report(report: VolumeReport) -> v1::VolumeReport {
    let (provider, hold_method, why_not) = match report.provider {
        Ok((name, method)) => (name.to_owned(), method.into(), String::new()),
        Err(why) => (String::new(), v1::HoldMethod::Unspecified, why),
    };
    v1::VolumeReport {
        mount_point: fields::bytes(&report.listing.mount_point),
        file_system: report.listing.file_system,
        source: report.listing.source,
        volume: report.listing.volume.ok().map(Into::into),
        provider,
        hold_method: hold_method.into(),
        why_not,
    }
}

fn session_report(report: SessionReport) -> v1::SessionReport {
    v1::SessionReport {
        id: report.id.to_string(),
        name: report.requester.name,
        uid: report.requester.uid,
        pid: report.requester.pid,
        state: report.state.to_string(),
        set_id: report.set.map(|set| set.to_string()).unwrap_or_default(),
    }
}
