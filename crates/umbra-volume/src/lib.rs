//! Linux storage: which file systems are mounted, what lies under them, and the
//! hold that keeps them still.
//!
//! Invariant: this is the only crate that freezes a file system, and the only
//! one with mount and block-device system calls.
//! Invariant: nothing that this crate freezes stays frozen: the hold thaws it,
//! or the guardian does when the hold's process dies, stalls or is late.
//! Invariant: a file system that someone else froze is never thawed here.
//! Invariant: nothing here writes to a held volume.

pub mod btrfs;
mod discovery;
mod file_system_uuid;
mod hold;
mod linux_volumes;
pub mod loop_device;
pub mod mount;
mod mount_table;
pub mod namespace;
pub mod reflink;
mod stacking;
mod superblock;
mod volumes;

pub use file_system_uuid::FileSystemUuid;
pub use hold::{
    BareHold, GUARDIAN_ARGUMENT, GracePeriodPolicy, GuardianCommand, bare_hold, guardian_main,
};
pub use linux_volumes::LinuxVolumes;
pub use volumes::{
    Commit, HoldLimits, HoldReport, HoldVolume, PreparedHold, VolumeHold, VolumeListing, Volumes,
};
