//! The part of a provider that manages shadow copy storage.

use umbra_model::{
    ByteCount, DeltaBitmap, DiffAreaProperties, DiffVolumeProperties, MaximumSpace,
    ProtectionLevel, ShadowCopy, SnapshotPriority, Volume, VolumeProtection, VssResult,
};

/// Whether a limit outlasts the storage that it was set for
/// (`ChangeDiffAreaMaximumSizeEx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It does.
    Persistent,
    /// It is forgotten when the volume is next unmounted.
    Volatile,
}

/// How far the move of a diff area to another volume is (`QueryMigrationStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// It goes on.
    Running,
    /// It is done.
    Finished,
}

/// Where a provider keeps its copies, and how much room they may take
/// (`IVssDifferentialSoftwareSnapshotMgmt` to 3). Only a provider with storage of
/// its own has this part; calls block.
///
/// A diff area belongs to a pair of volumes: the one that is copied, and the one
/// that keeps what its copies need.
pub trait StorageManagement: Send + Sync {
    /// The least room that a diff area must be given
    /// (`IVssSnapshotMgmt2::GetMinDiffAreaSize`).
    ///
    /// # Errors
    ///
    /// What finding out failed with.
    fn min_diff_area_size(&self) -> VssResult<ByteCount>;

    /// Gives a volume a diff area (`AddDiffArea`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS` where it has one there,
    /// `VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED`,
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER`, `VSS_E_INSUFFICIENT_STORAGE`.
    fn add_diff_area(&self, volume: &Volume, on: &Volume, maximum: MaximumSpace) -> VssResult<()>;

    /// Changes how large a diff area may become (`ChangeDiffAreaMaximumSize`,
    /// `...Ex`); [`MaximumSpace::Remove`] takes it away.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where there is none, `VSS_E_VOLUME_IN_USE` where
    /// it is to go away and has copies in it, `VSS_E_INSUFFICIENT_STORAGE`.
    fn change_diff_area_maximum_size(
        &self,
        volume: &Volume,
        on: &Volume,
        maximum: MaximumSpace,
        persistence: Persistence,
    ) -> VssResult<()>;

    /// On which volumes a volume can have a diff area
    /// (`QueryVolumesSupportedForDiffAreas`).
    ///
    /// # Errors
    ///
    /// What finding out failed with.
    fn volumes_supported_for_diff_areas(
        &self,
        volume: &Volume,
    ) -> VssResult<Vec<DiffVolumeProperties>>;

    /// The diff areas of a volume (`QueryDiffAreasForVolume`).
    ///
    /// # Errors
    ///
    /// What finding out failed with.
    fn diff_areas_for_volume(&self, volume: &Volume) -> VssResult<Vec<DiffAreaProperties>>;

    /// The diff areas on a volume (`QueryDiffAreasOnVolume`).
    ///
    /// # Errors
    ///
    /// What finding out failed with.
    fn diff_areas_on_volume(&self, on: &Volume) -> VssResult<Vec<DiffAreaProperties>>;

    /// The diff areas that a copy has something in (`QueryDiffAreasForSnapshot`).
    ///
    /// # Errors
    ///
    /// What finding out failed with.
    fn diff_areas_for_snapshot(&self, copy: &ShadowCopy) -> VssResult<Vec<DiffAreaProperties>>;

    /// Starts to move a diff area to another volume (`MigrateDiffAreas`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, `VSS_E_INSUFFICIENT_STORAGE`.
    fn migrate_diff_areas(&self, volume: &Volume, on: &Volume, to: &Volume) -> VssResult<()>;

    /// How far that is (`QueryMigrationStatus`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where nothing was moved; what the move failed
    /// with.
    fn migration_status(&self, volume: &Volume, on: &Volume) -> VssResult<Migration>;

    /// Which copies go first where room is short (`SetSnapshotPriority`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a copy that is gone.
    fn set_snapshot_priority(&self, copy: &ShadowCopy, priority: SnapshotPriority)
    -> VssResult<()>;

    /// What is given up first for this volume (`SetVolumeProtectLevel`).
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER`.
    fn set_volume_protect_level(&self, volume: &Volume, level: ProtectionLevel) -> VssResult<()>;

    /// How a volume is protected, and whether that made it stop
    /// (`GetVolumeProtectLevel`).
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER`.
    fn volume_protect_level(&self, volume: &Volume) -> VssResult<VolumeProtection>;

    /// Lets a volume go on that was stopped to keep its copies
    /// (`ClearVolumeProtectFault`).
    ///
    /// # Errors
    ///
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER`.
    fn clear_volume_protect_fault(&self, volume: &Volume) -> VssResult<()>;

    /// Deletes the diff areas on a volume that no copy needs any more
    /// (`DeleteUnusedDiffAreas`).
    ///
    /// # Errors
    ///
    /// One of them is still there.
    fn delete_unused_diff_areas(&self, on: &Volume) -> VssResult<()>;

    /// Which blocks of the volume differ between two copies of it
    /// (`QuerySnapshotDeltaBitmap`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a copy that is gone, `E_INVALIDARG` for copies
    /// of two volumes.
    fn snapshot_delta_bitmap(
        &self,
        older: &ShadowCopy,
        younger: &ShadowCopy,
    ) -> VssResult<DeltaBitmap>;
}
