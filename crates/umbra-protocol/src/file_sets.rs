//! File sets, and where files go instead, on the wire.

use crate::{fields, v1};
use umbra_documents::{AlternateLocation, FileSet, Recursion};
use umbra_model::{FileSpecBackupType, VssError};

/// What a file set says that has no backup type.
fn every_backup() -> FileSpecBackupType {
    FileSpecBackupType::ALL_BACKUP_REQUIRED.with(FileSpecBackupType::ALL_SNAPSHOT_REQUIRED)
}

impl From<FileSet> for v1::FileSet {
    fn from(files: FileSet) -> Self {
        let backup_type = files.backup_type;
        Self {
            path: fields::bytes(&files.path),
            specification: files.specification,
            recursive: files.recursion == Recursion::Tree,
            alternate_path: files
                .alternate_path
                .as_deref()
                .map_or_else(Vec::new, fields::bytes),
            backup_type: (backup_type != every_backup()).then(|| backup_type.bits()),
        }
    }
}

impl TryFrom<v1::FileSet> for FileSet {
    type Error = VssError;

    fn try_from(files: v1::FileSet) -> Result<Self, VssError> {
        let alternate = Some(files.alternate_path).filter(|path| !path.is_empty());
        Ok(Self {
            path: fields::path("FileSet.path", files.path)?,
            specification: files.specification,
            recursion: Recursion::from(files.recursive),
            alternate_path: alternate
                .map(|path| fields::path("FileSet.alternate_path", path))
                .transpose()?,
            backup_type: files
                .backup_type
                .map_or_else(every_backup, FileSpecBackupType::from_bits),
        })
    }
}

impl From<AlternateLocation> for v1::AlternateLocation {
    fn from(location: AlternateLocation) -> Self {
        Self {
            files: Some(location.files.into()),
            destination: fields::bytes(&location.destination),
        }
    }
}

impl TryFrom<v1::AlternateLocation> for AlternateLocation {
    type Error = VssError;

    fn try_from(location: v1::AlternateLocation) -> Result<Self, VssError> {
        let files = fields::required("AlternateLocation.files", location.files)?;
        Ok(Self {
            files: files.try_into()?,
            destination: fields::path("AlternateLocation.destination", location.destination)?,
        })
    }
}
