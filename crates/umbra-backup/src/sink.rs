//! A tree of folders that files are written into: the folder of a backup, or the
//! target of a restore.

use crate::{
    attributes::{Attributes, copy_of_link},
    beneath::{Beneath, Mounts, open_in, refused, relative},
    content,
    error::EntryError,
    save::MAX_FAILURES,
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{
        Access, AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags, accessat, fchmod,
        fdatasync, fstat, ftruncate, mkdirat, openat, readlinkat, renameat, statat, statx,
        symlinkat, syncfs, unlinkat,
    },
    io::Errno,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};
use umbra_documents::ByteRange;

/// The mode that a folder gets in the end where nobody knows another.
const PLAIN_FOLDER: Mode = Mode::RWXU
    .union(Mode::RGRP)
    .union(Mode::XGRP)
    .union(Mode::ROTH)
    .union(Mode::XOTH);
const NEW_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A folder that was made, and gets its attributes when nothing more comes into it.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    identity: (u64, u64),
    attributes: Option<Attributes>,
}

/// Writes files into a tree. Paths are relative to its root.
#[derive(Debug)]
pub(crate) struct Sink {
    tree: Beneath,
    /// How the root is called, for messages.
    root: PathBuf,
    /// Folders that were made on the way to the current one, outermost first.
    made: Vec<Made>,
    /// A descriptor of each file system that was written to.
    written: HashMap<u64, OwnedFd>,
    names: u64,
    failures: Vec<EntryError>,
}

/// Where new folders get their attributes from: by the path in the tree.
pub(crate) type FolderAttributes<'a> = dyn FnMut(&Path) -> Option<Attributes> + 'a;

impl Sink {
    pub(crate) fn new(folder: OwnedFd, root: impl Into<PathBuf>) -> Self {
        Self {
            tree: Beneath::new(folder, Mounts::Cross),
            root: root.into(),
            made: Vec::new(),
            written: HashMap::new(),
            names: 0,
            failures: Vec::new(),
        }
    }

    fn shown(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Opens a folder of the tree, after making it and those above it where they are
    /// not there.
    pub(crate) fn folder(
        &mut self,
        path: &Path,
        attributes: &mut FolderAttributes<'_>,
    ) -> Result<(), EntryError> {
        let path = relative(path);
        self.finish_folders_outside(path);
        match self.tree.folder(path) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(cause) => return Err(refused("open the folder", &self.shown(path))(cause)),
        }
        // The ones above are there, or are made one by one from the first that is not.
        let mut missing: Vec<&Path> = vec![path];
        while let Some(above) = missing.last().and_then(|path| path.parent()) {
            match self.tree.folder(above) {
                Ok(_) => break,
                Err(Errno::NOENT) => missing.push(above),
                Err(cause) => {
                    return Err(refused("open the folder", &self.shown(above))(cause));
                }
            }
        }
        for path in missing.into_iter().rev() {
            self.make(path, attributes)?;
        }
        Ok(())
    }

    fn make(
        &mut self,
        path: &Path,
        attributes: &mut FolderAttributes<'_>,
    ) -> Result<(), EntryError> {
        let shown = self.shown(path);
        let failed = |cause| refused("make the folder", &shown)(cause);
        self.note_written(path).map_err(failed)?;
        let (above, name) = self.tree.parent(path).map_err(failed)?;
        // Nobody else looks into it before it has its own mode.
        mkdirat(above, name, Mode::RWXU).map_err(failed)?;
        let made = self.tree.folder(path).and_then(fstat).map_err(failed)?;
        self.made.push(Made {
            path: path.to_owned(),
            identity: (made.st_dev, made.st_ino),
            attributes: attributes(path),
        });
        Ok(())
    }

    /// Gives their attributes to the folders that nothing more comes into.
    fn finish_folders_outside(&mut self, path: &Path) {
        while let Some(last) = self.made.pop_if(|last| !path.starts_with(&last.path)) {
            let folder = self.tree.folder(&last.path);
            let apply = |folder: BorrowedFd<'_>| {
                let stat = fstat(folder)?;
                // Somebody put another in its place: that one is not ours.
                if (stat.st_dev, stat.st_ino) != last.identity {
                    return Err(Errno::STALE);
                }
                match &last.attributes {
                    Some(attributes) => attributes.apply(folder),
                    None => fchmod(folder, PLAIN_FOLDER),
                }
            };
            if let Err(cause) = folder.and_then(apply) {
                let path = self.shown(&last.path);
                let failed = EntryError::system("keep all attributes of the folder", path);
                if self.failures.len() < MAX_FAILURES {
                    self.failures.push(failed(cause));
                }
            }
        }
    }

    /// Ends writing: folders get their attributes, and everything is brought to disk.
    pub(crate) fn finish(mut self) -> Vec<EntryError> {
        // No folder that was made has this path in it.
        self.finish_folders_outside(Path::new("/"));
        for folder in self.written.values() {
            if let Err(cause) = syncfs(folder) {
                let failed = EntryError::system("bring everything to disk below", &self.root);
                self.failures.push(failed(cause));
            }
        }
        self.failures
    }

    /// Whether a file could be put in the place of what is at a path: no folder is
    /// there, and nothing that is protected.
    pub(crate) fn can_replace(&mut self, path: &Path) -> Result<bool, EntryError> {
        let path = relative(path);
        match self.look(path)? {
            None => return Ok(true),
            Some(FileType::Directory) => return Ok(false),
            Some(_) => {}
        }
        let shown = self.shown(path);
        let failed = |cause| refused("look at", &shown)(cause);
        let (folder, name) = self.tree.parent(path).map_err(failed)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = statx(folder, name, flags, StatxFlags::BASIC_STATS).map_err(failed)?;
        let fixed = StatxAttributes::IMMUTABLE.union(StatxAttributes::APPEND);
        let writable = accessat(folder, ".", Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        Ok(writable && !stat.stx_attributes.intersects(fixed))
    }

    /// What is at a path; nothing where nothing is.
    pub(crate) fn look(&mut self, path: &Path) -> Result<Option<FileType>, EntryError> {
        let path = relative(path);
        let found = self
            .tree
            .parent(path)
            .and_then(|(folder, name)| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(refused("look at", &self.shown(path))(cause)),
        }
    }

    fn new_name(&mut self) -> OsString {
        self.names += 1;
        let process = rustix::process::getpid();
        format!(".umbra-{}-{}", process.as_raw_nonzero(), self.names).into()
    }

    /// A new file beside the one of this path.
    fn temporary(&mut self, path: &Path) -> Result<(OsString, OwnedFd), Errno> {
        let flags = OFlags::RDWR
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        loop {
            let name = self.new_name();
            let (folder, _) = self.tree.parent(path)?;
            match openat(folder, &name, flags, NEW_FILE) {
                // Left over from another process of this number, long ago.
                Err(Errno::EXIST) => {}
                other => return Ok((name, other?)),
            }
        }
    }

    /// Remembers the file system of a folder, to bring it to disk at the end.
    fn note_written(&mut self, path: &Path) -> Result<(), Errno> {
        let (folder, _) = self.tree.parent(path)?;
        let device = fstat(folder)?.st_dev;
        if let Entry::Vacant(first) = self.written.entry(device) {
            first.insert(rustix::io::fcntl_dupfd_cloexec(folder, 0)?);
        }
        Ok(())
    }

    /// Puts a new file in the place of whatever file is there, in one step, when
    /// `fill` is done with it. Its folder must be there.
    pub(crate) fn replace<T>(
        &mut self,
        path: &Path,
        fill: impl FnOnce(BorrowedFd<'_>) -> Result<T, EntryError>,
    ) -> Result<T, EntryError> {
        let path = relative(path);
        let is_there = match self.look(path)? {
            Some(FileType::Directory) => {
                return Err(EntryError::OtherKind {
                    path: self.shown(path),
                    expected: "file",
                });
            }
            other => other.is_some(),
        };
        let shown = self.shown(path);
        let failed = |cause| EntryError::system("write", &shown)(cause);
        self.note_written(path).map_err(failed)?;
        let (temporary, file) = self.temporary(path).map_err(failed)?;
        let (folder, name) = self.tree.parent(path).map_err(failed)?;
        let filled = fill(file.as_fd()).and_then(|filled| {
            if is_there {
                // The old content must not go before the new one is safe.
                fdatasync(&file).map_err(failed)?;
            }
            renameat(folder, &temporary, folder, name).map_err(failed)?;
            Ok(filled)
        });
        if filled.is_err() {
            // What failed is the news; a file that is left over has a name that says
            // whose it is.
            let _ = unlinkat(folder, &temporary, AtFlags::empty());
        }
        filled
    }

    /// Puts a symbolic link in the place of whatever file is there; says which
    /// attributes could not be kept.
    pub(crate) fn link(
        &mut self,
        path: &Path,
        from: (BorrowedFd<'_>, &OsStr),
    ) -> Result<Option<EntryError>, EntryError> {
        let path = relative(path);
        if self.look(path)? == Some(FileType::Directory) {
            return Err(EntryError::OtherKind {
                path: self.shown(path),
                expected: "file",
            });
        }
        let shown = self.shown(path);
        let failed = |cause| EntryError::system("write the symbolic link", &shown)(cause);
        self.note_written(path).map_err(failed)?;
        let leads_to = readlinkat(from.0, from.1, Vec::new()).map_err(failed)?;
        let temporary = self.new_name();
        let (folder, name) = self.tree.parent(path).map_err(failed)?;
        symlinkat(&*leads_to, folder, &temporary).map_err(failed)?;
        let lost = copy_of_link(from, (folder, &temporary))
            .map_err(EntryError::system("keep all attributes of", &shown))
            .err();
        let made = renameat(folder, &temporary, folder, name);
        if made.is_err() {
            let _ = unlinkat(folder, &temporary, AtFlags::empty());
        }
        made.map(|()| lost).map_err(failed)
    }

    /// Opens a file that is there, to write into it.
    pub(crate) fn open_there(&mut self, path: &Path) -> Result<Option<OwnedFd>, EntryError> {
        let path = relative(path);
        let flags = OFlags::RDWR
            .union(OFlags::NOFOLLOW)
            .union(OFlags::NONBLOCK)
            .union(OFlags::CLOEXEC);
        match self.look(path)? {
            None => return Ok(None),
            Some(FileType::RegularFile) => {}
            Some(_) => {
                return Err(EntryError::OtherKind {
                    path: self.shown(path),
                    expected: "file",
                });
            }
        }
        let shown = self.shown(path);
        let failed = |cause| refused("open", &shown)(cause);
        self.note_written(path).map_err(failed)?;
        let mounts = self.tree.mounts();
        let (folder, name) = self.tree.parent(path).map_err(failed)?;
        let file = open_in(folder, Path::new(name), flags, mounts).map_err(failed)?;
        Ok(Some(file))
    }
}

/// Copies a whole file with its holes; returns its length.
pub(crate) fn copy_whole(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    length: u64,
) -> Result<u64, Errno> {
    let all = ByteRange { offset: 0, length };
    content::copy_sparse(from, to, all)?;
    ftruncate(to, length)?;
    Ok(length)
}

/// Checks that a file is one, and says how long it is.
pub(crate) fn length_of_file(file: BorrowedFd<'_>, path: &Path) -> Result<u64, EntryError> {
    let stat = fstat(file).map_err(EntryError::system("look at", path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(EntryError::OtherKind {
            path: path.to_owned(),
            expected: "file",
        });
    }
    Ok(u64::try_from(stat.st_size).unwrap_or_default())
}
