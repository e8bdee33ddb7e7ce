//! Writers to choose from.
#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use umbra_documents::{
    BackupComponentsDocument, BackupSelection, Component, ComponentChoice, Dependency, Selectable,
    WriterIdentity, WriterMetadata, WriterTrees,
};
use umbra_model::{VssCode, WriterId, WriterInstanceId};

/// A component as the tables of the pages have it: name, logical path, selectable
/// for backup, selectable for restore.
pub type Row = (&'static str, &'static str, char, char);

/// The writer of "Logical Pathing of Components", with the selectability for restore
/// of "Selectability and Working with Component Properties".
pub const MY_WRITER: &[Row] = &[
    ("Executables", "", 'N', 'N'),
    ("ConfigFiles", "Executables", 'N', 'N'),
    ("LicenseInfo", "", 'Y', 'N'),
    ("Security", "", 'Y', 'N'),
    ("UserInfo", "Security", 'N', 'N'),
    ("Certificates", "Security", 'N', 'N'),
    ("writerData", "", 'Y', 'Y'),
    ("Set1", "writerData", 'N', 'Y'),
    ("Jan", "writerData\\Set1", 'N', 'N'),
    ("Dec", "writerData\\Set1", 'N', 'N'),
    ("Set2", "writerData", 'N', 'Y'),
    ("Jan", "writerData\\Set2", 'N', 'N'),
    ("Dec", "writerData\\Set2", 'N', 'N'),
    ("Query", "writerData\\QueryLogs", 'N', 'N'),
    ("Usage", "writerData", 'Y', 'Y'),
    ("Jan", "writerData\\Usage", 'N', 'N'),
    ("Dec", "writerData\\Usage", 'N', 'N'),
];

/// A writer of one component, as WMI's is.
pub const ALONE: &[Row] = &[("WMI", "", 'N', 'N')];

/// Logical paths without components, as those of the ASR Writer and SQL Server.
pub const REAL_PATHS: &[Row] = &[
    ("ASR", "ASR", 'N', 'N'),
    ("BCD", "BCD", 'N', 'N'),
    ("Volume{1}", "Volumes", 'Y', 'Y'),
    ("model", "SERVER", 'Y', 'Y'),
    ("log", "SERVER\\model", 'N', 'N'),
];

/// The class of a writer with this number.
pub fn class(number: u128) -> WriterId {
    WriterId::from_u128(number)
}

/// A writer of these components; class and instance have the same number.
pub fn writer(number: u128, rows: &[Row]) -> WriterMetadata {
    let name = format!("Writer {number}");
    let identity = WriterIdentity::new(class(number), WriterInstanceId::from_u128(number), name);
    let components = rows.iter().map(|(name, path, backup, restore)| Component {
        logical_path: Some((*path).to_owned()).filter(|path| !path.is_empty()),
        selectable: Selectable::from(*backup == 'Y'),
        selectable_for_restore: Selectable::from(*restore == 'Y'),
        ..Component::file_group(*name)
    });
    WriterMetadata {
        components: components.collect(),
        ..WriterMetadata::new(identity)
    }
}

/// A component of the writer with this number, by logical path and name.
pub fn choice(number: u128, path: &str) -> ComponentChoice<'_> {
    let (logical_path, name) = match path.rsplit_once('\\') {
        Some((path, name)) => (Some(path), name),
        None => (None, path),
    };
    ComponentChoice {
        writer: class(number),
        instance: None,
        kind: None,
        logical_path,
        name,
    }
}

/// What an addition answers.
pub const NOT_FOUND: Option<VssCode> = Some(VssCode::ObjectNotFound);
/// What an addition answers.
pub const EXISTS: Option<VssCode> = Some(VssCode::ObjectAlreadyExists);
/// What an addition answers.
pub const INVALID: Option<VssCode> = Some(VssCode::InvalidArgument);
/// What an addition answers.
pub const BAD_STATE: Option<VssCode> = Some(VssCode::BadState);

/// What comes with `writerData` of `MyWriter`.
pub const OF_WRITER_DATA: &[&str] = &[
    "writerData\\Set1",
    "writerData\\Set1\\Jan",
    "writerData\\Set1\\Dec",
    "writerData\\Set2",
    "writerData\\Set2\\Jan",
    "writerData\\Set2\\Dec",
    "writerData\\QueryLogs\\Query",
    "writerData\\Usage",
    "writerData\\Usage\\Jan",
    "writerData\\Usage\\Dec",
];
/// What comes with `writerData\Usage`.
pub const OF_USAGE: &[&str] = &["writerData\\Usage\\Jan", "writerData\\Usage\\Dec"];
/// What comes with `Security`.
pub const OF_SECURITY: &[&str] = &["Security\\UserInfo", "Security\\Certificates"];
/// What must be added whenever anything of `MyWriter` is.
pub const REQUIRED: &[&str] = &["Executables", "Executables\\ConfigFiles"];

/// What is included explicitly in the table of
/// selectability-and-working-with-component-properties.
pub const BACKED_UP: &[&str] = &[
    "Executables",
    "Executables\\ConfigFiles",
    "LicenseInfo",
    "Security",
    "writerData",
];

/// The Backup Components Document of a backup to which these were added.
pub fn document(trees: &WriterTrees, added: &[&str]) -> BackupComponentsDocument {
    let mut selection = BackupSelection::new(trees.clone().into());
    for path in added {
        selection.add(&choice(1, path)).unwrap();
    }
    let mut document = BackupComponentsDocument::new();
    document.writers = selection.backup_set().writer_components(trees);
    document
}

/// Makes a component of a writer depend on one of another.
pub fn needs(
    writer: &mut WriterMetadata,
    component: usize,
    of: u128,
    path: Option<&str>,
    name: &str,
) {
    writer.components[component].dependencies.push(Dependency {
        writer: class(of),
        logical_path: path.map(str::to_owned),
        name: name.to_owned(),
    });
}
