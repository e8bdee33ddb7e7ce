//! What components need of other writers ("Dependencies between Components Managed
//! by Different Writers").

use super::{ComponentAt, WriterTrees};
use crate::{Dependency, canonical_path, full_path};
use serde::Serialize;
use std::fmt;
use umbra_model::WriterId;

/// What one component of a backup or restore needs, and whether it has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DependencyState {
    /// Logical path and name of the component.
    pub component: String,
    /// The class of the writer that it depends on.
    pub writer: WriterId,
    /// The name of that writer, where it is known.
    pub writer_name: Option<String>,
    /// Logical path and name of the component that it depends on.
    pub on: String,
    /// Whether that takes part.
    pub status: DependencyStatus,
}

/// Whether a component that another depends on takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum DependencyStatus {
    /// It does.
    Met,
    /// It could, but was not chosen.
    NotChosen,
    /// The writer has no such component.
    NoSuchComponent,
    /// There is no such writer.
    NoSuchWriter,
    /// It belongs to a writer of another computer, where a requester has to back it
    /// up too ("Declaring Remote Dependencies").
    Remote {
        /// Its name or address.
        computer: String,
    },
}

impl DependencyStatus {
    /// Whether nothing more need be done here.
    pub fn is_met(&self) -> bool {
        *self == Self::Met
    }
}

impl fmt::Display for DependencyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, on, .. } = self;
        match &self.writer_name {
            Some(name) => write!(f, "{component} depends on {on} of the writer {name}"),
            None => write!(
                f,
                "{component} depends on {on} of the writer {}",
                self.writer
            ),
        }?;
        match &self.status {
            DependencyStatus::Met => f.write_str(", which takes part"),
            DependencyStatus::NotChosen => f.write_str(", which was not chosen"),
            DependencyStatus::NoSuchComponent => f.write_str(", which has no such component"),
            DependencyStatus::NoSuchWriter => f.write_str(", which is not there"),
            DependencyStatus::Remote { computer } => {
                write!(f, " on the computer {computer}: back it up there too")
            }
        }
    }
}

/// Where a dependency leads.
pub(super) enum Target {
    Here(ComponentAt),
    Remote { computer: String, path: String },
    NoSuchComponent,
    NoSuchWriter,
}

/// Where a dependency leads among these writers. The instance of the writer is the
/// first that has the component.
pub(super) fn target(writers: &WriterTrees, dependency: &Dependency) -> Target {
    let path = dependency.logical_path.as_deref();
    if let Some((computer, rest)) = remote(path.unwrap_or_default()) {
        return Target::Remote {
            computer: computer.to_owned(),
            path: full_path(Some(rest), &dependency.name),
        };
    }
    if let Some((computer, rest)) = remote(&dependency.name) {
        return Target::Remote {
            computer: computer.to_owned(),
            path: full_path(path, rest),
        };
    }
    let instances = writers.instances(dependency.writer);
    if instances.is_empty() {
        return Target::NoSuchWriter;
    }
    let path = full_path(path, &dependency.name);
    let mut found = instances.iter().filter_map(|writer| {
        let component = writers.writers()[*writer].tree().find_full(&path)?;
        Some(ComponentAt {
            writer: *writer,
            component,
        })
    });
    found.next().map_or(Target::NoSuchComponent, Target::Here)
}

/// The computer in `\\computer\path`, and the path. The page has writers put it
/// before the logical path, and requesters look for it before the name.
fn remote(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("\\\\")?;
    let (computer, path) = rest.split_once('\\').unwrap_or((rest, ""));
    (!computer.is_empty()).then_some((computer, path))
}

/// Whether what these components need takes part.
pub(super) fn states(
    writers: &WriterTrees,
    components: impl Iterator<Item = ComponentAt>,
    takes_part: impl Fn(ComponentAt) -> bool,
) -> Vec<DependencyState> {
    let mut states = Vec::new();
    for at in components {
        for dependency in &writers.component(at).dependencies {
            let path = full_path(dependency.logical_path.as_deref(), &dependency.name);
            let mut on = canonical_path(&path).into_owned();
            let status = match target(writers, dependency) {
                Target::Here(on) if takes_part(on) => DependencyStatus::Met,
                Target::Here(_) => DependencyStatus::NotChosen,
                Target::NoSuchComponent => DependencyStatus::NoSuchComponent,
                Target::NoSuchWriter => DependencyStatus::NoSuchWriter,
                Target::Remote { computer, path } => {
                    on = canonical_path(&path).into_owned();
                    DependencyStatus::Remote { computer }
                }
            };
            let instance = writers.instances(dependency.writer).first();
            states.push(DependencyState {
                component: writers.path(at),
                writer: dependency.writer,
                writer_name: instance.map(|index| writers.writers()[*index].name().to_owned()),
                on,
                status,
            });
        }
    }
    states
}
