//! The Writer Metadata Document, as values.

use serde::{Deserialize, Serialize};
use std::path::{Component as PathPart, Path, PathBuf};
use umbra_model::{WriterId, WriterInstanceId};

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
}

/// Who a writer is (`IVssExamineWriterMetadata::GetIdentityEx2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterIdentity {
    /// The class of writer.
    pub id: WriterId,
    /// This running instance of it.
    pub instance: WriterInstanceId,
    /// The name that people see, such as `PostgreSQL Writer`.
    pub name: String,
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

/// Whether a file set reaches into the folders below its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recursion {
    /// Only the folder itself.
    Folder,
    /// And every folder below.
    Tree,
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

/// Files by folder and specification (`IVssWMFiledesc`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSet {
    /// The folder: an absolute path.
    pub path: PathBuf,
    /// Which names in it: an exact name, or one with `*` and `?`.
    pub specification: String,
    /// How far down.
    pub recursion: Recursion,
}

impl FileSet {
    /// Everything in a folder and below.
    pub fn tree(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            specification: "*".into(),
            recursion: Recursion::Tree,
        }
    }

    /// The files of one folder whose names match a specification.
    pub fn files(path: impl Into<PathBuf>, specification: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            specification: specification.into(),
            recursion: Recursion::Folder,
        }
    }
}

/// The unit of backup and restore (`IVssWMComponent`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Where it stands in the writer's tree, without a leading separator.
    pub logical_path: Option<String>,
    /// Its name, unique under its logical path.
    pub name: String,
    /// What people see.
    pub caption: Option<String>,
    /// Whether a requester may choose it alone.
    pub selectable: Selectable,
    /// The files it is made of.
    pub files: Vec<FileSet>,
}

impl Component {
    /// The logical path and the name, joined as VSS prints them.
    pub fn full_path(&self) -> String {
        match &self.logical_path {
            Some(path) => format!("{path}\\{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What a writer answers to Identify: who it is and what it owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterMetadata {
    /// Who it is.
    pub identity: WriterIdentity,
    /// When it is frozen relative to others.
    pub level: FreezeLevel,
    /// What it owns.
    pub components: Vec<Component>,
    /// Files that a backup should leave out.
    pub excluded: Vec<FileSet>,
}

impl WriterMetadata {
    /// Checks what a writer said as one checks any input.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), MetadataError> {
        name("writer name", &self.identity.name)?;
        if self.components.len() > MAX_COMPONENTS {
            return Err(MetadataError::TooManyComponents(self.components.len()));
        }
        let mut seen = std::collections::HashSet::new();
        for component in &self.components {
            name("component name", &component.name)?;
            if let Some(path) = &component.logical_path {
                name("logical path", path)?;
            }
            let full = component.full_path();
            for files in &component.files {
                file_set(files, &full)?;
            }
            if !seen.insert(full.clone()) {
                return Err(MetadataError::DuplicateComponent(full));
            }
        }
        self.excluded
            .iter()
            .try_for_each(|files| file_set(files, "(excluded files)"))
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
    if is_plain_absolute(&files.path) {
        Ok(())
    } else {
        Err(MetadataError::BadPath {
            path: files.path.clone(),
            component: component.to_owned(),
        })
    }
}

fn is_plain_absolute(path: &Path) -> bool {
    path.is_absolute()
        && !path
            .components()
            .any(|part| matches!(part, PathPart::ParentDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(components: Vec<Component>) -> WriterMetadata {
        WriterMetadata {
            identity: WriterIdentity {
                id: WriterId::from_u128(1),
                instance: WriterInstanceId::from_u128(2),
                name: "Test Writer".into(),
            },
            level: FreezeLevel::default(),
            components,
            excluded: Vec::new(),
        }
    }

    fn component(name: &str, path: &str) -> Component {
        Component {
            logical_path: Some("db".into()),
            name: name.into(),
            caption: None,
            selectable: Selectable::Yes,
            files: vec![FileSet::tree(path)],
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
