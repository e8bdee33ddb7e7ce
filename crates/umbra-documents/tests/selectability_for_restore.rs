//! Selectability for restore: every case of the pages of the VSS reference is a row
//! that names its page.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod trees;

use trees::*;
use umbra_documents::{RestoreSelection, RestoreSet, WriterTrees};
use umbra_model::{VssCode, WriterInstanceId};

const RESTORE: &str = "working-with-selectability-for-restore-and-subcomponents";
const USE: &str = "use-of-components-by-the-requestor";
const CONTENTS: &str = "backup-components-document-contents";
const PREPARING: &str = "overview-of-preparing-for-restore";

/// A restore of a backup to which these were added: what is selected, which
/// subcomponents are added, and everything that is restored then.
struct RestoreCase {
    page: &'static str,
    backup: &'static [&'static str],
    select: &'static [(&'static str, Option<VssCode>)],
    subcomponents: &'static [(&'static str, &'static str, Option<VssCode>)],
    restored: &'static [&'static [&'static str]],
}

fn check_restore(case: &RestoreCase) {
    let page = case.page;
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut document = document(&trees, case.backup);
    let running = [(class(1), WriterInstanceId::from_u128(1))];
    let restore = RestoreSelection::new(&trees, &running);
    for (path, answer) in case.select {
        let selected = restore.select(&mut document, &choice(1, path));
        let code = selected.err().map(|error| error.code());
        assert_eq!(code, *answer, "{page}: selecting {path}");
    }
    for (path, below, answer) in case.subcomponents {
        let (logical_path, name) = below.rsplit_once('\\').unwrap_or(("", below));
        let added =
            restore.add_subcomponent(&mut document, &choice(1, path), Some(logical_path), name);
        let code = added.err().map(|error| error.code());
        assert_eq!(code, *answer, "{page}: adding {below} to {path}");
    }
    let mut expected: Vec<&str> = case
        .restored
        .iter()
        .flat_map(|list| *list)
        .copied()
        .collect();
    expected.sort_unstable();
    assert_eq!(
        restored(&restore.restore_set(&document)),
        expected,
        "{page}: what is restored"
    );
}

fn restored(set: &RestoreSet) -> Vec<&str> {
    let mut restored: Vec<&str> = set
        .writers
        .iter()
        .flat_map(|writer| &writer.components)
        .filter(|component| component.inclusion.is_included())
        .map(|component| component.path.as_str())
        .collect();
    restored.sort_unstable();
    restored
}

#[test]
fn what_comes_with_what_in_a_restore() {
    let cases = [
        // What was added can be selected whatever its selectability for restore, and
        // brings what came with it.
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("Security", None)],
            subcomponents: &[],
            restored: &[&["Security"], OF_SECURITY],
        },
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("Executables", None), ("LicenseInfo", None)],
            subcomponents: &[],
            restored: &[&["Executables", "LicenseInfo"]],
        },
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("writerData", None)],
            subcomponents: &[],
            restored: &[&["writerData"], OF_WRITER_DATA],
        },
        // A subcomponent that is selectable for restore is restored alone, with what
        // stands below it.
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("writerData", None)],
            subcomponents: &[("writerData", "writerData\\Set1", None)],
            restored: &[&[
                "writerData\\Set1",
                "writerData\\Set1\\Jan",
                "writerData\\Set1\\Dec",
            ]],
        },
        RestoreCase {
            page: USE,
            backup: BACKED_UP,
            select: &[("writerData", None)],
            subcomponents: &[
                ("writerData", "writerData\\Set2", None),
                ("writerData", "writerData\\Usage", None),
                ("writerData", "writerData\\Usage", EXISTS),
            ],
            restored: &[
                &[
                    "writerData\\Set2",
                    "writerData\\Set2\\Jan",
                    "writerData\\Set2\\Dec",
                ],
                &["writerData\\Usage"],
                OF_USAGE,
            ],
        },
        // One that is not selectable for restore is only restored with the whole.
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("writerData", None), ("Security", None)],
            subcomponents: &[
                ("writerData", "writerData\\Set1\\Jan", INVALID),
                ("Security", "Security\\UserInfo", INVALID),
            ],
            restored: &[&["writerData", "Security"], OF_WRITER_DATA, OF_SECURITY],
        },
        // First SetSelectedForRestore, then AddRestoreSubcomponent.
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[],
            subcomponents: &[("writerData", "writerData\\Set1", BAD_STATE)],
            restored: &[],
        },
        // SetSelectedForRestore is for what was added to the backup.
        RestoreCase {
            page: USE,
            backup: BACKED_UP,
            select: &[("writerData\\Set1", NOT_FOUND), ("Nothing", NOT_FOUND)],
            subcomponents: &[],
            restored: &[],
        },
        RestoreCase {
            page: CONTENTS,
            backup: &[
                "Executables",
                "Executables\\ConfigFiles",
                "writerData\\Usage",
            ],
            select: &[("writerData", NOT_FOUND), ("writerData\\Usage", None)],
            subcomponents: &[],
            restored: &[&["writerData\\Usage"], OF_USAGE],
        },
        // AddRestoreSubcomponent is for what came with the component, and not for what
        // was added itself.
        RestoreCase {
            page: RESTORE,
            backup: BACKED_UP,
            select: &[("Executables", None), ("writerData", None)],
            subcomponents: &[
                ("writerData", "Security\\UserInfo", INVALID),
                ("writerData", "writerData", INVALID),
                ("writerData", "writerData\\Set3", NOT_FOUND),
                ("Executables", "Executables\\ConfigFiles", INVALID),
                ("Nothing", "writerData\\Set1", NOT_FOUND),
            ],
            restored: &[&["Executables", "writerData"], OF_WRITER_DATA],
        },
        // Nothing selected: nothing restored.
        RestoreCase {
            page: PREPARING,
            backup: BACKED_UP,
            select: &[],
            subcomponents: &[],
            restored: &[],
        },
    ];
    for case in &cases {
        check_restore(case);
    }
}

#[test]
fn a_selection_for_restore_is_taken_back() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut document = document(&trees, BACKED_UP);
    let restore = RestoreSelection::of_stored(&trees);
    let set1 = (Some("writerData"), "Set1");
    let writer_data = choice(1, "writerData");
    restore.select(&mut document, &writer_data).unwrap();
    let add = restore.add_subcomponent(&mut document, &writer_data, set1.0, set1.1);
    add.unwrap();
    restore.deselect(&mut document, &writer_data).unwrap();
    assert_eq!(restored(&restore.restore_set(&document)), [""; 0]);
    restore.select(&mut document, &writer_data).unwrap();
    assert_eq!(restored(&restore.restore_set(&document)).len(), 11);
}

#[test]
fn a_writer_that_does_not_run_cannot_be_selected_for_restore() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut document = document(&trees, BACKED_UP);
    let other = (class(1), WriterInstanceId::from_u128(7));
    let mut check = |running: &[_], instance, expected: Option<VssCode>| {
        let mut choice = choice(1, "writerData");
        choice.instance = instance;
        let selected = RestoreSelection::new(&trees, running).select(&mut document, &choice);
        assert_eq!(
            selected.err().map(|error| error.code()),
            expected,
            "{PREPARING}"
        );
    };
    check(&[], None, NOT_FOUND);
    check(&[(class(2), other.1)], None, NOT_FOUND);
    // The instance is the one that is to restore it, not the one of the backup.
    check(&[other], None, None);
    check(&[other], Some(other.1), None);
    check(&[other], Some(WriterInstanceId::from_u128(1)), NOT_FOUND);
}

#[test]
fn required_components_are_restored_with_the_others() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut document = document(&trees, BACKED_UP);
    let restore = RestoreSelection::of_stored(&trees);
    restore
        .select(&mut document, &choice(1, "Security"))
        .unwrap();
    let set = restore.restore_set(&document);
    let json = serde_json::to_value(&set).unwrap();
    let reason = |path: &str| {
        let components = json["writers"][0]["components"].as_array().unwrap();
        let component = components.iter().find(|one| one["path"] == path).unwrap();
        component["inclusion"].clone()
    };
    assert_eq!(
        reason("Executables")["reason"],
        "required-not-selected",
        "{CONTENTS}"
    );
    assert_eq!(
        reason("LicenseInfo")["reason"],
        "not-selected",
        "{CONTENTS}"
    );
    assert_eq!(
        reason("writerData\\Set1")["reason"],
        "ancestor-not-selected",
        "{CONTENTS}"
    );
    assert_eq!(
        reason("Security\\UserInfo")["inclusion"],
        "implicit",
        "{CONTENTS}"
    );
}
