//! Components and rules for tests.
#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
};
use umbra_backup::{FileKind, Volume, Wanted, component_files};
use umbra_documents::{
    BackupRequest, ChosenComponent, Component, FileRules, FileSet, PathStyle, WriterIdentity,
    WriterMetadata,
};
use umbra_model::{BackupType, ComponentType, WriterId, WriterInstanceId};

pub fn metadata() -> WriterMetadata {
    let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
    WriterMetadata::new(WriterIdentity::new(id, instance, "Test Writer"))
}

pub fn group(files: Vec<FileSet>) -> Component {
    Component {
        files,
        ..Component::file_group("group")
    }
}

pub fn chosen() -> ChosenComponent {
    ChosenComponent::new(None, "group", ComponentType::FileGroup)
}

pub fn rules_for(
    metadata: &WriterMetadata,
    component: &Component,
    chosen: &ChosenComponent,
    backup: BackupType,
) -> FileRules {
    let request = BackupRequest::new(backup);
    let style = PathStyle::Linux;
    FileRules::for_backup(metadata, &[component], Some(chosen), &request, style).unwrap()
}

pub fn rules(files: Vec<FileSet>) -> FileRules {
    rules_for(&metadata(), &group(files), &chosen(), BackupType::Full)
}

/// The files and links that are found, by their path in the backup, and the errors.
pub fn found(volume: &Volume, rules: &FileRules) -> (Vec<PathBuf>, Vec<String>) {
    let (mut paths, mut errors) = (Vec::new(), Vec::new());
    for found in component_files(volume, rules, Wanted::All).unwrap() {
        match found {
            Ok(file) if file.kind != FileKind::Folder => paths.push(file.original().to_owned()),
            Ok(_) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    (paths, errors)
}

pub fn sorted(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths
}

/// Writes a file, with the folders above it.
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
