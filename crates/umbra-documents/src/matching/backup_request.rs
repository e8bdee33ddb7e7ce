//! What is asked of the rules, and what they answer.

use super::{
    backup_type::ReadFrom,
    range_list::{PartialRanges, RangeListError},
};
use crate::FileTime;
use std::path::PathBuf;
use umbra_model::{BackupType, VssCode, VssError};

/// Whether the requester can back up parts of files (`SetBackupState`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PartialFileSupport {
    /// It can.
    #[default]
    Supported,
    /// It cannot, and takes such files whole.
    Unsupported,
}

/// What kind of backup is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupRequest {
    /// The kind; of one that the writer does not support,
    /// [`super::supported_backup_type`] says which it gets.
    pub backup_type: BackupType,
    /// Whether parts of files are taken.
    pub partial_files: PartialFileSupport,
    /// When the backup was that this one builds on: used where a writer names
    /// differenced files and no time.
    pub last_backup: Option<FileTime>,
}

impl BackupRequest {
    /// A backup of this kind that takes parts of files.
    pub fn new(backup_type: BackupType) -> Self {
        Self {
            backup_type,
            partial_files: PartialFileSupport::Supported,
            last_backup: None,
        }
    }
}

/// What somebody looks at who looks for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewKind {
    /// A shadow copy: files that writers excluded from it are not looked for.
    ShadowCopy,
    /// The volume itself, or files from a backup.
    LiveVolume,
}

/// How much of a file a backup takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take<'r> {
    /// All of it.
    Whole,
    /// All of it, where it was modified at this time or later
    /// (`AddDifferencedFilesByLastModifyTime`).
    ModifiedSince(FileTime),
    /// What changed since this log sequence number, which is in a form of the
    /// writer: whoever cannot tell takes all of it
    /// (`AddDifferencedFilesByLastModifyLSN`).
    SinceLsn(&'r str),
    /// Only parts (`AddPartialFile`).
    Ranges(&'r PartialFileRule),
}

/// A file of which parts are backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialFileRule {
    /// The file, as it is named in the backup.
    pub original: PathBuf,
    /// Where it is found; differs where its file set has an alternate path.
    pub location: PathBuf,
    /// Which parts.
    pub ranges: PartialRanges,
}

/// A partial file of which nobody can tell the parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the partial file {path:?} of component {component:?}")]
pub struct FileRulesError {
    /// The file.
    pub path: PathBuf,
    /// The component that was chosen.
    pub component: String,
    /// What is wrong with its ranges.
    #[source]
    pub cause: RangeListError,
}

/// A file that belongs to the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenFile<'r> {
    /// Its path in the backup, where that is not the one it was found at
    /// ("Working with Alternate Paths during Backup").
    pub original: Option<PathBuf>,
    /// How much of it.
    pub take: Take<'r>,
    /// From where it is to be read.
    pub read_from: ReadFrom,
}

impl From<FileRulesError> for VssError {
    fn from(error: FileRulesError) -> Self {
        Self::new(VssCode::InvalidXmlDocument, error.to_string()).caused_by(error.cause)
    }
}
