//! Mounts of shadow copies, over the kernel's mount descriptors (`fsopen`,
//! `fsmount`, `move_mount`): nothing goes through a path that could be swapped,
//! and no half-made mount is ever visible.
//!
//! Invariant: a mount made for anyone outside this crate is read-only, `nosuid`
//! and `nodev`.

use crate::btrfs;
use rustix::{
    fs::{AtFlags, CWD, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatvfs},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    },
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};
use umbra_model::{VssCode, VssError, VssResult};

/// What to mount. Read-only, `nosuid` and `nodev` go without saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// The file system's type.
    pub file_system: String,
    /// The device.
    pub source: PathBuf,
    /// The file system's own options, each `name` or `name=value`.
    pub options: Vec<String>,
}

/// A mount that hangs nowhere yet. Dropping it ends the mount, unless it was
/// attached.
///
/// As a descriptor it is the mount's root, for `openat` and the like (opened
/// with `O_PATH`).
#[derive(Debug)]
pub struct DetachedMount {
    root: OwnedFd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    Writable,
}

impl DetachedMount {
    /// Mounts read-only, `nosuid` and `nodev`.
    ///
    /// On btrfs only the mount is read-only, not the file system under it: a
    /// copy shares that with its volume, which is being written.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` with what the kernel said.
    pub fn of(request: &MountRequest) -> VssResult<Self> {
        Self::with_access(request, Access::ReadOnly)
    }

    /// Mounts writable, for this crate's own work on the storage.
    pub(crate) fn writable(request: &MountRequest) -> VssResult<Self> {
        Self::with_access(request, Access::Writable)
    }

    fn with_access(request: &MountRequest, access: Access) -> VssResult<Self> {
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        if access == Access::ReadOnly {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        let failed = |error: Errno, said: String| {
            let advice = match error {
                Errno::ROFS => " (is it mounted read-only? it must be writable for this)",
                Errno::PERM => " (only root can)",
                _ => "",
            };
            let error = VssError::new(
                VssCode::Unexpected,
                format!(
                    "cannot mount {} as {} with options {:?}{advice}",
                    request.source.display(),
                    request.file_system,
                    request.options.join(",")
                ),
            )
            .caused_by(error);
            if said.is_empty() {
                error
            } else {
                error.caused_by_text(format!("the kernel says: {said}"))
            }
        };
        let context = fsopen(request.file_system.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|error| failed(error, String::new()))?;
        configure(&context, request, access)
            .and_then(|()| fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes))
            .and_then(|root| check_access(root, access))
            .map(|root| Self { root })
            .map_err(|error| failed(error, kernel_messages(&context)))
    }

    /// Makes the mount visible at an existing folder.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where there is no such folder, else
    /// `VSS_E_UNEXPECTED`.
    pub fn attach(&self, at: &Path) -> VssResult<()> {
        move_mount(
            &self.root,
            "",
            CWD,
            at,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(|error| {
            let code = if error == Errno::NOENT {
                VssCode::ObjectNotFound
            } else {
                VssCode::Unexpected
            };
            VssError::new(code, format!("cannot mount at {}", at.display())).caused_by(error)
        })
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

fn configure(context: &OwnedFd, request: &MountRequest, access: Access) -> Result<(), Errno> {
    fsconfig_set_string(context, "source", request.source.as_path())?;
    // All mounts of a btrfs share one superblock. What a first mount asks for
    // becomes its state, so ours asks for a writable one, as the volume's own
    // mount will later; what a further mount asks for may change it, unless it
    // asks for a read-only one.
    let asks_read_only = match request.file_system.as_str() {
        "btrfs" => btrfs::is_mounted(&request.source),
        _ => access == Access::ReadOnly,
    };
    if asks_read_only {
        fsconfig_set_flag(context, "ro")?;
    }
    for option in &request.options {
        match option.split_once('=') {
            Some((name, value)) => fsconfig_set_string(context, name, value)?,
            None => fsconfig_set_flag(context, option.as_str())?,
        }
    }
    fsconfig_create(context)
}

/// Refuses a writable mount of a file system that is read-only as a whole.
fn check_access(root: OwnedFd, access: Access) -> Result<OwnedFd, Errno> {
    let read_only = fstatvfs(&root)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    if read_only && access == Access::Writable {
        Err(Errno::ROFS)
    } else {
        Ok(root)
    }
}

/// What the kernel has to say of a failed mount: its errors, or whatever it
/// said where none of it is called an error.
fn kernel_messages(context: &OwnedFd) -> String {
    let mut errors = Vec::new();
    let mut others = Vec::new();
    let mut message = [0; 1024];
    // Each read gives one message; the kernel keeps at most eight.
    while let Ok(length @ 1..) = rustix::io::read(context, &mut message) {
        let text = String::from_utf8_lossy(&message[..length]);
        match text.trim_end().split_once(' ') {
            Some(("e", error)) => errors.push(error.to_owned()),
            Some((_, other)) => others.push(other.to_owned()),
            None => {}
        }
    }
    if errors.is_empty() { others } else { errors }.join("; ")
}

/// Unmounts what is mounted last at this path.
///
/// # Errors
///
/// `VSS_E_VOLUME_IN_USE` where somebody uses it, `VSS_E_OBJECT_NOT_FOUND` where
/// nothing is mounted there, else `VSS_E_UNEXPECTED`.
pub fn unmount(path: &Path) -> VssResult<()> {
    rustix::mount::unmount(path, UnmountFlags::NOFOLLOW).map_err(|error| {
        let (code, why) = match error {
            Errno::BUSY => (
                VssCode::VolumeInUse,
                "a program still uses it; end that program (`fuser -vm` names it) and try again",
            ),
            Errno::INVAL | Errno::NOENT => (VssCode::ObjectNotFound, "nothing is mounted there"),
            _ => (VssCode::Unexpected, "the system refused"),
        };
        VssError::new(code, format!("cannot unmount {}: {why}", path.display())).caused_by(error)
    })
}

/// Whether something is mounted at exactly this path; symbolic links are not
/// followed.
///
/// # Errors
///
/// `VSS_E_OBJECT_NOT_FOUND` where there is no such path, else
/// `VSS_E_UNEXPECTED`.
pub fn is_mount_point(path: &Path) -> VssResult<bool> {
    // The caller may give a path with a trailing slash, which would follow a link.
    let path: PathBuf = path.components().collect();
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(CWD, &path, flags, StatxFlags::empty())
        .map(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
        .map_err(|error| {
            let code = if matches!(error, Errno::NOENT | Errno::NOTDIR) {
                VssCode::ObjectNotFound
            } else {
                VssCode::Unexpected
            };
            VssError::new(code, format!("cannot look at {}", path.display())).caused_by(error)
        })
}
