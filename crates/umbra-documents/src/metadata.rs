//! The Writer Metadata Document, as values.

use crate::{FileSet, is_plain_absolute};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use umbra_model::{
    BackupSchema, ComponentFlags, ComponentType, RestoreMethod, SourceType, UsageType, WriterId,
    WriterInstanceId, WriterRestore,
};

/// The most components that one writer may have.
const MAX_COMPONENTS: usize = 100_000;
/// The most characters in a name, a logical path or a file specification.
const MAX_NAME: usize = 1024;

/// Metadata that a writer sent and that breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A name is empty, too long, or has control characters.
    #[error("the {what} {text:?} is empty, longer than 1024 characters or has control characters")]
    BadName {
        /// Which name.
        what: &'static str,
        /// The name.
        text: String,
    },
    /// A path is relative or has `..` in it.
    #[error("the path {path:?} of component {component:?} is not absolute or has \"..\" in it")]
    BadPath {
        /// The path.
        path: PathBuf,
        /// The component it belongs to.
        component: String,
    },
    /// Two components have the same logical path and name.
    #[error("there are two components {0:?}")]
    DuplicateComponent(String),
    /// More components than a writer may have.
    #[error("{0} components are more than the 100000 that a writer may have")]
    TooManyComponents(usize),
    /// Files of a kind that the component's type does not have.
    #[error("the component {component:?} has {what}, which a {kind} has not")]
    WrongFiles {
        /// The component.
        component: String,
        /// Which files.
        what: &'static str,
        /// Its type.
        kind: ComponentType,
    },
    /// An alternate location mapping for files that no component has
    /// (`VSS_E_OBJECT_NOT_FOUND`, `AddAlternateLocationMapping`).
    #[error(
        "the alternate location mapping of {path:?} {specification:?} has no file set to match: \
         a component must have one with the same path, specification and recursion"
    )]
    MappingOfNothing {
        /// The folder.
        path: PathBuf,
        /// Which names in it.
        specification: String,
    },
    /// A dependency of a component on itself.
    #[error("the component {0:?} depends on itself")]
    DependsOnItself(String),
}

/// Who a writer is (`IVssExamineWriterMetadataEx::GetIdentityEx`, `GetVersion`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterIdentity {
    /// The class of writer.
    pub id: WriterId,
    /// This running instance of it.
    pub instance: WriterInstanceId,
    /// The name that people see, such as `PostgreSQL Writer`.
    pub name: String,
    /// Which of several instances of one class it is, by a name that lasts.
    pub instance_name: Option<String>,
    /// The version of the writer.
    pub version: WriterVersion,
    /// How its data is used.
    pub usage: UsageType,
    /// What kind of program it speaks for.
    pub source: SourceType,
}

impl WriterIdentity {
    /// A writer of user data, of no version, that is no database.
    pub fn new(id: WriterId, instance: WriterInstanceId, name: impl Into<String>) -> Self {
        Self {
            id,
            instance,
            name: name.into(),
            instance_name: None,
            version: WriterVersion::default(),
            usage: UsageType::UserData,
            source: SourceType::Other,
        }
    }
}

/// The version of a writer (`CVssWriterEx::InitializeEx`).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct WriterVersion {
    /// Before the point.
    pub major: u32,
    /// Behind it.
    pub minor: u32,
}

/// When a writer is frozen and thawed relative to others
/// (`VSS_APPLICATION_LEVEL`): front end first, system last; thawed the other
/// way round.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeLevel {
    /// `VSS_APP_FRONT_END`.
    #[default]
    FrontEnd,
    /// `VSS_APP_BACK_END`.
    BackEnd,
    /// `VSS_APP_SYSTEM`.
    System,
}

/// Whether a requester may choose a component by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selectable {
    /// It may.
    Yes,
    /// It comes only with its parent.
    No,
}

impl Selectable {
    /// Whether it may.
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl From<bool> for Selectable {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What a component needs of another writer's ("Dependencies between Components
/// Managed by Different Writers"; `IVssWMDependency`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The class of the other writer (`GetWriterId`).
    pub writer: WriterId,
    /// Where the other component stands (`GetLogicalPath`).
    pub logical_path: Option<String>,
    /// Its name (`GetComponentName`).
    pub name: String,
}

/// The unit of backup and restore (`IVssWMComponent::GetComponentInfo`,
/// `VSS_COMPONENTINFO`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What it is made of: `FileGroup` or `Database`.
    pub kind: ComponentType,
    /// Where it stands in the writer's tree, without a leading separator.
    pub logical_path: Option<String>,
    /// Its name, unique under its logical path.
    pub name: String,
    /// What people see.
    pub caption: Option<String>,
    /// Whether the writer has metadata for a restore of it.
    pub restore_metadata: bool,
    /// Whether the writer wants to hear of the end of a backup of it.
    pub notify_on_backup_complete: bool,
    /// Whether a requester may choose it alone.
    pub selectable: Selectable,
    /// Whether a requester may restore it alone, when it was backed up with its
    /// parent.
    pub selectable_for_restore: Selectable,
    /// What it supports.
    pub flags: ComponentFlags,
    /// The files of a file group (`AddFilesToFileGroup`, `GetFile`).
    pub files: Vec<FileSet>,
    /// The files of a database (`AddDatabaseFiles`, `GetDatabaseFile`).
    pub database_files: Vec<FileSet>,
    /// The log files of a database (`AddDatabaseLogFiles`, `GetDatabaseLogFile`).
    pub log_files: Vec<FileSet>,
    /// What it needs of other writers (`AddComponentDependency`, `GetDependency`).
    pub dependencies: Vec<Dependency>,
}

impl Component {
    /// A selectable file group without files at the top of the tree.
    pub fn file_group(name: impl Into<String>) -> Self {
        Self {
            kind: ComponentType::FileGroup,
            logical_path: None,
            name: name.into(),
            caption: None,
            restore_metadata: false,
            notify_on_backup_complete: false,
            selectable: Selectable::Yes,
            selectable_for_restore: Selectable::No,
            flags: ComponentFlags::default(),
            files: Vec::new(),
            database_files: Vec::new(),
            log_files: Vec::new(),
            dependencies: Vec::new(),
        }
    }

    /// A selectable database without files at the top of the tree.
    pub fn database(name: impl Into<String>) -> Self {
        Self {
            kind: ComponentType::Database,
            ..Self::file_group(name)
        }
    }

    /// The logical path and the name, joined as VSS prints them.
    pub fn full_path(&self) -> String {
        full_path(self.logical_path.as_deref(), &self.name)
    }

    /// Every file set of it: files, database files and log files.
    pub fn file_sets(&self) -> impl Iterator<Item = &FileSet> {
        let databases = self.database_files.iter().chain(&self.log_files);
        self.files.iter().chain(databases)
    }
}

/// A logical path and a name, joined as VSS prints them ("Logical Pathing of
/// Components").
pub fn full_path(logical_path: Option<&str>, name: &str) -> String {
    match logical_path {
        Some(path) if !path.is_empty() => format!("{path}\\{name}"),
        _ => name.to_owned(),
    }
}

/// How a writer's files are put back (`SetRestoreMethod`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// The way.
    pub method: RestoreMethod,
    /// The service to stop meanwhile, where the way needs it.
    pub service: Option<String>,
    /// What a person has to do, where the way is custom.
    pub user_procedure: Option<String>,
    /// When the writer takes part.
    pub writer_restore: WriterRestore,
    /// Whether the machine must be started again afterwards.
    pub reboot_required: bool,
    /// Where files go that cannot be put back where they were
    /// (`AddAlternateLocationMapping`).
    pub alternate_locations: Vec<AlternateLocation>,
}

/// Where files go instead (`IVssWMFiledesc` of an alternate location mapping).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternateLocation {
    /// Which files.
    pub files: FileSet,
    /// The folder that takes the place of the file set's.
    #[serde(with = "umbra_model::path_text::as_text")]
    pub destination: PathBuf,
}

/// What a writer answers to Identify: who it is and what it owns
/// (`IVssCreateWriterMetadata`, `Ex`; `IVssExamineWriterMetadata` to `Ex2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterMetadata {
    /// Who it is.
    pub identity: WriterIdentity,
    /// When it is frozen relative to others.
    pub level: FreezeLevel,
    /// What kinds of backup and restore it can take part in (`SetBackupSchema`,
    /// `GetBackupSchema`).
    pub backup_schema: BackupSchema,
    /// How its files are put back.
    pub restore: Option<RestorePlan>,
    /// What it owns (`AddComponent`, `GetComponent`; as of every list here, its
    /// length is what `GetFileCounts` says).
    pub components: Vec<Component>,
    /// Files that no component has and that are to be backed up (`AddIncludeFiles`,
    /// which VSS no longer uses).
    pub included: Vec<FileSet>,
    /// Files that a backup should leave out (`AddExcludeFiles`).
    pub excluded: Vec<FileSet>,
    /// Files that need not be in a shadow copy (`AddExcludeFilesFromSnapshot`,
    /// `GetExcludeFromSnapshotFile`, `GetExcludeFromSnapshotCount`).
    pub excluded_from_snapshot: Vec<FileSet>,
}

impl WriterMetadata {
    /// The metadata of a writer that owns nothing.
    pub fn new(identity: WriterIdentity) -> Self {
        Self {
            identity,
            level: FreezeLevel::default(),
            backup_schema: BackupSchema::default(),
            restore: None,
            components: Vec::new(),
            included: Vec::new(),
            excluded: Vec::new(),
            excluded_from_snapshot: Vec::new(),
        }
    }

    /// The component at this place.
    pub fn component(&self, logical_path: Option<&str>, name: &str) -> Option<&Component> {
        let wanted = full_path(logical_path, name);
        let mut components = self.components.iter();
        components.find(|component| component.full_path() == wanted)
    }

    /// Checks what a writer said as one checks any input.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), MetadataError> {
        name("writer name", &self.identity.name)?;
        if let Some(instance) = &self.identity.instance_name {
            name("name of the writer's instance", instance)?;
        }
        if self.components.len() > MAX_COMPONENTS {
            return Err(MetadataError::TooManyComponents(self.components.len()));
        }
        let mut seen = std::collections::HashSet::new();
        for component in &self.components {
            self.validate_component(component)?;
            let full = component.full_path();
            if !seen.insert(full.clone()) {
                return Err(MetadataError::DuplicateComponent(full));
            }
        }
        for mapping in self
            .restore
            .iter()
            .flat_map(|plan| &plan.alternate_locations)
        {
            self.validate_mapping(mapping)?;
        }
        let kinds = [
            ("(included files)", &self.included),
            ("(excluded files)", &self.excluded),
            (
                "(files excluded from the snapshot)",
                &self.excluded_from_snapshot,
            ),
        ];
        for (what, sets) in kinds {
            sets.iter().try_for_each(|files| file_set(files, what))?;
        }
        Ok(())
    }

    fn validate_component(&self, component: &Component) -> Result<(), MetadataError> {
        name("component name", &component.name)?;
        if let Some(path) = &component.logical_path {
            name("logical path", path)?;
        }
        let full = component.full_path();
        let wrong = |what| MetadataError::WrongFiles {
            component: full.clone(),
            what,
            kind: component.kind,
        };
        match component.kind {
            ComponentType::Database if !component.files.is_empty() => {
                return Err(wrong("files of a file group"));
            }
            ComponentType::FileGroup | ComponentType::Undefined
                if !component.database_files.is_empty() || !component.log_files.is_empty() =>
            {
                return Err(wrong("files of a database"));
            }
            _ => {}
        }
        for files in component.file_sets() {
            file_set(files, &full)?;
        }
        for dependency in &component.dependencies {
            name("name of a component depended on", &dependency.name)?;
            let on = full_path(dependency.logical_path.as_deref(), &dependency.name);
            if dependency.writer == self.identity.id && on == full {
                return Err(MetadataError::DependsOnItself(full));
            }
        }
        Ok(())
    }

    fn validate_mapping(&self, mapping: &AlternateLocation) -> Result<(), MetadataError> {
        let files = &mapping.files;
        file_set(files, "(alternate location mapping)")?;
        absolute(&mapping.destination, "(alternate location mapping)")?;
        let mut sets = self.components.iter().flat_map(Component::file_sets);
        if sets.any(|set| set.is_same_place(files)) {
            Ok(())
        } else {
            Err(MetadataError::MappingOfNothing {
                path: files.path.clone(),
                specification: files.specification.clone(),
            })
        }
    }
}

fn name(what: &'static str, text: &str) -> Result<(), MetadataError> {
    let bad = text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control);
    if bad {
        Err(MetadataError::BadName {
            what,
            text: text.to_owned(),
        })
    } else {
        Ok(())
    }
}

fn file_set(files: &FileSet, component: &str) -> Result<(), MetadataError> {
    name("file specification", &files.specification)?;
    absolute(&files.path, component)?;
    match &files.alternate_path {
        Some(path) => absolute(path, component),
        None => Ok(()),
    }
}

fn absolute(path: &std::path::Path, component: &str) -> Result<(), MetadataError> {
    if is_plain_absolute(path) {
        Ok(())
    } else {
        Err(MetadataError::BadPath {
            path: path.to_owned(),
            component: component.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(components: Vec<Component>) -> WriterMetadata {
        let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
        WriterMetadata {
            components,
            ..WriterMetadata::new(WriterIdentity::new(id, instance, "Test Writer"))
        }
    }

    fn component(name: &str, path: &str) -> Component {
        Component {
            logical_path: Some("db".into()),
            files: vec![FileSet::tree(path)],
            ..Component::file_group(name)
        }
    }

    #[test]
    fn accepts_plain_metadata() {
        metadata(vec![component("a", "/srv/a"), component("b", "/srv/b")])
            .validate()
            .unwrap();
    }

    #[test]
    fn refuses_what_breaks_a_rule() {
        let check = |components, expected: &str| {
            let error = metadata(components).validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(vec![component("a", "srv/a")], "not absolute");
        check(vec![component("a", "/srv/../etc")], "..");
        check(vec![component("", "/srv")], "component name");
        check(vec![component("a\n", "/srv")], "control");
        check(
            vec![component("a", "/x"), component("a", "/y")],
            "two components",
        );
    }
}
