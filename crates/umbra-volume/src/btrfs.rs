//! The few btrfs ioctls that shadow copies need, and the way to a file
//! system's top level.
#![allow(unsafe_code)]

use crate::{
    FileSystemUuid,
    mount::{DetachedMount, MountRequest},
};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::{self, Errno},
    ioctl::{self, Opcode, opcode},
};
use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
};
use umbra_model::{VssCode, VssError, VssResult};

const MAGIC: u8 = 0x94;
/// The inode number of every subvolume's root.
const SUBVOLUME_ROOT: u64 = 256;
/// `BTRFS_SUBVOL_RDONLY`.
const READ_ONLY: u64 = 1 << 1;
/// Where a device's superblock lies, and in it the UUID and the magic text.
const SUPERBLOCK: u64 = 64 * 1024;
const SUPERBLOCK_UUID: usize = 0x20;
const SUPERBLOCK_MAGIC: usize = 0x40;

/// `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct VolumeArguments {
    fd: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct OldVolumeArguments {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct InodeLookup {
    tree: u64,
    object: u64,
    name: [u8; 4080],
}

/// The head of `struct btrfs_ioctl_fs_info_args`, which is 1024 bytes.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct FileSystemInfo {
    max_id: u64,
    devices: u64,
    uuid: [u8; 16],
    rest: [u8; 992],
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct RawSubvolume {
    tree: u64,
    name: [u8; 256],
    parent: u64,
    folder: u64,
    generation: u64,
    flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    transactions: [u64; 4],
    times: [[u64; 2]; 4],
    reserved: [u64; 8],
}

const SNAPSHOT_CREATE: Opcode = opcode::write::<VolumeArguments>(MAGIC, 23);
const SNAPSHOT_DESTROY: Opcode = opcode::write::<OldVolumeArguments>(MAGIC, 15);
const INODE_LOOKUP: Opcode = opcode::read_write::<InodeLookup>(MAGIC, 18);
const FILE_SYSTEM_INFO: Opcode = opcode::read::<FileSystemInfo>(MAGIC, 31);
const SUBVOLUME_INFO: Opcode = opcode::read::<RawSubvolume>(MAGIC, 60);
const SUBVOLUME_FLAGS: Opcode = opcode::read::<u64>(MAGIC, 25);
const START_SYNC: Opcode = opcode::read::<u64>(MAGIC, 24);
const WAIT_SYNC: Opcode = opcode::write::<u64>(MAGIC, 22);

/// The UUID of the btrfs that an open file or folder lies on.
///
/// # Errors
///
/// The system's; `ENOTTY` where it is no btrfs.
pub fn file_system_uuid(file: impl AsFd) -> std::io::Result<FileSystemUuid> {
    // SAFETY: `FileSystemInfo` has the size and layout that the opcode stands for.
    let info = unsafe {
        ioctl::ioctl(
            file,
            ioctl::Getter::<FILE_SYSTEM_INFO, FileSystemInfo>::new(),
        )
    }?;
    Ok(FileSystemUuid(info.uuid))
}

/// The id of the subvolume that an open file or folder lies in.
///
/// # Errors
///
/// The system's.
pub fn subvolume_id(file: impl AsFd) -> std::io::Result<u64> {
    let mut lookup = Box::new(InodeLookup {
        tree: 0,
        object: SUBVOLUME_ROOT,
        name: [0; 4080],
    });
    // SAFETY: `InodeLookup` has the size and layout that the opcode stands for.
    unsafe {
        ioctl::ioctl(
            file,
            ioctl::Updater::<INODE_LOOKUP, InodeLookup>::new(&mut lookup),
        )
    }?;
    Ok(lookup.tree)
}

/// A subvolume, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subvolume {
    /// Its id.
    pub id: u64,
    /// Its UUID; zeros for the top level of an old file system.
    pub uuid: FileSystemUuid,
    /// The UUID of the subvolume that it is a snapshot of; zeros for none.
    pub parent: FileSystemUuid,
}

/// The subvolume that an open file or folder lies in.
///
/// # Errors
///
/// The system's.
pub fn subvolume_of(file: impl AsFd) -> std::io::Result<Subvolume> {
    // SAFETY: `RawSubvolume` has the size and layout that the opcode stands for.
    let raw = unsafe { ioctl::ioctl(file, ioctl::Getter::<SUBVOLUME_INFO, RawSubvolume>::new()) }?;
    Ok(Subvolume {
        id: raw.tree,
        uuid: FileSystemUuid(raw.uuid),
        parent: FileSystemUuid(raw.parent_uuid),
    })
}

/// Whether an open folder is the root of a subvolume.
///
/// # Errors
///
/// The system's.
pub fn is_subvolume_root(folder: impl AsFd) -> std::io::Result<bool> {
    let folder = folder.as_fd();
    Ok(rustix::fs::fstat(folder)?.st_ino == SUBVOLUME_ROOT && file_system_uuid(folder).is_ok())
}

/// Whether the subvolume whose root this open folder is, is read-only.
///
/// # Errors
///
/// The system's; `EINVAL` where the folder is no subvolume's root.
pub fn is_read_only(subvolume: impl AsFd) -> std::io::Result<bool> {
    // SAFETY: the opcode writes one 64-bit number.
    let flags = unsafe { ioctl::ioctl(subvolume, ioctl::Getter::<SUBVOLUME_FLAGS, u64>::new()) }?;
    Ok(flags & READ_ONLY != 0)
}

/// A read-only snapshot that is ready to be made: all that is left is one
/// system call.
pub struct SnapshotOrder {
    source: OwnedFd,
    folder: OwnedFd,
    arguments: Box<VolumeArguments>,
}

impl SnapshotOrder {
    /// A read-only snapshot of the subvolume `source` as `name` in `folder`, a
    /// folder of the same file system.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` or `EINVAL` for a name that cannot be one.
    pub fn new(source: OwnedFd, folder: OwnedFd, name: &str) -> std::io::Result<Self> {
        let arguments = Box::new(VolumeArguments {
            fd: source.as_raw_fd().into(),
            transaction: 0,
            flags: READ_ONLY,
            unused: [0; 4],
            name: padded(name)?,
        });
        Ok(Self {
            source,
            folder,
            arguments,
        })
    }

    /// Makes the snapshot. The kernel flushes the subvolume's files first, so
    /// flush before if this must be quick. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn make(&mut self) -> std::io::Result<()> {
        // SAFETY: `VolumeArguments` has the size and layout that the opcode
        // stands for, its name ends in a zero byte, and the descriptor in it is
        // open as long as `self.source` is.
        Ok(unsafe {
            ioctl::ioctl(
                &self.folder,
                ioctl::Updater::<SNAPSHOT_CREATE, VolumeArguments>::new(&mut self.arguments),
            )
        }?)
    }

    /// The subvolume that it will be a snapshot of.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// Deletes the subvolume `name` in an open folder; the kernel frees its space
/// by and by. A mount of the subvolume stays, empty.
///
/// # Errors
///
/// The system's; `ENOENT` where there is none.
pub fn delete_subvolume(folder: impl AsFd, name: &str) -> std::io::Result<()> {
    let arguments = Box::new(OldVolumeArguments {
        fd: 0,
        name: padded(name)?,
    });
    // SAFETY: `OldVolumeArguments` has the size and layout that the opcode
    // stands for and its name ends in a zero byte.
    Ok(unsafe {
        ioctl::ioctl(
            folder,
            ioctl::Setter::<SNAPSHOT_DESTROY, OldVolumeArguments>::new(*arguments),
        )
    }?)
}

/// Makes everything durable that was done to the file system's trees: snapshots
/// made and deleted, folders made and removed. Files are not flushed.
///
/// # Errors
///
/// The system's.
pub fn commit_transaction(file: impl AsFd) -> std::io::Result<()> {
    let file = file.as_fd();
    // SAFETY: the opcode writes one 64-bit number.
    let transaction = unsafe { ioctl::ioctl(file, ioctl::Getter::<START_SYNC, u64>::new()) }?;
    // SAFETY: the opcode reads one 64-bit number.
    Ok(unsafe { ioctl::ioctl(file, ioctl::Setter::<WAIT_SYNC, u64>::new(transaction)) }?)
}

fn padded<const LENGTH: usize>(name: &str) -> io::Result<[u8; LENGTH]> {
    if name.is_empty() || name.contains(['\0', '/']) {
        return Err(Errno::INVAL);
    }
    // The file system's own limit of a name is far below the field's length.
    if name.len() > 255 {
        return Err(Errno::NAMETOOLONG);
    }
    let mut field = [0; LENGTH];
    field[..name.len()].copy_from_slice(name.as_bytes());
    Ok(field)
}

/// The top level of a btrfs (subvolume 5), mounted where nobody else sees it,
/// for as long as this value lives.
#[derive(Debug)]
pub struct TopLevel {
    // The order matters: the folder is closed before the mount ends.
    root: OwnedFd,
    _mount: DetachedMount,
}

impl TopLevel {
    /// Mounts the top level of the file system on this device, to look at it.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` with what the kernel said.
    pub fn for_looking(device: &Path) -> VssResult<Self> {
        Self::open(device, DetachedMount::of(&Self::request(device))?)
    }

    /// Mounts the top level of the file system on this device, to make and
    /// delete snapshots.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` with what the kernel said, also where the whole file
    /// system is mounted read-only.
    pub fn for_changes(device: &Path) -> VssResult<Self> {
        Self::open(device, DetachedMount::writable(&Self::request(device))?)
    }

    fn request(device: &Path) -> MountRequest {
        MountRequest {
            file_system: "btrfs".to_owned(),
            source: device.to_owned(),
            options: vec!["subvolid=5".to_owned()],
        }
    }

    fn open(device: &Path, mount: DetachedMount) -> VssResult<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(&mount, ".", flags, Mode::empty()).map_err(|error| {
            VssError::new(
                VssCode::Unexpected,
                format!(
                    "cannot open the top level of the btrfs on {}",
                    device.display()
                ),
            )
            .caused_by(error)
        })?;
        Ok(Self {
            root,
            _mount: mount,
        })
    }
}

impl AsFd for TopLevel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// A device of the btrfs with this UUID: of the mounted one, or else one of
/// `candidates` whose superblock says so.
pub fn find_device(uuid: &str, candidates: &[&Path]) -> Option<PathBuf> {
    let mounted = std::fs::read_dir(Path::new("/sys/fs/btrfs").join(uuid).join("devices"))
        .into_iter()
        .flatten()
        .flatten()
        // sysfs writes `!` for the `/` in a device's name.
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| Path::new("/dev").join(name.replace('!', "/")))
        .find(|device| device.exists());
    mounted.or_else(|| {
        candidates
            .iter()
            .find(|device| {
                uuid_on_device(device)
                    .is_ok_and(|found| found.is_some_and(|found| found.to_string() == uuid))
            })
            .map(|device| device.to_path_buf())
    })
}

/// Whether the btrfs on this device is mounted anywhere, also in another
/// namespace or nowhere visible.
pub(crate) fn is_mounted(device: &Path) -> bool {
    uuid_on_device(device).is_ok_and(|uuid| {
        uuid.is_some_and(|uuid| Path::new("/sys/fs/btrfs").join(uuid.to_string()).exists())
    })
}

fn uuid_on_device(device: &Path) -> std::io::Result<Option<FileSystemUuid>> {
    let mut superblock = [0; 512];
    File::open(device)?.read_exact_at(&mut superblock, SUPERBLOCK)?;
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&superblock[SUPERBLOCK_UUID..SUPERBLOCK_UUID + 16]);
    Ok(superblock[SUPERBLOCK_MAGIC..]
        .starts_with(b"_BHRfS_M")
        .then_some(FileSystemUuid(uuid)))
}
