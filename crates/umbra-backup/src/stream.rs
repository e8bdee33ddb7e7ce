//! The entries of one folder, read as they are asked for.

use crate::beneath::{FOLDER, Mounts, open_folder, open_in};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{AtFlags, Dir, FileType, Stat, fstat, statat},
    io::Errno,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// An entry of a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: FileType,
}

/// The entries of a folder, in the order the file system has them, or by name where
/// only some names are of interest.
#[derive(Debug)]
pub(crate) struct Stream {
    device: u64,
    inode: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    All {
        entries: Dir,
        offset: i64,
    },
    Named {
        folder: OwnedFd,
        names: std::vec::IntoIter<Vec<u8>>,
    },
    /// Closed, to be opened again and read on from there.
    Resting(Rest),
}

#[derive(Debug)]
enum Rest {
    At(i64),
    Before(std::vec::IntoIter<Vec<u8>>),
}

impl Stream {
    /// Reads a folder; only these names, where they are given.
    pub(crate) fn new(folder: OwnedFd, only: Option<Vec<&[u8]>>) -> Result<Self, Errno> {
        let stat = fstat(&folder)?;
        let state = match only {
            None => State::All {
                entries: Dir::new(folder)?,
                offset: 0,
            },
            Some(names) => State::Named {
                folder,
                names: names
                    .into_iter()
                    .map(<[u8]>::to_vec)
                    .collect::<Vec<_>>()
                    .into_iter(),
            },
        };
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            state,
        })
    }

    pub(crate) fn device(&self) -> u64 {
        self.device
    }

    fn folder(&self) -> Result<BorrowedFd<'_>, Errno> {
        match &self.state {
            State::All { entries, .. } => entries.fd(),
            State::Named { folder, .. } => Ok(rustix::fd::AsFd::as_fd(folder)),
            State::Resting(_) => Err(Errno::BADF),
        }
    }

    /// Opens a folder in this one.
    pub(crate) fn open(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let name = Path::new(OsStr::from_bytes(name));
        open_in(self.folder()?, name, FOLDER, Mounts::Stay)
    }

    /// What the system knows of an entry.
    pub(crate) fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        statat(self.folder()?, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The next entry; what is not there any more is passed over.
    pub(crate) fn next(&mut self) -> Option<Result<Entry, Errno>> {
        loop {
            let (name, kind) = match &mut self.state {
                State::Resting(_) => return Some(Err(Errno::BADF)),
                State::Named { names, .. } => (names.next()?, FileType::Unknown),
                State::All { entries, offset } => match entries.read()? {
                    Err(error) => return Some(Err(error)),
                    Ok(entry) => {
                        *offset = entry.offset();
                        let name = entry.file_name().to_bytes();
                        if name == b"." || name == b".." {
                            continue;
                        }
                        (name.to_vec(), entry.file_type())
                    }
                },
            };
            let kind = match kind {
                FileType::Unknown => match self.stat(&name) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    // Gone meanwhile, or a name that no file here can have.
                    Err(Errno::NOENT | Errno::NAMETOOLONG) => continue,
                    Err(error) => return Some(Err(error)),
                },
                known => known,
            };
            return Some(Ok(Entry { name, kind }));
        }
    }

    /// Gives back the descriptor until [`Stream::wake`].
    pub(crate) fn rest(&mut self) {
        let resting = State::Resting(Rest::At(0));
        self.state = match std::mem::replace(&mut self.state, resting) {
            State::All { offset, .. } => State::Resting(Rest::At(offset)),
            State::Named { names, .. } => State::Resting(Rest::Before(names)),
            resting => resting,
        };
    }

    /// Opens the folder again, by its path beneath the root; it must be the same one.
    pub(crate) fn wake(&mut self, root: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
        if !matches!(self.state, State::Resting(_)) {
            return Ok(());
        }
        let folder = open_folder(root, path, Mounts::Stay)?;
        let stat = fstat(&folder)?;
        if (stat.st_dev, stat.st_ino) != (self.device, self.inode) {
            return Err(Errno::STALE);
        }
        let resting = State::Resting(Rest::At(0));
        self.state = match std::mem::replace(&mut self.state, resting) {
            State::Resting(Rest::At(offset)) => {
                let mut entries = Dir::new(folder)?;
                entries.seek(offset)?;
                State::All { entries, offset }
            }
            State::Resting(Rest::Before(names)) => State::Named { folder, names },
            open => open,
        };
        Ok(())
    }
}
