//! The rules of selection hold for any writers and any choice.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod trees;

use proptest::{collection::vec, prelude::*};
use trees::*;
use umbra_documents::{
    BackupComponentsDocument, BackupSelection, BackupSet, Component, ComponentAt, ComponentChoice,
    DependencyStatus, Inclusion, LeftOut, RestoreInclusion, RestoreSelection, Standing,
    WriterMetadata, WriterTrees,
};

/// Writers with trees of a few names, so that many stand below each other, and
/// dependencies among them.
fn writers() -> impl Strategy<Value = Vec<WriterMetadata>> {
    let path = || vec("[abc]", 0..4).prop_map(|elements| elements.join("\\"));
    let component = (path(), "[abc]", any::<bool>(), any::<bool>());
    let dependency = (0..4_usize, 0..12_usize, 0..5_usize, path(), "[abc]");
    let writers = vec(vec(component, 0..12), 1..5);
    (writers, vec(dependency, 0..6)).prop_map(|(writers, dependencies)| {
        let mut all = Vec::new();
        for (number, components) in writers.into_iter().enumerate() {
            let mut one = writer(number as u128, &[]);
            for (path, name, backup, restore) in components {
                let mut component = Component::file_group(name);
                component.logical_path = Some(path).filter(|path| !path.is_empty());
                component.selectable = backup.into();
                component.selectable_for_restore = restore.into();
                let full = component.full_path();
                if one.components.iter().all(|other| other.full_path() != full) {
                    one.components.push(component);
                }
            }
            all.push(one);
        }
        for (from, component, to, path, name) in dependencies {
            if from != to
                && let Some(writer) = all.get_mut(from)
                && component < writer.components.len()
            {
                needs(writer, component, to as u128, Some(&path), &name);
            }
        }
        all
    })
}

/// Places in writers that may be there.
fn places() -> impl Strategy<Value = Vec<(usize, usize)>> {
    vec((0..4_usize, 0..12_usize), 0..10)
}

fn there(trees: &WriterTrees, places: &[(usize, usize)]) -> Vec<ComponentAt> {
    let places = places.iter().map(|(writer, component)| ComponentAt {
        writer: *writer,
        component: *component,
    });
    let size = |writer: usize| {
        trees
            .writers()
            .get(writer)
            .map_or(0, |one| one.tree().len())
    };
    places.filter(|at| at.component < size(at.writer)).collect()
}

/// Whether a component stands above another, by their names alone.
fn stands_above(upper: &str, lower: &str) -> bool {
    lower
        .strip_prefix(upper)
        .is_some_and(|rest| rest.starts_with('\\'))
}

/// The rules that hold for any selection.
fn check_rules(trees: &WriterTrees, set: &BackupSet) {
    for (writer, one) in set.writers.iter().enumerate() {
        let known = &trees.writers()[writer].metadata().components;
        let selectable: Vec<&str> = one
            .components
            .iter()
            .filter(|component| component.standing.is_selectable())
            .map(|component| component.path.as_str())
            .collect();
        for (component, metadata) in one.components.iter().zip(known) {
            let path = component.path.as_str();
            let comes_with = selectable.iter().any(|upper| stands_above(upper, path));
            let expected = match (metadata.selectable.is_yes(), comes_with) {
                (false, false) => Standing::Required,
                (true, false) => Standing::Selectable,
                (false, true) => Standing::Subcomponent,
                (true, true) => Standing::SelectableSubcomponent,
            };
            assert_eq!(component.standing, expected, "{path}");
            let explicit_above: Vec<&str> = one
                .components
                .iter()
                .filter(|upper| upper.inclusion == Inclusion::Explicit)
                .filter(|upper| upper.standing.is_selectable() && stands_above(&upper.path, path))
                .map(|upper| upper.path.as_str())
                .collect();
            match &component.inclusion {
                Inclusion::Implicit { with } => assert_eq!(explicit_above, [with], "{path}"),
                Inclusion::Explicit => {
                    assert_eq!(explicit_above, [""; 0], "{path}");
                    assert!(component.standing.may_be_added(), "{path}");
                }
                Inclusion::LeftOut(_) => assert_eq!(explicit_above, [""; 0], "{path}"),
            }
        }
        let missing = one.components.iter().filter(|component| {
            component.standing == Standing::Required && !component.inclusion.is_included()
        });
        let missing = if one.takes_part() { missing.count() } else { 0 };
        assert_eq!(one.missing().count(), missing);
    }
}

proptest! {
    #[test]
    fn everything_leaves_nothing_out(writers in writers()) {
        let trees = WriterTrees::from_iter(writers);
        let mut selection = BackupSelection::new(trees.clone().into());
        selection.add_everything();
        let set = selection.backup_set();
        check_rules(&trees, &set);
        let components = set.writers.iter().flat_map(|writer| &writer.components);
        prop_assert!(components.into_iter().all(|one| one.inclusion.is_included()));
        for one in set.writers.iter().flat_map(|writer| &writer.dependencies) {
            prop_assert_ne!(&one.status, &DependencyStatus::NotChosen);
        }
        prop_assert_eq!(selection.add_what_is_needed(), []);

        // As a document it says the same, and all of it can be restored.
        let mut document = BackupComponentsDocument::new();
        document.writers = set.writer_components(&trees);
        let mut again = BackupSelection::new(trees.clone().into());
        prop_assert_eq!(again.add_document(&document), []);
        prop_assert_eq!(again.backup_set(), set.clone());
        for writer in &mut document.writers {
            for component in &mut writer.components {
                component.selected_for_restore = Some(true);
            }
        }
        let restore = RestoreSelection::of_stored(&trees).restore_set(&document);
        let mut restored: Vec<ComponentAt> = restore.included().collect();
        restored.sort();
        prop_assert_eq!(restored, set.included().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_added_keeps_the_rules(writers in writers(), add in places()) {
        let trees = WriterTrees::from_iter(writers);
        let mut selection = BackupSelection::new(trees.clone().into());
        let mut added = Vec::new();
        for at in there(&trees, &add) {
            if selection.add_at(at).is_ok() {
                added.push(at);
            }
        }
        let set = selection.backup_set();
        check_rules(&trees, &set);
        for at in &added {
            let component = &set.writers[at.writer].components[at.component];
            prop_assert_eq!(&component.inclusion, &Inclusion::Explicit);
        }
        selection.add_what_is_needed();
        let complete = selection.backup_set();
        check_rules(&trees, &complete);
        for at in set.included() {
            prop_assert!(complete.is_included(at));
        }
        for writer in &complete.writers {
            prop_assert_eq!(writer.missing().count(), 0);
            let mut unmet = writer.unmet();
            prop_assert!(unmet.all(|one| one.status != DependencyStatus::NotChosen));
        }
    }

    #[test]
    fn what_is_left_out_is_followed_to_the_end(writers in writers(), out in places()) {
        let trees = WriterTrees::from_iter(writers);
        let mut selection = BackupSelection::new(trees.clone().into());
        selection.add_everything();
        let out = there(&trees, &out);
        for at in &out {
            selection.leave_out(*at);
        }
        let set = selection.backup_set();
        check_rules(&trees, &set);
        for at in out {
            prop_assert!(!set.is_included(at));
        }
        for writer in &set.writers {
            prop_assert_eq!(writer.missing().count(), 0);
            for one in &writer.dependencies {
                prop_assert_ne!(&one.status, &DependencyStatus::NotChosen);
            }
            // Whatever is left out has a reason that stands against it.
            for component in &writer.components {
                if let Inclusion::LeftOut(reason) = &component.inclusion {
                    prop_assert!(reason.is_hindrance(), "{}: {reason}", component.path);
                    prop_assert_ne!(reason, &LeftOut::RequiredNotChosen);
                }
            }
        }
    }

    #[test]
    fn a_restore_brings_what_was_selected_and_no_more(
        writers in writers(), add in places(), below in places(),
    ) {
        let trees = WriterTrees::from_iter(writers);
        let mut backup = BackupSelection::new(trees.clone().into());
        let mut added = Vec::new();
        for at in there(&trees, &add) {
            if backup.add_at(at).is_ok() {
                added.push(at);
            }
        }
        let in_backup = backup.backup_set();
        let mut document = BackupComponentsDocument::new();
        document.writers = in_backup.writer_components(&trees);
        let restore = RestoreSelection::of_stored(&trees);
        let choose = |at: ComponentAt| {
            let one = trees.component(at);
            ComponentChoice {
                writer: class(at.writer as u128),
                instance: None,
                kind: None,
                logical_path: one.logical_path.as_deref(),
                name: &one.name,
            }
        };
        // Every second component, and of these whatever can be chosen below them.
        for at in added.iter().step_by(2) {
            restore.select(&mut document, &choose(*at)).unwrap();
            for sub in there(&trees, &below) {
                let one = trees.component(sub);
                let path = one.logical_path.as_deref();
                let _ = restore.add_subcomponent(&mut document, &choose(*at), path, &one.name);
            }
        }
        let set = restore.restore_set(&document);
        for at in set.included() {
            prop_assert!(in_backup.is_included(at), "{at:?}");
        }
        let all: usize = set.writers.iter().map(|writer| writer.components.len()).sum();
        prop_assert_eq!(all, in_backup.included().count());
        for writer in &set.writers {
            let find = |path: &str| {
                let mut components = writer.components.iter();
                components.find(|one| one.path == path).unwrap()
            };
            for component in &writer.components {
                match &component.inclusion {
                    RestoreInclusion::Explicit => prop_assert!(writer.takes_part()),
                    RestoreInclusion::Subcomponent { of } => {
                        prop_assert!(stands_above(of, &component.path));
                        prop_assert!(!find(of).inclusion.is_included());
                        let at = component.at.unwrap();
                        prop_assert!(trees.component(at).selectable_for_restore.is_yes());
                    }
                    RestoreInclusion::Implicit { with } => {
                        prop_assert!(stands_above(with, &component.path));
                        let above = &find(with).inclusion;
                        let is_chosen = matches!(
                            above,
                            RestoreInclusion::Explicit | RestoreInclusion::Subcomponent { .. }
                        );
                        prop_assert!(is_chosen, "{}: {above:?}", component.path);
                    }
                    RestoreInclusion::NotRestored(_) => {}
                }
            }
        }
    }
}
