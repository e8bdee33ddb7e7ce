//! Copying the files of components back.

use crate::{
    attributes::Attributes,
    backup_folder::{BackupFolder, load_ranges, machine},
    beneath::{Beneath, FOLDER, Mounts, open_folder, refused, relative},
    content::copy,
    error::EntryError,
    files::{FileKind, FoundFile, Wanted, component_files},
    save::{MAX_FAILURES, check_ranges, keep_attributes, parent},
    sink::{Sink, copy_whole, length_of_file},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, ftruncate},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    path::{Component as PathPart, Path, PathBuf},
};
use umbra_documents::{
    ByteRange, DestinationReason, DirectedPart, FileRules, PartialFileRule, PartialRanges,
    RangeList, RestoreRules, Take,
};
use umbra_model::{FileRestoreStatus, RestoreMethod, VssCode, VssError, VssResult};

/// How a restore went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// What to tell the writer (`SetFileRestoreStatus`).
    pub status: FileRestoreStatus,
    /// How many files and links were restored.
    pub files: u64,
    /// How many bytes of content they have, holes counted.
    pub bytes: u64,
    /// Which of the writer's alternate location mappings were used, counted from 0
    /// (`AddAlternativeLocationMapping`).
    pub mappings: BTreeSet<usize>,
    /// How many files or folders failed.
    pub failed: u64,
    /// Why; at most the first thousand.
    pub failures: Vec<EntryError>,
}

impl RestoreReport {
    fn fail(&mut self, error: EntryError) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(error);
        }
    }

    fn with_status(mut self) -> Self {
        self.status = match (self.failed, self.files) {
            (0, _) => FileRestoreStatus::All,
            (_, 0) => FileRestoreStatus::None,
            _ => FileRestoreStatus::Failed,
        };
        self
    }
}

/// Puts files of a backup back beneath `target`, which is `/` for a restore to where
/// they were.
///
/// `rules` say which files ([`FileRules::for_restore`]), `places` where they go, after
/// PreRestore ("Overview of Actual File Restoration"). Every path is resolved beneath
/// the target and through no symbolic link. A whole file is written under a temporary
/// name and then takes the place of the old one; of partial files and directed
/// targets, ranges are written into the file that is there, or a new one. Folders that
/// are missing are made as they were.
///
/// The writer's restore method decides ("Setting VSS Restore Methods"):
/// `RESTORE_IF_NOT_THERE` and `RESTORE_IF_CAN_REPLACE` look at all files first, and
/// where one cannot be put back all of them go to their alternate locations, or, where
/// one has none, nothing is restored. All other methods replace files: whoever calls
/// has stopped the service where the method needs it. No method is taken as
/// `RESTORE_IF_CAN_REPLACE`. `RESTORE_AT_REBOOT_IF_CANNOT_REPLACE` is the same, as
/// a file in use can be replaced on Linux.
///
/// # Errors
///
/// `VSS_E_NOT_SUPPORTED` for the methods that a requester cannot carry out by itself:
/// custom, and at the next start of the machine. The target cannot be opened, or takes
/// no more data. What fails for one file is in the report.
pub fn restore(
    backup: &BackupFolder,
    rules: &FileRules,
    places: &RestoreRules,
    target: impl AsRef<Path>,
) -> VssResult<RestoreReport> {
    let check = check_for(places.method())?;
    let target = target.as_ref();
    let root = rustix::fs::open(target, FOLDER, Mode::empty())
        .map_err(EntryError::system("open the target of the restore", target))?;
    let failed = |cause| EntryError::system("open the backup in", backup.path())(cause);
    let volume = backup.as_volume().map_err(failed)?;
    let mut restoring = Restoring {
        source: volume.beneath().map_err(failed)?,
        folders: backup.files().map_err(failed)?,
        sink: Sink::new(root, target),
        places,
        ranges_files: rules
            .partial_files()
            .iter()
            .filter_map(ranges_file)
            .collect(),
        way: Way::First,
        report: RestoreReport {
            status: FileRestoreStatus::Undefined,
            files: 0,
            bytes: 0,
            mappings: BTreeSet::new(),
            failed: 0,
            failures: Vec::new(),
        },
    };
    if let Some(check) = check {
        for found in component_files(&volume, rules, Wanted::All)? {
            let stands = found.and_then(|file| restoring.stands_in_the_way(&file, check));
            match stands {
                Ok(None) => {}
                Ok(Some((_, Fallback::There))) => restoring.way = Way::Otherwise,
                Ok(Some((error, Fallback::Missing))) | Err(error) => restoring.report.fail(error),
            }
        }
        if restoring.report.failed > 0 {
            return Ok(restoring.report.with_status());
        }
    }
    for found in component_files(&volume, rules, Wanted::All)? {
        if let Err(error) = found.and_then(|file| restoring.file(&file)) {
            if error.ends_everything() {
                return Err(VssError::from(error));
            }
            restoring.report.fail(error);
        }
    }
    let mut report = restoring.report;
    for error in restoring.sink.finish() {
        report.fail(error);
    }
    Ok(report.with_status())
}

/// What must hold of all files before the first is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    NoneThere,
    AllReplaceable,
}

fn check_for(method: RestoreMethod) -> VssResult<Option<Check>> {
    let refuse = |what| {
        let text = format!(
            "cannot restore by {method}: {what}; restore to a new target and let the writer's \
             manual say what to do with the files"
        );
        Err(VssError::new(VssCode::NotSupported, text))
    };
    match method {
        RestoreMethod::RestoreIfNotThere => Ok(Some(Check::NoneThere)),
        RestoreMethod::RestoreIfCanReplace
        | RestoreMethod::RestoreAtRebootIfCannotReplace
        | RestoreMethod::Undefined => Ok(Some(Check::AllReplaceable)),
        RestoreMethod::StopRestoreStart
        | RestoreMethod::RestoreStopStart
        | RestoreMethod::RestoreToAlternateLocation => Ok(None),
        RestoreMethod::RestoreAtReboot => refuse("Linux replaces no files when the machine starts"),
        RestoreMethod::Custom => refuse("only the writer knows how"),
    }
}

/// Where the files of the component go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    First,
    /// To their alternate locations, as one of them cannot go where it was.
    Otherwise,
}

enum Fallback {
    There,
    Missing,
}

struct Restoring<'r> {
    source: Beneath,
    folders: OwnedFd,
    sink: Sink,
    places: &'r RestoreRules,
    /// Files that say which parts of others are restored.
    ranges_files: BTreeSet<&'r Path>,
    way: Way,
    report: RestoreReport,
}

impl Restoring<'_> {
    fn stands_in_the_way(
        &mut self,
        file: &FoundFile<'_>,
        check: Check,
    ) -> Result<Option<(EntryError, Fallback)>, EntryError> {
        let original = file.original();
        let in_parts = matches!(file.take, Take::Ranges(_));
        let directed = !self.places.directed(original).is_empty();
        // Parts are meant to go into what is there, and the list of them may be there.
        let list = self.ranges_files.contains(original);
        if file.kind == FileKind::Folder || in_parts || directed || list {
            return Ok(None);
        }
        let to = self.places.destination(original)?;
        if to.reason != DestinationReason::Original {
            return Ok(None);
        }
        let stands = match check {
            Check::NoneThere => self.sink.look(&to.path)?.is_some(),
            Check::AllReplaceable => !self.sink.can_replace(&to.path)?,
        };
        let error = match check {
            Check::NoneThere => EntryError::AlreadyThere(to.path),
            Check::AllReplaceable => EntryError::System {
                doing: "replace",
                path: to.path,
                cause: Errno::PERM,
            },
        };
        let fallback = match to.otherwise {
            Some(_) => Fallback::There,
            None => Fallback::Missing,
        };
        Ok(stands.then_some((error, fallback)))
    }

    /// Where a file goes, beneath the target.
    fn destination(&mut self, original: &Path) -> Result<PathBuf, EntryError> {
        let to = self.places.destination(original)?;
        let (path, mapping) = match (to.reason, to.otherwise, self.way) {
            (DestinationReason::Original, Some(other), Way::Otherwise) => {
                (other.path, Some(other.mapping))
            }
            (DestinationReason::AlternateLocation(mapping), ..) => (to.path, Some(mapping)),
            _ => (to.path, None),
        };
        check_path(&path)?;
        self.report.mappings.extend(mapping);
        Ok(path)
    }

    fn file(&mut self, file: &FoundFile<'_>) -> Result<(), EntryError> {
        let original = file.original();
        let places = self.places;
        let directed = places.directed(original);
        let bytes = match (file.kind, file.take) {
            (FileKind::Folder, _) => {
                // A folder goes where a file in it would go.
                if let Ok(inside) = self.destination(&original.join("x")) {
                    self.folder(parent(&inside), original)?;
                }
                return Ok(());
            }
            (FileKind::Link, _) => self.link(original)?,
            _ if !directed.is_empty() => self.directed(original, directed)?,
            (FileKind::File, Take::Ranges(partial)) => self.partial(original, partial)?,
            (FileKind::File, _) => self.whole(original)?,
        };
        self.report.files += 1;
        self.report.bytes += bytes;
        Ok(())
    }

    /// A folder of the target; where it or one above it is missing, it is made like
    /// the folder that it stands for in the backup.
    fn folder(&mut self, path: &Path, original: &Path) -> Result<(), EntryError> {
        let folders = &self.folders;
        self.sink.folder(path, &mut |made| {
            let original = counterpart(relative(path), made, relative(original))?;
            let folder = open_folder(folders.as_fd(), original, Mounts::Stay).ok()?;
            Attributes::of(folder.as_fd()).ok()
        })
    }

    fn open(&mut self, original: &Path) -> Result<(OwnedFd, u64), EntryError> {
        let file = self
            .source
            .file(relative(original))
            .map_err(refused("open", original))?;
        let length = length_of_file(file.as_fd(), original)?;
        Ok((file, length))
    }

    fn link(&mut self, original: &Path) -> Result<u64, EntryError> {
        let to = self.destination(original)?;
        self.folder(parent(&to), parent(original))?;
        let from = self
            .source
            .parent(relative(original))
            .map_err(refused("open the folder of", original))?;
        let lost = self.sink.link(&to, from)?;
        lost.into_iter().for_each(|error| self.report.fail(error));
        Ok(0)
    }

    fn whole(&mut self, original: &Path) -> Result<u64, EntryError> {
        let to = self.destination(original)?;
        self.folder(parent(&to), parent(original))?;
        let (from, length) = self.open(original)?;
        let failed = |cause| EntryError::system("restore", &to)(cause);
        let lost = self.sink.replace(&to, |file| {
            copy_whole(from.as_fd(), file, length).map_err(failed)?;
            Ok(keep_attributes(from.as_fd(), file, &to))
        })?;
        lost.into_iter().for_each(|error| self.report.fail(error));
        Ok(length)
    }

    /// Only the ranges, into the file that is there ("Working with Partial Files"); a
    /// missing one is made as long as it was, with nothing but the ranges in it.
    fn partial(&mut self, original: &Path, partial: &PartialFileRule) -> Result<u64, EntryError> {
        let to = self.destination(original)?;
        self.folder(parent(&to), parent(original))?;
        let ranges = self.ranges(&partial.ranges)?;
        let (from, length) = self.open(original)?;
        check_ranges(&ranges, length, original)?;
        let pairs: Vec<(ByteRange, ByteRange)> = ranges
            .ranges()
            .iter()
            .map(|range| (*range, *range))
            .collect();
        self.write_ranges(from.as_fd(), &to, &pairs, Some(length))
    }

    fn directed(&mut self, original: &Path, parts: &[DirectedPart]) -> Result<u64, EntryError> {
        let (from, length) = self.open(original)?;
        let mut bytes = 0;
        for part in parts {
            let source: RangeList = part.ranges.iter().map(|(from, _)| *from).collect();
            check_ranges(&source, length, original)?;
            check_path(&part.destination)?;
            self.folder(parent(&part.destination), parent(original))?;
            bytes += self.write_ranges(from.as_fd(), &part.destination, &part.ranges, None)?;
        }
        Ok(bytes)
    }

    fn write_ranges(
        &mut self,
        from: BorrowedFd<'_>,
        path: &Path,
        ranges: &[(ByteRange, ByteRange)],
        length: Option<u64>,
    ) -> Result<u64, EntryError> {
        let failed = |cause| EntryError::system("restore ranges of", path)(cause);
        let write = |to: BorrowedFd<'_>| {
            let mut bytes = 0;
            for (source, destination) in ranges {
                let (at, into) = (source.offset, destination.offset);
                bytes += copy(from, at, to, into, source.length).map_err(failed)?;
            }
            Ok(bytes)
        };
        if let Some(there) = self.sink.open_there(path)? {
            return write(there.as_fd());
        }
        let (bytes, lost) = self.sink.replace(path, |to| {
            if let Some(length) = length {
                ftruncate(to, length).map_err(failed)?;
            }
            let bytes = write(to)?;
            Ok((bytes, keep_attributes(from, to, path)))
        })?;
        lost.into_iter().for_each(|error| self.report.fail(error));
        Ok(bytes)
    }

    /// From the backup; or from the machine, where the requester put it
    /// (`SetRangesFilePath`).
    fn ranges(&mut self, ranges: &PartialRanges) -> Result<RangeList, EntryError> {
        match load_ranges(ranges, &mut self.source) {
            Err(EntryError::System {
                path,
                cause: Errno::NOENT,
                ..
            }) => {
                let failed = EntryError::system("open the ranges file", path);
                load_ranges(ranges, &mut machine().map_err(failed)?)
            }
            other => other,
        }
    }
}

fn ranges_file(partial: &PartialFileRule) -> Option<&Path> {
    match &partial.ranges {
        PartialRanges::File(path) => Some(path),
        PartialRanges::List(_) => None,
    }
}

/// Documents say where files go; none may say `..`.
fn check_path(path: &Path) -> Result<(), EntryError> {
    if path.components().any(|part| part == PathPart::ParentDir) {
        return Err(EntryError::System {
            doing: "restore to a path with \"..\" in it:",
            path: path.to_owned(),
            cause: Errno::INVAL,
        });
    }
    Ok(())
}

/// What a folder above `path` stands for, when `path` stands for `original`: as many
/// names above it, where those have the same names.
fn counterpart<'o>(path: &Path, made: &Path, original: &'o Path) -> Option<&'o Path> {
    let mut names = path.strip_prefix(made).ok()?.iter();
    let mut original = original;
    while let Some(name) = names.next_back() {
        if original.file_name() != Some(name) {
            return None;
        }
        original = original.parent()?;
    }
    Some(original)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stand_for_those_they_were() {
        let check = |path: &str, made: &str, original: &'static str, expected: Option<&str>| {
            let found = counterpart(Path::new(path), Path::new(made), Path::new(original));
            assert_eq!(found, expected.map(Path::new), "{path} {made}");
        };
        check("srv/a", "srv", "srv/a", Some("srv"));
        check("mnt/new/x", "mnt/new/x", "srv/data/x", Some("srv/data/x"));
        check("mnt/new/x", "mnt/new", "srv/data/x", Some("srv/data"));
        check("mnt/new/x", "mnt", "srv/data/x", None);
        check("other", "mnt", "srv", None);
    }
}
