//! Copying the files of components into a backup.

use crate::{
    attributes::Attributes,
    backup_folder::{BackupFolder, load_ranges, machine},
    beneath::{Beneath, open_folder, refused, relative},
    content::{copy, copy_sparse},
    error::EntryError,
    files::{FileKind, FoundFile, Wanted, component_files},
    sink::{Sink, copy_whole, length_of_file},
    volume::Volume,
};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::ftruncate,
};
use std::path::{Path, PathBuf};
use umbra_documents::{FileRules, PartialFileRule, PartialRanges, RangeList, Take};
use umbra_model::{VssError, VssResult};

/// The most failures that a report lists one by one.
pub(crate) const MAX_FAILURES: usize = 1000;

/// How a backup went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveReport {
    /// How many files and links are in the backup.
    pub files: u64,
    /// How many bytes of content they have, holes counted.
    pub bytes: u64,
    /// The partial files that are in the backup, by their paths in it.
    pub partial_files: Vec<PathBuf>,
    /// How many files or folders failed.
    pub failed: u64,
    /// Why; at most the first thousand.
    pub failures: Vec<EntryError>,
}

impl SaveReport {
    pub(crate) fn fail(&mut self, error: EntryError) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(error);
        }
    }
}

/// Copies the files that the rules name from a volume, or from its mounted shadow
/// copy, into a backup: content with its holes, mode, owner, times, extended
/// attributes; symbolic links as such; of partial files, their ranges ("Overview of
/// Actual Backup of Files").
///
/// Not kept: that two names are one file (each is copied), and attributes that only
/// `chattr` knows. A file that is named and not there is no failure: a file set names
/// what may be, and another volume may have it. Of partial files,
/// [`SaveReport::partial_files`] says which were there.
///
/// # Errors
///
/// The volume cannot be read at all, or the backup not written to: its disk is full,
/// or it is read-only. What fails for one file is in the report, and the component's
/// backup did not succeed then (`SetBackupSucceeded`).
pub fn save(
    volume: &Volume,
    rules: &FileRules,
    wanted: Wanted,
    backup: &BackupFolder,
) -> VssResult<SaveReport> {
    let failed = |cause| EntryError::system("open the backup in", backup.path())(cause);
    let mut saving = Saving {
        volume,
        source: volume.beneath().map_err(failed)?,
        sink: Sink::new(
            backup.files().map_err(failed)?,
            backup.location(Path::new("")),
        ),
        report: SaveReport::default(),
    };
    for found in component_files(volume, rules, wanted)? {
        if let Err(error) = found.and_then(|file| saving.file(&file)) {
            if error.ends_everything() {
                return Err(VssError::from(error));
            }
            saving.report.fail(error);
        }
    }
    let mut report = saving.report;
    for error in saving.sink.finish() {
        if error.ends_everything() {
            return Err(VssError::from(error));
        }
        report.fail(error);
    }
    Ok(report)
}

struct Saving<'v> {
    volume: &'v Volume,
    source: Beneath,
    sink: Sink,
    report: SaveReport,
}

impl Saving<'_> {
    fn file(&mut self, file: &FoundFile<'_>) -> Result<(), EntryError> {
        match file.kind {
            FileKind::Folder => self.folder(file.original()),
            FileKind::Link if matches!(file.take, Take::Ranges(_)) => Err(EntryError::OtherKind {
                path: file.found_at().to_owned(),
                expected: "file",
            }),
            FileKind::Link => {
                self.folder(parent(file.original()))?;
                let found = self.inside(file.found_at());
                let from = self
                    .source
                    .parent(found)
                    .map_err(refused("open the folder of", found))?;
                let lost = self.sink.link(file.original(), from)?;
                lost.into_iter().for_each(|error| self.report.fail(error));
                self.report.files += 1;
                Ok(())
            }
            FileKind::File => {
                self.folder(parent(file.original()))?;
                let bytes = match file.take {
                    Take::Ranges(partial) => {
                        let bytes = self.partial(file, partial)?;
                        self.report.partial_files.push(partial.original.clone());
                        bytes
                    }
                    _ => self.whole(file)?,
                };
                self.report.files += 1;
                self.report.bytes += bytes;
                Ok(())
            }
        }
    }

    /// Folders of the backup are like those of the volume.
    fn folder(&mut self, original: &Path) -> Result<(), EntryError> {
        let volume = self.volume;
        self.sink.folder(original, &mut |path| {
            let path = Path::new("/").join(path);
            let inside = volume.inside(&path)?;
            let folder = open_folder(volume.root(), inside, crate::beneath::Mounts::Stay).ok()?;
            Attributes::of(folder.as_fd()).ok()
        })
    }

    fn inside<'p>(&self, found: &'p Path) -> &'p Path {
        self.volume.inside(found).unwrap_or(found)
    }

    fn whole(&mut self, file: &FoundFile<'_>) -> Result<u64, EntryError> {
        let path = file.found_at();
        let found = self.inside(path);
        let from = self.source.file(found).map_err(refused("open", path))?;
        let length = length_of_file(from.as_fd(), path)?;
        let failed = |cause| EntryError::system("copy", path)(cause);
        let lost = self.sink.replace(file.original(), |to| {
            copy_whole(from.as_fd(), to, length).map_err(failed)?;
            Ok(keep_attributes(from.as_fd(), to, path))
        })?;
        lost.into_iter().for_each(|error| self.report.fail(error));
        Ok(length)
    }

    /// Into the file that another component has in the backup, if one has, so that
    /// nothing of it is lost.
    fn partial(
        &mut self,
        file: &FoundFile<'_>,
        partial: &PartialFileRule,
    ) -> Result<u64, EntryError> {
        let ranges = self.ranges(&partial.ranges)?;
        let path = file.found_at();
        let found = self.inside(path);
        let from = self.source.file(found).map_err(refused("open", path))?;
        let size = length_of_file(from.as_fd(), path)?;
        check_ranges(&ranges, size, path)?;
        let failed = |cause| EntryError::system("copy", path)(cause);
        if let Some(there) = self.sink.open_there(file.original())? {
            for range in ranges.ranges() {
                let offset = range.offset;
                copy(from.as_fd(), offset, there.as_fd(), offset, range.length).map_err(failed)?;
            }
            return Ok(ranges.length());
        }
        let lost = self.sink.replace(file.original(), |to| {
            for range in ranges.ranges() {
                copy_sparse(from.as_fd(), to, *range).map_err(failed)?;
            }
            ftruncate(to, size).map_err(failed)?;
            Ok(keep_attributes(from.as_fd(), to, path))
        })?;
        lost.into_iter().for_each(|error| self.report.fail(error));
        Ok(ranges.length())
    }

    /// A ranges file is read from the machine as it is now, as its writer may have
    /// written it after the shadow copy was made, and kept in the backup: without it
    /// there is no restore ("Working with Partial Files").
    fn ranges(&mut self, ranges: &PartialRanges) -> Result<RangeList, EntryError> {
        let PartialRanges::File(path) = ranges else {
            return load_ranges(ranges, &mut self.source);
        };
        let failed = |cause| EntryError::system("open the ranges file", path)(cause);
        let mut machine = machine().map_err(failed)?;
        let list = match load_ranges(ranges, &mut machine) {
            Err(EntryError::System { .. }) => {
                let inside = self.inside(path).to_owned();
                load_ranges(&PartialRanges::File(inside), &mut self.source)?
            }
            other => other?,
        };
        self.folder(parent(path))?;
        let content = list.to_file_content();
        self.sink.replace(path, |to| {
            let mut written = 0;
            while written < content.len() {
                written += rustix::io::pwrite(to, &content[written..], written as u64)
                    .map_err(EntryError::system("keep the ranges file", path))?;
            }
            Ok(())
        })?;
        Ok(list)
    }
}

/// The folder of a file, relative, of any path in a backup.
pub(crate) fn parent(path: &Path) -> &Path {
    relative(path).parent().unwrap_or(Path::new(""))
}

/// Gives a file the attributes of another. What cannot be kept is said; the content
/// is worth keeping without it.
pub(crate) fn keep_attributes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    path: &Path,
) -> Option<EntryError> {
    let kept = Attributes::of(from).and_then(|attributes| attributes.apply(to));
    kept.map_err(EntryError::system("keep all attributes of", path))
        .err()
}

/// A range behind the end would be missing on restore without anybody knowing.
pub(crate) fn check_ranges(ranges: &RangeList, size: u64, path: &Path) -> Result<(), EntryError> {
    match ranges.ranges().iter().find(|range| range.end() > size) {
        Some(range) => Err(EntryError::RangeBehindEnd {
            path: path.to_owned(),
            size,
            offset: range.offset,
            length: range.length,
        }),
        None => Ok(()),
    }
}
