//! The Writer Metadata Document of a writer that answered in Umbra's short form.

use crate::{
    BackupLocations, Component, ExcludedFiles, Extra, FileGroup, FileList, FileSet, Identification,
    Recursion, SchemaVersion, Selectable, Term, WriterMetadata, WriterMetadataDocument,
};
use std::path::Path;
use umbra_model::{
    ComponentFlags, FileSpecBackupType, SourceType, UsageType, VssCode, VssError, VssResult,
};

impl WriterMetadata {
    /// The Writer Metadata Document that says the same: user data of another kind
    /// of program, every component a file group that every backup needs from the
    /// shadow copy. The schema has no place for the freeze level.
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` for a path that is not UTF-8, which XML cannot
    /// represent.
    pub fn to_document(&self) -> VssResult<WriterMetadataDocument> {
        let file_groups = self.components.iter().map(file_group);
        let excluded = self.excluded.iter().map(excluded);
        Ok(WriterMetadataDocument {
            version: SchemaVersion::V1_2,
            backup_schema: None,
            identification: Identification {
                writer_id: self.identity.id,
                instance_id: self.identity.instance,
                instance_name: None,
                friendly_name: self.identity.name.clone(),
                usage: Term::Known(UsageType::UserData),
                data_source: Term::Known(SourceType::Other),
                major_version: Some(0),
                minor_version: Some(0),
                extra: Extra::default(),
            },
            restore_method: None,
            backup_locations: Some(BackupLocations {
                file_groups: file_groups.collect::<VssResult<_>>()?,
                excluded: excluded.collect::<VssResult<_>>()?,
                excluded_from_snapshot: Vec::new(),
                extra: Extra::default(),
            }),
            extra: Extra::default(),
        })
    }
}

fn file_group(component: &Component) -> VssResult<FileGroup> {
    Ok(FileGroup {
        logical_path: component.logical_path.clone(),
        name: component.name.clone(),
        caption: component.caption.clone(),
        restore_metadata: Some(false),
        notify_on_backup_complete: Some(false),
        selectable: Some(component.selectable == Selectable::Yes),
        selectable_for_restore: Some(false),
        flags: Some(ComponentFlags::default()),
        files: component
            .files
            .iter()
            .map(file_list)
            .collect::<VssResult<_>>()?,
        extra: Extra::default(),
    })
}

fn file_list(files: &FileSet) -> VssResult<FileList> {
    let every = FileSpecBackupType::ALL_BACKUP_REQUIRED;
    Ok(FileList {
        path: text(&files.path)?,
        specification: files.specification.clone(),
        recursive: Some(files.recursion == Recursion::Tree),
        alternate_path: None,
        backup_type: Some(every.with(FileSpecBackupType::ALL_SNAPSHOT_REQUIRED)),
        extra: Extra::default(),
    })
}

fn excluded(files: &FileSet) -> VssResult<ExcludedFiles> {
    Ok(ExcludedFiles {
        path: text(&files.path)?,
        specification: files.specification.clone(),
        recursive: Some(files.recursion == Recursion::Tree),
        extra: Extra::default(),
    })
}

fn text(path: &Path) -> VssResult<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        VssError::new(
            VssCode::NotSupported,
            format!(
                "cannot write the Writer Metadata Document: the path {path:?} is not UTF-8, which \
                 XML cannot represent"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FreezeLevel, WriterIdentity};
    use umbra_model::{WriterId, WriterInstanceId};

    fn metadata(path: &Path) -> WriterMetadata {
        WriterMetadata {
            identity: WriterIdentity {
                id: WriterId::from_u128(1),
                instance: WriterInstanceId::from_u128(2),
                name: "Test <Writer>".into(),
            },
            level: FreezeLevel::default(),
            components: vec![Component {
                logical_path: Some("db".into()),
                name: "a".into(),
                caption: None,
                selectable: Selectable::Yes,
                files: vec![FileSet::tree(path)],
            }],
            excluded: vec![FileSet::files("/srv", "*.tmp")],
        }
    }

    #[test]
    fn says_the_same() {
        let document = metadata(Path::new("/srv/a")).to_document().unwrap();
        let xml = document.to_xml().unwrap();
        assert_eq!(
            WriterMetadataDocument::from_xml(xml.as_bytes()),
            Ok(document)
        );
        for part in [
            "friendlyName=\"Test &lt;Writer&gt;\"",
            "<FILE_GROUP logicalPath=\"db\" componentName=\"a\"",
            "<FILE_LIST path=\"/srv/a\" filespec=\"*\" recursive=\"yes\" filespecBackupType=\"3855\"/>",
            "<EXCLUDE_FILES path=\"/srv\" filespec=\"*.tmp\" recursive=\"no\"/>",
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
    }

    #[test]
    fn a_path_that_is_no_text_is_refused() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let path = Path::new(OsStr::from_bytes(b"/srv/\xff"));
        let error = metadata(path).to_document().unwrap_err();
        assert_eq!(error.code(), VssCode::NotSupported);
    }
}
