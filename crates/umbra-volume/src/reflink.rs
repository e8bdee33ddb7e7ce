//! File systems whose files can share blocks (`FICLONE`).
#![allow(unsafe_code)]

use crate::{FileSystemUuid, btrfs};
use rustix::{
    fs::{SeekFrom, fstat, fstatfs, seek},
    io::Errno,
    ioctl::{self, Opcode, opcode},
};
use std::os::fd::{AsFd, AsRawFd};

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

/// `struct file_clone_range`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct CloneRange {
    source: i64,
    source_offset: u64,
    length: u64,
    offset: u64,
}

/// `FICLONERANGE`.
const CLONE_RANGE: Opcode = opcode::write::<CloneRange>(0x94, 13);
/// How much is cloned at once, in bytes: nobody can write to the source
/// meanwhile, some ten milliseconds where each block is an extent. A multiple of
/// every block size.
const PIECE: u64 = 1 << 20;

/// Clones ahead of time what can be, bit by bit, so that a `FICLONE` of the
/// whole file that comes later only has to do what has changed since. Writes to
/// the source go on between the bits.
///
/// XFS takes tens of microseconds for each extent of the source that the clone
/// does not share yet, and little for one that it does. btrfs does not look at
/// what is shared already, so there this does nothing.
///
/// The clone is no copy of any instant before that `FICLONE`.
///
/// # Errors
///
/// The system's.
pub fn clone_ahead(clone: impl AsFd, source: impl AsFd) -> std::io::Result<()> {
    let (clone, source) = (clone.as_fd(), source.as_fd());
    if fstatfs(source)?.f_type as u64 & 0xffff_ffff != XFS_SUPER_MAGIC {
        return Ok(());
    }
    // Only whole pieces: what is behind the last one is little.
    let end = u64::try_from(fstat(source)?.st_size).unwrap_or_default() / PIECE * PIECE;
    let mut offset = 0;
    while offset < end {
        offset = match seek(source, SeekFrom::Data(offset)) {
            Ok(data) => data / PIECE * PIECE,
            // Nothing but a hole from here on.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        if offset >= end {
            break;
        }
        let range = CloneRange {
            source: source.as_raw_fd().into(),
            source_offset: offset,
            length: PIECE,
            offset,
        };
        // SAFETY: `CloneRange` has the size and layout that the opcode stands
        // for, and the descriptor in it is borrowed for longer than the call.
        unsafe { ioctl::ioctl(clone, ioctl::Setter::<CLONE_RANGE, CloneRange>::new(range)) }?;
        offset += PIECE;
    }
    Ok(())
}
