//! The private view of `umbra exec`: a mount namespace in which shadow-copied
//! volumes are replaced by their copies, at their usual paths.
//!
//! What stays live: every other mount, also below a shadow-copied volume; the
//! paths that the caller wants live; other mounts of a shadow-copied volume and
//! bind mounts of its folders elsewhere, since only the given mount point is
//! replaced; and, where `/` is replaced, the folders of [`ALWAYS_LIVE`].
//!
//! Mounts that the machine makes later appear in the view too (it is a slave of
//! the machine's); what is mounted in the view stays in it. The view ends with
//! its last process.
#![allow(unsafe_code)]

use crate::{
    mount::{DetachedMount, MountRequest},
    mount_table,
};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx},
    io,
    mount::{
        MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_change,
        move_mount, open_tree,
    },
    process::{chdir, fchdir, pivot_root},
    thread::{UnshareFlags, unshare_unsafe},
};
use std::{
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};
use umbra_model::{VssCode, VssError, VssResult};

/// Folders of `/` that stay live where `/` itself is a shadow copy, mounts or
/// not: they say what runs now, not what was stored.
pub const ALWAYS_LIVE: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];

/// A shadow copy in the place of its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowMount {
    /// Where the volume is mounted.
    pub mount_point: PathBuf,
    /// How to mount its copy.
    pub request: MountRequest,
}

/// What a private view shows instead of the machine's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShadowView {
    /// The copies, in any order.
    pub copies: Vec<ShadowMount>,
    /// Absolute paths inside shadow-copied volumes that stay live and writable.
    pub live: Vec<PathBuf>,
}

/// Moves this process, which must have one thread only, into a new mount
/// namespace with this view. The working directory is found again by its path.
///
/// Returns warnings for people: mounts that have no place in a copy because
/// their mount point was made after it.
///
/// # Errors
///
/// `VSS_E_BAD_STATE` where the process has more than one thread,
/// `E_INVALIDARG` for a volume that is to be both a copy and live,
/// `VSS_E_OBJECT_NOT_FOUND` for a live path that is not there or not in the
/// copy, `VSS_E_UNEXPECTED` with the system's error. The process is then
/// somewhere between the views, and must end.
pub fn enter(view: &ShadowView) -> VssResult<Vec<String>> {
    check_single_threaded()?;
    let mut warnings = Vec::new();
    let working_directory =
        std::env::current_dir().map_err(|error| failed("find out the working directory", error))?;
    // SAFETY: only the mount namespace is unshared, not the descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
        .map_err(|error| failed("make a private mount namespace", error))?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave)
        .map_err(|error| failed("keep the private view's mounts private", error))?;

    let live = view
        .live
        .iter()
        .map(|path| {
            std::fs::canonicalize(path).map_err(|error| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!("cannot keep {} live: it is not there", path.display()),
                )
                .caused_by(error)
            })
        })
        .collect::<VssResult<Vec<_>>>()?;
    if let Some(path) = live
        .iter()
        .find(|path| view.copies.iter().any(|copy| copy.mount_point == **path))
    {
        return Err(VssError::new(
            VssCode::InvalidArgument,
            format!(
                "{} is to be both a shadow copy and live; leave one of the two out",
                path.display()
            ),
        ));
    }
    // All copies are mounted before anything is replaced: their devices are
    // found by their live paths.
    let mut copies = view
        .copies
        .iter()
        .map(|copy| {
            DetachedMount::of(&copy.request).map(|mount| (copy.mount_point.as_path(), mount))
        })
        .collect::<VssResult<Vec<_>>>()?;
    copies.sort_by_key(|(mount_point, _)| mount_point.components().count());
    for (mount_point, copy) in &copies {
        replace(mount_point, copy, &live, &mut warnings)?;
    }

    if let Err(error) = chdir(&working_directory) {
        warnings.push(format!(
            "the working directory {} is not in the shadow copy ({error}); using / instead",
            working_directory.display()
        ));
        chdir("/").map_err(|error| failed("go to /", error))?;
    }
    Ok(warnings)
}

fn check_single_threaded() -> VssResult<()> {
    let tasks = std::fs::read_dir("/proc/self/task")
        .map_err(|error| failed("count this process's threads", error))?;
    match tasks.count() {
        1 => Ok(()),
        threads => Err(VssError::new(
            VssCode::BadState,
            format!("cannot enter a private view: this process has {threads} threads, not one"),
        )),
    }
}

fn failed(what: &str, error: impl Into<std::io::Error>) -> VssError {
    VssError::new(VssCode::Unexpected, format!("cannot {what}")).caused_by(error.into())
}

/// Something below a replaced mount point that is put back on top of the copy.
struct Kept {
    path: PathBuf,
    tree: OwnedFd,
    /// Whether the view is wrong without it.
    needed: bool,
}

fn replace(
    mount_point: &Path,
    copy: &DetachedMount,
    live: &[PathBuf],
    warnings: &mut Vec<String>,
) -> VssResult<()> {
    let kept = keep(mount_point, live, warnings)?;
    let target = resolve(mount_point).map_err(|error| {
        failed(
            &format!("find the volume at {}", mount_point.display()),
            error,
        )
    })?;
    attach(copy.as_fd(), target.as_fd()).map_err(|error| {
        failed(
            &format!(
                "put the shadow copy in the place of {}",
                mount_point.display()
            ),
            error,
        )
    })?;
    if mount_point == Path::new("/") {
        make_root(copy).map_err(|error| failed("make the shadow copy of / the root", error))?;
    }
    for Kept { path, tree, needed } in kept {
        let put_back = resolve(&path).and_then(|place| attach(tree.as_fd(), place.as_fd()));
        match put_back {
            Ok(()) => {}
            Err(error) if needed => {
                return Err(VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "cannot keep {} live: the shadow copy of {} has nothing like it at this \
                         path (was it made after the copy?)",
                        path.display(),
                        mount_point.display()
                    ),
                )
                .caused_by(error));
            }
            Err(error) => warnings.push(format!(
                "{} is not visible: the shadow copy of {} has no place for it ({error})",
                path.display(),
                mount_point.display()
            )),
        }
    }
    Ok(())
}

/// Clones everything below a mount point that is to stay live.
fn keep(mount_point: &Path, live: &[PathBuf], warnings: &mut Vec<String>) -> VssResult<Vec<Kept>> {
    let replaced = mount_id(mount_point).ok_or_else(|| {
        VssError::new(
            VssCode::ObjectNotFound,
            format!(
                "cannot show the shadow copy at {0}: there is no {0}, or the shadow copy of the \
                 volume above it has none",
                mount_point.display()
            ),
        )
    })?;
    let mut wanted: Vec<(PathBuf, bool)> = mount_table::read()
        .map_err(|error| failed("read the mount table", error))?
        .into_iter()
        .filter(|mount| {
            mount.mount_point != mount_point
                && mount.mount_point.starts_with(mount_point)
                // A mount that another one hides stays hidden.
                && mount_id(&mount.mount_point) == Some(mount.id.into())
        })
        .map(|mount| (mount.mount_point, false))
        .collect();
    let in_root = ALWAYS_LIVE
        .iter()
        .filter(|_| mount_point == Path::new("/"))
        .filter_map(|path| std::fs::canonicalize(path).ok())
        .map(|path| (path, false));
    let asked = live.iter().map(|path| (path.clone(), true));
    // What lies on another mount is live by itself.
    wanted.extend(
        asked
            .chain(in_root)
            .filter(|(path, _)| path != mount_point && path.starts_with(mount_point))
            .filter(|(path, _)| mount_id(path) == Some(replaced)),
    );
    wanted.sort();

    let mut kept: Vec<Kept> = Vec::new();
    for (path, needed) in wanted {
        // A clone brings everything below it along.
        if let Some(above) = kept.iter_mut().find(|above| path.starts_with(&above.path)) {
            above.needed |= needed;
            continue;
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
            | OpenTreeFlags::AT_NO_AUTOMOUNT;
        match open_tree(CWD, &path, flags) {
            Ok(tree) => kept.push(Kept { path, tree, needed }),
            Err(error) if needed => {
                return Err(failed(&format!("keep {} live", path.display()), error));
            }
            Err(error) => warnings.push(format!(
                "{} is not visible: it cannot be taken along ({error})",
                path.display()
            )),
        }
    }
    Ok(kept)
}

/// Has `/` mean the copy, which is attached there, and lets go of the old root.
fn make_root(copy: &DetachedMount) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old_root = rustix::fs::open("/", flags, Mode::empty())?;
    fchdir(copy)?;
    // The old root ends up on top of the new one, and is taken off there.
    pivot_root(".", ".")?;
    fchdir(&old_root)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Opens a path without symbolic links in it: a link in a copy must not lead a
/// mount astray.
fn resolve(path: &Path) -> io::Result<OwnedFd> {
    openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
}

/// The id of the mount that a path leads to.
fn mount_id(path: &Path) -> Option<u64> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(CWD, path, flags, StatxFlags::MNT_ID)
        .ok()
        .map(|found| found.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_process_with_threads() {
        // The test runner's own thread is the second one.
        let other = std::thread::spawn(std::thread::park);
        let refused = enter(&ShadowView::default()).unwrap_err();
        assert_eq!(refused.code(), VssCode::BadState);
        other.thread().unpark();
        other.join().unwrap();
    }
}
