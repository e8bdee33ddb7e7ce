//! What a backup leaves out and why, what components need of other writers, and how
//! people name them.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod trees;

use std::{
    path::Path,
    time::{Duration, Instant},
};
use trees::*;
use umbra_documents::{
    BackupComponentsDocument, BackupSelection, BackupSet, ComponentAt, Coverage, DependencyStatus,
    Designation, FileSet, Inclusion, RestoreSelection, SelectionError, WriterMetadata, WriterTrees,
};
use umbra_model::{BackupType, FileSpecBackupType, WriterInstanceId};

const DEPENDENCIES: &str = "dependencies-between-components-managed-by-different-writers";
const BACKUP_SET: &str = "generating-a-backup-set";
const PRE_BACKUP: &str = "overview-of-pre-backup-tasks";
const PROPERTIES_PAGE: &str = "selectability-and-working-with-component-properties";
const DEFINITION: &str = "definition-of-components-by-writers";
const VSHADOW: &str = "vshadow-tool-examples";

fn inclusion<'a>(set: &'a BackupSet, writer: usize, path: &str) -> &'a Inclusion {
    let mut components = set.writers[writer].components.iter();
    &components.find(|one| one.path == path).unwrap().inclusion
}

fn why(set: &BackupSet, writer: usize, path: &str) -> String {
    match inclusion(set, writer, path) {
        Inclusion::LeftOut(reason) => reason.to_string(),
        other => panic!("{path}: {other:?}"),
    }
}

/// `writerData` of `MyWriter` depends on `Connections\internetData` of the
/// InternetConnector.
fn internet() -> [WriterMetadata; 2] {
    let mut mine = writer(1, MY_WRITER);
    needs(&mut mine, 6, 2, Some("Connections"), "internetData");
    let connector: &[Row] = &[
        ("Core", "", 'N', 'N'),
        ("Connections", "", 'Y', 'N'),
        ("internetData", "Connections", 'N', 'N'),
        ("Other", "", 'Y', 'N'),
    ];
    [mine, writer(2, connector)]
}

#[test]
fn a_dependency_is_met_or_told() {
    let check = |add: &[(u128, &str)], expected: Option<DependencyStatus>| {
        let mut selection = BackupSelection::new(WriterTrees::from_iter(internet()).into());
        for (number, path) in add {
            selection.add(&choice(*number, path)).unwrap();
        }
        let set = selection.backup_set();
        let status = set.writers[0]
            .dependencies
            .first()
            .map(|one| one.status.clone());
        assert_eq!(status, expected, "{DEPENDENCIES}: {add:?}");
        set
    };
    check(&[(1, "LicenseInfo")], None);
    check(&[(2, "Connections")], None);
    let both: &[_] = &[(1, "writerData"), (2, "Connections")];
    check(both, Some(DependencyStatus::Met));
    let set = check(
        &[(1, "writerData"), (2, "Other")],
        Some(DependencyStatus::NotChosen),
    );
    let unmet: Vec<String> = set.writers[0].unmet().map(ToString::to_string).collect();
    assert_eq!(
        unmet,
        [
            "writerData depends on Connections\\internetData of the writer Writer 2, which was not chosen"
        ]
    );
}

#[test]
fn what_is_needed_can_be_added() {
    let trees = WriterTrees::from_iter(internet());
    let mut selection = BackupSelection::new(trees.into());
    selection.add(&choice(1, "writerData")).unwrap();
    let added = selection.add_what_is_needed();
    let paths: Vec<String> = added
        .iter()
        .map(|at| selection.writers().path(*at))
        .collect();
    assert_eq!(
        paths,
        [
            "Executables",
            "Executables\\ConfigFiles",
            "Core",
            "Connections"
        ],
        "{DEPENDENCIES}"
    );
    let set = selection.backup_set();
    assert_eq!(
        *inclusion(&set, 1, "Connections\\internetData"),
        Inclusion::Implicit {
            with: "Connections".into()
        }
    );
    assert_eq!(why(&set, 1, "Other"), "it was not chosen");
    assert!(
        set.writers
            .iter()
            .all(|one| one.missing().count() + one.unmet().count() == 0)
    );
    assert_eq!(selection.add_what_is_needed(), []);
}

#[test]
fn without_its_target_the_dependent_is_left_out() {
    let trees = WriterTrees::from_iter(internet());
    let mut selection = BackupSelection::new(trees.into());
    selection.add_everything();
    selection.leave_out(ComponentAt {
        writer: 1,
        component: 1,
    });
    let set = selection.backup_set();
    assert_eq!(why(&set, 1, "Connections"), "it was excluded");
    assert_eq!(
        why(&set, 1, "Connections\\internetData"),
        "it comes only with Connections, which is left out"
    );
    assert_eq!(
        why(&set, 0, "writerData"),
        "it depends on Connections\\internetData of the writer Writer 2, which is left out",
        "{DEPENDENCIES}"
    );
    assert_eq!(
        why(&set, 0, "writerData\\Set1"),
        "it comes only with writerData, which is left out"
    );
    // The set inside it can be had without it.
    assert_eq!(
        *inclusion(&set, 0, "writerData\\Usage"),
        Inclusion::Explicit
    );
    assert_eq!(*inclusion(&set, 1, "Core"), Inclusion::Explicit);
}

#[test]
fn dependencies_lead_to_other_computers_and_to_nothing() {
    let check = |of, path: Option<&str>, name: &str, expected: &str| {
        let mut first = writer(1, &[("a", "", 'Y', 'N')]);
        needs(&mut first, 0, of, path, name);
        let writers = [
            first,
            writer(2, &[("X", "", 'Y', 'N'), ("Y", "db", 'Y', 'N')]),
        ];
        let mut selection = BackupSelection::new(WriterTrees::from_iter(writers).into());
        selection.add_everything();
        let set = selection.backup_set();
        let [one] = &set.writers[0].dependencies[..] else {
            panic!("{set:?}");
        };
        assert_eq!(
            one.to_string(),
            format!("a depends on {expected}"),
            "{DEPENDENCIES}"
        );
    };
    // The page's examples have a lone separator as the root.
    check(
        2,
        Some("\\"),
        "X",
        "X of the writer Writer 2, which takes part",
    );
    check(2, None, "X", "X of the writer Writer 2, which takes part");
    check(
        2,
        Some("\\db"),
        "Y",
        "db\\Y of the writer Writer 2, which takes part",
    );
    check(
        2,
        None,
        "Z",
        "Z of the writer Writer 2, which has no such component",
    );
    check(
        3,
        None,
        "X",
        "X of the writer 00000000-0000-0000-0000-000000000003, which is not there",
    );
    // Writers declare the computer in the path; requesters look for it in the name.
    let remote = "db\\X of the writer Writer 2 on the computer sql7: back it up there too";
    check(2, Some("\\\\sql7\\db"), "X", remote);
    check(2, None, "\\\\sql7\\db\\X", remote);
    check(
        2,
        Some("\\\\10.0.0.7"),
        "X",
        "X of the writer Writer 2 on the computer 10.0.0.7: back it up there too",
    );
}

#[test]
fn dependencies_are_told_of_restores_too() {
    let trees = WriterTrees::from_iter(internet());
    let mut selection = BackupSelection::new(trees.clone().into());
    selection.add_everything();
    let mut document = BackupComponentsDocument::new();
    document.writers = selection.backup_set().writer_components(&trees);
    let restore = RestoreSelection::of_stored(&trees);
    restore
        .select(&mut document, &choice(1, "writerData"))
        .unwrap();
    assert_eq!(
        restore.restore_set(&document).writers[0].unmet().count(),
        1,
        "{DEPENDENCIES}"
    );
    restore
        .select(&mut document, &choice(2, "Connections"))
        .unwrap();
    let set = restore.restore_set(&document);
    assert_eq!(set.writers[0].unmet().count(), 0, "{DEPENDENCIES}");
    assert_eq!(set.included().count(), 11 + 2);
}

#[test]
fn long_logical_paths_cost_no_more_than_their_length() {
    let deep = "a\\".repeat(1_000_000);
    let mut one = writer(1, &[("a", "", 'Y', 'N'), ("end", "", 'N', 'N')]);
    one.components[1].logical_path = Some(deep);
    for depth in 1..2_000 {
        let mut component = one.components[0].clone();
        component.logical_path = Some("a\\".repeat(depth));
        one.components.push(component);
    }
    let start = Instant::now();
    let trees = WriterTrees::from_iter([one]);
    let mut selection = BackupSelection::new(trees.into());
    selection.add_everything();
    let set = selection.backup_set();
    assert!(matches!(
        set.writers[0].components[1].inclusion,
        Inclusion::Implicit { .. }
    ));
    assert_eq!(set.included().count(), 2_001);
    let tree = selection.writers().writers()[0].tree();
    assert_eq!(tree.ancestors(1).count(), 2_000);
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(20), "{taken:?}");
}

/// `MyWriter` with the files of each component in a folder of its own.
fn with_files() -> WriterMetadata {
    let mut mine = writer(1, MY_WRITER);
    for component in &mut mine.components {
        let folder = format!("/srv/{}", component.full_path().replace('\\', "/"));
        component.files.push(FileSet::tree(folder));
    }
    mine
}

/// Everything of these writers, but what is in this folder is on another volume.
fn without(writers: impl IntoIterator<Item = WriterMetadata>, outside: &str) -> BackupSet {
    let trees = WriterTrees::from_iter(writers);
    let mut selection = BackupSelection::new(trees.into());
    selection.add_everything();
    selection.leave_out_what_is_outside(BackupType::Full, |path, _| {
        if path.starts_with(outside) {
            Coverage::Outside(outside.to_owned())
        } else {
            Coverage::Inside
        }
    });
    selection.backup_set()
}

#[test]
fn what_is_on_other_volumes_is_left_out() {
    let set = without([with_files()], "/srv/LicenseInfo");
    assert_eq!(
        set.writers[0].sentences().collect::<Vec<_>>(),
        [
            "the component LicenseInfo of the writer Writer 1 is left out: it lies on \
          /srv/LicenseInfo, which is not in the set"
        ],
        "{BACKUP_SET}"
    );
    // A component set is a unit; a set inside it can be had without it.
    let set = without([with_files()], "/srv/writerData/Set2/Jan");
    assert_eq!(
        why(&set, 0, "writerData"),
        "it can only be backed up with writerData\\Set2\\Jan, which is left out",
        "{PROPERTIES_PAGE}"
    );
    assert_eq!(
        why(&set, 0, "writerData\\Set2\\Dec"),
        "it comes only with writerData, which is left out"
    );
    assert_eq!(
        *inclusion(&set, 0, "writerData\\Usage"),
        Inclusion::Explicit
    );
    // A set inside drags the outer one with it.
    let set = without([with_files()], "/srv/writerData/Usage/Dec");
    assert!(
        !inclusion(&set, 0, "writerData").is_included(),
        "{PROPERTIES_PAGE}"
    );
    assert!(!inclusion(&set, 0, "writerData\\Usage").is_included());
    assert_eq!(*inclusion(&set, 0, "Security"), Inclusion::Explicit);
}

#[test]
fn a_writer_without_something_required_is_left_out() {
    let set = without([with_files()], "/srv/Executables/ConfigFiles");
    assert!(!set.writers[0].takes_part(), "{DEFINITION}");
    assert_eq!(
        why(&set, 0, "Security"),
        "its writer can only be backed up with Executables\\ConfigFiles, which is left out"
    );
}

#[test]
fn what_was_added_and_cannot_be_is_told() {
    let trees = WriterTrees::from_iter([with_files()]);
    let mut selection = BackupSelection::new(trees.into());
    selection.add(&choice(1, "writerData")).unwrap();
    selection.add_what_is_needed();
    selection.leave_out_what_is_outside(BackupType::Full, |path, _| {
        match path.starts_with("/srv/writerData/Set1") {
            true => Coverage::Unknown,
            false => Coverage::Inside,
        }
    });
    let set = selection.backup_set();
    assert_eq!(
        why(&set, 0, "writerData\\Set1"),
        "it has files in /srv/writerData/Set1, which is on no volume of the set"
    );
    assert_eq!(
        why(&set, 0, "writerData\\Usage"),
        "it comes only with writerData, which is left out"
    );
    assert_eq!(why(&set, 0, "LicenseInfo"), "it was not chosen");
    assert_eq!(*inclusion(&set, 0, "Executables"), Inclusion::Explicit);
}

#[test]
fn files_that_need_no_shadow_copy_may_lie_anywhere() {
    let check = |backup, snapshot: FileSpecBackupType, alternate: Option<&str>, expected: bool| {
        let mut one = writer(1, &[("a", "", 'Y', 'N')]);
        one.components[0].files.push(FileSet {
            alternate_path: alternate.map(Into::into),
            backup_type: FileSpecBackupType::ALL_BACKUP_REQUIRED.with(snapshot),
            ..FileSet::tree("/elsewhere")
        });
        let mut selection = BackupSelection::new(WriterTrees::from_iter([one]).into());
        selection.add_everything();
        selection.leave_out_what_is_outside(backup, |path: &Path, _| {
            match path.starts_with("/srv") {
                true => Coverage::Inside,
                false => Coverage::Outside("/".into()),
            }
        });
        let set = selection.backup_set();
        assert_eq!(
            set.writers[0].takes_part(),
            expected,
            "{PRE_BACKUP}: {snapshot:?}"
        );
    };
    let log = FileSpecBackupType::LOG_SNAPSHOT_REQUIRED;
    check(BackupType::Full, log, None, true);
    check(BackupType::Log, log, None, false);
    check(BackupType::Incremental, log, None, true);
    check(
        BackupType::Differential,
        FileSpecBackupType::DIFFERENTIAL_SNAPSHOT_REQUIRED,
        None,
        false,
    );
    check(
        BackupType::Copy,
        FileSpecBackupType::FULL_SNAPSHOT_REQUIRED,
        None,
        false,
    );
    // What is backed up lies in the alternate path.
    check(
        BackupType::Full,
        FileSpecBackupType::ALL_SNAPSHOT_REQUIRED,
        Some("/srv/a"),
        true,
    );
}

#[test]
fn a_writer_is_excluded_by_a_person() {
    let trees = WriterTrees::from_iter(internet());
    let mut selection = BackupSelection::new(trees.into());
    selection.add_everything();
    selection.leave_out_writer(1);
    let set = selection.backup_set();
    assert!(!set.writers[1].takes_part());
    assert_eq!(why(&set, 1, "Core"), "its writer was excluded");
    assert!(set.writers[0].takes_part());
    assert!(!inclusion(&set, 0, "writerData").is_included());
}

#[test]
fn writers_and_components_have_names_for_people() {
    let mut second = writer(2, &[("x", "", 'Y', 'N'), ("both", "", 'Y', 'N')]);
    second.identity.name = "SQL: Server".into();
    let mut third = writer(2, &[("y", "a", 'Y', 'N'), ("both", "", 'Y', 'N')]);
    third.identity.name = "SQL: Server".into();
    third.identity.instance = WriterInstanceId::from_u128(3);
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER), second, third]);
    let component =
        |writer, component| Ok(Designation::Component(ComponentAt { writer, component }));
    for (text, expected) in [
        ("Writer 1", Ok(Designation::Writer(0))),
        ("writer 1", Ok(Designation::Writer(0))),
        (
            "{00000000-0000-0000-0000-000000000001}",
            Ok(Designation::Writer(0)),
        ),
        (
            "00000000-0000-0000-0000-000000000003",
            Ok(Designation::Writer(2)),
        ),
        ("Writer 1:LicenseInfo", component(0, 2)),
        ("Writer 1:\\LicenseInfo", component(0, 2)),
        ("Writer 1:\\writerData\\Usage", component(0, 14)),
        (
            "{00000000-0000-0000-0000-000000000001}:\\Security",
            component(0, 3),
        ),
        ("SQL: Server:x", component(1, 0)),
        ("SQL: Server:a\\y", component(2, 0)),
    ] {
        assert_eq!(trees.designated(text), expected, "{VSHADOW}: {text}");
    }
    let refused = |text| trees.designated(text).unwrap_err();
    let several = "SQL: Server";
    assert!(matches!(
        refused(several),
        SelectionError::SeveralInstances { .. }
    ));
    assert!(matches!(
        refused("SQL: Server:both"),
        SelectionError::SeveralInstances { .. }
    ));
    assert!(matches!(
        refused("Writer 1:No"),
        SelectionError::UnknownComponent { .. }
    ));
    assert!(matches!(
        refused("Writer 1:"),
        SelectionError::UnknownComponent { .. }
    ));
    assert!(matches!(
        refused("Nobody:a"),
        SelectionError::UnknownName { .. }
    ));
    assert!(matches!(refused(""), SelectionError::UnknownName { .. }));
}

#[test]
fn a_thousand_writers_are_selected_at_once() {
    let rows = |number: usize| -> WriterMetadata {
        let mut one = writer(number as u128, &[("c", "", 'Y', 'N'); 100]);
        for (index, component) in one.components.iter_mut().enumerate() {
            component.name = format!("component {index}");
            component.logical_path = Some(format!("group {}\\component {}", index % 7, index / 2));
            component
                .files
                .push(FileSet::tree(format!("/srv/{number}/{index}")));
        }
        needs(
            &mut one,
            1,
            (number as u128 + 1) % 1000,
            None,
            "group 0\\component 0\\component 0",
        );
        one
    };
    let writers: Vec<WriterMetadata> = (0..1000).map(rows).collect();
    let start = Instant::now();
    let trees = WriterTrees::from_iter(writers);
    let mut selection = BackupSelection::new(trees.into());
    selection.add_everything();
    selection.leave_out_what_is_outside(BackupType::Full, |_, _| Coverage::Inside);
    let set = selection.backup_set();
    let taken = start.elapsed();
    assert_eq!(set.included().count(), 100_000);
    // Far more than it takes: this is no benchmark.
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    eprintln!("selected 100,000 components in {taken:?}");
}
