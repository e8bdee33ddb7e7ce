//! What a selection of components means, as it is printed.

use super::{
    Listing,
    table::{Column, table},
    text::plain,
};
use serde::Serialize;
use umbra_documents::{
    BackupSet, DependencyState, Inclusion, RestoreInclusion, RestoreSet, Standing, WriterInBackup,
    WriterInRestore,
};

/// What is in a backup or restore, and why the rest is not.
#[derive(Debug, Clone, Serialize)]
pub struct SelectionView {
    /// `backup` or `restore`.
    operation: &'static str,
    /// Every writer.
    writers: Vec<SelectedWriterView>,
    /// What the Backup Components Document has and the writers do not allow.
    problems: Vec<String>,
}

/// What is selected of a writer.
#[derive(Debug, Clone, Serialize)]
struct SelectedWriterView {
    name: Option<String>,
    id: String,
    instance_id: String,
    takes_part: bool,
    components: Vec<SelectedComponentView>,
    dependencies: Vec<DependencyView>,
}

/// A component, and whether it is selected.
#[derive(Debug, Clone, Serialize)]
struct SelectedComponentView {
    path: String,
    /// Whether it is in, and how, or why not, as words for programs.
    #[serde(flatten)]
    inclusion: InclusionView,
    /// Whether no component of its writer goes without it.
    required: bool,
    /// The clause for people.
    why: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum InclusionView {
    Backup(Inclusion),
    Restore(RestoreInclusion),
}

/// What a component needs of another writer.
#[derive(Debug, Clone, Serialize)]
struct DependencyView {
    #[serde(flatten)]
    state: DependencyState,
    /// The sentence for people.
    text: String,
}

impl SelectionView {
    /// What is in a backup; the problems are sentences.
    pub fn of_backup(set: &BackupSet, problems: Vec<String>) -> Self {
        Self {
            operation: "backup",
            writers: set.writers.iter().map(in_backup).collect(),
            problems,
        }
    }

    /// What is in a restore.
    pub fn of_restore(set: &RestoreSet) -> Self {
        Self {
            operation: "restore",
            writers: set.writers.iter().map(in_restore).collect(),
            problems: Vec::new(),
        }
    }
}

fn in_backup(writer: &WriterInBackup) -> SelectedWriterView {
    let components = writer.components.iter().map(|one| {
        let required = one.standing == Standing::Required;
        SelectedComponentView {
            path: one.path.clone(),
            why: match &one.inclusion {
                Inclusion::Explicit if required => Some("its writer requires it".to_owned()),
                Inclusion::Explicit => None,
                Inclusion::Implicit { with } => Some(format!("it comes with {with}")),
                Inclusion::LeftOut(reason) => Some(reason.to_string()),
            },
            inclusion: InclusionView::Backup(one.inclusion.clone()),
            required,
        }
    });
    SelectedWriterView {
        name: Some(writer.name.clone()),
        id: writer.id.to_string(),
        instance_id: writer.instance.to_string(),
        takes_part: writer.takes_part(),
        components: components.collect(),
        dependencies: dependencies(&writer.dependencies),
    }
}

fn in_restore(writer: &WriterInRestore) -> SelectedWriterView {
    let components = writer.components.iter().map(|one| SelectedComponentView {
        path: one.path.clone(),
        why: match &one.inclusion {
            RestoreInclusion::Explicit => None,
            RestoreInclusion::Subcomponent { of } => Some(format!("it was chosen out of {of}")),
            RestoreInclusion::Implicit { with } => Some(format!("it comes with {with}")),
            RestoreInclusion::NotRestored(reason) => Some(reason.to_string()),
        },
        inclusion: InclusionView::Restore(one.inclusion.clone()),
        required: one.standing == Some(Standing::Required),
    });
    SelectedWriterView {
        name: writer.name.clone(),
        id: writer.id.to_string(),
        instance_id: writer.instance.to_string(),
        takes_part: writer.takes_part(),
        components: components.collect(),
        dependencies: dependencies(&writer.dependencies),
    }
}

fn dependencies(states: &[DependencyState]) -> Vec<DependencyView> {
    let views = states.iter().map(|state| DependencyView {
        state: state.clone(),
        text: state.to_string(),
    });
    views.collect()
}

impl InclusionView {
    fn word(&self) -> &'static str {
        match self {
            Self::Backup(Inclusion::Explicit) | Self::Restore(RestoreInclusion::Explicit) => {
                "explicitly"
            }
            Self::Backup(Inclusion::Implicit { .. })
            | Self::Restore(RestoreInclusion::Implicit { .. }) => "implicitly",
            Self::Restore(RestoreInclusion::Subcomponent { .. }) => "subcomponent",
            Self::Backup(Inclusion::LeftOut(_))
            | Self::Restore(RestoreInclusion::NotRestored(_)) => "no",
        }
    }

    /// Whether it is left out for no other reason than that nobody asked for it.
    fn is_unasked(&self) -> bool {
        match self {
            Self::Backup(Inclusion::LeftOut(reason)) => !reason.is_hindrance(),
            Self::Backup(_) => false,
            Self::Restore(inclusion) => !inclusion.is_included(),
        }
    }
}

impl Listing for SelectionView {
    fn text(&self, width: u16) -> String {
        let mut text = String::new();
        for writer in &self.writers {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&writer.text(self.operation, width));
        }
        if !self.problems.is_empty() {
            text.push_str("\nin the document, but not allowed by the writers\n");
            for problem in &self.problems {
                text.push_str(&format!("  {}\n", plain(problem)));
            }
        }
        text
    }
}

impl SelectedWriterView {
    fn text(&self, operation: &str, width: u16) -> String {
        let name = plain(self.name.as_deref().unwrap_or(&self.id));
        let mut text = format!("writer {name}");
        let nobody_asked =
            !self.takes_part && self.components.iter().all(|one| one.inclusion.is_unasked());
        text.push_str(match (self.components.is_empty(), nobody_asked) {
            (true, _) => " takes no part: it has no components\n",
            (false, true) => " takes no part: nothing of it was chosen\n",
            (false, false) if !self.takes_part => " takes no part\n",
            (false, false) => "\n",
        });
        if self.name.is_none() {
            text.push_str(
                "  what comes with its components is not known: its Writer Metadata Document is not \
                 among the files\n",
            );
        }
        if !nobody_asked {
            let rows = self.components.iter().map(|component| {
                vec![
                    plain(&component.path),
                    component.inclusion.word().to_owned(),
                    plain(component.why.as_deref().unwrap_or_default()),
                ]
            });
            let included = match operation {
                "restore" => "RESTORED",
                _ => "INCLUDED",
            };
            let columns = [
                Column::Whole("COMPONENT"),
                Column::Whole(included),
                Column::Broken("WHY"),
            ];
            text.push_str(&table(&columns, rows.collect(), width));
        }
        for dependency in &self.dependencies {
            text.push_str(&format!("  {}\n", plain(&dependency.text)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbra_documents::{
        BackupSelection, Component, Designation, WriterIdentity, WriterMetadata, WriterTrees,
    };
    use umbra_model::{WriterId, WriterInstanceId};

    #[test]
    fn reasons_wrap_and_components_do_not() {
        let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
        let mut metadata = WriterMetadata::new(WriterIdentity::new(id, instance, "Mail\nWriter"));
        let path = "clusters/of/the/house\\15/main";
        metadata.components = vec![
            Component::file_group(path),
            Component {
                logical_path: Some(path.into()),
                selectable: umbra_documents::Selectable::No,
                ..Component::file_group("anna")
            },
            Component::file_group("b"),
        ];
        let mut selection = BackupSelection::new(WriterTrees::from_iter([metadata]).into());
        let Ok(Designation::Component(other)) = selection.writers().designated("Mail\nWriter:b")
        else {
            panic!("no such component");
        };
        selection.add_at(other).unwrap();
        let view = SelectionView::of_backup(&selection.backup_set(), vec!["a\tb".into()]);
        let text = view.text(80);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line:?} in\n{text}");
        }
        assert!(text.starts_with("writer Mail\\nWriter\n"), "{text}");
        assert!(text.contains(&format!("\n{path}\\anna  no ")), "{text}");
        assert!(text.ends_with("  a\\tb\n"), "{text}");
    }
}
