//! The configuration of a test writer ("VSS Test Writer Tool", "Using a
//! Configuration File"). Paths in it are those of Linux.

use super::xml::{ABSOLUTE, ConfigurationError, Element, Parsed, absolute, document, text};
use jiff::{civil::DateTime, tz::TimeZone};
use std::path::PathBuf;
use umbra_documents::{
    AlternateLocation, Component, Dependency, FileSet, FileTime, RestorePlan, Selectable,
    WriterIdentity, WriterMetadata, text_to_path,
};
use umbra_model::{
    BackupSchema, BackupType, ComponentType, FileSpecBackupType, RestoreMethod, UsageType,
    WriterId, WriterRestore,
};
use umbra_writer::WriterEvent;

/// Everything that a test writer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestWriterConfiguration {
    /// How its data is used (`usage`).
    pub usage: UsageType,
    /// How much it prints (`verbosity`).
    pub verbosity: Verbosity,
    /// What it deletes once the copies exist (`deleteFiles`,
    /// `deletePartialFiles`, `deleteDifferencedFiles`).
    pub deletions: Deletions,
    /// What it checks after a restore (`checkIncludes`, `checkExcludes`).
    pub checks: Checks,
    /// What it says that it supports (`supportsCopy` and the like).
    pub schema: BackupSchema,
    /// How its files are put back (`RestoreMethod`).
    pub restore: RestorePlan,
    /// What a backup leaves out (`ExcludeFile`).
    pub excluded: Vec<FileSet>,
    /// What it owns (`Component`).
    pub components: Vec<ConfiguredComponent>,
    /// Where it fails (`FailEvent`).
    pub failures: Vec<FailEvent>,
}

/// How much a test writer prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Its own failures, and what a requester did wrong.
    Low,
    /// And which events come.
    #[default]
    Medium,
    /// And what it does about them.
    High,
}

/// What a test writer deletes once the copies exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletions {
    /// The files of its components.
    pub files: bool,
    /// The files of which parts are backed up.
    pub partial_files: bool,
    /// The files that are backed up where they changed.
    pub differenced_files: bool,
}

/// What a test writer checks after a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// That what was backed up is there again, in the right place, unharmed.
    pub includes: bool,
    /// That what is excluded is not there.
    pub excludes: bool,
}

/// A component, and what the writer says of it once the copies exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredComponent {
    /// The component as the writer's metadata has it.
    pub component: Component,
    /// Files of which parts are backed up (`PartialFile`).
    pub partial_files: Vec<ConfiguredPartialFile>,
    /// Files that are backed up where they changed (`DifferencedFile`).
    pub differenced_files: Vec<ConfiguredDifferencedFile>,
}

/// Parts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredPartialFile {
    /// The folder.
    pub folder: PathBuf,
    /// The name in it.
    pub name: String,
    /// The parts as they are written.
    pub ranges: String,
    /// The parts: offset and length in bytes.
    pub parsed: Vec<(u64, u64)>,
}

impl ConfiguredPartialFile {
    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(text_to_path(&self.name))
    }
}

/// Files that are backed up where they changed since a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredDifferencedFile {
    /// Which files.
    pub files: FileSet,
    /// The moment, in UTC.
    pub since: FileTime,
}

/// An event at which the writer fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailEvent {
    /// The event.
    pub event: WriterEvent,
    /// How it fails.
    pub kind: FailureKind,
    /// How often, before it succeeds; always where nothing is said.
    pub times: Option<u32>,
}

/// How a test writer fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// With one of the codes that say that trying again may help.
    Retryable,
    /// With `VSS_E_WRITERERROR_NONRETRYABLE`.
    NonRetryable,
}

const CHILDREN: [&str; 4] = ["RestoreMethod", "ExcludeFile", "Component", "FailEvent"];
const COMPONENT_CHILDREN: [&str; 4] = [
    "ComponentFile",
    "Dependency",
    "PartialFile",
    "DifferencedFile",
];
/// The events that can fail, as the page writes them, and the one spelling in
/// which it leaves a letter out.
const EVENTS: [(&str, WriterEvent); 11] = [
    ("Identify", WriterEvent::Identify),
    ("PrepareForBackup", WriterEvent::PrepareForBackup),
    ("PrepareForSnapshot", WriterEvent::PrepareForSnapshot),
    ("PrepareForSnapsot", WriterEvent::PrepareForSnapshot),
    ("Freeze", WriterEvent::Freeze),
    ("Thaw", WriterEvent::Thaw),
    ("PostSnapshot", WriterEvent::PostSnapshot),
    ("Abort", WriterEvent::Abort),
    ("BackupComplete", WriterEvent::BackupComplete),
    ("PreRestore", WriterEvent::PreRestore),
    ("PostRestore", WriterEvent::PostRestore),
];

impl TestWriterConfiguration {
    /// Reads a configuration file. Times in it are those of the machine's time
    /// zone.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line and column.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        Self::read_in(bytes, &TimeZone::system())
    }

    fn read_in(bytes: &[u8], zone: &TimeZone) -> Parsed<Self> {
        let document = document(text(bytes)?)?;
        let root = Element::root(&document, "TestWriter")?;
        let mut configuration = Self::of_attributes(&root)?;
        let children = root.children()?;
        let mut children = children.iter();
        configuration.restore = match children.next() {
            Some(first) if first.name() == "RestoreMethod" => restore_method(first)?,
            Some(first) => return Err(first.wrong(FIRST)),
            None => return Err(root.wrong(FIRST)),
        };
        for child in children {
            match child.name() {
                "ExcludeFile" => {
                    configuration.excluded.push(child.file_set()?);
                    child.done()?;
                }
                "Component" => {
                    let component = component(child, zone)?;
                    configuration.refuse_second(child, &component)?;
                    configuration.components.push(component);
                }
                "FailEvent" => {
                    let failure = fail_event(child)?;
                    let mut there = configuration.failures.iter();
                    if there.any(|one| one.event == failure.event) {
                        let problem = format!("a second FailEvent for {}", failure.event);
                        return Err(child.wrong(problem));
                    }
                    configuration.failures.push(failure);
                }
                "RestoreMethod" => return Err(child.wrong("a second RestoreMethod")),
                _ => return Err(child.unexpected("TestWriter", &CHILDREN)),
            }
        }
        configuration.check_mappings(&root)?;
        Ok(configuration)
    }

    fn of_attributes(root: &Element<'_, '_>) -> Parsed<Self> {
        let yes = |name, default| root.yes(name).map(|set| set.unwrap_or(default));
        let mut schema = BackupSchema::UNDEFINED;
        for (name, default, flag) in [
            ("supportsCopy", false, BackupSchema::COPY),
            ("supportsDifferential", false, BackupSchema::DIFFERENTIAL),
            ("supportsIncremental", false, BackupSchema::INCREMENTAL),
            ("supportsLog", false, BackupSchema::LOG),
            (
                "supportsNewTarget",
                true,
                BackupSchema::WRITER_SUPPORTS_NEW_TARGET,
            ),
        ] {
            if yes(name, default)? {
                schema = schema.with(flag);
            }
        }
        let verbosity = root.optional_as("verbosity", "low, medium or high", |word| match word
            .to_ascii_lowercase()
            .as_str()
        {
            "low" => Some(Verbosity::Low),
            "medium" => Some(Verbosity::Medium),
            "high" => Some(Verbosity::High),
            _ => None,
        })?;
        let configuration = Self {
            usage: root.word("usage")?.unwrap_or(UsageType::UserData),
            verbosity: verbosity.unwrap_or_default(),
            deletions: Deletions {
                files: yes("deleteFiles", false)?,
                partial_files: yes("deletePartialFiles", false)?,
                differenced_files: yes("deleteDifferencedFiles", false)?,
            },
            checks: Checks {
                includes: yes("checkIncludes", false)?,
                excludes: yes("checkExcludes", false)?,
            },
            schema,
            restore: RestorePlan {
                method: RestoreMethod::Undefined,
                service: None,
                user_procedure: None,
                writer_restore: WriterRestore::Undefined,
                reboot_required: false,
                alternate_locations: Vec::new(),
            },
            excluded: Vec::new(),
            components: Vec::new(),
            failures: Vec::new(),
        };
        root.done()?;
        Ok(configuration)
    }

    fn refuse_second(
        &self,
        element: &Element<'_, '_>,
        component: &ConfiguredComponent,
    ) -> Parsed<()> {
        let path = component.component.full_path();
        let mut there = self.components.iter();
        if there.any(|one| one.component.full_path() == path) {
            return Err(element.wrong(format!("a second component {path:?}")));
        }
        Ok(())
    }

    /// A mapping says where files of a component go, so one must have them.
    fn check_mappings(&self, root: &Element<'_, '_>) -> Parsed<()> {
        let has = |files: &FileSet| {
            let mut sets = self
                .components
                .iter()
                .flat_map(|one| one.component.file_sets());
            sets.any(|set| set.is_same_place(files))
        };
        let mut mappings = self.restore.alternate_locations.iter();
        match mappings.find(|mapping| !has(&mapping.files)) {
            None => Ok(()),
            Some(AlternateLocation { files, .. }) => Err(root.wrong(format!(
                "the AlternateLocationMapping of {} {:?} matches no ComponentFile: path, \
                 filespec and recursive must be the same",
                files.path.display(),
                files.specification
            ))),
        }
    }

    /// What the writer answers to Identify.
    pub fn metadata(&self, identity: WriterIdentity) -> WriterMetadata {
        let mut schema = self.schema;
        if self
            .components
            .iter()
            .any(|one| !one.differenced_files.is_empty())
        {
            schema = schema.with(BackupSchema::LAST_MODIFY);
        }
        WriterMetadata {
            backup_schema: schema,
            restore: Some(self.restore.clone()),
            components: self
                .components
                .iter()
                .map(|one| one.component.clone())
                .collect(),
            excluded: self.excluded.clone(),
            ..WriterMetadata::new(identity)
        }
    }

    /// Whether the writer says that it supports this type of backup ("Declaring
    /// Supported Backup Types"). Every writer supports full ones.
    pub fn supports(&self, backup: BackupType) -> bool {
        let flag = match backup {
            BackupType::Incremental => BackupSchema::INCREMENTAL,
            BackupType::Differential => BackupSchema::DIFFERENTIAL,
            BackupType::Log => BackupSchema::LOG,
            BackupType::Copy => BackupSchema::COPY,
            BackupType::Full | BackupType::Other | BackupType::Undefined => return true,
        };
        self.schema.contains(flag)
    }
}

const FIRST: &str = "the first element in TestWriter must be RestoreMethod";

fn restore_method(element: &Element<'_, '_>) -> Parsed<RestorePlan> {
    let mut plan = RestorePlan {
        method: method(element)?,
        service: None,
        user_procedure: None,
        writer_restore: element
            .word("writerRestore")?
            .unwrap_or(WriterRestore::Always),
        reboot_required: element.yes("rebootRequired")?.unwrap_or(false),
        alternate_locations: Vec::new(),
    };
    element.done()?;
    for child in element.children()? {
        if child.name() != "AlternateLocationMapping" {
            return Err(child.unexpected("RestoreMethod", &["AlternateLocationMapping"]));
        }
        plan.alternate_locations.push(child.alternate_location()?);
        child.done()?;
    }
    Ok(plan)
}

/// The page has a second word for one of the methods, which is the method's name
/// in the reference.
fn method(element: &Element<'_, '_>) -> Parsed<RestoreMethod> {
    use umbra_documents::DocumentTerm;
    let expected = format!("one of {}", RestoreMethod::WORDS.join(", "));
    element.required_as("method", &expected, |word| {
        let reference = || RestoreMethod::from_name(&format!("VSS_RME_{word}"));
        RestoreMethod::from_word(word).or_else(reference)
    })
}

fn component(element: &Element<'_, '_>, zone: &TimeZone) -> Parsed<ConfiguredComponent> {
    let kind = element
        .word("componentType")?
        .unwrap_or(ComponentType::FileGroup);
    let name = element.required_as("componentName", "a name", |name| {
        (!name.is_empty()).then(|| name.to_owned())
    })?;
    let logical_path = element
        .optional("logicalPath")
        .filter(|path| !path.is_empty());
    let mut component = Component {
        kind,
        logical_path: logical_path.map(str::to_owned),
        selectable: element.yes("selectable")?.unwrap_or(true).into(),
        selectable_for_restore: element
            .yes("selectableForRestore")?
            .map_or(Selectable::No, Selectable::from),
        ..Component::file_group(name)
    };
    element.done()?;
    let mut configured = ConfiguredComponent {
        component: component.clone(),
        partial_files: Vec::new(),
        differenced_files: Vec::new(),
    };
    for child in element.children()? {
        match child.name() {
            "ComponentFile" => {
                let files = component_file(&child)?;
                match kind {
                    ComponentType::Database => component.database_files.push(files),
                    _ => component.files.push(files),
                }
            }
            "Dependency" => component.dependencies.push(Dependency {
                writer: child.required_as("writerId", "a GUID", |id| {
                    id.trim_matches(['{', '}']).parse::<WriterId>().ok()
                })?,
                logical_path: child
                    .optional("logicalPath")
                    .filter(|path| !path.is_empty())
                    .map(str::to_owned),
                name: child.required("componentName")?.to_owned(),
            }),
            "PartialFile" => configured.partial_files.push(partial_file(&child)?),
            "DifferencedFile" => {
                let files = differenced_file(&child, zone)?;
                configured.differenced_files.push(files);
            }
            _ => return Err(child.unexpected("Component", &COMPONENT_CHILDREN)),
        }
        child.done()?;
    }
    configured.component = component;
    Ok(configured)
}

fn component_file(element: &Element<'_, '_>) -> Parsed<FileSet> {
    let mut mask = FileSpecBackupType::default();
    for (name, flag) in [
        (
            "fullBackupRequired",
            FileSpecBackupType::FULL_BACKUP_REQUIRED,
        ),
        (
            "diffBackupRequired",
            FileSpecBackupType::DIFFERENTIAL_BACKUP_REQUIRED,
        ),
        (
            "incBackupRequired",
            FileSpecBackupType::INCREMENTAL_BACKUP_REQUIRED,
        ),
        ("logBackupRequired", FileSpecBackupType::LOG_BACKUP_REQUIRED),
        (
            "fullSnapshotRequired",
            FileSpecBackupType::FULL_SNAPSHOT_REQUIRED,
        ),
        (
            "diffSnapshotRequired",
            FileSpecBackupType::DIFFERENTIAL_SNAPSHOT_REQUIRED,
        ),
        (
            "incSnapshotRequired",
            FileSpecBackupType::INCREMENTAL_SNAPSHOT_REQUIRED,
        ),
        (
            "logSnapshotRequired",
            FileSpecBackupType::LOG_SNAPSHOT_REQUIRED,
        ),
    ] {
        if element.yes(name)?.unwrap_or(true) {
            mask = mask.with(flag);
        }
    }
    Ok(FileSet {
        alternate_path: element.optional_as("alternatePath", ABSOLUTE, absolute)?,
        backup_type: mask,
        ..element.file_set()?
    })
}

fn partial_file(element: &Element<'_, '_>) -> Parsed<ConfiguredPartialFile> {
    let expected = "OFFSET:LENGTH,OFFSET:LENGTH…, in bytes, without overlaps";
    Ok(ConfiguredPartialFile {
        folder: element.required_as("path", ABSOLUTE, absolute)?,
        name: element.required_as("filespec", "the name of one file", |name| {
            let plain = !name.is_empty() && !name.contains(['*', '?', '/']);
            plain.then(|| name.to_owned())
        })?,
        ranges: element.required("ranges")?.to_owned(),
        parsed: element.required_as("ranges", expected, ranges)?,
    })
}

/// `offset:length,offset:length`, each decimal or hexadecimal ("Working with
/// Partial Files").
fn ranges(text: &str) -> Option<Vec<(u64, u64)>> {
    let number = |text: &str| {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        match digits {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let mut ranges = Vec::new();
    for range in text.split(',') {
        let (offset, length) = range.split_once(':')?;
        let (offset, length) = (number(offset)?, number(length)?);
        offset.checked_add(length)?;
        ranges.push((offset, length));
    }
    let mut sorted = ranges.clone();
    sorted.sort_unstable();
    let apart = sorted
        .windows(2)
        .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
    apart.then_some(ranges)
}

fn differenced_file(
    element: &Element<'_, '_>,
    zone: &TimeZone,
) -> Parsed<ConfiguredDifferencedFile> {
    let part =
        |name, expected| element.required_as(name, expected, |text| text.parse::<i16>().ok());
    let small =
        |name, expected| element.required_as(name, expected, |text| text.parse::<i8>().ok());
    let (year, month, day) = (
        part("year", "a year")?,
        small("month", "a month, from 1 to 12")?,
        small("day", "a day of the month")?,
    );
    let (hour, minute, second) = (
        small("hour", "an hour, from 0 to 23")?,
        small("minute", "a minute")?,
        small("second", "a second")?,
    );
    let since = DateTime::new(year, month, day, hour, minute, second, 0)
        .ok()
        .and_then(|local| local.to_zoned(zone.clone()).ok())
        .and_then(|moment| FileTime::from_system(moment.into()))
        .ok_or_else(|| {
            element.wrong(format!(
                "{year}-{month}-{day} {hour}:{minute}:{second} is no time from 1601 on"
            ))
        })?;
    Ok(ConfiguredDifferencedFile {
        files: element.file_set()?,
        since,
    })
}

fn fail_event(element: &Element<'_, '_>) -> Parsed<FailEvent> {
    let names: Vec<_> = EVENTS.iter().map(|(name, _)| *name).collect();
    let expected = format!("one of {}", names.join(", "));
    let failure = FailEvent {
        event: element.required_as("writerEvent", &expected, |name| {
            let mut events = EVENTS.iter();
            let found = events.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, event)| *event)
        })?,
        kind: match element.yes("retryable")? {
            Some(true) => FailureKind::Retryable,
            Some(false) | None => FailureKind::NonRetryable,
        },
        times: element.optional_as("numFailures", "a number", |text| text.parse().ok())?,
    };
    element.done()?;
    let children = element.children()?;
    match children.first() {
        None => Ok(failure),
        Some(child) => Err(child.wrong("nothing belongs into FailEvent")),
    }
}

#[cfg(test)]
mod tests;
