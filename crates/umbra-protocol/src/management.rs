//! Shadow copy storage on the wire.

use crate::{fields, v1};
use umbra_model::{
    ByteCount, DeltaBitmap, DiffAreaProperties, DiffVolumeProperties, MaximumSpace,
    ProtectionFault, ProtectionLevel, VolumeId, VolumeProperties, VolumeProtection, VssError,
    VssResult,
};

impl From<VolumeProperties> for v1::VolumeProperties {
    fn from(volume: VolumeProperties) -> Self {
        Self {
            name: volume.name.as_str().to_owned(),
            display_name: fields::bytes(&volume.display_name),
        }
    }
}

impl TryFrom<v1::VolumeProperties> for VolumeProperties {
    type Error = VssError;

    fn try_from(volume: v1::VolumeProperties) -> VssResult<Self> {
        Ok(Self {
            name: volume_id("VolumeProperties.name", volume.name)?,
            display_name: fields::path("VolumeProperties.display_name", volume.display_name)?,
        })
    }
}

fn volume_id(field: &str, text: String) -> VssResult<VolumeId> {
    if text.is_empty() {
        return Err(fields::invalid(field, "it is empty"));
    }
    Ok(VolumeId::new(text))
}

impl From<DiffVolumeProperties> for v1::DiffVolumeProperties {
    fn from(volume: DiffVolumeProperties) -> Self {
        Self {
            volume: Some(volume.volume.into()),
            free_space: volume.free_space.0,
            total_space: volume.total_space.0,
        }
    }
}

impl TryFrom<v1::DiffVolumeProperties> for DiffVolumeProperties {
    type Error = VssError;

    fn try_from(volume: v1::DiffVolumeProperties) -> VssResult<Self> {
        Ok(Self {
            volume: fields::required("DiffVolumeProperties.volume", volume.volume)?.try_into()?,
            free_space: ByteCount(volume.free_space),
            total_space: ByteCount(volume.total_space),
        })
    }
}

impl From<DiffAreaProperties> for v1::DiffAreaProperties {
    fn from(area: DiffAreaProperties) -> Self {
        Self {
            volume: area.volume.as_str().to_owned(),
            diff_area_volume: area.diff_area_volume.as_str().to_owned(),
            maximum_space: area.maximum.value(),
            allocated_space: area.allocated.0,
            used_space: area.used.0,
        }
    }
}

impl TryFrom<v1::DiffAreaProperties> for DiffAreaProperties {
    type Error = VssError;

    fn try_from(area: v1::DiffAreaProperties) -> VssResult<Self> {
        let on = area.diff_area_volume;
        Ok(Self {
            volume: volume_id("DiffAreaProperties.volume", area.volume)?,
            diff_area_volume: volume_id("DiffAreaProperties.diff_area_volume", on)?,
            maximum: MaximumSpace::from_value(area.maximum_space)?,
            allocated: ByteCount(area.allocated_space),
            used: ByteCount(area.used_space),
        })
    }
}

impl From<VolumeProtection> for v1::GetVolumeProtectLevelResponse {
    fn from(protection: VolumeProtection) -> Self {
        Self {
            level: protection.level.value(),
            offline: protection.is_offline,
            fault: protection.fault.value(),
            failure_status: protection.failure_status,
            has_unused_diff_area: protection.has_unused_diff_area,
        }
    }
}

impl TryFrom<v1::GetVolumeProtectLevelResponse> for VolumeProtection {
    type Error = VssError;

    fn try_from(protection: v1::GetVolumeProtectLevelResponse) -> VssResult<Self> {
        let fault = protection.fault;
        Ok(Self {
            level: protection_level("GetVolumeProtectLevelResponse.level", protection.level)?,
            is_offline: protection.offline,
            fault: ProtectionFault::from_value(fault).ok_or_else(|| {
                let why = format!("{fault} is no VSS_PROTECTION_FAULT");
                fields::invalid("GetVolumeProtectLevelResponse.fault", why)
            })?,
            failure_status: protection.failure_status,
            has_unused_diff_area: protection.has_unused_diff_area,
        })
    }
}

/// A `VSS_PROTECTION_LEVEL` value.
///
/// # Errors
///
/// `E_INVALIDARG` for any other.
pub fn protection_level(field: &str, value: u32) -> VssResult<ProtectionLevel> {
    ProtectionLevel::from_value(value).ok_or_else(|| {
        let why = format!("{value} is no VSS_PROTECTION_LEVEL");
        fields::invalid(field, why)
    })
}

impl From<DeltaBitmap> for v1::QuerySnapshotDeltaBitmapResponse {
    fn from(delta: DeltaBitmap) -> Self {
        Self {
            block_size: delta.block_size.0,
            bits: delta.bits,
        }
    }
}

impl From<v1::QuerySnapshotDeltaBitmapResponse> for DeltaBitmap {
    fn from(delta: v1::QuerySnapshotDeltaBitmapResponse) -> Self {
        Self {
            block_size: ByteCount(delta.block_size),
            bits: delta.bits,
        }
    }
}
