//! The folder with the documents: what is in it counts only where nobody but its
//! owner could have put it there.

use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, openat,
        renameat_with, unlinkat,
    },
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{DirBuilder, File, Metadata},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::Path,
};
use umbra_writer::MAX_EXPRESS_DOCUMENT;

/// How often a document that changes while it is read is read again.
const ATTEMPTS: usize = 3;
/// Who may write to a file besides its owner.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// The open folder. What is read and written is in it even when another folder
/// takes its name.
pub(super) struct Folder {
    descriptor: OwnedFd,
}

/// A file of the folder.
pub(super) struct Found {
    pub(super) name: OsString,
    /// What is in it, or why that does not count.
    pub(super) content: Result<Vec<u8>, String>,
}

impl Folder {
    /// Opens it; nothing where it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or others may write to it.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let facts = File::from(descriptor.try_clone()?).metadata()?;
        trusted(&facts).map_err(io::Error::other)?;
        Ok(Some(Self { descriptor }))
    }

    /// Opens it, having made it where it is not there.
    ///
    /// # Errors
    ///
    /// As [`Folder::open`], or it cannot be made.
    pub(super) fn open_or_make(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o755).create(path)?;
        Self::open(path)?.ok_or_else(|| Errno::NOENT.into())
    }

    /// Keeps every other program that changes the folder through Umbra out, until
    /// it is dropped.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn lock(&self) -> io::Result<()> {
        Ok(flock(&self.descriptor, FlockOperation::LockExclusive)?)
    }

    /// The documents, by name. Names that begin with a dot are files in the
    /// making.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub(super) fn documents(&self) -> io::Result<Vec<Found>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name.ends_with(b".xml") && !name.starts_with(b".") {
                names.push(OsStr::from_bytes(&name).to_owned());
            }
        }
        names.sort();
        let read = |name: OsString| {
            let content = self.read(&name).transpose()?;
            Some(Found { name, content })
        };
        Ok(names.into_iter().filter_map(read).collect())
    }

    /// What is in a document; nothing where it is gone meanwhile. One that is
    /// replaced meanwhile is read whole, as it was or as it is.
    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>, String> {
        // A pipe must not keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let mut file = match openat(&self.descriptor, name, flags, Mode::empty()) {
                Ok(descriptor) => File::from(descriptor),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP) => {
                    return Err("it is a symbolic link; put the document itself here".into());
                }
                Err(error) => return Err(format!("cannot open it: {error}")),
            };
            let unreadable = |error: io::Error| format!("cannot read it: {error}");
            let before = file.metadata().map_err(unreadable)?;
            if !before.is_file() {
                return Err("it is no regular file".into());
            }
            trusted(&before)?;
            let mut bytes = Vec::new();
            (&mut file)
                .take(MAX_EXPRESS_DOCUMENT as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(unreadable)?;
            let after = file.metadata().map_err(unreadable)?;
            if stamp(&before) == stamp(&after) {
                return Ok(Some(bytes));
            }
        }
        Err("it is being written to; write it under another name and rename it".into())
    }

    /// Writes a new file, whole or not at all, on disk when this comes back.
    ///
    /// # Errors
    ///
    /// There is a file with this name, or the system's error.
    pub(super) fn write(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
        let mut making = OsString::from(".");
        making.push(name);
        making.push(".new");
        // What a program that was killed has left. The lock says that it is gone.
        self.remove_if_there(&making)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let written = openat(&self.descriptor, &making, flags, mode)
            .map_err(io::Error::from)
            .and_then(|descriptor| {
                let mut file = File::from(descriptor);
                file.write_all(content)?;
                file.sync_all()?;
                let into = RenameFlags::NOREPLACE;
                Ok(renameat_with(
                    &self.descriptor,
                    &making,
                    &self.descriptor,
                    name,
                    into,
                )?)
            });
        if written.is_err() {
            // The first error is the one that says why.
            let _ = self.remove_if_there(&making);
        }
        written?;
        Ok(fsync(&self.descriptor)?)
    }

    /// Removes a file; gone from the disk when this comes back.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.remove_if_there(name)?;
        Ok(fsync(&self.descriptor)?)
    }

    fn remove_if_there(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether nobody but root, or the user that this program runs as, can have
/// written it.
fn trusted(facts: &Metadata) -> Result<(), String> {
    let owner = facts.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        Err(format!(
            "it belongs to uid {owner} instead of root; `chown root` it if you know what is in it"
        ))
    } else if facts.permissions().mode() & OTHERS_MAY_WRITE != 0 {
        Err(
            "users other than its owner may write to it; `chmod go-w` it if you know what is in it"
                .into(),
        )
    } else {
        Ok(())
    }
}

/// What changes whenever a file is written to.
fn stamp(facts: &Metadata) -> [i64; 5] {
    [
        facts.size().try_into().unwrap_or(i64::MAX),
        facts.mtime(),
        facts.mtime_nsec(),
        facts.ctime(),
        facts.ctime_nsec(),
    ]
}
