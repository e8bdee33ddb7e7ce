//! A backup: files in a folder, below `files`, under the paths that they belong to.

use crate::{
    beneath::{Beneath, FOLDER, Mounts, open_in},
    error::EntryError,
    sink::length_of_file,
    volume::Volume,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, mkdirat},
    io::{Errno, pread},
};
use std::path::{Path, PathBuf};
use umbra_documents::{PartialRanges, RangeList, ViewKind};
use umbra_model::VssResult;

const FILES: &str = "files";

/// A backup in a folder.
///
/// The file that was `/srv/data` is `files/srv/data` in it, with its mode, owner,
/// times and extended attributes. A partial file is a sparse file as long as the
/// original with only its ranges in it. What else a restore needs is in the two
/// documents, which the requester keeps where it likes; beside `files` is a good
/// place.
#[derive(Debug)]
pub struct BackupFolder {
    path: PathBuf,
    files: OwnedFd,
}

impl BackupFolder {
    /// The backup in a folder, which is made where it is not there. Files that are in
    /// it already stay, until others take their place.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or opened.
    pub fn create(path: impl AsRef<Path>) -> VssResult<Self> {
        let path = path.as_ref();
        let ignore_existing = |made: Result<(), Errno>| match made {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        };
        let failed = |cause| EntryError::system("make the folder of the backup", path)(cause);
        // Only its owner may look: it holds what other folders protect.
        ignore_existing(rustix::fs::mkdir(path, Mode::RWXU)).map_err(failed)?;
        let folder = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(failed)?;
        ignore_existing(mkdirat(&folder, FILES, Mode::RWXU)).map_err(failed)?;
        Self::open(path)
    }

    /// The backup that is in a folder.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn open(path: impl AsRef<Path>) -> VssResult<Self> {
        let path = path.as_ref();
        let failed = |cause| EntryError::system("open the backup in", path)(cause);
        let folder = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(failed)?;
        let files =
            open_in(folder.as_fd(), Path::new(FILES), FOLDER, Mounts::Cross).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            files,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file of this path is in it.
    pub fn location(&self, original: &Path) -> PathBuf {
        self.path
            .join(FILES)
            .join(crate::beneath::relative(original))
    }

    /// Its files as a volume, to look for those of a component.
    pub(crate) fn as_volume(&self) -> Result<Volume, Errno> {
        let files = rustix::io::fcntl_dupfd_cloexec(self.files.as_fd(), 0)?;
        Ok(Volume::of(files, PathBuf::from("/"), ViewKind::LiveVolume))
    }

    pub(crate) fn files(&self) -> Result<OwnedFd, Errno> {
        rustix::io::fcntl_dupfd_cloexec(self.files.as_fd(), 0)
    }
}

/// The ranges of a partial file, from the document or from the ranges file beneath a
/// folder.
pub(crate) fn load_ranges(
    ranges: &PartialRanges,
    from: &mut Beneath,
) -> Result<RangeList, EntryError> {
    let path = match ranges {
        PartialRanges::List(list) => return Ok(list.clone()),
        PartialRanges::File(path) => path,
    };
    let file = from
        .file(path)
        .map_err(crate::beneath::refused("open the ranges file", path))?;
    let length = length_of_file(file.as_fd(), path)?;
    let wrong = |cause| EntryError::RangesFile {
        path: path.clone(),
        cause,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > RangeList::max_file_content() {
        return Err(wrong(umbra_documents::RangeListError::TooMany));
    }
    let mut content = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match pread(&file, &mut content[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(cause) => return Err(EntryError::system("read the ranges file", path)(cause)),
        }
    }
    content.truncate(filled);
    RangeList::from_file_content(&content).map_err(wrong)
}

/// The files of the machine, to read ranges files by their full path.
pub(crate) fn machine() -> Result<Beneath, Errno> {
    let root = rustix::fs::open("/", FOLDER, Mode::empty())?;
    Ok(Beneath::new(root, Mounts::Cross))
}
