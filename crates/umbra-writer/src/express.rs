//! Express writers: a document that stands for a writer that has no process.

use std::path::PathBuf;
use umbra_documents::{
    BackupLocations, Component, Dependency, Extra, FileGroup, FileSet, RestorePlan, WriterIdentity,
    WriterMetadata, WriterMetadataDocument, WriterVersion, full_path,
};
use umbra_model::{
    BackupSchema, ComponentFlags, ComponentType, RestoreMethod, UsageType, VssCode, VssError,
    VssResult, WriterId, WriterInstanceId, WriterRestore,
};

/// The largest document of an express writer: 512 KiB, which is thousands of file
/// sets.
pub const MAX_EXPRESS_DOCUMENT: usize = 512 << 10;

/// What an express writer says: made call by call
/// (`IVssCreateExpressWriterMetadata`) or read (`IVssExpressWriter::LoadMetadata`).
///
/// There is no process behind it, so it can say less than another writer: file
/// groups only, nothing that has an event answered, and no files that the copy
/// may leave out. What a document says and Umbra does not know is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressWriterMetadata {
    document: WriterMetadataDocument,
}

impl ExpressWriterMetadata {
    /// A writer that owns nothing yet (`IVssExpressWriter::CreateMetadata`).
    pub fn create(
        id: WriterId,
        name: impl Into<String>,
        usage: UsageType,
        version: WriterVersion,
    ) -> Self {
        let identity = WriterIdentity {
            usage,
            version,
            ..WriterIdentity::new(id, WriterInstanceId::random(), name)
        };
        Self {
            document: WriterMetadata::new(identity).to_document(),
        }
    }

    /// Reads a document and checks it (`IVssExpressWriter::LoadMetadata`).
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT`: with line and column for what is no Writer
    /// Metadata Document or larger than [`MAX_EXPRESS_DOCUMENT`], with the
    /// component for what no express writer can say.
    pub fn load(xml: &[u8]) -> VssResult<Self> {
        if xml.len() > MAX_EXPRESS_DOCUMENT {
            return Err(broken(format!(
                "the document has {} bytes; an express writer's has {MAX_EXPRESS_DOCUMENT} at most",
                xml.len()
            )));
        }
        let loaded = Self {
            document: WriterMetadataDocument::from_xml(xml)?,
        };
        loaded.check()?;
        Ok(loaded)
    }

    /// The document as XML (`SaveAsXML`).
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT` for what no express writer can say, or XML
    /// cannot represent.
    pub fn save_as_xml(&self) -> VssResult<String> {
        self.check()?;
        self.document.to_xml()
    }

    /// What it says, as values.
    pub fn metadata(&self) -> WriterMetadata {
        self.document.to_metadata()
    }

    /// The class of the writer.
    pub fn id(&self) -> WriterId {
        self.document.identification.writer_id
    }

    /// The same writer as another instance: each registration is one.
    #[must_use]
    pub fn with_instance(mut self, instance: WriterInstanceId) -> Self {
        self.document.identification.instance_id = instance;
        self
    }

    /// Files that a backup leaves out (`AddExcludeFiles`).
    pub fn add_exclude_files(&mut self, files: FileSet) {
        let added = self.locations_of(|metadata| metadata.excluded.push(files));
        self.locations().excluded.extend(added.excluded);
    }

    /// A component, with its files and dependencies (`AddComponent`).
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for one that no express writer can have,
    /// `VSS_E_OBJECT_ALREADY_EXISTS` where there is one at its place.
    pub fn add_component(&mut self, component: Component) -> VssResult<()> {
        check_component(&component).map_err(|why| VssError::new(VssCode::InvalidArgument, why))?;
        let place = component.full_path();
        if self
            .find(component.logical_path.as_deref(), &component.name)
            .is_ok()
        {
            return Err(VssError::new(
                VssCode::ObjectAlreadyExists,
                format!("the express writer has a component {place:?} already"),
            ));
        }
        let added = self.locations_of(|metadata| metadata.components.push(component));
        self.locations().file_groups.extend(added.file_groups);
        Ok(())
    }

    /// More files of a component (`AddFilesToFileGroup`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where there is no such component.
    pub fn add_files_to_file_group(
        &mut self,
        logical_path: Option<&str>,
        name: &str,
        files: FileSet,
    ) -> VssResult<()> {
        let added = self.group_of(|group| group.files.push(files));
        let group = self.find(logical_path, name)?;
        group
            .files
            .extend(added.into_iter().flat_map(|group| group.files));
        Ok(())
    }

    /// What a component needs of another writer (`AddComponentDependency`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where there is no such component.
    pub fn add_component_dependency(
        &mut self,
        logical_path: Option<&str>,
        name: &str,
        dependency: Dependency,
    ) -> VssResult<()> {
        let added = self.group_of(|group| group.dependencies.push(dependency));
        let group = self.find(logical_path, name)?;
        group
            .dependencies
            .extend(added.into_iter().flat_map(|group| group.dependencies));
        Ok(())
    }

    /// How its files are put back (`SetRestoreMethod`).
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for a plan in which the writer takes part, or one with
    /// alternate locations: an express writer has none.
    pub fn set_restore_method(&mut self, plan: RestorePlan) -> VssResult<()> {
        check_restore(&plan).map_err(|why| VssError::new(VssCode::InvalidArgument, why))?;
        self.document.restore_method = self
            .document_of(|metadata| metadata.restore = Some(plan))
            .restore_method;
        Ok(())
    }

    /// What kinds of backup it can take part in (`SetBackupSchema`).
    pub fn set_backup_schema(&mut self, schema: BackupSchema) {
        self.document.backup_schema = Some(schema);
    }

    /// The document of a writer that says only this.
    fn document_of(&self, say: impl FnOnce(&mut WriterMetadata)) -> WriterMetadataDocument {
        let mut metadata = WriterMetadata::new(self.metadata().identity);
        say(&mut metadata);
        metadata.to_document()
    }

    fn group_of(&self, say: impl FnOnce(&mut Component)) -> Vec<FileGroup> {
        let mut group = Component::file_group("group");
        say(&mut group);
        self.locations_of(|metadata| metadata.components.push(group))
            .file_groups
    }

    fn locations_of(&self, say: impl FnOnce(&mut WriterMetadata)) -> BackupLocations {
        let locations = self.document_of(say).backup_locations;
        locations.unwrap_or_else(nothing_owned)
    }

    fn locations(&mut self) -> &mut BackupLocations {
        let locations = &mut self.document.backup_locations;
        locations.get_or_insert_with(nothing_owned)
    }

    fn find(&mut self, logical_path: Option<&str>, name: &str) -> VssResult<&mut FileGroup> {
        let wanted = full_path(logical_path, name);
        let mut groups = self.locations().file_groups.iter_mut();
        groups
            .find(|group| full_path(group.logical_path.as_deref(), &group.name) == wanted)
            .ok_or_else(|| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!("the express writer has no component {wanted:?}; add it first"),
                )
            })
    }

    fn check(&self) -> VssResult<()> {
        let metadata = self.metadata();
        let restore = metadata.restore.as_ref().map_or(Ok(()), check_restore);
        let kinds = [
            (&metadata.included, "files that no component has"),
            (
                &metadata.excluded_from_snapshot,
                "files that a shadow copy may leave out",
            ),
        ];
        let unsaid = kinds.iter().find(|(files, _)| !files.is_empty());
        restore
            .and_then(|()| metadata.components.iter().try_for_each(check_component))
            .and_then(|()| match unsaid {
                Some((_, what)) => Err(format!("an express writer cannot have {what}")),
                None => Ok(()),
            })
            .map_err(broken)?;
        metadata.validate().map_err(|why| broken(why.to_string()))
    }
}

fn nothing_owned() -> BackupLocations {
    BackupLocations {
        file_groups: Vec::new(),
        databases: Vec::new(),
        included: Vec::new(),
        excluded: Vec::new(),
        excluded_from_snapshot: Vec::new(),
        extra: Extra::default(),
    }
}

fn broken(why: String) -> VssError {
    VssError::new(VssCode::InvalidXmlDocument, why)
}

/// # Errors
///
/// Which rule the component breaks.
fn check_component(component: &Component) -> Result<(), String> {
    let recovery = [
        ComponentFlags::BACKUP_RECOVERY,
        ComponentFlags::APP_ROLLBACK_RECOVERY,
    ];
    let why = if component.kind == ComponentType::Database {
        "is a database; an express writer has file groups only"
    } else if component.restore_metadata {
        "has metadata for a restore, which no process would hand over"
    } else if component.notify_on_backup_complete {
        "wants to hear of the end of a backup, but no process would"
    } else if recovery.iter().any(|flag| component.flags.contains(*flag)) {
        "wants its shadow copy to be recovered, which no process would do"
    } else {
        return Ok(());
    };
    Err(format!("the component {:?} {why}", component.full_path()))
}

/// # Errors
///
/// Which rule the plan breaks.
fn check_restore(plan: &RestorePlan) -> Result<(), String> {
    let why = if !matches!(
        plan.writer_restore,
        WriterRestore::Never | WriterRestore::Undefined
    ) {
        "has the writer take part in a restore, but there is no process that could"
    } else if !plan.alternate_locations.is_empty()
        || plan.method == RestoreMethod::RestoreToAlternateLocation
    {
        "has alternate locations, which an express writer cannot name"
    } else {
        return Ok(());
    };
    Err(format!("the restore method {why}"))
}

/// A document where a service looks for express writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressWriterEntry {
    /// The file.
    pub file: PathBuf,
    /// The writer, or why the file makes none.
    pub writer: VssResult<WriterMetadata>,
}

/// Who keeps the documents of express writers (`IVssExpressWriter`). Calls block.
pub trait ExpressWriters: Send + Sync {
    /// Every document, by file.
    ///
    /// # Errors
    ///
    /// The place where they are cannot be read or trusted.
    fn list(&self) -> VssResult<Vec<ExpressWriterEntry>>;

    /// Keeps a document from now on, as a new instance
    /// (`IVssExpressWriter::Register`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS` where the writer is registered,
    /// `VSS_E_INVALID_XML_DOCUMENT`, or the system's error.
    fn register(&self, metadata: &ExpressWriterMetadata) -> VssResult<ExpressWriterEntry>;

    /// Forgets the writer (`IVssExpressWriter::Unregister`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where it is not registered, or the system's error.
    fn unregister(&self, id: WriterId) -> VssResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: WriterId = WriterId::from_u128(7);

    fn written() -> ExpressWriterMetadata {
        let version = WriterVersion { major: 2, minor: 1 };
        let mut express = ExpressWriterMetadata::create(ID, "Wiki", UsageType::UserData, version);
        express
            .add_component(Component::file_group("pages"))
            .unwrap();
        let files = FileSet::tree("/srv/wiki");
        express
            .add_files_to_file_group(None, "pages", files)
            .unwrap();
        express.add_exclude_files(FileSet::tree("/srv/wiki/cache"));
        express
    }

    #[test]
    fn every_call_is_in_the_document() {
        let mut express = written();
        let dependency = Dependency {
            writer: WriterId::from_u128(9),
            logical_path: None,
            name: "main".into(),
        };
        express
            .add_component_dependency(None, "pages", dependency.clone())
            .unwrap();
        express.set_backup_schema(BackupSchema::COPY);
        let plan = RestorePlan {
            method: RestoreMethod::RestoreIfCanReplace,
            service: None,
            user_procedure: None,
            writer_restore: WriterRestore::Never,
            reboot_required: false,
            alternate_locations: Vec::new(),
        };
        express.set_restore_method(plan.clone()).unwrap();

        let xml = express.save_as_xml().unwrap();
        let again = ExpressWriterMetadata::load(xml.as_bytes()).unwrap();
        assert_eq!(again, express);
        let said = again.metadata();
        assert_eq!(
            (said.identity.id, said.identity.name.as_str()),
            (ID, "Wiki")
        );
        assert_eq!(said.components[0].files, [FileSet::tree("/srv/wiki")]);
        assert_eq!(said.components[0].dependencies, [dependency]);
        assert_eq!(said.excluded, [FileSet::tree("/srv/wiki/cache")]);
        assert_eq!(said.backup_schema, BackupSchema::COPY);
        assert_eq!(said.restore, Some(plan));
    }

    #[test]
    fn calls_are_checked() {
        let mut express = written();
        let check = |result: VssResult<()>, code| assert_eq!(result.unwrap_err().code(), code);
        check(
            express.add_component(Component::database("db")),
            VssCode::InvalidArgument,
        );
        check(
            express.add_component(Component::file_group("pages")),
            VssCode::ObjectAlreadyExists,
        );
        check(
            express.add_files_to_file_group(None, "other", FileSet::tree("/srv")),
            VssCode::ObjectNotFound,
        );
    }

    #[test]
    fn what_no_process_could_do_is_refused() {
        let xml = written().save_as_xml().unwrap();
        let check = |from: &str, to: &str, expected: &str| {
            assert!(xml.contains(from), "{from} in {xml}");
            let error = ExpressWriterMetadata::load(xml.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(error.code(), VssCode::InvalidXmlDocument, "{error}");
            assert!(error.message().contains(expected), "{error}");
        };
        check(
            "restoreMetadata=\"no\"",
            "restoreMetadata=\"yes\"",
            "\"pages\" has metadata",
        );
        check(
            "notifyOnBackupComplete=\"no\"",
            "notifyOnBackupComplete=\"yes\"",
            "\"pages\" wants to hear",
        );
        check("componentFlags=\"0\"", "componentFlags=\"1\"", "recovered");
        check("FILE_GROUP", "DATABASE", "file groups only");
        check("path=\"/srv/wiki\"", "path=\"srv/wiki\"", "not absolute");
        check(
            "<BACKUP_LOCATIONS>",
            "<RESTORE_METHOD method=\"CUSTOM\" writerRestore=\"always\"/><BACKUP_LOCATIONS>",
            "no process",
        );
        check("<BACKUP_LOCATIONS>", "<BACKUP_LOCATIONS", "line");
        let large = vec![b' '; MAX_EXPRESS_DOCUMENT + 1];
        let error = ExpressWriterMetadata::load(&large).unwrap_err();
        assert!(error.message().contains("at most"), "{error}");
    }

    #[test]
    fn what_umbra_does_not_know_is_kept() {
        let xml = written().save_as_xml().unwrap();
        let xml = xml.replace("<FILE_GROUP ", "<FILE_GROUP later=\"1\" ");
        let mut express = ExpressWriterMetadata::load(xml.as_bytes()).unwrap();
        express.set_backup_schema(BackupSchema::COPY);
        assert!(express.save_as_xml().unwrap().contains("later=\"1\""));
    }
}
