//! Which of the machine's mounts are volumes, and why the others are none.

use crate::{
    btrfs,
    mount_table::{self, Mount},
    superblock,
};
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use std::{
    fs::File,
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use umbra_model::{DeviceNumber, Volume, VolumeId};

/// The file systems that the kernel can freeze and that keep their data on
/// block devices of this machine.
const FREEZABLE: [&str; 10] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "reiserfs", "bcachefs",
];

/// Why a mount is no volume; each a clause without a full stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAVolume {
    #[error("{file_system} {why}")]
    Unsupported {
        file_system: String,
        why: &'static str,
    },
    #[error("only the folder {} of the file system is mounted there", root.display())]
    Folder { root: PathBuf },
    #[error("another mount lies over it")]
    Hidden,
    #[error("it cannot be looked at: {0}")]
    Unreadable(#[from] io::Error),
}

/// The mounts of this machine at one moment.
pub(crate) struct Machine {
    /// All that this process can see.
    pub mounts: Vec<Mount>,
}

/// What a path is, as the kernel says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The id of the mount it lies on.
    pub mount: u64,
    /// The device number of its file system (on btrfs, of its subvolume).
    pub number: DeviceNumber,
    /// The device that it is, where it is a block device.
    pub block_device: Option<DeviceNumber>,
    inode: u64,
}

impl Machine {
    /// Looks now.
    pub fn look() -> io::Result<Self> {
        Ok(Self {
            mounts: mount_table::read()?,
        })
    }

    /// The volume that is mounted there, or why it is none.
    pub fn examine(&self, mount: &Mount) -> Result<Volume, NotAVolume> {
        let unsupported = |why| NotAVolume::Unsupported {
            file_system: mount.file_system.clone(),
            why,
        };
        if !on_storage(mount) {
            return Err(unsupported(why_elsewhere(&mount.file_system)));
        }
        if !FREEZABLE.contains(&mount.file_system.as_str()) {
            return Err(unsupported(
                "cannot be frozen, so nothing could vouch for a copy",
            ));
        }
        if mount.file_system != "btrfs" && mount.root != Path::new("/") {
            return Err(NotAVolume::Folder {
                root: mount.root.clone(),
            });
        }
        let folder = open_folder(&mount.mount_point)?;
        let place = Place::of_open(&folder)?;
        if place.mount != u64::from(mount.id) {
            return Err(NotAVolume::Hidden);
        }
        describe(mount, &folder, place)
    }

    /// Every volume, each once, at its preferred mount point.
    pub fn volumes(&self) -> Vec<Volume> {
        let mut found: Vec<Volume> = Vec::new();
        for volume in self
            .mounts
            .iter()
            .filter_map(|mount| self.examine(mount).ok())
        {
            let preferred = mount_table::preference(&volume.mount_point);
            match found.iter_mut().find(|other| other.number == volume.number) {
                None => found.push(volume),
                Some(other) if preferred < mount_table::preference(&other.mount_point) => {
                    *other = volume;
                }
                Some(_) => {}
            }
        }
        found.sort_by(|one, other| one.mount_point.cmp(&other.mount_point));
        found
    }
}

/// Reads what a volume is from its open root folder.
fn describe(mount: &Mount, folder: &File, place: Place) -> Result<Volume, NotAVolume> {
    let subvolume = if mount.file_system == "btrfs" {
        if !btrfs::is_subvolume_root(folder)? {
            return Err(NotAVolume::Folder {
                root: mount.root.clone(),
            });
        }
        Some(btrfs::subvolume_id(folder)?)
    } else {
        None
    };
    let device = device_of(mount);
    let name = match superblock::uuid(folder, &mount.file_system, &device) {
        Some(uuid) => uuid.to_string(),
        None => format!("device={}", mount.number),
    };
    let id = match subvolume {
        Some(subvolume) => format!("{name}/subvol={subvolume}"),
        None => name,
    };
    Ok(Volume {
        id: VolumeId::new(id),
        mount_point: mount.mount_point.clone(),
        root: mount.root.clone(),
        file_system: mount.file_system.clone(),
        device,
        number: place.number,
        mount_id: mount.id,
        subvolume,
    })
}

/// Whether this is still the volume that is mounted there: the open root folder
/// of it, or what has changed.
pub(crate) fn open_again(volume: &Volume) -> Result<File, String> {
    let folder = open_folder(&volume.mount_point)
        .map_err(|error| format!("its mount point cannot be opened: {error}"))?;
    let place = Place::of_open(&folder).map_err(|error| format!("it cannot be read: {error}"))?;
    if place.mount != u64::from(volume.mount_id) || place.number != volume.number {
        return Err("it was unmounted".to_owned());
    }
    let mounts = mount_table::read().map_err(|error| error.to_string())?;
    let mount = mount_table::with_id(&mounts, volume.mount_id).ok_or("it was unmounted")?;
    // Mount ids and device numbers are used again; a file system's id is not.
    let now = describe(mount, &folder, place).map_err(|error| error.to_string())?;
    if now.id == volume.id {
        Ok(folder)
    } else {
        Err("another file system was mounted in its place".to_owned())
    }
}

fn open_folder(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)
}

/// Whether the file system has a block device under it.
pub(crate) fn on_storage(mount: &Mount) -> bool {
    // btrfs and bcachefs have several devices and so no device number of one.
    mount.number.major != 0
        || (matches!(mount.file_system.as_str(), "btrfs" | "bcachefs")
            && block_device(&mount.source).is_some())
}

fn why_elsewhere(file_system: &str) -> &'static str {
    match file_system {
        "tmpfs" | "ramfs" | "devtmpfs" | "hugetlbfs" => "lives in memory only",
        "overlay" | "aufs" => {
            "is made of folders of other file systems; name the volume that they lie on"
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "9p" | "afs" | "virtiofs" => {
            "lies on another machine; make the shadow copy there"
        }
        name if name == "fuse" || name.starts_with("fuse.") => {
            "is served by a program and cannot be frozen"
        }
        "zfs" => "is copied by no provider",
        _ => "keeps no data on a block device",
    }
}

/// The device number of a block device, or `None` where the path is none.
pub(crate) fn block_device(path: &Path) -> Option<DeviceNumber> {
    let found = std::fs::metadata(path).ok()?;
    found
        .file_type()
        .is_block_device()
        .then(|| number(found.rdev()))
}

fn number(device: u64) -> DeviceNumber {
    DeviceNumber {
        major: rustix::fs::major(device),
        minor: rustix::fs::minor(device),
    }
}

/// The path of the block device: what it was mounted from where that is true
/// (`/dev/root` is nobody), else the kernel's name for it.
fn device_of(mount: &Mount) -> PathBuf {
    let said = block_device(&mount.source);
    if said == Some(mount.number) || (mount.number.major == 0 && said.is_some()) {
        return mount.source.clone();
    }
    kernel_name(mount.number).unwrap_or_else(|| mount.source.clone())
}

fn kernel_name(number: DeviceNumber) -> Option<PathBuf> {
    let folder = std::fs::canonicalize(format!("/sys/dev/block/{number}")).ok()?;
    // sysfs writes `!` for the `/` in a device's name.
    let name = folder.file_name()?.to_str()?.replace('!', "/");
    Some(Path::new("/dev").join(name))
}

impl Place {
    /// Of an existing path, which is followed where it is a symbolic link.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::from_kernel(statx(CWD, path, AtFlags::NO_AUTOMOUNT, Self::ASKED)?)
    }

    /// Of an open file.
    pub fn of_open(file: &File) -> io::Result<Self> {
        Self::from_kernel(statx(file, "", AtFlags::EMPTY_PATH, Self::ASKED)?)
    }

    const ASKED: StatxFlags = StatxFlags::TYPE
        .union(StatxFlags::INO)
        .union(StatxFlags::MNT_ID);

    fn from_kernel(found: Statx) -> io::Result<Self> {
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the kernel does not say which mount a file lies on; Linux 5.8 or later is needed",
            ));
        }
        let is_block = u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFBLK;
        Ok(Self {
            mount: found.stx_mnt_id,
            number: DeviceNumber {
                major: found.stx_dev_major,
                minor: found.stx_dev_minor,
            },
            block_device: is_block.then_some(DeviceNumber {
                major: found.stx_rdev_major,
                minor: found.stx_rdev_minor,
            }),
            inode: found.stx_ino,
        })
    }

    /// Whether it is the root folder of a btrfs subvolume, given that it lies
    /// on btrfs.
    pub fn is_subvolume_root(&self) -> bool {
        self.inode == 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file_system: &str, device: (u32, u32), root: &str, why: &str) {
        let mount = Mount {
            id: 1,
            number: DeviceNumber {
                major: device.0,
                minor: device.1,
            },
            root: root.into(),
            mount_point: "/no/such/mount".into(),
            read_only: false,
            file_system: file_system.to_owned(),
            source: "/dev/no-such-device".into(),
        };
        let machine = Machine { mounts: Vec::new() };
        let error = machine.examine(&mount).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn says_why_a_mount_is_no_volume() {
        check("vfat", (8, 1), "/", "vfat cannot be frozen");
        check("iso9660", (11, 0), "/", "iso9660 cannot be frozen");
        check("fuseblk", (8, 1), "/", "fuseblk cannot be frozen");
        check("tmpfs", (0, 25), "/", "memory");
        check("overlay", (0, 25), "/", "folders of other file systems");
        check("nfs4", (0, 25), "/", "another machine");
        check("fuse.sshfs", (0, 25), "/", "served by a program");
        check("proc", (0, 21), "/", "no data on a block device");
        check("ext4", (8, 1), "/data", "only the folder /data");
        check("ext4", (8, 1), "/", "cannot be looked at");
    }
}
