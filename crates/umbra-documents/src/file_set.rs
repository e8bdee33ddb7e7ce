//! Files by folder and specification.

use serde::{Deserialize, Serialize};
use std::path::{Component as PathPart, Path, PathBuf};
use umbra_model::FileSpecBackupType;

/// Whether a file set reaches into the folders below its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recursion {
    /// Only the folder itself.
    Folder,
    /// And every folder below.
    Tree,
}

impl From<bool> for Recursion {
    fn from(recursive: bool) -> Self {
        if recursive { Self::Tree } else { Self::Folder }
    }
}

/// Files by folder and specification (`IVssWMFiledesc`).
///
/// The specification is text; a byte of a name that is no UTF-8 is written in it
/// as [`crate::path_to_text`] writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSet {
    /// The folder: an absolute path (`GetPath`).
    #[serde(with = "umbra_model::path_text::as_text")]
    pub path: PathBuf,
    /// Which names in it: an exact name, or one with `*` and `?` (`GetFilespec`).
    pub specification: String,
    /// How far down (`GetRecursive`).
    pub recursion: Recursion,
    /// The folder in which a backup finds the files instead (`GetAlternateLocation`).
    #[serde(default, with = "umbra_model::path_text::as_optional_text")]
    pub alternate_path: Option<PathBuf>,
    /// Which backups need the files, and which need them from the shadow copy
    /// (`GetBackupTypeMask`).
    pub backup_type: FileSpecBackupType,
}

impl FileSet {
    /// The files of a folder whose names match a specification, needed by every
    /// backup, from the shadow copy.
    pub fn new(
        path: impl Into<PathBuf>,
        specification: impl Into<String>,
        recursion: Recursion,
    ) -> Self {
        let every = FileSpecBackupType::ALL_BACKUP_REQUIRED;
        Self {
            path: path.into(),
            specification: specification.into(),
            recursion,
            alternate_path: None,
            backup_type: every.with(FileSpecBackupType::ALL_SNAPSHOT_REQUIRED),
        }
    }

    /// Everything in a folder and below.
    pub fn tree(path: impl Into<PathBuf>) -> Self {
        Self::new(path, "*", Recursion::Tree)
    }

    /// The files of one folder whose names match a specification.
    pub fn files(path: impl Into<PathBuf>, specification: impl Into<String>) -> Self {
        Self::new(path, specification, Recursion::Folder)
    }

    /// Whether path, specification and recursion are the same.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.path == other.path
            && self.specification == other.specification
            && self.recursion == other.recursion
    }
}

/// Whether a path is absolute and has no `..` in it.
pub(crate) fn is_plain_absolute(path: &Path) -> bool {
    path.is_absolute()
        && !path
            .components()
            .any(|part| matches!(part, PathPart::ParentDir))
}
