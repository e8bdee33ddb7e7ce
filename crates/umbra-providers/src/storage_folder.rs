//! The folder that a provider keeps its copies in.
//!
//! Whoever makes a copy holds a shared lock on the folder, and it is removed
//! only under an exclusive one: so nobody removes it while it is empty but about
//! to be used. The kernel drops the locks of a killed process.

use crate::failure::failed;
use rustix::{
    fs::{
        AtFlags, FlockOperation, Mode, OFlags, flock, fstat, fsync, mkdirat, openat, statat,
        unlinkat,
    },
    io::{self, Errno},
    process::geteuid,
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::mpsc::{self, SendError},
    thread,
    time::Duration,
};
use umbra_model::{VssCode, VssError, VssResult};

/// The name of the folder in which providers keep shadow copies.
pub const STORAGE_FOLDER: &str = ".umbra";

/// How long the file system may take to make the folder.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct StorageFolder {
    parent: OwnedFd,
    /// Its name in the parent.
    name: String,
    folder: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl StorageFolder {
    /// Makes the folder [`STORAGE_FOLDER`] in an open one, or finds it there, and
    /// keeps it from being removed. `path` is for messages.
    pub(crate) fn make(parent: OwnedFd, path: PathBuf) -> VssResult<Self> {
        Self::make_named(parent, STORAGE_FOLDER.to_owned(), path)
    }

    /// The same with a name of its own.
    ///
    /// This is the first thing that a provider writes, so here it notices that
    /// somebody froze the file system: nothing but trying tells, and who tries
    /// waits for the thaw and cannot be stopped.
    pub(crate) fn make_named(parent: OwnedFd, name: String, path: PathBuf) -> VssResult<Self> {
        let shown = path.clone();
        // Without a buffer: what is sent too late comes back to the sender.
        let (sender, receiver) = mpsc::sync_channel(0);
        let work = move || {
            if let Err(SendError(Ok(late))) = sender.send(Self::make_now(parent, name, path)) {
                // Nobody is left who could be told of an error.
                let _: VssResult<()> = late.remove_if_empty();
            }
        };
        thread::Builder::new()
            .name("umbra-storage".to_owned())
            .spawn(work)
            .map_err(|error| failed("start a thread", error))?;
        receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            Err(VssError::new(
                VssCode::VolumeInUse,
                format!(
                    "cannot make the folder {} within {} s: its file system lets nobody write, so \
                     somebody may have frozen it; thaw it (`fsfreeze --unfreeze`) and try again",
                    shown.display(),
                    PATIENCE.as_secs()
                ),
            ))
        })
    }

    fn make_now(parent: OwnedFd, name: String, path: PathBuf) -> VssResult<Self> {
        loop {
            match mkdirat(&parent, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(failed(format!("make the folder {}", path.display()), error));
                }
            }
            let Some(folder) = open_ours(&parent, &name, &path)? else {
                continue;
            };
            flock(&folder, FlockOperation::LockShared)
                .map_err(|error| failed(format!("lock the folder {}", path.display()), error))?;
            // While waiting for the lock it may have been removed.
            if is_still(&parent, &name, &folder) {
                return Ok(Self {
                    parent,
                    name,
                    folder,
                    path,
                });
            }
        }
    }

    /// The folder [`STORAGE_FOLDER`] in an open one, if it is there.
    pub(crate) fn find(parent: OwnedFd, path: PathBuf) -> VssResult<Option<Self>> {
        Self::find_named(parent, STORAGE_FOLDER.to_owned(), path)
    }

    /// The same with a name of its own.
    pub(crate) fn find_named(
        parent: OwnedFd,
        name: String,
        path: PathBuf,
    ) -> VssResult<Option<Self>> {
        let folder = open_ours(&parent, &name, &path)?;
        Ok(folder.map(|folder| Self {
            parent,
            name,
            folder,
            path,
        }))
    }

    /// Removes the folder where it is empty and nobody is about to use it, and
    /// makes durable what was done to it.
    pub(crate) fn remove_if_empty(&self) -> VssResult<()> {
        match flock(&self.folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_still(&self.parent, &self.name, &self.folder) => {
                match unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Ok(()) | Err(Errno::WOULDBLOCK) => Ok(()),
            Err(error) => Err(error),
        }
        .and_then(|()| flock(&self.folder, FlockOperation::Unlock))
        .and_then(|()| fsync(&self.folder))
        .and_then(|()| fsync(&self.parent))
        .map_err(|error| failed(format!("remove the folder {}", self.path.display()), error))
    }

    /// Makes durable which names are in the folder.
    pub(crate) fn sync(&self) -> VssResult<()> {
        fsync(&self.folder)
            .and_then(|()| fsync(&self.parent))
            .map_err(|error| failed(format!("make {} durable", self.path.display()), error))
    }

    /// Whether there is anything with this name in it.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The folder's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for StorageFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Opens the folder, and refuses one that somebody else could change: on a
/// volume that users can write, anyone may have put a folder or a link there.
fn open_ours(parent: &OwnedFd, name: &str, path: &Path) -> VssResult<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let not_ours = || {
        VssError::new(
            VssCode::AccessDenied,
            format!(
                "cannot keep shadow copies in {}: it is not a folder that belongs to this user \
                 with mode 0700; move it away",
                path.display()
            ),
        )
    };
    let folder = match openat(parent, name, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(not_ours()),
        Err(error) => return Err(failed(format!("open the folder {}", path.display()), error)),
    };
    let found = fstat(&folder)
        .map_err(|error| failed(format!("look at the folder {}", path.display()), error))?;
    if found.st_uid != geteuid().as_raw() || found.st_mode & 0o077 != 0 {
        return Err(not_ours());
    }
    Ok(Some(folder))
}

fn is_still(parent: &OwnedFd, name: &str, folder: &OwnedFd) -> bool {
    let named = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    let open = fstat(folder);
    matches!((named, open), (Ok(named), Ok(open))
        if (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
}
