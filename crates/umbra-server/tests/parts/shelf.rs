//! A provider that keeps storage in memory, and copies nothing.

use std::sync::Mutex;
use umbra_model::*;
use umbra_provider::{
    Migration, PendingShadowCopy, Persistence, Presence, Provider, ProviderKind,
    ProviderProperties, StorageManagement, Support, Surface,
};

/// Its id.
pub const SHELF: ProviderId = ProviderId::from_u128(0xb);

/// The provider.
pub struct Shelf {
    properties: ProviderProperties,
    areas: Mutex<Vec<DiffAreaProperties>>,
    protection: Mutex<ProtectionLevel>,
}

impl Shelf {
    pub fn new() -> Self {
        Self {
            properties: ProviderProperties {
                id: SHELF,
                name: "shelf",
                version: "1",
                kind: ProviderKind::System,
                needs: "room",
            },
            areas: Mutex::default(),
            protection: Mutex::new(ProtectionLevel::OriginalVolume),
        }
    }

    fn all(&self) -> VssResult<Vec<DiffAreaProperties>> {
        Ok(self.areas.lock().unwrap().clone())
    }

    fn check(volume: &Volume) -> VssResult<()> {
        assert_eq!(*volume, super::volume(), "the name was made a volume");
        Ok(())
    }
}

fn unused<T>() -> VssResult<T> {
    Err(VssError::new(VssCode::NotSupported, "it makes no copies"))
}

impl Provider for Shelf {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn capabilities(&self) -> ProviderCapabilities {
        ProviderCapabilities::COMPLIANT.with(ProviderCapabilities::PLEX)
    }

    fn storage(&self) -> Option<&dyn StorageManagement> {
        Some(self)
    }

    fn is_volume_supported(&self, _: &Volume) -> Support {
        Support::Unsupported("it makes no copies".into())
    }

    fn location(&self, _: ShadowCopyId, _: &Volume) -> VssResult<ProviderLocation> {
        unused()
    }

    fn begin_prepare(
        &self,
        _: ShadowCopyId,
        _: &Volume,
        _: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        unused()
    }

    fn surface(&self, _: &ShadowCopy) -> VssResult<Surface> {
        unused()
    }

    fn presence(&self, _: &ShadowCopy) -> Presence {
        Presence::Missing
    }

    fn delete(&self, _: &ShadowCopy) -> VssResult<()> {
        Ok(())
    }
}

impl StorageManagement for Shelf {
    fn min_diff_area_size(&self) -> VssResult<ByteCount> {
        Ok(ByteCount(320 << 20))
    }

    fn add_diff_area(&self, volume: &Volume, on: &Volume, maximum: MaximumSpace) -> VssResult<()> {
        Self::check(volume)?;
        let mut areas = self.areas.lock().unwrap();
        if !areas.is_empty() {
            return Err(VssError::new(VssCode::ObjectAlreadyExists, "one is enough"));
        }
        areas.push(DiffAreaProperties {
            volume: volume.id.clone(),
            diff_area_volume: on.id.clone(),
            maximum,
            allocated: ByteCount(2),
            used: ByteCount(1),
        });
        Ok(())
    }

    fn change_diff_area_maximum_size(
        &self,
        _: &Volume,
        _: &Volume,
        maximum: MaximumSpace,
        persistence: Persistence,
    ) -> VssResult<()> {
        let mut areas = self.areas.lock().unwrap();
        match (maximum, persistence) {
            (MaximumSpace::Remove, _) => areas.clear(),
            (_, Persistence::Volatile) => {}
            (maximum, Persistence::Persistent) => areas[0].maximum = maximum,
        }
        Ok(())
    }

    fn volumes_supported_for_diff_areas(
        &self,
        volume: &Volume,
    ) -> VssResult<Vec<DiffVolumeProperties>> {
        Ok(vec![DiffVolumeProperties {
            volume: VolumeProperties::from(volume),
            free_space: ByteCount(10),
            total_space: ByteCount(20),
        }])
    }

    fn diff_areas_for_volume(&self, volume: &Volume) -> VssResult<Vec<DiffAreaProperties>> {
        Self::check(volume)?;
        self.all()
    }

    fn diff_areas_on_volume(&self, on: &Volume) -> VssResult<Vec<DiffAreaProperties>> {
        Self::check(on)?;
        self.all()
    }

    fn diff_areas_for_snapshot(&self, _: &ShadowCopy) -> VssResult<Vec<DiffAreaProperties>> {
        unused()
    }

    fn migrate_diff_areas(&self, volume: &Volume, _: &Volume, _: &Volume) -> VssResult<()> {
        Self::check(volume)
    }

    fn migration_status(&self, _: &Volume, _: &Volume) -> VssResult<Migration> {
        Ok(Migration::Finished)
    }

    fn set_snapshot_priority(&self, _: &ShadowCopy, _: SnapshotPriority) -> VssResult<()> {
        unused()
    }

    fn set_volume_protect_level(&self, _: &Volume, level: ProtectionLevel) -> VssResult<()> {
        *self.protection.lock().unwrap() = level;
        Ok(())
    }

    fn volume_protect_level(&self, _: &Volume) -> VssResult<VolumeProtection> {
        Ok(VolumeProtection {
            level: *self.protection.lock().unwrap(),
            is_offline: true,
            fault: ProtectionFault::DiffAreaFull,
            failure_status: VssCode::InsufficientStorage.hresult(),
            has_unused_diff_area: true,
        })
    }

    fn clear_volume_protect_fault(&self, volume: &Volume) -> VssResult<()> {
        Self::check(volume)
    }

    fn delete_unused_diff_areas(&self, on: &Volume) -> VssResult<()> {
        Self::check(on)
    }

    fn snapshot_delta_bitmap(&self, _: &ShadowCopy, _: &ShadowCopy) -> VssResult<DeltaBitmap> {
        unused()
    }
}
