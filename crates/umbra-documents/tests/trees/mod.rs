//! Writers to choose from.
#![allow(dead_code, reason = "not every test uses all of it")]

use umbra_documents::{Component, ComponentChoice, Selectable, WriterIdentity, WriterMetadata};
use umbra_model::{WriterId, WriterInstanceId};

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
