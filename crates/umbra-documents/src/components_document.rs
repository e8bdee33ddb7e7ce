//! The Backup Components Document: what a requester chose, what it set, and what
//! writers left in it ("Backup Components Document Contents").

use crate::schema::{SchemaVersion, Term, element_types};
use umbra_model::{BackupSchema, BackupType, ComponentType, SetId, WriterId, WriterInstanceId};

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

    /// A component that was chosen (`IVssComponent`, `Ex`, `Ex2`).
    ChosenComponent = "COMPONENT" {
        /// Where it stands in the writer's tree.
        logical_path: Option<String> = "logicalPath",
        /// Its name.
        name: String = "componentName",
        /// What it is.
        component_type: Term<ComponentType> = "componentType",
        ;
    }





}
