//! Which file sets a kind of backup needs, and from where.

use crate::{Component, FileSet};
use umbra_model::{BackupSchema, BackupType, ComponentType, FileSpecBackupType};

/// From where a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// The shadow copy of its volume.
    ShadowCopy,
    /// Either: the writer keeps it stable on the volume itself ("Requester Role in
    /// Backing Up Complex Stores", backup without a shadow copy).
    LiveVolume,
}

/// The kind of backup that a writer's files get when a requester makes one of this
/// kind: a writer that does not support it gets a full one ("Requester Role in
/// Backing Up Complex Stores").
pub fn supported_backup_type(asked: BackupType, schema: BackupSchema) -> BackupType {
    let needed = match asked {
        BackupType::Incremental => BackupSchema::INCREMENTAL,
        BackupType::Differential => BackupSchema::DIFFERENTIAL,
        BackupType::Log => BackupSchema::LOG,
        BackupType::Full | BackupType::Copy | BackupType::Undefined | BackupType::Other => {
            return asked;
        }
    };
    if schema.contains(needed) {
        asked
    } else {
        BackupType::Full
    }
}

impl FileSet {
    /// Whether a backup of this kind needs the files (`GetBackupTypeMask`, "File
    /// Level Schema Support"). A copy needs what a full backup needs; so does a
    /// backup of no kind that VSS knows.
    pub fn is_needed_by(&self, backup: BackupType) -> bool {
        self.backup_type.contains(required_for(backup).0)
    }

    /// From where a backup of this kind reads the files.
    pub fn read_from(&self, backup: BackupType) -> ReadFrom {
        if self.backup_type.contains(required_for(backup).1) {
            ReadFrom::ShadowCopy
        } else {
            ReadFrom::LiveVolume
        }
    }

    /// Whether the files appear only while the backup is made
    /// (`VSS_FSBT_CREATED_DURING_BACKUP`), so that it is no fault when they are not
    /// there before.
    pub fn is_created_during_backup(&self) -> bool {
        let flag = FileSpecBackupType::CREATED_DURING_BACKUP;
        self.backup_type.contains(flag)
    }
}

impl Component {
    /// The file sets that a backup of this kind needs. Of a database, a log backup
    /// needs log files only, whatever else their mask says ("Writer Role in Backing
    /// Up Complex Stores", `VSS_BT_LOG`): every file set is marked for log backups
    /// unless its writer took care.
    pub fn file_sets_for(&self, backup: BackupType) -> impl Iterator<Item = &FileSet> {
        let logs_only = backup == BackupType::Log && self.kind == ComponentType::Database;
        let not_logs = self.files.iter().chain(&self.database_files);
        not_logs
            .filter(move |_| !logs_only)
            .chain(&self.log_files)
            .filter(move |set| set.is_needed_by(backup))
    }
}

/// The flag that a backup of this kind asks for, and the one for its shadow copy.
fn required_for(backup: BackupType) -> (FileSpecBackupType, FileSpecBackupType) {
    use FileSpecBackupType as Flags;
    match backup {
        BackupType::Incremental => (
            Flags::INCREMENTAL_BACKUP_REQUIRED,
            Flags::INCREMENTAL_SNAPSHOT_REQUIRED,
        ),
        BackupType::Differential => (
            Flags::DIFFERENTIAL_BACKUP_REQUIRED,
            Flags::DIFFERENTIAL_SNAPSHOT_REQUIRED,
        ),
        BackupType::Log => (Flags::LOG_BACKUP_REQUIRED, Flags::LOG_SNAPSHOT_REQUIRED),
        BackupType::Full | BackupType::Copy | BackupType::Undefined | BackupType::Other => {
            (Flags::FULL_BACKUP_REQUIRED, Flags::FULL_SNAPSHOT_REQUIRED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(bits: FileSpecBackupType) -> FileSet {
        FileSet {
            backup_type: bits,
            ..FileSet::tree("/srv")
        }
    }

    /// "Requester Role in Backing Up Complex Stores", the values of the mask.
    #[test]
    fn the_mask_says_which_backups_need_a_set() {
        use BackupType::{Copy, Differential, Full, Incremental, Log, Other, Undefined};
        use FileSpecBackupType as Flags;
        let check = |flag: Flags, needed: &[BackupType]| {
            for backup in BackupType::ALL {
                let is_needed = set(flag).is_needed_by(*backup);
                assert_eq!(is_needed, needed.contains(backup), "{flag:?} {backup}");
            }
        };
        check(Flags::FULL_BACKUP_REQUIRED, &[Full, Copy, Undefined, Other]);
        check(Flags::DIFFERENTIAL_BACKUP_REQUIRED, &[Differential]);
        check(Flags::INCREMENTAL_BACKUP_REQUIRED, &[Incremental]);
        check(Flags::LOG_BACKUP_REQUIRED, &[Log]);
        check(Flags::ALL_BACKUP_REQUIRED, BackupType::ALL);
        check(Flags::ALL_SNAPSHOT_REQUIRED, &[]);
    }

    /// The same page, backup without a shadow copy.
    #[test]
    fn the_mask_says_which_backups_need_a_shadow_copy() {
        use FileSpecBackupType as Flags;
        let logs = set(Flags::ALL_BACKUP_REQUIRED.with(Flags::FULL_SNAPSHOT_REQUIRED));
        assert_eq!(logs.read_from(BackupType::Full), ReadFrom::ShadowCopy);
        assert_eq!(logs.read_from(BackupType::Copy), ReadFrom::ShadowCopy);
        assert_eq!(logs.read_from(BackupType::Log), ReadFrom::LiveVolume);
        let usual = FileSet::tree("/srv");
        for backup in BackupType::ALL {
            assert_eq!(usual.read_from(*backup), ReadFrom::ShadowCopy);
        }
        assert!(!usual.is_created_during_backup());
        assert!(set(Flags::CREATED_DURING_BACKUP).is_created_during_backup());
    }

    /// The same page, backup type: a log backup takes log files; the example of a
    /// component that only log backups need.
    #[test]
    fn a_log_backup_takes_the_log_files_of_a_database() {
        let database = Component {
            database_files: vec![FileSet::files("/srv", "data")],
            log_files: vec![FileSet::files("/srv", "log")],
            ..Component::database("db")
        };
        let names = |component: &Component, backup| -> Vec<String> {
            let sets = component.file_sets_for(backup);
            sets.map(|set| set.specification.clone()).collect()
        };
        assert_eq!(names(&database, BackupType::Log), ["log"]);
        assert_eq!(names(&database, BackupType::Full), ["data", "log"]);
        let only_log = Component {
            files: vec![set(FileSpecBackupType::LOG_BACKUP_REQUIRED)],
            ..Component::file_group("logs")
        };
        assert_eq!(names(&only_log, BackupType::Log), ["*"]);
        assert!(names(&only_log, BackupType::Full).is_empty());
    }

    /// The same page: what a writer does not support is a full backup.
    #[test]
    fn a_writer_gets_a_full_backup_where_it_knows_no_other() {
        let check = |asked, schema, expected| {
            assert_eq!(supported_backup_type(asked, schema), expected);
        };
        use BackupType::{Copy, Differential, Full, Incremental, Log};
        check(Incremental, BackupSchema::INCREMENTAL, Incremental);
        check(Incremental, BackupSchema::DIFFERENTIAL, Full);
        check(Differential, BackupSchema::DIFFERENTIAL, Differential);
        check(Log, BackupSchema::UNDEFINED, Full);
        check(Copy, BackupSchema::UNDEFINED, Copy);
    }
}
