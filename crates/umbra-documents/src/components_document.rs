//! The Backup Components Document: what a requester chose, what it set, and what
//! writers left in it ("Backup Components Document Contents").

use crate::{
    FileTime,
    metadata::full_path,
    schema::{Extra, SchemaVersion, Term, element_types},
    writer_document::AlternateLocationMapping,
};
use umbra_model::{
    BackupSchema, BackupType, ComponentType, FileRestoreStatus, RestoreTarget, RestoreType,
    RollForwardType, SetId, WriterId, WriterInstanceId,
};

/// The schema of the document.
pub const BACKUP_COMPONENTS_SCHEMA: &str = "x-schema:#VssComponentMetadata";

element_types! {
    /// A backup or restore as its requester records it
    /// (`IVssBackupComponents::SaveAsXML`).
    BackupComponentsDocument = "BACKUP_COMPONENTS" {
        /// The version of the schema.
        version: SchemaVersion = "version",
        /// Whether the state that the system needs to start is backed up
        /// (`SetBackupState`).
        bootable_system_state: Option<bool> = "bootableSystemStateBackup",
        /// Whether components are chosen one by one (`SetBackupState`).
        select_components: Option<bool> = "selectComponents",
        /// What kind of backup it is (`SetBackupState`).
        backup_type: Option<Term<BackupType>> = "backupType",
        /// Whether parts of files may be backed up (`SetBackupState`).
        partial_file_support: Option<bool> = "partialFileSupport",
        /// The shadow copy set that was made (`StartSnapshotSet`).
        snapshot_set_id: Option<SetId> = "snapshotSetId",
        /// What kind of restore it is (`SetRestoreState`).
        restore_type: Option<Term<RestoreType>> = "restoreType",
        ;
        /// The writers of which components were chosen.
        writers: Vec<WriterComponents>,
    }

    /// The chosen components of one writer (`IVssWriterComponentsExt`).
    WriterComponents = "WRITER_COMPONENTS" {
        /// The running instance of the writer.
        instance_id: WriterInstanceId = "instanceId",
        /// The class of the writer.
        writer_id: WriterId = "writerId",
        /// What kinds of backup and restore it can take part in.
        backup_schema: Option<BackupSchema> = "backupSchema",
        ;
        /// The components.
        components: Vec<ChosenComponent>,
    }

    /// A component that was chosen (`IVssComponent`, `Ex`, `Ex2`). What has a `Set...`
    /// or an `Add...` there and here has a `Get...` of the same name; the `Get...Count`s
    /// are the lengths of the lists.
    ChosenComponent = "COMPONENT" {
        /// Where it stands in the writer's tree (`GetLogicalPath`).
        logical_path: Option<String> = "logicalPath",
        /// Its name (`GetComponentName`).
        name: String = "componentName",
        /// What it is (`GetComponentType`).
        component_type: Term<ComponentType> = "componentType",
        /// Whether its backup succeeded (`SetBackupSucceeded`).
        backup_succeeded: Option<bool> = "backupSucceeded",
        /// What the requester tells the writer for the backup (`SetBackupOptions`).
        backup_options: Option<String> = "backupOptions",
        /// What the writer keeps with the backup (`SetBackupMetadata`).
        backup_metadata: Option<String> = "backupMetadata",
        /// When it was backed up, in a form of the writer (`SetBackupStamp`).
        backup_stamp: Option<String> = "backupStamp",
        /// The stamp of the backup that this one builds on (`SetPreviousBackupStamp`).
        previous_backup_stamp: Option<String> = "previousBackupStamp",
        /// Why PrepareForBackup failed (`SetPrepareForBackupFailureMsg`).
        prepare_for_backup_failure: Option<String> = "prepareForBackupFailureMsg",
        /// Why PostSnapshot failed (`SetPostSnapshotFailureMsg`).
        post_snapshot_failure: Option<String> = "postSnapshotFailureMsg",
        /// Whether it is to be restored (`SetSelectedForRestore`,
        /// `IsSelectedForRestore`).
        selected_for_restore: Option<bool> = "selectedForRestore",
        /// Whether more restores follow (`SetAdditionalRestores`).
        additional_restores: Option<bool> = "additionalRestores",
        /// What the requester tells the writer for the restore (`SetRestoreOptions`).
        restore_options: Option<String> = "restoreOptions",
        /// What the writer keeps for the rest of the restore (`SetRestoreMetadata`).
        restore_metadata: Option<String> = "restoreMetadata",
        /// Where the writer wants the files (`SetRestoreTarget`).
        restore_target: Option<Term<RestoreTarget>> = "restoreTarget",
        /// The name it gets in the restore (`SetRestoreName`).
        restore_name: Option<String> = "restoreName",
        /// Whether the restore wins over replicas (`SetAuthoritativeRestore`).
        authoritative_restore: Option<bool> = "authoritativeRestore",
        /// How far logs are applied after the restore (`SetRollForward`).
        roll_forward: Option<Term<RollForwardType>> = "rollType",
        /// Up to where, in a form of the writer (`SetRollForward`).
        roll_forward_point: Option<String> = "rollForwardPoint",
        /// How the restore of its files went (`SetFileRestoreStatus`).
        file_restore_status: Option<Term<FileRestoreStatus>> = "fileRestoreStatus",
        /// Why PreRestore failed (`SetPreRestoreFailureMsg`).
        pre_restore_failure: Option<String> = "preRestoreFailureMsg",
        /// Why PostRestore failed (`SetPostRestoreFailureMsg`).
        post_restore_failure: Option<String> = "postRestoreFailureMsg",
        ;
        /// Where files were put, or are to be put, that could not be put back
        /// (`AddAlternativeLocationMapping`, `GetAlternateLocationMapping`).
        alternate_locations: Vec<AlternateLocationMapping>,
        /// Files of which parts are backed up (`AddPartialFile`).
        partial_files: Vec<PartialFile>,
        /// Files that are backed up where they changed
        /// (`AddDifferencedFilesByLastModifyTime`, `...LSN`).
        differenced_files: Vec<DifferencedFile>,
        /// Where the writer wants parts of files
        /// (`AddDirectedTarget`).
        directed_targets: Vec<DirectedTarget>,
        /// Where the requester puts files
        /// (`AddNewTarget`).
        new_targets: Vec<NewTarget>,
        /// Components below it that are to be restored
        /// (`AddRestoreSubcomponent`).
        restore_subcomponents: Vec<RestoreSubcomponent>,
        /// How the writer failed at it (`SetFailure`).
        failure: Option<ComponentFailure>,
    }

    /// Parts of a file (`AddPartialFile`, "Working with Partial Files").
    PartialFile = "PARTIAL_FILE" {
        /// The folder.
        path: String = "path",
        /// The name; no `*` or `?`.
        name: String = "filename",
        /// The parts, as `offset:length,offset:length`, in bytes.
        ranges: Option<String> = "ranges",
        /// The file in the backup that has the list of parts instead
        /// (`SetRangesFilePath`).
        ranges_file: Option<String> = "rangesFile",
        /// What the writer keeps with it.
        metadata: Option<String> = "metadata",
        ;
    }

    /// Files that are backed up where they changed since a moment
    /// (`GetDifferencedFile`).
    DifferencedFile = "DIFFERENCED_FILE" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        /// The log sequence number since when, in a form of the writer.
        lsn: Option<String> = "lsnString",
        /// The time since when.
        last_modified: Option<FileTime> = "lastModifyTime",
        ;
    }

    /// Where a writer wants parts of a file (`AddDirectedTarget`, "Working with
    /// Directed Targets").
    DirectedTarget = "DIRECTED_TARGET" {
        /// The folder that was backed up.
        source_path: String = "sourcePath",
        /// The name in it.
        source_name: String = "sourceFilename",
        /// The parts, as `offset:length,offset:length`, in bytes.
        source_ranges: String = "sourceRangeList",
        /// The folder to restore to.
        destination_path: String = "destinationPath",
        /// The name in it.
        destination_name: String = "destinationFilename",
        /// The parts there, as many and as long as those of the source.
        destination_ranges: String = "destinationRangeList",
        ;
    }

    /// Where a requester puts files (`AddNewTarget`, "Working with New Targets
    /// During Restore").
    NewTarget = "NEW_TARGET" {
        /// The folder that was backed up.
        path: String = "path",
        /// Which names in it.
        specification: String = "fileName",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        /// The folder to restore to.
        alternate_path: String = "alternatePath",
        ;
    }

    /// A component below a chosen one that is to be restored
    /// (`AddRestoreSubcomponent`).
    RestoreSubcomponent = "RESTORE_SUBCOMPONENT" {
        /// Where it stands in the writer's tree.
        logical_path: Option<String> = "subComponentLogicalPath",
        /// Its name.
        name: String = "subComponentName",
        /// Not used by VSS: no.
        repair: Option<bool> = "repair",
        ;
    }

    /// How a writer failed at a component (`IVssComponentEx2::SetFailure`).
    ComponentFailure = "FAILURE" {
        /// A `VSS_E_WRITERERROR_...` code.
        code: u32 = "hr",
        /// The writer's own code.
        application_code: Option<u32> = "hrApplication",
        /// Why, for people.
        message: Option<String> = "applicationMessage",
        ;
    }
}

impl BackupComponentsDocument {
    /// A document of nothing yet.
    pub fn new() -> Self {
        Self {
            version: SchemaVersion::V1_2,
            bootable_system_state: None,
            select_components: None,
            backup_type: None,
            partial_file_support: None,
            snapshot_set_id: None,
            restore_type: None,
            writers: Vec::new(),
            extra: Extra::default(),
        }
    }
}

impl Default for BackupComponentsDocument {
    fn default() -> Self {
        Self::new()
    }
}

impl WriterComponents {
    /// No component of this writer yet.
    pub fn new(writer_id: WriterId, instance_id: WriterInstanceId) -> Self {
        Self {
            instance_id,
            writer_id,
            backup_schema: None,
            components: Vec::new(),
            extra: Extra::default(),
        }
    }

    /// The component at this place.
    pub fn component(&self, logical_path: Option<&str>, name: &str) -> Option<&ChosenComponent> {
        let mut components = self.components.iter();
        components.find(|one| one.is_at(logical_path, name))
    }

    /// The component at this place, to change it.
    pub fn component_mut(
        &mut self,
        logical_path: Option<&str>,
        name: &str,
    ) -> Option<&mut ChosenComponent> {
        let mut components = self.components.iter_mut();
        components.find(|one| one.is_at(logical_path, name))
    }
}

impl ChosenComponent {
    /// A component of which nothing is known but its place and type.
    pub fn new(
        logical_path: Option<String>,
        name: impl Into<String>,
        component_type: ComponentType,
    ) -> Self {
        Self {
            logical_path,
            name: name.into(),
            component_type: Term::Known(component_type),
            backup_succeeded: None,
            backup_options: None,
            backup_metadata: None,
            backup_stamp: None,
            previous_backup_stamp: None,
            prepare_for_backup_failure: None,
            post_snapshot_failure: None,
            selected_for_restore: None,
            additional_restores: None,
            restore_options: None,
            restore_metadata: None,
            restore_target: None,
            restore_name: None,
            authoritative_restore: None,
            roll_forward: None,
            roll_forward_point: None,
            file_restore_status: None,
            pre_restore_failure: None,
            post_restore_failure: None,
            alternate_locations: Vec::new(),
            partial_files: Vec::new(),
            differenced_files: Vec::new(),
            directed_targets: Vec::new(),
            new_targets: Vec::new(),
            restore_subcomponents: Vec::new(),
            failure: None,
            extra: Extra::default(),
        }
    }

    /// The logical path and the name, joined as VSS prints them.
    pub fn full_path(&self) -> String {
        full_path(self.logical_path.as_deref(), &self.name)
    }

    /// Whether it stands there; an empty logical path is none.
    pub fn is_at(&self, logical_path: Option<&str>, name: &str) -> bool {
        self.name == name
            && self.logical_path.as_deref().unwrap_or_default() == logical_path.unwrap_or_default()
    }
}
