//! Whether a requester has put back what it should, where it should.

use super::{
    files::{below, find, is_there},
    record::{Content, Record, RecordedComponent, RecordedFile, covers},
    report::Report,
};
use crate::configuration::TestWriterConfiguration;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use umbra_documents::{ChosenComponent, FileSet, Recursion, full_path, text_to_path};
use umbra_model::{BackupSchema, FileRestoreStatus, RestoreMethod};

/// One component that a requester says it has restored.
pub(super) struct Restored<'a> {
    pub(super) configuration: &'a TestWriterConfiguration,
    pub(super) report: &'a Report,
    pub(super) chosen: &'a ChosenComponent,
    /// Excluded files that were there before the restore.
    pub(super) there_before: &'a BTreeSet<PathBuf>,
}

/// Where a requester says that it has put a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Home,
    NewTarget(PathBuf),
    Alternate(PathBuf),
}

impl Restored<'_> {
    /// Checks everything that the configuration asks for.
    pub(super) fn check(&self, record: Option<&Record>) {
        let path = self.chosen.full_path();
        match self.chosen.file_restore_status.as_ref() {
            None => self.report.wrong(format_args!(
                "{path}: the requester did not say how the restore went (SetFileRestoreStatus)"
            )),
            Some(status) => {
                let status = status.known().unwrap_or(FileRestoreStatus::Undefined);
                if matches!(status, FileRestoreStatus::None | FileRestoreStatus::Failed) {
                    let said = format!("{path}: the requester says {status}; nothing to check");
                    self.report.event(said);
                    return;
                }
            }
        }
        self.check_new_targets();
        self.check_alternate_locations();
        let Some(record) = record else {
            if self.configuration.checks.includes {
                self.report.event(format_args!(
                    "{path}: this instance saw no such backup; its files are not checked"
                ));
            }
            return;
        };
        let components = record
            .components
            .iter()
            .filter(|component| self.is_restored(&component.path));
        for component in components {
            if self.configuration.checks.includes {
                self.check_includes(component);
            }
            if self.configuration.checks.excludes {
                self.check_excludes(component);
            }
        }
    }

    /// Whether a component of the record comes back with the chosen one.
    fn is_restored(&self, path: &str) -> bool {
        if !covers(&self.chosen.full_path(), path) {
            return false;
        }
        let parts = &self.chosen.restore_subcomponents;
        parts.is_empty()
            || parts.iter().any(|part| {
                let part = full_path(part.logical_path.as_deref(), &part.name);
                covers(&part, path)
            })
    }

    fn check_new_targets(&self) {
        let supported = BackupSchema::WRITER_SUPPORTS_NEW_TARGET;
        if !self.chosen.new_targets.is_empty() && !self.configuration.schema.contains(supported) {
            self.report.wrong(format_args!(
                "{}: the requester used a new target (AddNewTarget), which this writer does not \
                 support",
                self.chosen.full_path()
            ));
        }
    }

    /// What the requester says it used must be what the writer offered.
    fn check_alternate_locations(&self) {
        for used in &self.chosen.alternate_locations {
            let used = FileSet {
                alternate_path: Some(text_to_path(&used.alternate_path)),
                ..FileSet::new(
                    text_to_path(&used.path),
                    &used.specification,
                    Recursion::from(used.recursive.unwrap_or(false)),
                )
            };
            let mut offered = self.configuration.restore.alternate_locations.iter();
            let is_offered = offered.any(|one| {
                one.files.is_same_place(&used)
                    && Some(&one.destination) == used.alternate_path.as_ref()
            });
            if !is_offered {
                self.report.wrong(format_args!(
                    "{}: the requester used an alternate location for {} {:?} that the writer \
                     does not have",
                    self.chosen.full_path(),
                    used.path.display(),
                    used.specification
                ));
            }
        }
    }

    fn check_includes(&self, component: &RecordedComponent) {
        let mut right = 0;
        for file in &component.files {
            if self.check_file(file) {
                right += 1;
            }
        }
        self.report.detail(format_args!(
            "{}: {right} of {} files are restored",
            component.path,
            component.files.len()
        ));
    }

    fn check_file(&self, file: &RecordedFile) -> bool {
        let place = self.place(&file.home);
        let must_be_alternate =
            self.configuration.restore.method == RestoreMethod::RestoreToAlternateLocation;
        let offered = self.offered(&file.home);
        if must_be_alternate && offered.is_some() && place == Place::Home {
            self.report.wrong(format_args!(
                "{}: it is to be restored to an alternate location, and the requester did not \
                 say that it was (AddAlternativeLocationMapping)",
                file.home.display()
            ));
            return false;
        }
        let at = match &place {
            Place::Home => &file.home,
            Place::NewTarget(at) | Place::Alternate(at) => at,
        };
        let problem = match file.content.is_in(at) {
            Ok(true) => return true,
            Ok(false) => match file.content {
                Content::Whole(_) => "is not as it was backed up".to_owned(),
                Content::Ranges(_) => "has other parts than were backed up".to_owned(),
            },
            Err(_) if !is_there(at) => match offered {
                Some(offered) if place == Place::Home && is_there(&offered) => format!(
                    "is not restored; there is {}, but the requester did not say so \
                     (AddAlternativeLocationMapping)",
                    offered.display()
                ),
                _ => "is not restored".to_owned(),
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        self.report
            .wrong(format_args!("{} {problem}", at.display()));
        false
    }

    /// Nothing that is excluded may have come back, wherever it could have.
    fn check_excludes(&self, component: &RecordedComponent) {
        let mut suspects: BTreeSet<PathBuf> = BTreeSet::new();
        for set in &self.configuration.excluded {
            match find(&set.path, set) {
                Ok(names) => suspects.extend(names.iter().map(|name| set.path.join(name))),
                Err(error) => self.report.failure(format_args!(
                    "cannot look for excluded files in {}: {error}",
                    set.path.display()
                )),
            }
        }
        for file in &component.left_out {
            match self.place(file) {
                Place::NewTarget(at) | Place::Alternate(at) => suspects.insert(at),
                Place::Home => suspects.insert(file.clone()),
            };
        }
        for suspect in suspects.difference(self.there_before) {
            if is_there(suspect) {
                self.report.wrong(format_args!(
                    "{} is excluded and was restored",
                    suspect.display()
                ));
            }
        }
    }

    fn place(&self, home: &Path) -> Place {
        let at = |path: &str, specification: &str, recursive: Option<bool>, to: &str| {
            let recursion = Recursion::from(recursive.unwrap_or(false));
            let set = FileSet::new(text_to_path(path), specification, recursion);
            let name = below(&set.path, &set, home)?;
            Some(text_to_path(to).join(name))
        };
        let mut targets = self.chosen.new_targets.iter().filter_map(|one| {
            at(
                &one.path,
                &one.specification,
                one.recursive,
                &one.alternate_path,
            )
        });
        let mut alternates = self.chosen.alternate_locations.iter().filter_map(|one| {
            at(
                &one.path,
                &one.specification,
                one.recursive,
                &one.alternate_path,
            )
        });
        match (targets.next(), alternates.next()) {
            (Some(at), _) => Place::NewTarget(at),
            (None, Some(at)) => Place::Alternate(at),
            (None, None) => Place::Home,
        }
    }

    /// Where the writer's own mappings would have a file.
    fn offered(&self, home: &Path) -> Option<PathBuf> {
        let mut mappings = self.configuration.restore.alternate_locations.iter();
        mappings.find_map(|mapping| {
            let name = below(&mapping.files.path, &mapping.files, home)?;
            Some(mapping.destination.join(name))
        })
    }
}
