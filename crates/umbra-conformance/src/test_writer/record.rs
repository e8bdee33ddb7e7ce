//! What a backup has to bring back: the files of the writer as they were when it
//! was frozen.

use super::files::{Digest, below, find};
use crate::configuration::{ConfiguredComponent, ConfiguredPartialFile, TestWriterConfiguration};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use umbra_documents::{FileSet, FileTime};
use umbra_model::{BackupType, FileSpecBackupType, SetId};

/// The backups that a test writer remembers, so that one of many can be restored.
const MOST: usize = 64;

/// What was there when a set was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The set.
    pub(super) set: SetId,
    /// The components that took part, those below chosen ones too.
    pub(super) components: Vec<RecordedComponent>,
}

/// A component with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordedComponent {
    /// Logical path and name.
    pub(super) path: String,
    /// What a backup of it has.
    pub(super) files: Vec<RecordedFile>,
    /// Files of its sets that a backup leaves out: where they lie.
    pub(super) left_out: Vec<PathBuf>,
}

/// A file that a backup has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordedFile {
    /// Where it belongs.
    pub(super) home: PathBuf,
    /// Where it lay for the backup.
    pub(super) source: PathBuf,
    /// Why it is in the backup.
    pub(super) reason: Reason,
    /// What is in it.
    pub(super) content: Content,
}

/// Why a file is in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A file set of the component has it.
    Component,
    /// Parts of it are backed up.
    Partial,
    /// It was changed since a moment.
    Differenced,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it.
    Whole(Digest),
    /// These parts: offset, and what is there.
    Ranges(Vec<(u64, Digest)>),
}

impl Content {
    fn of_ranges(path: &Path, ranges: &[(u64, u64)]) -> io::Result<Self> {
        let part = |(offset, length): &(u64, u64)| {
            let digest = Digest::of_range(path, *offset, *length)?;
            Ok((*offset, digest))
        };
        let parts: io::Result<Vec<_>> = ranges.iter().map(part).collect();
        parts.map(Self::Ranges)
    }

    /// Whether a file has it.
    pub(super) fn is_in(&self, path: &Path) -> io::Result<bool> {
        match self {
            Self::Whole(digest) => Ok(Digest::of(path)? == *digest),
            Self::Ranges(ranges) => {
                for (offset, digest) in ranges {
                    if Digest::of_range(path, *offset, digest.length())? != *digest {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

/// What a requester asked for, as far as it decides which files it must copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The type of the backup.
    pub(super) backup: BackupType,
    /// Whether it copies parts of files.
    pub(super) partial_files: bool,
    /// Whether writers can tell it of partial and differenced files.
    pub(super) components_selected: bool,
}

/// Whether a path of the component tree is a component or stands below it.
pub(crate) fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
}

impl Record {
    /// Looks at every file of the components at these paths, and of those below
    /// them.
    pub(super) fn take(
        set: SetId,
        configuration: &TestWriterConfiguration,
        chosen: &[String],
        asked: Asked,
    ) -> io::Result<Self> {
        let mut components = Vec::new();
        for component in &configuration.components {
            let path = component.component.full_path();
            if chosen.iter().any(|above| covers(above, &path)) {
                components.push(RecordedComponent::take(configuration, component, asked)?);
            }
        }
        Ok(Self { set, components })
    }
}

impl RecordedComponent {
    fn take(
        configuration: &TestWriterConfiguration,
        component: &ConfiguredComponent,
        asked: Asked,
    ) -> io::Result<Self> {
        let mut recorded = Self {
            path: component.component.full_path(),
            files: Vec::new(),
            left_out: Vec::new(),
        };
        let required = required(configuration, asked.backup);
        let differenced: &[_] = if asked.components_selected {
            &component.differenced_files
        } else {
            &[]
        };
        for set in component.component.file_sets() {
            // What is said of the same files once more takes the place of the set.
            let again = differenced.iter().any(|one| one.files.is_same_place(set));
            if !again && set.backup_type.contains(required) {
                recorded.add(configuration, set, None)?;
            }
        }
        for one in differenced {
            let mut sets = component.component.file_sets();
            let same = sets.find(|set| set.is_same_place(&one.files));
            recorded.add(configuration, same.unwrap_or(&one.files), Some(one.since))?;
        }
        if asked.components_selected && asked.partial_files {
            for partial in &component.partial_files {
                recorded.add_partial(component, partial)?;
            }
        }
        Ok(recorded)
    }

    fn add(
        &mut self,
        configuration: &TestWriterConfiguration,
        set: &FileSet,
        since: Option<FileTime>,
    ) -> io::Result<()> {
        let folder = set.alternate_path.as_ref().unwrap_or(&set.path);
        for name in find(folder, set)? {
            let (home, source) = (set.path.join(&name), folder.join(&name));
            if is_excluded(configuration, &home) {
                self.left_out.push(source);
                continue;
            }
            if since.is_some_and(|since| !changed_since(&source, since)) {
                continue;
            }
            self.files.push(RecordedFile {
                content: Content::Whole(Digest::of(&source)?),
                home,
                source,
                reason: match since {
                    Some(_) => Reason::Differenced,
                    None => Reason::Component,
                },
            });
        }
        Ok(())
    }

    fn add_partial(
        &mut self,
        component: &ConfiguredComponent,
        partial: &ConfiguredPartialFile,
    ) -> io::Result<()> {
        let home = partial.path();
        let mut sets = component.component.file_sets();
        let elsewhere = sets.find_map(|set| {
            let name = below(&set.path, set, &home)?;
            set.alternate_path.as_ref().map(|folder| folder.join(name))
        });
        let source = elsewhere.unwrap_or_else(|| home.clone());
        self.files.retain(|file| file.home != home);
        self.files.push(RecordedFile {
            content: Content::of_ranges(&source, &partial.parsed)?,
            home,
            source,
            reason: Reason::Partial,
        });
        Ok(())
    }
}

/// Whether the configuration leaves a file out of backups.
fn is_excluded(configuration: &TestWriterConfiguration, file: &Path) -> bool {
    let mut sets = configuration.excluded.iter();
    sets.any(|set| below(&set.path, set, file).is_some())
}

fn changed_since(file: &Path, since: FileTime) -> bool {
    let modified = fs::symlink_metadata(file).and_then(|there| there.modified());
    let modified = modified.ok().and_then(FileTime::from_system);
    modified.is_none_or(|modified| modified > since)
}

/// Which mark says that a file set belongs into a backup of this type. Where the
/// writer does not support the type, requesters make a full backup of it
/// ("Requester Role in Backing Up Complex Stores").
fn required(configuration: &TestWriterConfiguration, backup: BackupType) -> FileSpecBackupType {
    match backup {
        _ if !configuration.supports(backup) => FileSpecBackupType::FULL_BACKUP_REQUIRED,
        BackupType::Incremental => FileSpecBackupType::INCREMENTAL_BACKUP_REQUIRED,
        BackupType::Differential => FileSpecBackupType::DIFFERENTIAL_BACKUP_REQUIRED,
        BackupType::Log => FileSpecBackupType::LOG_BACKUP_REQUIRED,
        _ => FileSpecBackupType::FULL_BACKUP_REQUIRED,
    }
}

/// The records of several backups; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<Record>);

impl Records {
    pub(super) fn keep(&mut self, record: Record) {
        self.0.retain(|one| one.set != record.set);
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(record);
    }

    pub(super) fn of(&self, set: SetId) -> Option<&Record> {
        self.0.iter().find(|record| record.set == set)
    }
}
