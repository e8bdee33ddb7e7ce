//! Managing shadow copies and the storage they are kept in.

use crate::{Connection, reports::all};
use std::path::Path;
use tonic::transport::Channel;
use umbra_model::{
    ByteCount, Context, DeltaBitmap, DiffAreaProperties, DiffVolumeProperties, MaximumSpace,
    ProtectionLevel, ProviderId, ShadowCopy, ShadowCopyId, SnapshotPriority, VolumeProperties,
    VolumeProtection, VssResult,
};
use umbra_protocol::{MAX_REPLY, fields, from_status, v1};
use umbra_provider::{Migration, Persistence};
use v1::{management_client::ManagementClient, query_diff_areas_request::Of};

/// What can be copied, and which copies there are of a volume (`IVssSnapshotMgmt`).
/// Every call fails with the service's own error.
#[derive(Debug, Clone)]
pub struct Management {
    client: ManagementClient<Channel>,
}

/// Makes one call with one request.
macro_rules! call {
    ($client:expr, $method:ident($request:expr)) => {
        $client
            .clone()
            .$method($request)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| from_status(&status))
    };
}

impl Management {
    /// The calls over this connection.
    pub fn new(connection: &Connection) -> Self {
        let client = ManagementClient::new(connection.channel());
        Self {
            client: client.max_decoding_message_size(MAX_REPLY),
        }
    }

    /// Which volumes a provider, or any of them, can copy in a context
    /// (`QueryVolumesSupportedForSnapshots`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`, or access is denied.
    pub async fn volumes_supported_for_snapshots(
        &self,
        provider: Option<ProviderId>,
        context: Context,
    ) -> VssResult<Vec<VolumeProperties>> {
        let request = v1::QueryVolumesSupportedForSnapshotsRequest {
            provider_id: optional(provider),
            context: context.value(),
        };
        all(call!(self.client, query_volumes_supported_for_snapshots(request))?.volumes)
    }

    /// The copies of a volume, oldest first (`QuerySnapshotsByVolume`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a volume that is not there,
    /// `VSS_E_PROVIDER_NOT_REGISTERED`, or access is denied.
    pub async fn snapshots_by_volume(
        &self,
        volume: &Path,
        provider: Option<ProviderId>,
    ) -> VssResult<Vec<ShadowCopy>> {
        let request = v1::QuerySnapshotsByVolumeRequest {
            volume: fields::bytes(volume),
            provider_id: optional(provider),
        };
        all(call!(self.client, query_snapshots_by_volume(request))?.copies)
    }

    /// The management of a provider's storage (`GetProviderMgmtInterface`). Asks
    /// nobody: whether there is such a provider shows with the first call.
    pub fn provider_storage(&self, provider: ProviderId) -> ProviderStorage {
        ProviderStorage {
            client: self.client.clone(),
            provider,
        }
    }
}

fn optional(provider: Option<ProviderId>) -> String {
    provider.map(|id| id.to_string()).unwrap_or_default()
}

/// The storage of one provider (`IVssDifferentialSoftwareSnapshotMgmt` to 3).
/// Volumes are named by mount point, block device or stable id.
///
/// Every call fails with `VSS_E_PROVIDER_NOT_REGISTERED` where there is no such
/// provider, with `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER` where it keeps no storage
/// of its own, with `VSS_E_OBJECT_NOT_FOUND` for a volume or a copy that is not
/// there, and those that change something with `E_ACCESSDENIED` for anybody but
/// root.
#[derive(Debug, Clone)]
pub struct ProviderStorage {
    client: ManagementClient<Channel>,
    provider: ProviderId,
}

impl ProviderStorage {
    fn area(&self, volume: &Path, on: &Path) -> Option<v1::DiffAreaName> {
        Some(v1::DiffAreaName {
            provider_id: self.provider.to_string(),
            volume: fields::bytes(volume),
            diff_area_volume: fields::bytes(on),
        })
    }

    /// The least room that a diff area must be given
    /// (`IVssSnapshotMgmt2::GetMinDiffAreaSize`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn min_diff_area_size(&self) -> VssResult<ByteCount> {
        let request = v1::GetMinDiffAreaSizeRequest {
            provider_id: self.provider.to_string(),
        };
        let response = call!(self.client, get_min_diff_area_size(request))?;
        Ok(ByteCount(response.bytes))
    }

    /// Gives a volume a diff area on another volume, or on itself (`AddDiffArea`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS`,
    /// `VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED`,
    /// `VSS_E_INSUFFICIENT_STORAGE`; as all calls here.
    pub async fn add_diff_area(
        &self,
        volume: &Path,
        on: &Path,
        maximum: MaximumSpace,
    ) -> VssResult<()> {
        let request = v1::AddDiffAreaRequest {
            area: self.area(volume, on),
            maximum_space: maximum.value(),
        };
        call!(self.client, add_diff_area(request)).map(drop)
    }

    /// Changes how large a diff area may become (`ChangeDiffAreaMaximumSize`,
    /// `ChangeDiffAreaMaximumSizeEx`), or takes it away.
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_IN_USE` where it is to go away and has copies in it,
    /// `VSS_E_INSUFFICIENT_STORAGE`; as all calls here.
    pub async fn change_diff_area_maximum_size(
        &self,
        volume: &Path,
        on: &Path,
        maximum: MaximumSpace,
        persistence: Persistence,
    ) -> VssResult<()> {
        let request = v1::ChangeDiffAreaMaximumSizeRequest {
            area: self.area(volume, on),
            maximum_space: maximum.value(),
            volatile: persistence == Persistence::Volatile,
        };
        call!(self.client, change_diff_area_maximum_size(request)).map(drop)
    }

    /// On which volumes a volume can have a diff area
    /// (`QueryVolumesSupportedForDiffAreas`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn volumes_supported_for_diff_areas(
        &self,
        volume: &Path,
    ) -> VssResult<Vec<DiffVolumeProperties>> {
        let request = v1::QueryVolumesSupportedForDiffAreasRequest {
            provider_id: self.provider.to_string(),
            volume: fields::bytes(volume),
        };
        all(call!(self.client, query_volumes_supported_for_diff_areas(request))?.volumes)
    }

    /// The diff areas of a volume (`QueryDiffAreasForVolume`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn diff_areas_for_volume(&self, volume: &Path) -> VssResult<Vec<DiffAreaProperties>> {
        self.diff_areas(Of::ForVolume(fields::bytes(volume))).await
    }

    /// The diff areas on a volume (`QueryDiffAreasOnVolume`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn diff_areas_on_volume(&self, on: &Path) -> VssResult<Vec<DiffAreaProperties>> {
        self.diff_areas(Of::OnVolume(fields::bytes(on))).await
    }

    /// The diff areas that a copy has something in (`QueryDiffAreasForSnapshot`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn diff_areas_for_snapshot(
        &self,
        copy: ShadowCopyId,
    ) -> VssResult<Vec<DiffAreaProperties>> {
        self.diff_areas(Of::ForSnapshot(copy.to_string())).await
    }

    async fn diff_areas(&self, of: Of) -> VssResult<Vec<DiffAreaProperties>> {
        let request = v1::QueryDiffAreasRequest {
            provider_id: self.provider.to_string(),
            of: Some(of),
        };
        all(call!(self.client, query_diff_areas(request))?.areas)
    }

    /// Starts to move a diff area to another volume (`MigrateDiffAreas`).
    ///
    /// # Errors
    ///
    /// `VSS_E_INSUFFICIENT_STORAGE`; as all calls here.
    pub async fn migrate_diff_areas(&self, volume: &Path, on: &Path, to: &Path) -> VssResult<()> {
        let request = v1::MigrateDiffAreasRequest {
            area: self.area(volume, on),
            new_diff_area_volume: fields::bytes(to),
        };
        call!(self.client, migrate_diff_areas(request)).map(drop)
    }

    /// How far that is (`QueryMigrationStatus`).
    ///
    /// # Errors
    ///
    /// What the move failed with; as all calls here.
    pub async fn migration_status(&self, volume: &Path, on: &Path) -> VssResult<Migration> {
        let request = v1::QueryMigrationStatusRequest {
            area: self.area(volume, on),
        };
        let status = call!(self.client, query_migration_status(request))?;
        Ok(if status.finished {
            Migration::Finished
        } else {
            Migration::Running
        })
    }

    /// Which copies go first where room is short (`SetSnapshotPriority`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn set_snapshot_priority(
        &self,
        copy: ShadowCopyId,
        priority: SnapshotPriority,
    ) -> VssResult<()> {
        let request = v1::SetSnapshotPriorityRequest {
            provider_id: self.provider.to_string(),
            shadow_copy_id: copy.to_string(),
            priority: priority.0.into(),
        };
        call!(self.client, set_snapshot_priority(request)).map(drop)
    }

    /// What is given up first for a volume (`SetVolumeProtectLevel`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn set_volume_protect_level(
        &self,
        volume: &Path,
        level: ProtectionLevel,
    ) -> VssResult<()> {
        let request = v1::SetVolumeProtectLevelRequest {
            provider_id: self.provider.to_string(),
            volume: fields::bytes(volume),
            level: level.value(),
        };
        call!(self.client, set_volume_protect_level(request)).map(drop)
    }

    /// How a volume is protected, and whether that made it stop
    /// (`GetVolumeProtectLevel`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn volume_protect_level(&self, volume: &Path) -> VssResult<VolumeProtection> {
        let request = v1::GetVolumeProtectLevelRequest {
            provider_id: self.provider.to_string(),
            volume: fields::bytes(volume),
        };
        call!(self.client, get_volume_protect_level(request))?.try_into()
    }

    /// Lets a volume go on that was stopped to keep its copies
    /// (`ClearVolumeProtectFault`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn clear_volume_protect_fault(&self, volume: &Path) -> VssResult<()> {
        let request = v1::ClearVolumeProtectFaultRequest {
            provider_id: self.provider.to_string(),
            volume: fields::bytes(volume),
        };
        call!(self.client, clear_volume_protect_fault(request)).map(drop)
    }

    /// Deletes the diff areas on a volume that no copy needs any more
    /// (`DeleteUnusedDiffAreas`).
    ///
    /// # Errors
    ///
    /// As all calls here.
    pub async fn delete_unused_diff_areas(&self, on: &Path) -> VssResult<()> {
        let request = v1::DeleteUnusedDiffAreasRequest {
            provider_id: self.provider.to_string(),
            diff_area_volume: fields::bytes(on),
        };
        call!(self.client, delete_unused_diff_areas(request)).map(drop)
    }

    /// Which blocks of a volume differ between two copies of it
    /// (`QuerySnapshotDeltaBitmap`).
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for copies of two volumes; as all calls here.
    pub async fn snapshot_delta_bitmap(
        &self,
        older: ShadowCopyId,
        younger: ShadowCopyId,
    ) -> VssResult<DeltaBitmap> {
        let request = v1::QuerySnapshotDeltaBitmapRequest {
            provider_id: self.provider.to_string(),
            older: older.to_string(),
            younger: younger.to_string(),
        };
        call!(self.client, query_snapshot_delta_bitmap(request)).map(Into::into)
    }
}
