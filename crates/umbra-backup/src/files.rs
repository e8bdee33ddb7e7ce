//! Which files of a volume belong to a component.

use crate::beneath::{FOLDER, Mounts, open_in, refused};
use crate::{error::EntryError, stream::Stream, volume::Volume};
use rustix::{fs::FileType, io::Errno};
use std::{
    collections::VecDeque,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use umbra_documents::{ChosenFile, FileRules, FileTime, Place, ReadFrom, Take};
use umbra_model::VssResult;

/// How many folders on the way down are kept open; the ones above are opened again
/// when their turn comes.
const OPEN_FOLDERS: usize = 32;

/// Which of a component's files are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those that this kind of backup needs from the shadow copy.
    OfShadowCopy,
    /// Those that it can read from the volume itself.
    OfLiveVolume,
}

impl Wanted {
    fn is(self, read_from: ReadFrom) -> bool {
        match self {
            Self::All => true,
            Self::OfShadowCopy => read_from == ReadFrom::ShadowCopy,
            Self::OfLiveVolume => read_from == ReadFrom::LiveVolume,
        }
    }
}

/// What a backup can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file with content.
    File,
    /// A symbolic link; what it leads to is not part of it.
    Link,
    /// A folder, with whatever is in it or nothing.
    Folder,
}

/// A file that belongs to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile<'r> {
    found: PathBuf,
    original: Option<PathBuf>,
    /// What it is.
    pub kind: FileKind,
    /// How much of it belongs to the backup; the time of a file that was to be
    /// taken only if it changed has been looked at.
    pub take: Take<'r>,
    /// From where this kind of backup wants it to be read.
    pub read_from: ReadFrom,
}

impl FoundFile<'_> {
    /// The path that it has in the backup, and gets back on restore.
    pub fn original(&self) -> &Path {
        self.original.as_deref().unwrap_or(&self.found)
    }

    /// The path that it was found at, on the volume that the copy is of: another one
    /// where its file set has an alternate path.
    pub fn found_at(&self) -> &Path {
        &self.found
    }
}

struct Level {
    stream: Stream,
    place: Place,
}

/// The files of a component on a volume, as [`component_files`] finds them.
///
/// Memory is bounded by the depth of folders and the number of rules. An item that
/// is an error is about one folder or file; the rest goes on.
pub struct Files<'r> {
    volume: &'r Volume,
    rules: &'r FileRules,
    wanted: Wanted,
    levels: Vec<Level>,
    /// The folder of the last level.
    path: PathBuf,
    ready: VecDeque<Result<FoundFile<'r>, EntryError>>,
    chosen: Vec<ChosenFile<'r>>,
}

/// Which files of this volume belong to the component that the rules are of, for the
/// kind of backup that they are for.
///
/// A component has files, symbolic links as such, and the folders of file sets that
/// take a whole tree, so that empty folders are not lost. Sockets belong to running
/// programs, pipes and devices have nothing to copy: they are left out. Symbolic links
/// are never followed; one in the place of a folder that a file set names is an
/// error. Other file systems that are mounted in the volume, and subvolumes in it,
/// are volumes of their own and are not entered.
///
/// Each path of the backup comes once, however many file sets have it. The order is
/// that of the file system: the same again for a volume that does not change.
///
/// # Errors
///
/// The root of the volume cannot be read.
pub fn component_files<'r>(
    volume: &'r Volume,
    rules: &'r FileRules,
    wanted: Wanted,
) -> VssResult<Files<'r>> {
    let mut files = Files {
        volume,
        rules,
        wanted,
        levels: Vec::new(),
        path: volume.mount_point().to_owned(),
        ready: VecDeque::new(),
        chosen: Vec::new(),
    };
    let place = rules.place(volume.mount_point());
    if rules.is_searched(&place) {
        let failed = EntryError::system("read the volume's root folder at", volume.mount_point());
        let opened = open_in(volume.root(), Path::new("."), FOLDER, Mounts::Stay);
        let stream = opened.and_then(|folder| Stream::new(folder, rules.only_names(&place)));
        let stream = stream.map_err(failed)?;
        files.levels.push(Level { stream, place });
    }
    Ok(files)
}

impl<'r> Iterator for Files<'r> {
    type Item = Result<FoundFile<'r>, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let level = self.levels.last_mut()?;
            match level.stream.next() {
                Some(Ok(entry)) => self.look_at(&entry.name, entry.kind),
                Some(Err(cause)) => {
                    let failed = EntryError::system("read the folder", &self.path);
                    self.ready.push_back(Err(failed(cause)));
                    self.leave();
                }
                None => self.leave(),
            }
        }
    }
}

impl<'r> Files<'r> {
    fn look_at(&mut self, name: &[u8], kind: FileType) {
        match kind {
            FileType::Directory => self.look_at_folder(name),
            FileType::RegularFile => self.look_at_file(name, FileKind::File),
            FileType::Symlink => {
                self.look_at_file(name, FileKind::Link);
                let Some(level) = self.levels.last() else {
                    return;
                };
                let place = self.rules.enter(&level.place, name);
                if self.rules.is_named(&place) {
                    let path = self.path.join(OsStr::from_bytes(name));
                    self.ready.push_back(Err(EntryError::LinkOnTheWay(path)));
                }
            }
            _ => {}
        }
    }

    fn look_at_folder(&mut self, name: &[u8]) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let place = self.rules.enter(&level.place, name);
        let taken = self.rules.is_folder_taken(&level.place, &place);
        let searched = self.rules.is_searched(&place);
        if !taken && !searched {
            return;
        }
        self.path.push(OsStr::from_bytes(name));
        // The folder that another volume is mounted on belongs to this one.
        if taken && self.wanted.is(ReadFrom::ShadowCopy) {
            self.ready.push_back(Ok(FoundFile {
                found: self.path.clone(),
                original: None,
                kind: FileKind::Folder,
                take: Take::Whole,
                read_from: ReadFrom::ShadowCopy,
            }));
        }
        let entered = searched
            && !self.volume.is_mounted_over(&self.path)
            && match self.open(name, &place) {
                Ok(Some(stream)) => {
                    self.levels.push(Level { stream, place });
                    true
                }
                Ok(None) | Err(Errno::NOENT) => false,
                Err(cause) => {
                    let failed = refused("read the folder", &self.path);
                    self.ready.push_back(Err(failed(cause)));
                    false
                }
            };
        if !entered {
            self.path.pop();
        } else if let Some(above) = self.levels.len().checked_sub(OPEN_FOLDERS + 1) {
            self.levels[above].stream.rest();
        }
    }

    /// Nothing where the folder is on another file system.
    fn open(&self, name: &[u8], place: &Place) -> Result<Option<Stream>, Errno> {
        let Some(level) = self.levels.last() else {
            return Ok(None);
        };
        let folder = match level.stream.open(name) {
            Err(Errno::XDEV) => return Ok(None),
            other => other?,
        };
        let stream = Stream::new(folder, self.rules.only_names(place))?;
        let same = stream.device() == level.stream.device();
        Ok(same.then_some(stream))
    }

    fn leave(&mut self) {
        loop {
            self.levels.pop();
            let Some(level) = self.levels.last_mut() else {
                return;
            };
            self.path.pop();
            let inside = self.volume.inside(&self.path).unwrap_or(Path::new(""));
            match level.stream.wake(self.volume.root(), inside) {
                Ok(()) => return,
                Err(cause) => {
                    let failed = refused("go on reading the folder", &self.path);
                    self.ready.push_back(Err(failed(cause)));
                }
            }
        }
    }

    fn look_at_file(&mut self, name: &[u8], kind: FileKind) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let (path, view) = (&self.path, self.volume.kind());
        self.chosen.clear();
        self.rules
            .files(&level.place, path, name, view, &mut self.chosen);
        for chosen in self.chosen.drain(..) {
            if !self.wanted.is(chosen.read_from) {
                continue;
            }
            let found = path.join(OsStr::from_bytes(name));
            let mut take = chosen.take;
            if let Take::ModifiedSince(time) = take {
                match level.stream.stat(name) {
                    Ok(stat) if !modified_since(&stat, time) => continue,
                    Ok(_) => take = Take::Whole,
                    Err(Errno::NOENT) => continue,
                    Err(cause) => {
                        let failed = EntryError::system("look at the time of", found);
                        self.ready.push_back(Err(failed(cause)));
                        continue;
                    }
                }
            }
            self.ready.push_back(Ok(FoundFile {
                found,
                original: chosen.original,
                kind,
                take,
                read_from: chosen.read_from,
            }));
        }
    }
}

/// A time before 1601 is before every time that a writer can say; one that cannot be
/// told counts as changed.
fn modified_since(stat: &rustix::fs::Stat, since: FileTime) -> bool {
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec);
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let second = if stat.st_mtime < 0 {
        UNIX_EPOCH.checked_sub(seconds)
    } else {
        UNIX_EPOCH.checked_add(seconds)
    };
    let modified = second.and_then(|second: SystemTime| second.checked_add(nanoseconds));
    match modified {
        Some(time) => FileTime::from_system(time).is_some_and(|time| time >= since),
        None => true,
    }
}
