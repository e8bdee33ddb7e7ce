//! The interface that manages shadow copies and their storage.

use crate::{access::Right, admin::call};
use std::path::PathBuf;
use tonic::{Request, Response, Status};
use umbra_model::{Context, MaximumSpace, ProviderId, SnapshotPriority, VssResult};
use umbra_protocol::{fields, protection_level, v1};
use umbra_provider::{Migration, Persistence};
use umbra_service::{ProviderStorage, Service};
use v1::{management_server, query_diff_areas_request::Of};

pub(crate) struct ManagementInterface {
    pub(crate) service: Service,
}

impl ManagementInterface {
    /// The storage of the provider with this id.
    fn storage(&self, provider: &str) -> VssResult<ProviderStorage> {
        self.service.provider_storage(provider_id(provider)?)
    }

    /// A diff area's provider, the volume that is copied and the one it is on.
    fn area(
        &self,
        name: Option<v1::DiffAreaName>,
    ) -> VssResult<(ProviderStorage, PathBuf, PathBuf)> {
        let name = fields::required("area", name)?;
        let on = fields::name("DiffAreaName.diff_area_volume", name.diff_area_volume)?;
        Ok((
            self.storage(&name.provider_id)?,
            fields::name("DiffAreaName.volume", name.volume)?,
            on,
        ))
    }
}

fn provider_id(text: &str) -> VssResult<ProviderId> {
    fields::id("provider_id", text)
}

fn volume(bytes: Vec<u8>) -> VssResult<PathBuf> {
    fields::name("volume", bytes)
}

/// Lists as they go over the wire.
fn all<T, W: From<T>>(items: Vec<T>) -> Vec<W> {
    items.into_iter().map(Into::into).collect()
}

#[tonic::async_trait]
impl management_server::Management for ManagementInterface {
    async fn query_volumes_supported_for_snapshots(
        &self,
        request: Request<v1::QueryVolumesSupportedForSnapshotsRequest>,
    ) -> Result<Response<v1::QueryVolumesSupportedForSnapshotsResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let provider = fields::optional_id("provider_id", &request.provider_id)?;
            // Every provider works in every context that there is.
            Context::from_value(request.context)?;
            let volumes = self
                .service
                .volumes_supported_for_snapshots(provider)
                .await?;
            Ok(v1::QueryVolumesSupportedForSnapshotsResponse {
                volumes: all(volumes),
            })
        })
        .await
    }

    async fn query_snapshots_by_volume(
        &self,
        request: Request<v1::QuerySnapshotsByVolumeRequest>,
    ) -> Result<Response<v1::QuerySnapshotsByVolumeResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let volume = volume(request.volume)?;
            let provider = fields::optional_id("provider_id", &request.provider_id)?;
            let copies = self.service.snapshots_by_volume(&volume, provider).await?;
            Ok(v1::QuerySnapshotsByVolumeResponse {
                copies: all(copies),
            })
        })
        .await
    }

    async fn get_min_diff_area_size(
        &self,
        request: Request<v1::GetMinDiffAreaSizeRequest>,
    ) -> Result<Response<v1::GetMinDiffAreaSizeResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            Ok(v1::GetMinDiffAreaSizeResponse {
                bytes: storage.min_diff_area_size().await?.0,
            })
        })
        .await
    }

    async fn add_diff_area(
        &self,
        request: Request<v1::AddDiffAreaRequest>,
    ) -> Result<Response<v1::AddDiffAreaResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let (storage, volume, on) = self.area(request.area)?;
            let maximum = MaximumSpace::from_value(request.maximum_space)?;
            storage.add_diff_area(&volume, &on, maximum).await?;
            Ok(v1::AddDiffAreaResponse {})
        })
        .await
    }

    async fn change_diff_area_maximum_size(
        &self,
        request: Request<v1::ChangeDiffAreaMaximumSizeRequest>,
    ) -> Result<Response<v1::ChangeDiffAreaMaximumSizeResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let (storage, volume, on) = self.area(request.area)?;
            let maximum = MaximumSpace::from_value(request.maximum_space)?;
            let persistence = if request.volatile {
                Persistence::Volatile
            } else {
                Persistence::Persistent
            };
            storage
                .change_diff_area_maximum_size(&volume, &on, maximum, persistence)
                .await?;
            Ok(v1::ChangeDiffAreaMaximumSizeResponse {})
        })
        .await
    }

    async fn query_volumes_supported_for_diff_areas(
        &self,
        request: Request<v1::QueryVolumesSupportedForDiffAreasRequest>,
    ) -> Result<Response<v1::QueryVolumesSupportedForDiffAreasResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let volume = volume(request.volume)?;
            let volumes = storage.volumes_supported_for_diff_areas(&volume).await?;
            Ok(v1::QueryVolumesSupportedForDiffAreasResponse {
                volumes: all(volumes),
            })
        })
        .await
    }

    async fn query_diff_areas(
        &self,
        request: Request<v1::QueryDiffAreasRequest>,
    ) -> Result<Response<v1::QueryDiffAreasResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let areas = match fields::required("QueryDiffAreasRequest.of", request.of)? {
                Of::ForVolume(name) => storage.diff_areas_for_volume(&volume(name)?).await?,
                Of::OnVolume(name) => storage.diff_areas_on_volume(&volume(name)?).await?,
                Of::ForSnapshot(copy) => {
                    let id = fields::id("QueryDiffAreasRequest.for_snapshot", &copy)?;
                    storage.diff_areas_for_snapshot(id).await?
                }
            };
            Ok(v1::QueryDiffAreasResponse { areas: all(areas) })
        })
        .await
    }

    async fn migrate_diff_areas(
        &self,
        request: Request<v1::MigrateDiffAreasRequest>,
    ) -> Result<Response<v1::MigrateDiffAreasResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let (storage, from, on) = self.area(request.area)?;
            let to = volume(request.new_diff_area_volume)?;
            storage.migrate_diff_areas(&from, &on, &to).await?;
            Ok(v1::MigrateDiffAreasResponse {})
        })
        .await
    }

    async fn query_migration_status(
        &self,
        request: Request<v1::QueryMigrationStatusRequest>,
    ) -> Result<Response<v1::QueryMigrationStatusResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let (storage, volume, on) = self.area(request.area)?;
            let migration = storage.migration_status(&volume, &on).await?;
            Ok(v1::QueryMigrationStatusResponse {
                finished: migration == Migration::Finished,
            })
        })
        .await
    }

    async fn set_snapshot_priority(
        &self,
        request: Request<v1::SetSnapshotPriorityRequest>,
    ) -> Result<Response<v1::SetSnapshotPriorityResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let copy = fields::id("shadow_copy_id", &request.shadow_copy_id)?;
            let priority = u8::try_from(request.priority)
                .map_err(|_| fields::invalid("priority", "it is larger than 255"))?;
            storage
                .set_snapshot_priority(copy, SnapshotPriority(priority))
                .await?;
            Ok(v1::SetSnapshotPriorityResponse {})
        })
        .await
    }

    async fn set_volume_protect_level(
        &self,
        request: Request<v1::SetVolumeProtectLevelRequest>,
    ) -> Result<Response<v1::SetVolumeProtectLevelResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let level = protection_level("level", request.level)?;
            let volume = volume(request.volume)?;
            storage.set_volume_protect_level(&volume, level).await?;
            Ok(v1::SetVolumeProtectLevelResponse {})
        })
        .await
    }

    async fn get_volume_protect_level(
        &self,
        request: Request<v1::GetVolumeProtectLevelRequest>,
    ) -> Result<Response<v1::GetVolumeProtectLevelResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let volume = volume(request.volume)?;
            Ok(storage.volume_protect_level(&volume).await?.into())
        })
        .await
    }

    async fn clear_volume_protect_fault(
        &self,
        request: Request<v1::ClearVolumeProtectFaultRequest>,
    ) -> Result<Response<v1::ClearVolumeProtectFaultResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let volume = volume(request.volume)?;
            storage.clear_volume_protect_fault(&volume).await?;
            Ok(v1::ClearVolumeProtectFaultResponse {})
        })
        .await
    }

    async fn delete_unused_diff_areas(
        &self,
        request: Request<v1::DeleteUnusedDiffAreasRequest>,
    ) -> Result<Response<v1::DeleteUnusedDiffAreasResponse>, Status> {
        call(request, Right::Administrator, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let on = volume(request.diff_area_volume)?;
            storage.delete_unused_diff_areas(&on).await?;
            Ok(v1::DeleteUnusedDiffAreasResponse {})
        })
        .await
    }

    async fn query_snapshot_delta_bitmap(
        &self,
        request: Request<v1::QuerySnapshotDeltaBitmapRequest>,
    ) -> Result<Response<v1::QuerySnapshotDeltaBitmapResponse>, Status> {
        call(request, Right::Requester, |request, _| async move {
            let storage = self.storage(&request.provider_id)?;
            let older = fields::id("older", &request.older)?;
            let younger = fields::id("younger", &request.younger)?;
            Ok(storage.snapshot_delta_bitmap(older, younger).await?.into())
        })
        .await
    }
}
