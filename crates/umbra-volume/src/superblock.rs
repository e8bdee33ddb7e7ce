//! Which file system is this: its UUID, asked of the kernel or read from the
//! superblock.

use crate::{FileSystemUuid, btrfs};
use rustix::ioctl;
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// `FS_IOC_GETFSUUID`, since Linux 6.9.
const GET_UUID: ioctl::Opcode = ioctl::opcode::read::<UuidAnswer>(0x15, 0);

/// `struct fsuuid2`.
#[repr(C)]
#[derive(Clone, Copy)]
struct UuidAnswer {
    length: u8,
    uuid: [u8; 16],
}

/// Where a type of file system keeps its UUID on the device: the place and
/// value of its magic number, and the place of the UUID.
struct Layout {
    types: &'static [&'static str],
    magic_at: u64,
    magic: &'static [u8],
    uuid_at: u64,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        types: &["ext2", "ext3", "ext4"],
        magic_at: 1024 + 0x38,
        magic: b"\x53\xef",
        uuid_at: 1024 + 0x68,
    },
    Layout {
        types: &["xfs"],
        magic_at: 0,
        magic: b"XFSB",
        uuid_at: 32,
    },
    Layout {
        types: &["f2fs"],
        magic_at: 1024,
        magic: b"\x10\x20\xf5\xf2",
        uuid_at: 1024 + 108,
    },
];

/// The UUID of the file system that an open folder lies on, or `None` where it
/// has none or nobody tells.
pub(crate) fn uuid(folder: &File, file_system: &str, device: &Path) -> Option<FileSystemUuid> {
    if file_system == "btrfs" {
        return btrfs::file_system_uuid(folder).ok();
    }
    from_kernel(folder).or_else(|| from_device(file_system, device))
}

#[allow(unsafe_code)]
fn from_kernel(folder: &File) -> Option<FileSystemUuid> {
    // SAFETY: the kernel fills a `struct fsuuid2`, which `UuidAnswer` is; one
    // that does not know the number fails.
    let answer = unsafe { ioctl::ioctl(folder, ioctl::Getter::<GET_UUID, UuidAnswer>::new()) };
    let answer = answer.ok()?;
    (answer.length == 16).then_some(FileSystemUuid(answer.uuid))
}

/// For kernels before 6.9. The UUID of a mounted file system changes only
/// through its own tools, which write it to the device.
fn from_device(file_system: &str, device: &Path) -> Option<FileSystemUuid> {
    let layout = LAYOUTS
        .iter()
        .find(|layout| layout.types.contains(&file_system))?;
    let device = File::open(device).ok()?;
    let mut magic = [0; 4];
    let magic = &mut magic[..layout.magic.len()];
    device.read_exact_at(magic, layout.magic_at).ok()?;
    let mut uuid = [0; 16];
    device.read_exact_at(&mut uuid, layout.uuid_at).ok()?;
    (magic == layout.magic).then_some(FileSystemUuid(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbra_testbed::{Format, Testbed};

    #[test]
    fn the_kernel_and_the_superblock_agree() {
        let bed = Testbed::new();
        for (format, name) in [(Format::Ext4, "ext4"), (Format::Xfs, "xfs")] {
            let disk = bed.disk(format, 320);
            let folder = File::open(&disk.mount).unwrap();
            let read = from_device(name, &disk.device).unwrap();
            if let Some(told) = from_kernel(&folder) {
                assert_eq!(told, read, "{name}");
            }
            assert_eq!(uuid(&folder, name, &disk.device), Some(read));
            assert_eq!(from_device("f2fs", &disk.device), None);
        }
    }
}
