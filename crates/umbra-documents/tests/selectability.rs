//! Component trees and selectability: every case of the pages of the VSS reference
//! is a row that names its page.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod trees;

use trees::*;
use umbra_documents::{
    BackupComponentsDocument, BackupSelection, BackupSet, Component, ComponentAt, ComponentTree,
    Inclusion, LeftOut, RestoreSelection, Selectable, SelectionError, Standing, WriterEvent,
    WriterTrees,
};
use umbra_model::{BackupSchema, ComponentType, SubscribeMask, VssCode, WriterInstanceId};

const PATHING: &str = "logical-pathing-of-components";
const BACKUP: &str = "working-with-selectability-for-backup";
const PROPERTIES: &str = "selectability-and-working-with-component-properties";
const DEFINITION: &str = "definition-of-components-by-writers";
const USE: &str = "use-of-components-by-the-requestor";
const CONTENTS: &str = "backup-components-document-contents";
const WRITERS_AND_PATHS: &str = "working-with-selectability-and-logical-paths";
const DISCOVERY: &str = "overview-of-the-backup-discovery-phase";
const GLOSSARY_L: &str = "vssgloss-l";
const GLOSSARY_S: &str = "vssgloss-s";
const METADATA: &str = "vss-metadata-components";

/// The components that are added, what each addition answers, and what is in the
/// backup then. Whatever is not named is left out.
struct BackupCase {
    page: &'static str,
    writer: &'static [Row],
    add: &'static [(&'static str, Option<VssCode>)],
    /// What comes with what.
    implicit: &'static [(&'static str, &'static [&'static str])],
    missing: &'static [&'static str],
}

fn check_backup(case: &BackupCase) {
    let page = case.page;
    let trees = WriterTrees::from_iter([writer(1, case.writer)]);
    let mut selection = BackupSelection::new(trees.into());
    let mut explicit = Vec::new();
    for (path, answer) in case.add {
        let added = selection.add(&choice(1, path));
        let code = added.err().map(|error| error.code());
        assert_eq!(code, *answer, "{page}: adding {path}");
        if answer.is_none() {
            explicit.push((*path).to_owned());
        }
    }
    let set = selection.backup_set();
    let implicit: Vec<(String, String)> = case
        .implicit
        .iter()
        .flat_map(|(with, components)| {
            let components = components.iter();
            components.map(|component| ((*component).to_owned(), (*with).to_owned()))
        })
        .collect();
    check_set(page, &set, explicit, implicit);
    let missing: Vec<&str> = set.writers[0]
        .missing()
        .map(|component| component.path.as_str())
        .collect();
    assert_eq!(missing, case.missing, "{page}: what is missing");
}

fn check_set(
    page: &str,
    set: &BackupSet,
    mut explicit: Vec<String>,
    mut implicit: Vec<(String, String)>,
) {
    let (mut added, mut came_with) = (Vec::new(), Vec::new());
    for component in &set.writers[0].components {
        match &component.inclusion {
            Inclusion::Explicit => added.push(component.path.clone()),
            Inclusion::Implicit { with } => came_with.push((component.path.clone(), with.clone())),
            Inclusion::LeftOut(_) => {}
        }
    }
    explicit.sort();
    implicit.sort();
    added.sort();
    came_with.sort();
    assert_eq!(added, explicit, "{page}: what is included explicitly");
    assert_eq!(came_with, implicit, "{page}: what is included implicitly");
}

#[test]
fn what_comes_with_what_in_a_backup() {
    let cases = [
        // "Executables" and "ConfigFiles" form no component set: both are included
        // explicitly. (working-with-selectability-for-backup has one sentence in
        // which "ConfigFiles" comes implicitly; its own rule, this page and the table
        // of selectability-and-working-with-component-properties have it explicit.)
        BackupCase {
            page: PATHING,
            writer: MY_WRITER,
            add: &[("Executables", None), ("Executables\\ConfigFiles", None)],
            implicit: &[],
            missing: &[],
        },
        BackupCase {
            page: BACKUP,
            writer: MY_WRITER,
            add: &[("Executables", None)],
            implicit: &[],
            missing: &["Executables\\ConfigFiles"],
        },
        // A component alone comes with nothing.
        BackupCase {
            page: PATHING,
            writer: MY_WRITER,
            add: &[("LicenseInfo", None)],
            implicit: &[],
            missing: REQUIRED,
        },
        // "Security" is a simple component set.
        BackupCase {
            page: BACKUP,
            writer: MY_WRITER,
            add: &[("Security", None)],
            implicit: &[("Security", OF_SECURITY)],
            missing: REQUIRED,
        },
        // There is no way to have "UserInfo" or "Certificates" without "Security".
        BackupCase {
            page: BACKUP,
            writer: MY_WRITER,
            add: &[
                ("Security\\UserInfo", INVALID),
                ("Security\\Certificates", INVALID),
            ],
            implicit: &[],
            missing: &[],
        },
        // "writerData" brings everything below it, nested sets too.
        BackupCase {
            page: BACKUP,
            writer: MY_WRITER,
            add: &[("writerData", None)],
            implicit: &[("writerData", OF_WRITER_DATA)],
            missing: REQUIRED,
        },
        // Without "writerData", "Usage" can be added, and brings its own.
        BackupCase {
            page: PATHING,
            writer: MY_WRITER,
            add: &[("writerData\\Usage", None)],
            implicit: &[("writerData\\Usage", OF_USAGE)],
            missing: REQUIRED,
        },
        // Without "writerData", what is not selectable in it cannot be had.
        BackupCase {
            page: BACKUP,
            writer: MY_WRITER,
            add: &[
                ("writerData\\Set1", INVALID),
                ("writerData\\Set2\\Jan", INVALID),
                ("writerData\\QueryLogs\\Query", INVALID),
                ("writerData\\Usage\\Dec", INVALID),
            ],
            implicit: &[],
            missing: &[],
        },
        // "Usage" is never added beside "writerData", whichever comes first.
        BackupCase {
            page: PATHING,
            writer: MY_WRITER,
            add: &[("writerData", None), ("writerData\\Usage", EXISTS)],
            implicit: &[("writerData", OF_WRITER_DATA)],
            missing: REQUIRED,
        },
        BackupCase {
            page: PATHING,
            writer: MY_WRITER,
            add: &[("writerData\\Usage", None), ("writerData", EXISTS)],
            implicit: &[("writerData\\Usage", OF_USAGE)],
            missing: REQUIRED,
        },
        // The table of what is included explicitly.
        BackupCase {
            page: PROPERTIES,
            writer: MY_WRITER,
            add: &[
                ("Executables", None),
                ("Executables\\ConfigFiles", None),
                ("LicenseInfo", None),
                ("Security", None),
                ("writerData", None),
            ],
            implicit: &[("Security", OF_SECURITY), ("writerData", OF_WRITER_DATA)],
            missing: &[],
        },
        // A component that does not match what the writer has is an error.
        BackupCase {
            page: USE,
            writer: MY_WRITER,
            add: &[
                ("licenseinfo", NOT_FOUND),
                ("writerData\\QueryLogs", NOT_FOUND),
                ("Usage", NOT_FOUND),
                ("", NOT_FOUND),
            ],
            implicit: &[],
            missing: &[],
        },
        // A component is added once.
        BackupCase {
            page: USE,
            writer: MY_WRITER,
            add: &[
                ("LicenseInfo", None),
                ("LicenseInfo", EXISTS),
                ("\\LicenseInfo\\", EXISTS),
            ],
            implicit: &[],
            missing: REQUIRED,
        },
        // Nothing need be added of a writer, and then nothing is missing.
        BackupCase {
            page: DISCOVERY,
            writer: MY_WRITER,
            add: &[],
            implicit: &[],
            missing: &[],
        },
        // A writer of which everything is required.
        BackupCase {
            page: DEFINITION,
            writer: ALONE,
            add: &[("WMI", None)],
            implicit: &[],
            missing: &[],
        },
        // Elements of a logical path need not be components: neither the ASR
        // Writer's nor SQL Server's are.
        BackupCase {
            page: METADATA,
            writer: REAL_PATHS,
            add: &[
                ("ASR\\ASR", None),
                ("Volumes\\Volume{1}", None),
                ("SERVER\\model", None),
            ],
            implicit: &[("SERVER\\model", &["SERVER\\model\\log"])],
            missing: &["BCD\\BCD"],
        },
        // `ebook\book1` and `\ebook\book1` are one path.
        BackupCase {
            page: GLOSSARY_L,
            writer: &[
                ("a", "\\ebook\\book1", 'Y', 'N'),
                ("b", "ebook\\book1\\a", 'N', 'N'),
            ],
            add: &[("ebook\\book1\\a", None)],
            implicit: &[("ebook\\book1\\a", &["ebook\\book1\\a\\b"])],
            missing: &[],
        },
        // Component sets are nested to any depth, over elements that are no
        // components and components that are not selectable.
        BackupCase {
            page: PATHING,
            writer: &[
                ("a", "", 'N', 'N'),
                ("b", "a", 'Y', 'N'),
                ("d", "a\\b\\c", 'N', 'N'),
                ("e", "a\\b\\c\\d", 'Y', 'N'),
                ("f", "a\\b\\c\\d\\e", 'N', 'N'),
            ],
            add: &[("a", None), ("a\\b", None)],
            implicit: &[("a\\b", &["a\\b\\c\\d", "a\\b\\c\\d\\e", "a\\b\\c\\d\\e\\f"])],
            missing: &[],
        },
    ];
    for case in &cases {
        check_backup(case);
    }
}

#[test]
fn the_four_types_of_component() {
    let check = |page, rows, path: &str, expected| {
        let writer = writer(1, rows);
        let tree = ComponentTree::new(&writer.components);
        let component = tree.find_full(path).unwrap();
        assert_eq!(tree.standing(component), expected, "{page}: {path}");
    };
    for (page, path, expected) in [
        (BACKUP, "Executables", Standing::Required),
        (BACKUP, "Executables\\ConfigFiles", Standing::Required),
        (BACKUP, "LicenseInfo", Standing::Selectable),
        (BACKUP, "Security", Standing::Selectable),
        (BACKUP, "Security\\UserInfo", Standing::Subcomponent),
        (BACKUP, "writerData", Standing::Selectable),
        (BACKUP, "writerData\\Set1", Standing::Subcomponent),
        (BACKUP, "writerData\\Set1\\Jan", Standing::Subcomponent),
        (
            BACKUP,
            "writerData\\QueryLogs\\Query",
            Standing::Subcomponent,
        ),
        (
            BACKUP,
            "writerData\\Usage",
            Standing::SelectableSubcomponent,
        ),
        (BACKUP, "writerData\\Usage\\Dec", Standing::Subcomponent),
    ] {
        check(page, MY_WRITER, path, expected);
    }
    for (path, expected) in [
        ("ASR\\ASR", Standing::Required),
        ("BCD\\BCD", Standing::Required),
        ("Volumes\\Volume{1}", Standing::Selectable),
        ("SERVER\\model\\log", Standing::Subcomponent),
    ] {
        check(METADATA, REAL_PATHS, path, expected);
    }
}

#[test]
fn which_components_define_sets() {
    let writer = writer(1, MY_WRITER);
    let tree = ComponentTree::new(&writer.components);
    let sets: Vec<String> = (0..tree.len())
        .filter(|component| tree.defines_set(*component))
        .map(|component| writer.components[component].full_path())
        .collect();
    assert_eq!(
        sets,
        ["Security", "writerData", "writerData\\Usage"],
        "{PATHING}"
    );
    // Empty components define sets too.
    assert!(
        writer
            .components
            .iter()
            .all(|one| one.file_sets().count() == 0)
    );
    let place = |path| tree.find_full(path).unwrap();
    assert!(tree.is_above(place("writerData"), place("writerData\\Usage\\Jan")));
    assert!(!tree.is_above(place("writerData\\Usage\\Jan"), place("writerData")));
    assert!(!tree.is_above(place("writerData"), place("Security\\UserInfo")));
    let query = place("writerData\\QueryLogs\\Query");
    assert_eq!(tree.parent(query), Some(place("writerData")), "{PATHING}");
}

#[test]
fn writers_of_which_nothing_is_selected_get_no_events() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER), writer(2, ALONE)]);
    let mut selection = BackupSelection::new(trees.clone().into());
    selection.add(&choice(2, "WMI")).unwrap();
    let set = selection.backup_set();
    let all = SubscribeMask::ALL_FLAGS;
    assert!(set.writers[0].events(all).is_empty(), "{WRITERS_AND_PATHS}");
    assert_eq!(
        set.writers[1].events(all),
        WriterEvent::BACKUP,
        "{WRITERS_AND_PATHS}"
    );
    let no_flags = SubscribeMask::default();
    let always = [
        WriterEvent::PrepareForSnapshot,
        WriterEvent::Freeze,
        WriterEvent::Thaw,
    ];
    assert_eq!(set.writers[1].events(no_flags), always);

    let mut document = BackupComponentsDocument::new();
    document.writers = set.writer_components(&trees);
    let restore = RestoreSelection::of_stored(&trees);
    assert!(
        restore.restore_set(&document).writers[0]
            .events(all)
            .is_empty(),
        "{CONTENTS}"
    );
    restore.select(&mut document, &choice(2, "WMI")).unwrap();
    let events = restore.restore_set(&document).writers[0].events(all);
    assert_eq!(events, WriterEvent::RESTORE, "{CONTENTS}");
    let names: Vec<_> = events.into_iter().map(WriterEvent::name).collect();
    assert_eq!(names, ["PreRestore", "PostRestore"]);
}

#[test]
fn an_addition_names_writer_and_type_rightly() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut selection = BackupSelection::new(trees.into());
    let mut check = |class, instance, kind, expected, words: &str| {
        let mut choice = choice(class, "LicenseInfo");
        choice.instance = instance;
        choice.kind = kind;
        let error = selection.add(&choice).unwrap_err();
        assert_eq!(error.code(), expected, "{USE}: {error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(umbra_model::VssError::from(error).code(), expected);
    };
    let (other, database) = (
        WriterInstanceId::from_u128(9),
        Some(ComponentType::Database),
    );
    check(2, None, None, VssCode::ObjectNotFound, "there is no writer");
    check(
        1,
        Some(other),
        None,
        VssCode::ObjectNotFound,
        "with the instance",
    );
    check(
        1,
        None,
        database,
        VssCode::ObjectNotFound,
        "VSS_CT_FILEGROUP, not a",
    );
}

#[test]
fn instances_of_a_class_have_different_components() {
    let mut first = writer(1, &[("a", "", 'Y', 'N'), ("both", "", 'Y', 'N')]);
    let mut second = writer(1, &[("b", "", 'Y', 'N'), ("both", "", 'Y', 'N')]);
    first.identity.instance = WriterInstanceId::from_u128(11);
    second.identity.instance = WriterInstanceId::from_u128(12);
    let trees = WriterTrees::from_iter([first, second]);
    let at = |writer, component| Ok(ComponentAt { writer, component });
    assert_eq!(trees.find(&choice(1, "a")), at(0, 0), "{DEFINITION}");
    assert_eq!(trees.find(&choice(1, "b")), at(1, 0), "{DEFINITION}");
    let both = trees.find(&choice(1, "both")).unwrap_err();
    assert!(
        matches!(both, SelectionError::SeveralInstances { .. }),
        "{both}"
    );
    let mut named = choice(1, "both");
    named.instance = Some(WriterInstanceId::from_u128(12));
    assert_eq!(trees.find(&named), at(1, 1));
}

#[test]
fn what_was_added_stands_in_the_document() {
    let mut mine = writer(1, MY_WRITER);
    mine.backup_schema = BackupSchema::COPY;
    mine.components[2].kind = ComponentType::Database;
    let trees = WriterTrees::from_iter([mine, writer(2, ALONE)]);
    let document = document(&trees, BACKED_UP);
    let [writer] = &document.writers[..] else {
        panic!("{document:?}");
    };
    assert_eq!(writer.backup_schema, Some(BackupSchema::COPY));
    let paths: Vec<_> = writer
        .components
        .iter()
        .map(|one| one.full_path())
        .collect();
    assert_eq!(paths, BACKED_UP, "{CONTENTS}");
    assert_eq!(
        writer.components[2].component_type.known(),
        Some(ComponentType::Database)
    );

    let mut again = BackupSelection::new(trees.into());
    assert_eq!(again.add_document(&document), []);
    let included = again.backup_set().included().count();
    assert_eq!(included, MY_WRITER.len(), "{PROPERTIES}");
}

#[test]
fn a_document_with_a_component_twice_keeps_the_upper_one() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut document = document(&trees, &["writerData\\Usage"]);
    let upper = self::document(&trees, &["writerData"]);
    let upper = upper.writers[0].components[0].clone();
    document.writers[0].components.push(upper);
    let mut selection = BackupSelection::new(trees.into());
    let errors = selection.add_document(&document);
    assert!(
        matches!(errors[..], [SelectionError::AlreadyComesWith { .. }]),
        "{errors:?}"
    );
    assert_eq!(selection.backup_set().included().count(), 11);
}

#[test]
fn why_something_is_left_out_is_told_in_words() {
    let trees = WriterTrees::from_iter([writer(1, MY_WRITER)]);
    let mut selection = BackupSelection::new(trees.into());
    selection.add(&choice(1, "writerData\\Usage")).unwrap();
    let set = selection.backup_set();
    let why = |path: &str| {
        let mut components = set.writers[0].components.iter();
        let component = components.find(|one| one.path == path).unwrap();
        match &component.inclusion {
            Inclusion::LeftOut(reason) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why("LicenseInfo"), "it was not chosen");
    assert_eq!(
        why("Security\\UserInfo"),
        "it comes only with Security, which was not chosen"
    );
    assert_eq!(
        set.writers[0].sentences().collect::<Vec<_>>(),
        REQUIRED
            .iter()
            .map(|path| format!(
                "the component {path} of the writer Writer 1 is left out: it was not chosen, but \
             must be, since other components of its writer are"
            ))
            .collect::<Vec<_>>(),
        "{GLOSSARY_S}"
    );
    assert!(!LeftOut::NotChosen.is_hindrance());
}

#[test]
fn two_components_at_one_place_do_no_harm() {
    let component = |path: &str| Component {
        logical_path: Some(path.to_owned()),
        selectable: Selectable::Yes,
        ..Component::file_group("a")
    };
    let tree = ComponentTree::new(&[component("x"), component("\\x"), component("x\\a")]);
    assert_eq!(tree.find(Some("x"), "a"), Some(0));
    assert_eq!(tree.below(0), [2]);
    assert_eq!(tree.below(1), [0; 0]);
}
