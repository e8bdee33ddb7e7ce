//! What a volume is, as a value.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// The name of a volume that stays the same when it is mounted elsewhere: the
/// file system's UUID and, on btrfs, the subvolume's id (`UUID` or
/// `UUID/subvol=ID`). It answers to the volume GUID path of Windows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeId(String);

impl VolumeId {
    /// The id with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device number, as in `stat` and `mountinfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A mounted file system that can be shadow-copied on its own, as it was found
/// at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The stable name.
    pub id: VolumeId,
    /// Where it is mounted.
    #[serde(with = "crate::path_text::as_text")]
    pub mount_point: PathBuf,
    /// The path inside the file system that is mounted there: `/`, or on btrfs
    /// the path of the subvolume.
    #[serde(with = "crate::path_text::as_text")]
    pub root: PathBuf,
    /// The file system's type as the kernel names it: `ext4`, `xfs`, `btrfs`.
    pub file_system: String,
    /// The block device that it is mounted from.
    #[serde(with = "crate::path_text::as_text")]
    pub device: PathBuf,
    /// The device number that its files report (anonymous on btrfs).
    pub number: DeviceNumber,
    /// The kernel's id of the mount; tells that it was unmounted meanwhile.
    pub mount_id: u32,
    /// On btrfs, the id of the subvolume.
    pub subvolume: Option<u64>,
}

/// How a file system is kept still while its copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldMethod {
    /// The file system is frozen (`FIFREEZE`), copied, and thawed (`FITHAW`).
    Freeze,
    /// The copy is one instant by itself and the file system cannot be frozen
    /// around it (btrfs, ZFS).
    Atomic,
}
