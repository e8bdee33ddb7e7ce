//! The Writer Metadata Document: who a writer is, what it owns, and how that is
//! put back ("Writer Metadata Document Contents").

use crate::schema::{SchemaVersion, Term, element_types};
use umbra_model::{
    BackupSchema, ComponentFlags, FileSpecBackupType, RestoreMethod, SourceType, UsageType,
    WriterId, WriterInstanceId, WriterRestore,
};

/// The schema of the document.
pub const WRITER_METADATA_SCHEMA: &str = "x-schema:#VssWriterMetadataInfo";

element_types! {
    /// What a writer says about itself and its data
    /// (`IVssExamineWriterMetadata`).
    WriterMetadataDocument = "WRITER_METADATA" {
        /// The version of the schema.
        version: SchemaVersion = "version",
        /// What kinds of backup and restore it can take part in
        /// (`SetBackupSchema`); none where absent.
        backup_schema: Option<BackupSchema> = "backupSchema",
        ;
        /// Who it is.
        identification: Identification,
        /// How its files are put back.
        restore_method: Option<RestoreMethodElement>,
        /// What it owns.
        backup_locations: Option<BackupLocations>,
    }

    /// Who a writer is (`GetIdentityEx`, `GetVersion`).
    Identification = "IDENTIFICATION" {
        /// The class of writer.
        writer_id: WriterId = "writerId",
        /// The running instance that wrote the document.
        instance_id: WriterInstanceId = "instanceId",
        /// Which of several instances of one class it is.
        instance_name: Option<String> = "instanceName",
        /// The name that people see.
        friendly_name: String = "friendlyName",
        /// How its data is used.
        usage: Term<UsageType> = "usage",
        /// What kind of program it speaks for.
        data_source: Term<SourceType> = "dataSource",
        /// The version of the writer.
        major_version: Option<u32> = "majorVersion",
        /// The version of the writer, behind the point.
        minor_version: Option<u32> = "minorVersion",
        ;
    }

    /// How files are put back (`SetRestoreMethod`).
    RestoreMethodElement = "RESTORE_METHOD" {
        /// The way.
        method: Term<RestoreMethod> = "method",
        /// The service to stop meanwhile, where the way needs it.
        service: Option<String> = "service",
        /// What a person has to do, where the way is custom.
        user_procedure: Option<String> = "userProcedure",
        /// When the writer takes part.
        writer_restore: Option<Term<WriterRestore>> = "writerRestore",
        /// Whether the machine must be started again afterwards.
        reboot_required: Option<bool> = "rebootRequired",
        ;
        /// Where files go that cannot be put back where they were.
        alternate_locations: Vec<AlternateLocationMapping>,
    }

    /// Where files go instead (`AddAlternateLocationMapping`).
    AlternateLocationMapping = "ALTERNATE_LOCATION_MAPPING" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        /// The folder that takes its place.
        alternate_path: String = "alternatePath",
        ;
    }

    /// What a writer owns.
    BackupLocations = "BACKUP_LOCATIONS" {
        ;
        /// Components that are files.
        file_groups: Vec<FileGroup>,
        /// Components that are databases.
        databases: Vec<Database>,
        /// Files that no component has (`AddIncludeFiles`).
        included: Vec<IncludedFiles>,
        /// Files that a backup leaves out (`AddExcludeFiles`).
        excluded: Vec<ExcludedFiles>,
        /// Files that the shadow copy leaves out (`AddExcludeFilesFromSnapshot`).
        excluded_from_snapshot: Vec<ExcludedFilesFromSnapshot>,
    }

    /// A component made of files (`VSS_CT_FILEGROUP`; `VSS_COMPONENTINFO`).
    FileGroup = "FILE_GROUP" {
        /// Where it stands in the writer's tree.
        logical_path: Option<String> = "logicalPath",
        /// Its name, unique under its logical path.
        name: String = "componentName",
        /// What people see.
        caption: Option<String> = "caption",
        /// Whether the writer adds metadata to a restore.
        restore_metadata: Option<bool> = "restoreMetadata",
        /// Whether it wants to hear of the end of a backup.
        notify_on_backup_complete: Option<bool> = "notifyOnBackupComplete",
        /// Whether a requester may choose it for a backup.
        selectable: Option<bool> = "selectable",
        /// Whether a requester may choose it for a restore.
        selectable_for_restore: Option<bool> = "selectableForRestore",
        /// What it supports.
        flags: Option<ComponentFlags> = "componentFlags",
        ;
        /// Its files (`AddFilesToFileGroup`).
        files: Vec<FileList>,
        /// What it needs of other writers (`AddComponentDependency`).
        dependencies: Vec<DependencyElement>,
    }

    /// A component that is a database (`VSS_CT_DATABASE`; `VSS_COMPONENTINFO`).
    Database = "DATABASE" {
        /// Where it stands in the writer's tree.
        logical_path: Option<String> = "logicalPath",
        /// Its name, unique under its logical path.
        name: String = "componentName",
        /// What people see.
        caption: Option<String> = "caption",
        /// Whether the writer adds metadata to a restore.
        restore_metadata: Option<bool> = "restoreMetadata",
        /// Whether it wants to hear of the end of a backup.
        notify_on_backup_complete: Option<bool> = "notifyOnBackupComplete",
        /// Whether a requester may choose it for a backup.
        selectable: Option<bool> = "selectable",
        /// Whether a requester may choose it for a restore.
        selectable_for_restore: Option<bool> = "selectableForRestore",
        /// What it supports.
        flags: Option<ComponentFlags> = "componentFlags",
        ;
        /// Its files (`AddDatabaseFiles`).
        files: Vec<DatabaseFiles>,
        /// Its log files (`AddDatabaseLogFiles`).
        log_files: Vec<DatabaseLogFiles>,
        /// What it needs of other writers (`AddComponentDependency`).
        dependencies: Vec<DependencyElement>,
    }

    /// A component of another writer that this one needs
    /// (`AddComponentDependency`).
    DependencyElement = "DEPENDENCY" {
        /// The class of the other writer.
        writer_id: WriterId = "writerId",
        /// Where the other component stands.
        logical_path: Option<String> = "logicalPath",
        /// Its name.
        name: String = "componentName",
        ;
    }

    /// Files of a file group (`IVssWMFiledesc`).
    FileList = "FILE_LIST" {
        /// The folder; on Windows it may have environment variables.
        path: String = "path",
        /// Which names in it: a name, or one with `*` and `?`.
        specification: String = "filespec",
        /// Whether the folders below it are meant too; no where absent.
        recursive: Option<bool> = "recursive",
        /// Where the backup finds the files instead.
        alternate_path: Option<String> = "alternatePath",
        /// Which backups need them, and which need them from the shadow copy.
        backup_type: Option<FileSpecBackupType> = "filespecBackupType",
        ;
    }

    /// Files of a database.
    DatabaseFiles = "DATABASE_FILES" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Which backups need them, and which need them from the shadow copy.
        backup_type: Option<FileSpecBackupType> = "filespecBackupType",
        ;
    }

    /// Log files of a database.
    DatabaseLogFiles = "DATABASE_LOGFILES" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Which backups need them, and which need them from the shadow copy.
        backup_type: Option<FileSpecBackupType> = "filespecBackupType",
        ;
    }

    /// Files that no component has.
    IncludedFiles = "INCLUDE_FILES" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        /// Where the backup finds the files instead.
        alternate_path: Option<String> = "alternatePath",
        ;
    }

    /// Files that a backup leaves out.
    ExcludedFiles = "EXCLUDE_FILES" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        ;
    }

    /// Files that the shadow copy leaves out.
    ExcludedFilesFromSnapshot = "EXCLUDE_FILES_FROM_SNAPSHOT" {
        /// The folder.
        path: String = "path",
        /// Which names in it.
        specification: String = "filespec",
        /// Whether the folders below it are meant too.
        recursive: Option<bool> = "recursive",
        ;
    }
}
