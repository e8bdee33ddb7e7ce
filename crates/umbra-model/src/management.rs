//! What the management of shadow copy storage speaks of: volumes, the diff areas
//! that keep their copies, protection (`vsmgmt.h`), and providers (`vss.h`).

use crate::{Volume, VolumeId, VssCode, VssError, VssResult};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

named_values! {
    /// Which kind of provider (`VSS_PROVIDER_TYPE`).
    ProviderType {
        Unknown = "VSS_PROV_UNKNOWN", 0;
        System = "VSS_PROV_SYSTEM", 1;
        Software = "VSS_PROV_SOFTWARE", 2;
        Hardware = "VSS_PROV_HARDWARE", 3;
        FileShare = "VSS_PROV_FILESHARE", 4;
    }
}

named_flags! {
    /// What a provider can do (`VSS_PROVIDER_CAPABILITIES`).
    ProviderCapabilities {
        LEGACY = "VSS_PRV_CAPABILITY_LEGACY", 0x1;
        COMPLIANT = "VSS_PRV_CAPABILITY_COMPLIANT", 0x2;
        LUN_REPOINT = "VSS_PRV_CAPABILITY_LUN_REPOINT", 0x4;
        LUN_RESYNC = "VSS_PRV_CAPABILITY_LUN_RESYNC", 0x8;
        OFFLINE_CREATION = "VSS_PRV_CAPABILITY_OFFLINE_CREATION", 0x10;
        MULTIPLE_IMPORT = "VSS_PRV_CAPABILITY_MULTIPLE_IMPORT", 0x20;
        RECYCLING = "VSS_PRV_CAPABILITY_RECYCLING", 0x40;
        PLEX = "VSS_PRV_CAPABILITY_PLEX", 0x80;
        DIFFERENTIAL = "VSS_PRV_CAPABILITY_DIFFERENTIAL", 0x100;
        CLUSTERED = "VSS_PRV_CAPABILITY_CLUSTERED", 0x200;
    }
}

named_flags! {
    /// What must not be done on a volume while it has shadow copies
    /// (`VSS_SNAPSHOT_COMPATIBILITY`).
    SnapshotCompatibility {
        DISABLE_DEFRAG = "VSS_SC_DISABLE_DEFRAG", 0x1;
        DISABLE_CONTENT_INDEX = "VSS_SC_DISABLE_CONTENTINDEX", 0x2;
    }
}

named_values! {
    /// What a management object is (`VSS_MGMT_OBJECT_TYPE`).
    ManagementObjectType {
        Unknown = "VSS_MGMT_OBJECT_UNKNOWN", 0;
        Volume = "VSS_MGMT_OBJECT_VOLUME", 1;
        DiffVolume = "VSS_MGMT_OBJECT_DIFF_VOLUME", 2;
        DiffArea = "VSS_MGMT_OBJECT_DIFF_AREA", 3;
    }
}

named_values! {
    /// What is given up first where there is not enough room: the shadow copies, or
    /// writing to the volume (`VSS_PROTECTION_LEVEL`).
    ProtectionLevel {
        OriginalVolume = "VSS_PROTECTION_LEVEL_ORIGINAL_VOLUME", 0;
        Snapshot = "VSS_PROTECTION_LEVEL_SNAPSHOT", 1;
    }
}

named_values! {
    /// Why a volume was taken offline, or its shadow copies deleted
    /// (`VSS_PROTECTION_FAULT`).
    ProtectionFault {
        None = "VSS_PROTECTION_FAULT_NONE", 0;
        DiffAreaMissing = "VSS_PROTECTION_FAULT_DIFF_AREA_MISSING", 1;
        IoFailureDuringOnline = "VSS_PROTECTION_FAULT_IO_FAILURE_DURING_ONLINE", 2;
        MetaDataCorruption = "VSS_PROTECTION_FAULT_META_DATA_CORRUPTION", 3;
        MemoryAllocationFailure = "VSS_PROTECTION_FAULT_MEMORY_ALLOCATION_FAILURE", 4;
        MappedMemoryFailure = "VSS_PROTECTION_FAULT_MAPPED_MEMORY_FAILURE", 5;
        CowReadFailure = "VSS_PROTECTION_FAULT_COW_READ_FAILURE", 6;
        CowWriteFailure = "VSS_PROTECTION_FAULT_COW_WRITE_FAILURE", 7;
        DiffAreaFull = "VSS_PROTECTION_FAULT_DIFF_AREA_FULL", 8;
        GrowTooSlow = "VSS_PROTECTION_FAULT_GROW_TOO_SLOW", 9;
        GrowFailed = "VSS_PROTECTION_FAULT_GROW_FAILED", 10;
        DestroyAllSnapshots = "VSS_PROTECTION_FAULT_DESTROY_ALL_SNAPSHOTS", 11;
        FileSystemFailure = "VSS_PROTECTION_FAULT_FILE_SYSTEM_FAILURE", 12;
        IoFailure = "VSS_PROTECTION_FAULT_IO_FAILURE", 13;
        DiffAreaRemoved = "VSS_PROTECTION_FAULT_DIFF_AREA_REMOVED", 14;
        ExternalWriterToDiffArea = "VSS_PROTECTION_FAULT_EXTERNAL_WRITER_TO_DIFF_AREA", 15;
        MountDuringClusterOffline = "VSS_PROTECTION_FAULT_MOUNT_DURING_CLUSTER_OFFLINE", 16;
    }
}

/// A number of bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// How large a diff area may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MaximumSpace {
    /// As large as the volume that it is on lets it (`VSS_ASSOC_NO_MAX_SPACE`).
    NoLimit,
    /// It is to go away (`VSS_ASSOC_REMOVE`).
    Remove,
    /// At most this.
    Bytes(ByteCount),
}

impl MaximumSpace {
    /// `VSS_ASSOC_NO_MAX_SPACE`.
    pub const NO_MAX_SPACE: i64 = -1;
    /// `VSS_ASSOC_REMOVE`.
    pub const REMOVE: i64 = 0;

    /// The number that VSS has for it; the largest there is for more.
    pub fn value(self) -> i64 {
        match self {
            Self::NoLimit => Self::NO_MAX_SPACE,
            Self::Remove => Self::REMOVE,
            Self::Bytes(ByteCount(bytes)) => i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }

    /// What VSS means by this number.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for a negative number other than `VSS_ASSOC_NO_MAX_SPACE`.
    pub fn from_value(value: i64) -> VssResult<Self> {
        match (value, u64::try_from(value)) {
            (Self::NO_MAX_SPACE, _) => Ok(Self::NoLimit),
            (Self::REMOVE, _) => Ok(Self::Remove),
            (_, Ok(bytes)) => Ok(Self::Bytes(ByteCount(bytes))),
            (_, Err(_)) => Err(VssError::new(
                VssCode::InvalidArgument,
                format!(
                    "{value} is no size of shadow copy storage; name the bytes, or {} for no limit",
                    Self::NO_MAX_SPACE
                ),
            )),
        }
    }
}

/// A volume (`VSS_VOLUME_PROP`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VolumeProperties {
    /// The name that lasts (`m_pwszVolumeName`).
    pub name: VolumeId,
    /// Where it is mounted (`m_pwszVolumeDisplayName`).
    pub display_name: PathBuf,
}

impl From<&Volume> for VolumeProperties {
    fn from(volume: &Volume) -> Self {
        Self {
            name: volume.id.clone(),
            display_name: volume.mount_point.clone(),
        }
    }
}

/// A volume that can have diff areas on it (`VSS_DIFF_VOLUME_PROP`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DiffVolumeProperties {
    /// The volume.
    pub volume: VolumeProperties,
    /// How much of it is free.
    pub free_space: ByteCount,
    /// How large it is.
    pub total_space: ByteCount,
}

/// A diff area: the place on one volume that keeps the shadow copies of another,
/// or of the same (`VSS_DIFF_AREA_PROP`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiffAreaProperties {
    /// The volume whose shadow copies are there.
    pub volume: VolumeId,
    /// The volume that it is on.
    pub diff_area_volume: VolumeId,
    /// How large it may become.
    pub maximum: MaximumSpace,
    /// How much is set aside for it.
    pub allocated: ByteCount,
    /// How much of that has something in it.
    pub used: ByteCount,
}

/// How a volume with shadow copies is protected (`VSS_VOLUME_PROTECTION_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VolumeProtection {
    /// What is given up first.
    pub level: ProtectionLevel,
    /// Whether the volume was taken offline to keep its shadow copies.
    pub is_offline: bool,
    /// Why.
    pub fault: ProtectionFault,
    /// The HRESULT of the fault; zero for none.
    pub failure_status: u32,
    /// Whether there is a diff area that belongs to no shadow copy any more.
    pub has_unused_diff_area: bool,
}

/// Which shadow copies go first where there is not enough room: those with a
/// lower priority (`SetSnapshotPriority`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotPriority(pub u8);

/// Which blocks of a volume differ between two shadow copies
/// (`QuerySnapshotDeltaBitmap`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaBitmap {
    /// How many bytes one bit stands for.
    pub block_size: ByteCount,
    /// A bit for each block, the lowest bit of each byte first.
    pub bits: Vec<u8>,
}

impl DeltaBitmap {
    /// Whether this block differs; one that lies behind the last does not.
    pub fn differs(&self, block: u64) -> bool {
        let byte = usize::try_from(block / 8)
            .ok()
            .and_then(|place| self.bits.get(place));
        byte.is_some_and(|byte| byte & (1 << (block % 8)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_is_what_vss_means_by_its_number() {
        let check = |value, maximum| {
            assert_eq!(MaximumSpace::from_value(value), Ok(maximum));
            assert_eq!(maximum.value(), value);
        };
        check(-1, MaximumSpace::NoLimit);
        check(0, MaximumSpace::Remove);
        check(320 << 20, MaximumSpace::Bytes(ByteCount(320 << 20)));
        assert_eq!(MaximumSpace::Bytes(ByteCount(u64::MAX)).value(), i64::MAX);
        let error = MaximumSpace::from_value(-2).unwrap_err();
        assert_eq!(error.code(), VssCode::InvalidArgument);
    }

    #[test]
    fn a_bitmap_has_a_bit_for_each_block() {
        let delta = DeltaBitmap {
            block_size: ByteCount(16 << 10),
            bits: vec![0b0000_0001, 0b1000_0000],
        };
        let differing: Vec<u64> = (0..40).filter(|block| delta.differs(*block)).collect();
        assert_eq!(differing, [0, 15]);
        assert!(!delta.differs(u64::MAX));
    }
}
