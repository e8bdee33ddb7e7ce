//! Folders and files opened beneath a folder, by paths of any length, through no
//! symbolic link and no mount unless that is wanted.

use crate::error::EntryError;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// A path given to one system call is shorter than `PATH_MAX`.
const PIECE: usize = 3000;

/// Whether a path may lead into another file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    Stay,
    Cross,
}

impl Mounts {
    pub(crate) fn flags(self) -> ResolveFlags {
        let always = ResolveFlags::BENEATH
            .union(ResolveFlags::NO_MAGICLINKS)
            .union(ResolveFlags::NO_SYMLINKS);
        match self {
            Self::Stay => always.union(ResolveFlags::NO_XDEV),
            Self::Cross => always,
        }
    }
}

/// Flags to read a folder. That a link is none, the way of resolving says better.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// Flags to read a file, without waiting for the other end of a pipe.
pub(crate) const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Opens a name or a short path in a folder.
pub(crate) fn open_in(
    folder: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mounts: Mounts,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    loop {
        // The kernel asks to try again when something was renamed meanwhile.
        match openat2(folder, path, flags, Mode::empty(), mounts.flags()) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Opens a folder by its path relative to `root`, of any length.
pub(crate) fn open_folder(
    root: BorrowedFd<'_>,
    path: &Path,
    mounts: Mounts,
) -> Result<OwnedFd, Errno> {
    let mut rest = relative(path).as_os_str().as_bytes();
    let mut at: Option<OwnedFd> = None;
    loop {
        let end = if rest.len() <= PIECE {
            rest.len()
        } else {
            let slash = rest[..PIECE].iter().rposition(|byte| *byte == b'/');
            slash.ok_or(Errno::NAMETOOLONG)?
        };
        let piece = Path::new(OsStr::from_bytes(&rest[..end]));
        let folder = at.as_ref().map_or(root, AsFd::as_fd);
        let flags = if end < rest.len() {
            OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC)
        } else {
            FOLDER
        };
        at = Some(open_in(folder, piece, flags, mounts)?);
        rest = rest.get(end + 1..).unwrap_or_default();
        if rest.is_empty() {
            return at.ok_or(Errno::NOENT);
        }
    }
}

/// A path without what makes it absolute.
pub(crate) fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Folders beneath a root; the last one stays open, as files come folder by folder.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
    mounts: Mounts,
    last: Option<(PathBuf, OwnedFd)>,
}

impl Beneath {
    pub(crate) fn new(root: OwnedFd, mounts: Mounts) -> Self {
        Self {
            root,
            mounts,
            last: None,
        }
    }

    pub(crate) fn mounts(&self) -> Mounts {
        self.mounts
    }

    /// The folder of this path.
    pub(crate) fn folder(&mut self, path: &Path) -> Result<BorrowedFd<'_>, Errno> {
        let path = relative(path);
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let opened = open_folder(self.root.as_fd(), path, self.mounts)?;
            self.last = Some((path.to_owned(), opened));
        }
        self.last
            .as_ref()
            .map(|(_, folder)| folder.as_fd())
            .ok_or(Errno::NOENT)
    }

    /// The folder of a file, and the file's name in it.
    pub(crate) fn parent<'p>(
        &mut self,
        path: &'p Path,
    ) -> Result<(BorrowedFd<'_>, &'p OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.folder(parent)?, name))
    }

    /// Opens the file of this path to read it.
    pub(crate) fn file(&mut self, path: &Path) -> Result<OwnedFd, Errno> {
        let mounts = self.mounts;
        let (folder, name) = self.parent(path)?;
        open_in(folder, Path::new(name), FILE, mounts)
    }
}

/// What a refusal to open means.
pub(crate) fn refused(doing: &'static str, path: &Path) -> impl FnOnce(Errno) -> EntryError {
    let path = path.to_owned();
    move |cause| match cause {
        Errno::LOOP => EntryError::LinkOnTheWay(path),
        Errno::NOTDIR => EntryError::OtherKind {
            path,
            expected: "folder",
        },
        cause => EntryError::System { doing, path, cause },
    }
}
