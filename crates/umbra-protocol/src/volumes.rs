//! Volumes on the wire.

use crate::{fields, v1};
use umbra_model::{DeviceNumber, HoldMethod, Volume, VolumeId, VssError};

impl From<Volume> for v1::Volume {
    fn from(volume: Volume) -> Self {
        Self {
            id: volume.id.as_str().to_owned(),
            mount_point: fields::bytes(&volume.mount_point),
            root: fields::bytes(&volume.root),
            file_system: volume.file_system,
            device: fields::bytes(&volume.device),
            major: volume.number.major,
            minor: volume.number.minor,
            mount_id: volume.mount_id,
            subvolume: volume.subvolume,
        }
    }
}

impl TryFrom<v1::Volume> for Volume {
    type Error = VssError;

    fn try_from(volume: v1::Volume) -> Result<Self, VssError> {
        if volume.id.is_empty() {
            return Err(fields::invalid("Volume.id", "it is empty"));
        }
        Ok(Self {
            id: VolumeId::new(volume.id),
            mount_point: fields::path("Volume.mount_point", volume.mount_point)?,
            root: fields::path("Volume.root", volume.root)?,
            file_system: volume.file_system,
            device: fields::path("Volume.device", volume.device)?,
            number: DeviceNumber {
                major: volume.major,
                minor: volume.minor,
            },
            mount_id: volume.mount_id,
            subvolume: volume.subvolume,
        })
    }
}

impl From<HoldMethod> for v1::HoldMethod {
    fn from(method: HoldMethod) -> Self {
        match method {
            HoldMethod::Freeze => Self::Freeze,
            HoldMethod::Atomic => Self::Atomic,
        }
    }
}

impl TryFrom<v1::HoldMethod> for HoldMethod {
    type Error = VssError;

    fn try_from(method: v1::HoldMethod) -> Result<Self, VssError> {
        match method {
            v1::HoldMethod::Unspecified => Err(fields::invalid("hold_method", "it is missing")),
            v1::HoldMethod::Freeze => Ok(Self::Freeze),
            v1::HoldMethod::Atomic => Ok(Self::Atomic),
        }
    }
}
