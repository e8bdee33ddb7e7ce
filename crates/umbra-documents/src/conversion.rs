//! Between a Writer Metadata Document and what a writer says as values.

use crate::{
    AlternateLocation, AlternateLocationMapping, BackupLocations, Component, Database,
    DatabaseFiles, DatabaseLogFiles, Dependency, DependencyElement, DocumentTerm, ExcludedFiles,
    ExcludedFilesFromSnapshot, Extra, FileGroup, FileList, FileSet, FreezeLevel, Identification,
    IncludedFiles, Recursion, RestoreMethodElement, RestorePlan, SchemaVersion, Selectable, Term,
    WriterIdentity, WriterMetadata, WriterMetadataDocument, WriterVersion, path_to_text,
    text_to_path,
};
use std::path::PathBuf;
use umbra_model::{
    BackupSchema, ComponentType, FileSpecBackupType, RestoreMethod, SourceType, UsageType,
    WriterRestore,
};

impl WriterMetadata {
    /// The Writer Metadata Document that says the same. The schema has no place
    /// for the freeze level.
    pub fn to_document(&self) -> WriterMetadataDocument {
        let identity = &self.identity;
        let of_kind = |database: bool| {
            let components = self.components.iter();
            components.filter(move |one| (one.kind == ComponentType::Database) == database)
        };
        WriterMetadataDocument {
            version: SchemaVersion::V1_2,
            backup_schema: (self.backup_schema != BackupSchema::default())
                .then_some(self.backup_schema),
            identification: Identification {
                writer_id: identity.id,
                instance_id: identity.instance,
                instance_name: identity.instance_name.clone(),
                friendly_name: identity.name.clone(),
                usage: Term::Known(identity.usage),
                data_source: Term::Known(identity.source),
                major_version: Some(identity.version.major),
                minor_version: Some(identity.version.minor),
                extra: Extra::default(),
            },
            restore_method: self.restore.as_ref().map(restore_method),
            backup_locations: Some(BackupLocations {
                file_groups: of_kind(false).map(file_group).collect(),
                databases: of_kind(true).map(database).collect(),
                included: self.included.iter().map(included).collect(),
                excluded: self.excluded.iter().map(excluded).collect(),
                excluded_from_snapshot: self
                    .excluded_from_snapshot
                    .iter()
                    .map(excluded_from_snapshot)
                    .collect(),
                extra: Extra::default(),
            }),
            extra: Extra::default(),
        }
    }
}

impl WriterMetadataDocument {
    /// What the document says, as values. The freeze level is the ordinary one:
    /// the schema has no place for it. What Umbra does not know is left out; words
    /// that it does not know count as undefined.
    pub fn to_metadata(&self) -> WriterMetadata {
        let who = &self.identification;
        let mut metadata = WriterMetadata {
            identity: WriterIdentity {
                id: who.writer_id,
                instance: who.instance_id,
                name: who.friendly_name.clone(),
                instance_name: who.instance_name.clone(),
                version: WriterVersion {
                    major: who.major_version.unwrap_or_default(),
                    minor: who.minor_version.unwrap_or_default(),
                },
                usage: who.usage.known().unwrap_or(UsageType::Undefined),
                source: who.data_source.known().unwrap_or(SourceType::Undefined),
            },
            level: FreezeLevel::default(),
            backup_schema: self.backup_schema.unwrap_or_default(),
            restore: self.restore_method.as_ref().map(restore_plan),
            components: Vec::new(),
            included: Vec::new(),
            excluded: Vec::new(),
            excluded_from_snapshot: Vec::new(),
        };
        if let Some(locations) = &self.backup_locations {
            let groups = locations.file_groups.iter().map(of_file_group);
            let databases = locations.databases.iter().map(of_database);
            metadata.components = groups.chain(databases).collect();
            metadata.included = locations
                .included
                .iter()
                .map(|one| FileSet {
                    alternate_path: alternate(one.alternate_path.as_deref()),
                    ..file_set(&one.path, &one.specification, one.recursive)
                })
                .collect();
            metadata.excluded = locations
                .excluded
                .iter()
                .map(|one| file_set(&one.path, &one.specification, one.recursive))
                .collect();
            metadata.excluded_from_snapshot = locations
                .excluded_from_snapshot
                .iter()
                .map(|one| file_set(&one.path, &one.specification, one.recursive))
                .collect();
        }
        metadata
    }
}

/// The attributes that file groups and databases share.
macro_rules! component_element {
    ($kind:ident from $component:ident with $($list:ident: $value:expr),*) => {
        $kind {
            logical_path: $component.logical_path.clone(),
            name: $component.name.clone(),
            caption: $component.caption.clone(),
            restore_metadata: Some($component.restore_metadata),
            notify_on_backup_complete: Some($component.notify_on_backup_complete),
            selectable: Some($component.selectable.is_yes()),
            selectable_for_restore: Some($component.selectable_for_restore.is_yes()),
            flags: Some($component.flags),
            $($list: $value,)*
            dependencies: $component.dependencies.iter().map(dependency).collect(),
            extra: Extra::default(),
        }
    };
}

macro_rules! component_values {
    ($kind:ident from $element:ident with $($list:ident: $value:expr),*) => {
        Component {
            logical_path: $element.logical_path.clone().filter(|path| !path.is_empty()),
            caption: $element.caption.clone(),
            restore_metadata: $element.restore_metadata.unwrap_or_default(),
            notify_on_backup_complete: $element.notify_on_backup_complete.unwrap_or_default(),
            selectable: Selectable::from($element.selectable.unwrap_or_default()),
            selectable_for_restore: Selectable::from(
                $element.selectable_for_restore.unwrap_or_default(),
            ),
            flags: $element.flags.unwrap_or_default(),
            $($list: $value,)*
            dependencies: $element.dependencies.iter().map(of_dependency).collect(),
            ..Component::$kind(&$element.name)
        }
    };
}

fn file_group(component: &Component) -> FileGroup {
    component_element!(FileGroup from component with
        files: component.files.iter().map(file_list).collect())
}

fn of_file_group(element: &FileGroup) -> Component {
    component_values!(file_group from element with
        files: element.files.iter().map(of_file_list).collect())
}

fn database(component: &Component) -> Database {
    component_element!(Database from component with
        files: component.database_files.iter().map(database_files).collect(),
        log_files: component.log_files.iter().map(database_log_files).collect())
}

fn of_database(element: &Database) -> Component {
    component_values!(database from element with
        database_files: element
            .files
            .iter()
            .map(|one| of_database_files(&one.path, &one.specification, one.backup_type))
            .collect(),
        log_files: element
            .log_files
            .iter()
            .map(|one| of_database_files(&one.path, &one.specification, one.backup_type))
            .collect())
}

/// An element that is path, specification and recursion.
macro_rules! plain_files {
    ($($function:ident $kind:ident)*) => {$(
        fn $function(files: &FileSet) -> $kind {
            $kind {
                path: path_to_text(&files.path),
                specification: files.specification.clone(),
                recursive: Some(files.recursion == Recursion::Tree),
                extra: Extra::default(),
            }
        }
    )*};
}

plain_files!(excluded ExcludedFiles excluded_from_snapshot ExcludedFilesFromSnapshot);

fn included(files: &FileSet) -> IncludedFiles {
    IncludedFiles {
        path: path_to_text(&files.path),
        specification: files.specification.clone(),
        recursive: Some(files.recursion == Recursion::Tree),
        alternate_path: files.alternate_path.as_deref().map(path_to_text),
        extra: Extra::default(),
    }
}

/// An element that is path, specification and backup type.
macro_rules! files_of_databases {
    ($($function:ident $kind:ident)*) => {$(
        fn $function(files: &FileSet) -> $kind {
            $kind {
                path: path_to_text(&files.path),
                specification: files.specification.clone(),
                backup_type: Some(files.backup_type),
                extra: Extra::default(),
            }
        }
    )*};
}

files_of_databases!(database_files DatabaseFiles database_log_files DatabaseLogFiles);

fn of_database_files(
    path: &str,
    specification: &str,
    backup_type: Option<FileSpecBackupType>,
) -> FileSet {
    let files = file_set(path, specification, None);
    FileSet {
        backup_type: backup_type.unwrap_or(files.backup_type),
        ..files
    }
}

fn file_list(files: &FileSet) -> FileList {
    FileList {
        path: path_to_text(&files.path),
        specification: files.specification.clone(),
        recursive: Some(files.recursion == Recursion::Tree),
        alternate_path: files.alternate_path.as_deref().map(path_to_text),
        backup_type: Some(files.backup_type),
        extra: Extra::default(),
    }
}

fn of_file_list(element: &FileList) -> FileSet {
    let files = file_set(&element.path, &element.specification, element.recursive);
    FileSet {
        alternate_path: alternate(element.alternate_path.as_deref()),
        backup_type: element.backup_type.unwrap_or(files.backup_type),
        ..files
    }
}

/// An empty one is none.
fn alternate(path: Option<&str>) -> Option<PathBuf> {
    path.filter(|path| !path.is_empty()).map(text_to_path)
}

fn file_set(path: &str, specification: &str, recursive: Option<bool>) -> FileSet {
    let recursion = Recursion::from(recursive.unwrap_or_default());
    FileSet::new(text_to_path(path), specification, recursion)
}

fn dependency(dependency: &Dependency) -> DependencyElement {
    DependencyElement {
        writer_id: dependency.writer,
        logical_path: dependency.logical_path.clone(),
        name: dependency.name.clone(),
        extra: Extra::default(),
    }
}

fn of_dependency(element: &DependencyElement) -> Dependency {
    Dependency {
        writer: element.writer_id,
        logical_path: element.logical_path.clone().filter(|path| !path.is_empty()),
        name: element.name.clone(),
    }
}

fn restore_method(plan: &RestorePlan) -> RestoreMethodElement {
    RestoreMethodElement {
        method: Term::Known(plan.method),
        service: plan.service.clone(),
        user_procedure: plan.user_procedure.clone(),
        writer_restore: Some(Term::Known(plan.writer_restore)),
        reboot_required: Some(plan.reboot_required),
        alternate_locations: plan
            .alternate_locations
            .iter()
            .map(AlternateLocation::to_element)
            .collect(),
        extra: Extra::default(),
    }
}

fn restore_plan(element: &RestoreMethodElement) -> RestorePlan {
    RestorePlan {
        method: element.method.known().unwrap_or(RestoreMethod::Undefined),
        service: element.service.clone(),
        user_procedure: element.user_procedure.clone(),
        writer_restore: known(element.writer_restore.as_ref()).unwrap_or(WriterRestore::Undefined),
        reboot_required: element.reboot_required.unwrap_or_default(),
        alternate_locations: element
            .alternate_locations
            .iter()
            .map(AlternateLocationMapping::to_location)
            .collect(),
    }
}

fn known<T: DocumentTerm>(term: Option<&Term<T>>) -> Option<T> {
    term.and_then(Term::known)
}

impl AlternateLocation {
    /// As it stands in either document.
    pub fn to_element(&self) -> AlternateLocationMapping {
        AlternateLocationMapping {
            path: path_to_text(&self.files.path),
            specification: self.files.specification.clone(),
            recursive: Some(self.files.recursion == Recursion::Tree),
            alternate_path: path_to_text(&self.destination),
            extra: Extra::default(),
        }
    }
}

impl AlternateLocationMapping {
    /// What it says, as values.
    pub fn to_location(&self) -> AlternateLocation {
        AlternateLocation {
            files: file_set(&self.path, &self.specification, self.recursive),
            destination: text_to_path(&self.alternate_path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};
    use umbra_model::{ComponentFlags, WriterId, WriterInstanceId};

    fn everything() -> WriterMetadata {
        let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
        let odd = Path::new(OsStr::from_bytes(b"/srv/\xff"));
        let group = Component {
            logical_path: Some("db".into()),
            caption: Some("A".into()),
            restore_metadata: true,
            notify_on_backup_complete: true,
            selectable: Selectable::No,
            selectable_for_restore: Selectable::Yes,
            flags: ComponentFlags::BACKUP_RECOVERY,
            files: vec![
                FileSet {
                    alternate_path: Some("/srv/spit".into()),
                    backup_type: FileSpecBackupType::FULL_BACKUP_REQUIRED,
                    ..FileSet::tree("/srv/a")
                },
                FileSet::files(odd, "*.db"),
            ],
            dependencies: vec![Dependency {
                writer: WriterId::from_u128(9),
                logical_path: None,
                name: "other".into(),
            }],
            ..Component::file_group("a")
        };
        let database = Component {
            database_files: vec![FileSet::files("/srv", "data")],
            log_files: vec![FileSet::files("/srv", "log?")],
            ..Component::database("b")
        };
        WriterMetadata {
            backup_schema: BackupSchema::INCREMENTAL,
            restore: Some(RestorePlan {
                method: RestoreMethod::Custom,
                service: Some("app.service".into()),
                user_procedure: Some("Read the manual.".into()),
                writer_restore: WriterRestore::Always,
                reboot_required: true,
                alternate_locations: vec![AlternateLocation {
                    files: FileSet::files("/srv", "data"),
                    destination: "/srv/other".into(),
                }],
            }),
            components: vec![group, database],
            included: vec![FileSet {
                alternate_path: Some("/srv/spit".into()),
                ..FileSet::files("/srv", "more")
            }],
            excluded: vec![FileSet::files("/srv", "*.tmp")],
            excluded_from_snapshot: vec![FileSet::tree("/srv/cache")],
            ..WriterMetadata::new(WriterIdentity {
                instance_name: Some("second".into()),
                version: WriterVersion { major: 2, minor: 3 },
                usage: UsageType::SystemService,
                source: SourceType::TransactedDb,
                ..WriterIdentity::new(id, instance, "Test <Writer>")
            })
        }
    }

    #[test]
    fn documents_and_values_say_the_same() {
        let metadata = everything();
        metadata.validate().unwrap();
        let document = metadata.to_document();
        let xml = document.to_xml().unwrap();
        let again = WriterMetadataDocument::from_xml(xml.as_bytes()).unwrap();
        assert_eq!(again, document);
        assert_eq!(again.to_metadata(), metadata);
        for part in [
            "friendlyName=\"Test &lt;Writer&gt;\"",
            "<FILE_GROUP logicalPath=\"db\" componentName=\"a\"",
            "<FILE_LIST path=\"/srv/\u{f7ff}\" filespec=\"*.db\" recursive=\"no\" filespecBackupType=\"3855\"/>",
            "<EXCLUDE_FILES path=\"/srv\" filespec=\"*.tmp\" recursive=\"no\"/>",
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
    }
}
