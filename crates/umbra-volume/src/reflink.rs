//! File systems whose files can share blocks (`FICLONE`).
#![allow(unsafe_code)]

use crate::{FileSystemUuid, btrfs};
use rustix::{
    fs::fstatfs,
    ioctl::{self, Opcode, opcode},
};
use std::os::fd::AsFd;

const XFS_SUPER_MAGIC: u64 = 0x5846_5342;
const BTRFS_SUPER_MAGIC: u64 = 0x9123_683e;

/// Whether files of a file system can share blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflinks {
    /// They can; this is the file system's UUID.
    Shared(FileSystemUuid),
    /// It is an XFS that was made without reflinks.
    XfsWithout,
    /// It is another file system.
    OtherFileSystem,
}

/// `struct xfs_fsop_geom_v4`: the part of XFS's geometry that every kernel gives.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct XfsGeometry {
    sizes: [u32; 8],
    extents: [u64; 4],
    uuid: [u8; 16],
    stripes: [u32; 2],
    version: i32,
    flags: u32,
    sectors: [u32; 4],
}

/// `XFS_IOC_FSGEOMETRY_V4`.
const XFS_GEOMETRY: Opcode = opcode::read::<XfsGeometry>(b'X', 124);
/// `XFS_FSOP_GEOM_FLAGS_REFLINK`.
const XFS_HAS_REFLINKS: u32 = 1 << 20;

/// Whether the file system that an open file or folder lies on can share
/// blocks. Asks, and changes nothing.
///
/// # Errors
///
/// The system's.
pub fn reflinks_of(file: impl AsFd) -> std::io::Result<Reflinks> {
    let file = file.as_fd();
    match fstatfs(file)?.f_type as u64 & 0xffff_ffff {
        BTRFS_SUPER_MAGIC => btrfs::file_system_uuid(file).map(Reflinks::Shared),
        XFS_SUPER_MAGIC => {
            // SAFETY: the opcode is XFS's, the file lies on XFS, and
            // `XfsGeometry` has the layout that the opcode's size stands for.
            let geometry =
                unsafe { ioctl::ioctl(file, ioctl::Getter::<XFS_GEOMETRY, XfsGeometry>::new()) }?;
            Ok(if geometry.flags & XFS_HAS_REFLINKS == 0 {
                Reflinks::XfsWithout
            } else {
                Reflinks::Shared(FileSystemUuid(geometry.uuid))
            })
        }
        _ => Ok(Reflinks::OtherFileSystem),
    }
}
