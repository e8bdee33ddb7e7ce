//! A volume, its backup and where it is restored to.
#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use crate::support::{group, metadata};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::tempdir;
use umbra_backup::{BackupFolder, RestoreReport, SaveReport, Volume, Wanted, restore, save};
use umbra_documents::{
    AlternateLocation, ChosenComponent, Component, Extra, FileRules, FileSet, PartialFile,
    PathStyle, RestorePlan, RestoreRules, WriterMetadata,
};
use umbra_model::{RestoreMethod, WriterRestore};

/// A volume known as `/srv`, a backup, and a target that stands for `/`.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub backup: BackupFolder,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempdir().unwrap();
        for name in ["volume", "target"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let backup = BackupFolder::create(folder.path().join("backup")).unwrap();
        Self { folder, backup }
    }

    pub fn volume(&self, name: &str) -> PathBuf {
        self.folder.path().join("volume").join(name)
    }

    pub fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join("target").join(name)
    }

    pub fn save(&self, rules: &FileRules) -> SaveReport {
        let volume = Volume::shadow_copy(self.volume(""), "/srv").unwrap();
        save(&volume, rules, Wanted::All, &self.backup).unwrap()
    }

    pub fn restore(
        &self,
        metadata: &WriterMetadata,
        component: &Component,
        chosen: &ChosenComponent,
    ) -> RestoreReport {
        let style = PathStyle::Linux;
        let rules = FileRules::for_restore(&[component], Some(chosen), style).unwrap();
        let places = RestoreRules::new(metadata, chosen, style).unwrap();
        restore(&self.backup, &rules, &places, self.target("")).unwrap()
    }
}

pub fn plan(method: RestoreMethod, mapping: Option<(&str, &str)>) -> WriterMetadata {
    let locations = mapping.map(|(from, to)| AlternateLocation {
        files: FileSet::tree(from),
        destination: to.into(),
    });
    WriterMetadata {
        restore: Some(RestorePlan {
            method,
            service: None,
            user_procedure: None,
            writer_restore: WriterRestore::Never,
            reboot_required: false,
            alternate_locations: locations.into_iter().collect(),
        }),
        ..metadata()
    }
}

pub fn partial(path: &str, name: &str, ranges: &str) -> PartialFile {
    PartialFile {
        path: path.into(),
        name: name.into(),
        ranges: Some(ranges.into()),
        ranges_file: None,
        metadata: None,
        extra: Extra::default(),
    }
}

pub fn all() -> Component {
    group(vec![FileSet::tree("/srv")])
}

pub fn as_on_the_volume(volume: &Path, target: &Path) {
    let compared = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([volume, target])
        .output();
    let compared = compared.unwrap();
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stdout)
    );
}
