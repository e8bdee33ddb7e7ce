//! Linux storage: which file systems are mounted, what lies under them, and the
//! hold that keeps them still.
//!
//! Invariant: this is the only crate that freezes a file system, and the only
//! one with mount and block-device system calls; but for the bpffs that
//! `umbra-tracker` keeps its programs in.
//! Invariant: nothing that this crate freezes stays frozen: the hold thaws it,
//! or the guardian does when the hold's process dies, stalls or is late.
//! Invariant: a file system that someone else froze is never thawed here.
//! Invariant: nothing here writes to a held volume.

pub mod btrfs;
mod device_reader;
mod discovery;
mod extent;
mod file_system_uuid;
mod free_space;
mod hold;
mod linux_volumes;
mod locked_memory;
pub mod loop_device;
pub mod mount;
mod mount_table;
pub mod namespace;
pub mod reflink;
mod stacking;
mod superblock;
mod volumes;

pub use device_reader::DeviceReader;
pub use extent::Extent;
pub use file_system_uuid::FileSystemUuid;
pub use free_space::{FreeSpace, free_space};
pub use hold::{
    BareHold, GUARDIAN_ARGUMENT, GracePeriodPolicy, GuardianCommand, bare_hold, guardian_main,
};
pub use linux_volumes::LinuxVolumes;
pub use locked_memory::LockedMemory;
pub use stacking::lies_on;
pub use volumes::{
    Commit, HoldLimits, HoldReport, HoldVolume, PreparedHold, VolumeHold, VolumeListing, Volumes,
};
