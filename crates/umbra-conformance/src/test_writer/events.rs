//! What the test writer does at each event.

use super::{
    failing::Failures,
    files::{self, find},
    record::{Asked, Reason, Record, Records},
    report::Report,
    restored::Restored,
};
use crate::configuration::{ConfiguredComponent, TestWriterConfiguration};
use std::{
    collections::BTreeSet,
    fmt::Display,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use umbra_documents::{WriterIdentity, WriterMetadata, path_to_text};
use umbra_model::{BackupType, SetId, VssError};
use umbra_writer::{
    BackupOutcome, EventComponent, EventComponents, RestoreEvent, SetEvent, WriterEvent,
    WriterFailure, WriterFailureKind,
};

/// What the metadata that the writer keeps with a backup begins with; the id of
/// the set follows.
const METADATA: &str = "test writer, set ";

/// The test writer behind its events.
pub(super) struct State {
    configuration: TestWriterConfiguration,
    identity: WriterIdentity,
    pub(super) report: Report,
    subscribed: AtomicBool,
    memory: Mutex<Memory>,
}

/// What it remembers from event to event.
#[derive(Default)]
struct Memory {
    failures: Failures,
    records: Records,
    /// Excluded files that are there before a restore.
    there_before: BTreeSet<PathBuf>,
}

impl State {
    pub(super) fn new(
        configuration: TestWriterConfiguration,
        identity: WriterIdentity,
        report: Report,
    ) -> Self {
        Self {
            configuration,
            identity,
            report,
            subscribed: AtomicBool::new(false),
            memory: Mutex::default(),
        }
    }

    pub(super) fn subscribed(&self) {
        self.subscribed.store(true, Ordering::Relaxed);
        self.report.detail(format_args!(
            "the service knows this writer as instance {}",
            self.identity.instance
        ));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that an event came, and fails where it has to. Why stands at the chosen
    /// components too, as far as the event allows it ("Writer Errors and Vetoes").
    fn enter_with(
        &self,
        event: WriterEvent,
        chosen: &EventComponents,
    ) -> Result<(), WriterFailure> {
        self.enter(event).inspect_err(|failure| {
            for component in chosen.all() {
                let message = failure.message.as_str();
                let said = match event {
                    WriterEvent::PrepareForBackup => {
                        component.set_prepare_for_backup_failure(message)
                    }
                    WriterEvent::PostSnapshot => component.set_post_snapshot_failure(message),
                    WriterEvent::PreRestore => component.set_pre_restore_failure(message),
                    WriterEvent::PostRestore => component.set_post_restore_failure(message),
                    _ => return,
                };
                if let Err(error) = said {
                    self.broken_rule(&error);
                }
            }
        })
    }

    /// Says that an event came, and fails where it has to.
    fn enter(&self, event: WriterEvent) -> Result<(), WriterFailure> {
        self.report.event(event);
        let due = self
            .memory()
            .failures
            .due(&self.configuration.failures, event);
        match due {
            None => Ok(()),
            Some(failure) => {
                let code = failure.kind.code();
                self.report
                    .planned_failure(format_args!("fails at {event} with {code}, as configured"));
                Err(failure)
            }
        }
    }

    /// A failure of the writer's own work.
    fn failed(&self, what: impl Display, error: impl Display) -> WriterFailure {
        let message = format!("{what}: {error}");
        self.report.failure(&message);
        WriterFailure::new(WriterFailureKind::NonRetryable, message)
    }

    fn broken_rule(&self, error: &VssError) -> WriterFailure {
        self.failed("the service refused what the writer said", error)
    }

    pub(super) fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        if self.subscribed.load(Ordering::Relaxed) {
            self.enter(WriterEvent::Identify)?;
        }
        Ok(self.configuration.metadata(self.identity.clone()))
    }

    pub(super) fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.enter_with(WriterEvent::PrepareForBackup, &event.chosen)?;
        self.report.detail(format_args!(
            "{}, components: {}",
            event.backup.backup_type,
            event.components.join(", ")
        ));
        if !self.configuration.supports(event.backup.backup_type) {
            self.report.event(format_args!(
                "  the requester makes a backup of the type {}, which this writer does not support",
                event.backup.backup_type
            ));
        }
        Ok(())
    }

    pub(super) fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.enter(WriterEvent::PrepareForSnapshot)?;
        let components = self.components(event);
        self.check_volumes(event, &components);
        for component in components {
            self.spit(component)
                .map_err(|error| self.failed("cannot copy files for the backup", error))?;
        }
        Ok(())
    }

    pub(super) fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.enter(WriterEvent::Freeze)?;
        let asked = Asked {
            backup: match event.backup.backup_type {
                BackupType::Undefined => BackupType::Full,
                known => known,
            },
            partial_files: event.backup.partial_files,
            components_selected: event.chosen.document().is_some(),
        };
        let record = Record::take(event.set, &self.configuration, &event.components, asked)
            .map_err(|error| self.failed("cannot read the files of the writer", error))?;
        for component in &record.components {
            self.report.detail(format_args!(
                "{}: {} files to back up, {} left out",
                component.path,
                component.files.len(),
                component.left_out.len()
            ));
        }
        self.memory().records.keep(record);
        Ok(())
    }

    pub(super) fn thaw(&self) -> Result<(), WriterFailure> {
        self.enter(WriterEvent::Thaw)
    }

    pub(super) fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.enter_with(WriterEvent::PostSnapshot, &event.chosen)?;
        for chosen in event.chosen.all() {
            self.tell(event, &chosen)
                .map_err(|error| self.broken_rule(&error))?;
        }
        let record = self.memory().records.of(event.set).cloned();
        if let Some(record) = record {
            self.delete(&record)
                .map_err(|error| self.failed("cannot delete the files of the writer", error))?;
        }
        Ok(())
    }

    pub(super) fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        self.enter(WriterEvent::BackupComplete)?;
        self.report.detail(format_args!("the backup {outcome:?}"));
        for chosen in event.chosen.all() {
            let chosen = chosen.get();
            if chosen.backup_succeeded.is_none() {
                self.report.wrong(format_args!(
                    "{}: the requester did not say whether it was backed up (SetBackupSucceeded)",
                    chosen.full_path()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn abort(&self) {
        // Nobody hears of a failure at Abort; it is only said here.
        let _ = self.enter(WriterEvent::Abort);
    }

    pub(super) fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.enter_with(WriterEvent::PreRestore, &event.chosen)?;
        for chosen in event.chosen.all() {
            self.report.detail(chosen.get().full_path());
        }
        if self.configuration.checks.excludes {
            let there = self
                .excluded_files()
                .map_err(|error| self.failed("cannot look for excluded files", error))?;
            for file in &there {
                self.report.event(format_args!(
                    "  {} is there before the restore; empty the folders first for a check of \
                     what is excluded",
                    file.display()
                ));
            }
            self.memory().there_before = there;
        }
        Ok(())
    }

    pub(super) fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.enter_with(WriterEvent::PostRestore, &event.chosen)?;
        let memory = self.memory();
        for chosen in event.chosen.all() {
            let chosen = chosen.get();
            if chosen.selected_for_restore != Some(true) {
                continue;
            }
            let record = chosen
                .backup_metadata
                .as_deref()
                .and_then(|text| text.strip_prefix(METADATA)?.parse::<SetId>().ok())
                .and_then(|set| memory.records.of(set));
            Restored {
                configuration: &self.configuration,
                report: &self.report,
                chosen: &chosen,
                there_before: &memory.there_before,
            }
            .check(record)
        }
        Ok(())
    }

    /// The components of a set, those below chosen ones too.
    fn components(&self, event: &SetEvent) -> Vec<&ConfiguredComponent> {
        let takes_part = |component: &&ConfiguredComponent| {
            let path = component.component.full_path();
            let mut chosen = event.components.iter();
            chosen.any(|above| super::record::covers(above, &path))
        };
        let components = self.configuration.components.iter();
        components.filter(takes_part).collect()
    }

    /// Chosen components must lie on the volumes of the set
    /// (`CVssWriter::IsPathAffected`).
    fn check_volumes(&self, event: &SetEvent, components: &[&ConfiguredComponent]) {
        for component in components {
            let snapshot = umbra_model::FileSpecBackupType::ALL_SNAPSHOT_REQUIRED;
            let missing = component.component.file_sets().find(|set| {
                let folder = set.alternate_path.as_ref().unwrap_or(&set.path);
                set.backup_type.contains(snapshot) && !event.is_path_affected(folder)
            });
            if let Some(set) = missing {
                self.report.wrong(format_args!(
                    "{}: {} is on no volume of the shadow copy set",
                    component.component.full_path(),
                    set.path.display()
                ));
            }
        }
    }

    /// Copies what is backed up from elsewhere to there, and deletes the originals
    /// where files are to be deleted ("Backing Up Spit Writers").
    fn spit(&self, component: &ConfiguredComponent) -> io::Result<()> {
        for set in component.component.file_sets() {
            let Some(folder) = &set.alternate_path else {
                continue;
            };
            std::fs::create_dir_all(folder)?;
            for name in find(&set.path, set)? {
                let from = set.path.join(&name);
                // The copies may lie below the originals.
                if from.starts_with(folder) {
                    continue;
                }
                files::copy(&from, &folder.join(&name))?;
                self.report.detail(format_args!(
                    "copied {} to {}",
                    from.display(),
                    folder.display()
                ));
                if self.configuration.deletions.files {
                    self.remove(&from)?;
                }
            }
        }
        Ok(())
    }

    /// Says at a chosen component what belongs there once the copies exist.
    fn tell(&self, event: &SetEvent, chosen: &EventComponent) -> Result<(), VssError> {
        chosen.set_backup_metadata(format!("{METADATA}{}", event.set))?;
        let path = chosen.get().full_path();
        let components = self.configuration.components.iter();
        let covered =
            components.filter(|one| super::record::covers(&path, &one.component.full_path()));
        for component in covered {
            for partial in &component.partial_files {
                if !event.backup.partial_files {
                    self.report.event(format_args!(
                        "  the requester copies no parts of files; {} is not one",
                        partial.path().display()
                    ));
                    continue;
                }
                chosen.add_partial_file(&partial.folder, &partial.name, &partial.ranges, None)?;
            }
            for differenced in &component.differenced_files {
                chosen.add_differenced_files_by_time(&differenced.files, differenced.since)?;
            }
        }
        Ok(())
    }

    /// Deletes what is in the copies now, as far as the configuration says.
    fn delete(&self, record: &Record) -> io::Result<()> {
        let deletions = self.configuration.deletions;
        for component in &record.components {
            for file in &component.files {
                let deleted = match file.reason {
                    Reason::Component => deletions.files,
                    Reason::Partial => deletions.partial_files,
                    Reason::Differenced => deletions.differenced_files,
                };
                if deleted {
                    self.remove(&file.source)?;
                }
            }
            if deletions.files {
                for file in &component.left_out {
                    self.remove(file)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        files::remove(file)?;
        self.report
            .detail(format_args!("deleted {}", path_to_text(file)));
        Ok(())
    }

    fn excluded_files(&self) -> io::Result<BTreeSet<PathBuf>> {
        let mut there = BTreeSet::new();
        for set in &self.configuration.excluded {
            let names = find(&set.path, set)?;
            there.extend(names.iter().map(|name| set.path.join(name)));
        }
        Ok(there)
    }
}
