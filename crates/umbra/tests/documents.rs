//! `umbra document`, and the documents of our own writers.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use std::{fs, path::PathBuf};
use support::Umbra;

const DOCUMENT: &str = "<BACKUP_COMPONENTS version=\"1.2\" backupType=\"full\" \
    xmlns=\"x-schema:#VssComponentMetadata\"><WRITER_COMPONENTS \
    writerId=\"D61D61C8-D73A-4EEE-8CDD-F6F9786B7124\" \
    instanceId=\"1BDDD48E-5052-49DB-9B07-B96F96727E6B\"><COMPONENT logicalPath=\"db\" \
    componentName=\"a\" componentType=\"filegroup\" later=\"1\"/></WRITER_COMPONENTS>\
    </BACKUP_COMPONENTS>";

struct Stage {
    umbra: Umbra,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let umbra = Umbra::in_folder(folder.path());
        Self { umbra, folder }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

#[test]
fn a_document_is_printed_checked_and_rewritten() {
    let stage = Stage::new();
    let file = stage.file("a.xml", DOCUMENT);
    let file = file.to_str().unwrap();
    let text = stage.umbra.ok(["document", file]);
    for words in [
        "VSS_BT_FULL",
        "writer d61d61c8-d73a-4eee-8cdd-f6f9786b7124",
        "component db\\a (filegroup)",
        "later = 1",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let json = stage.umbra.json(["document", "--json", file]);
    let document = &json[0]["backup-components"];
    assert_eq!(document["backup_type"], "VSS_BT_FULL", "{json:#}");
    assert_eq!(
        document["writers"][0]["components"][0]["name"], "a",
        "{json:#}"
    );

    let notes = stage.umbra.ok(["document", "--check", file]);
    assert!(notes.contains("a.xml: valid\n"), "{notes}");
    assert!(
        notes.contains("the attribute later of COMPONENT"),
        "{notes}"
    );

    let canonical = stage.umbra.ok(["document", "--rewrite", file]);
    assert!(
        canonical.contains("\n    <COMPONENT logicalPath=\"db\""),
        "{canonical}"
    );
    assert!(canonical.contains("later=\"1\""), "{canonical}");
    let again = stage.file("b.xml", &canonical);
    let again = stage
        .umbra
        .ok(["document", "--rewrite", again.to_str().unwrap()]);
    assert_eq!(again, canonical);
}

#[test]
fn a_bad_document_has_a_place_and_an_exit_code() {
    let stage = Stage::new();
    let bad = stage.file("bad.xml", "<BACKUP_COMPONENTS\n><");
    let good = stage.file("good.xml", DOCUMENT);
    let (bad, good) = (bad.to_str().unwrap(), good.to_str().unwrap());
    stage
        .umbra
        .fails(["document", bad], 112, &["bad.xml", "line 2, column 2"]);
    stage.umbra.fails(
        ["document", "/nowhere.xml"],
        101,
        &["cannot read /nowhere.xml"],
    );
    stage.umbra.fails(["document"], 2, &[]);
    let outcome = stage.umbra.run(["document", "--check", bad, good]);
    assert_eq!(outcome.status.code(), Some(112), "{outcome:?}");
    assert!(outcome.stdout.contains("good.xml: valid"), "{outcome:?}");
}

#[test]
fn a_writer_of_ours_has_a_document() {
    let stage = Stage::new();
    let database = stage.folder.path().join("app.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)")
        .unwrap();
    let configuration = format!("[[database]]\npath = {:?}\n", database.to_str().unwrap());
    stage
        .umbra
        .write("etc/umbra/writers.d/sqlite.toml", &configuration);
    let json = stage.umbra.json(["writers", "--json"]);
    let name = json[0]["name"].as_str().unwrap().to_owned();
    let xml = stage.umbra.ok(["writers", &name, "--xml"]);
    assert!(xml.contains("filespec=\"app.db"), "{xml}");
    let file = stage.file("writer.xml", &xml);
    let file = file.to_str().unwrap();
    assert_eq!(stage.umbra.ok(["document", "--rewrite", file]), xml);
    let checked = stage.umbra.ok(["document", "--check", file]);
    assert_eq!(checked.lines().count(), 1, "{checked}");
}

/// A writer of these components: name, logical path, selectable. It depends, where
/// that is said, on a component of the writer 2.
fn writer_document(
    number: u8,
    name: &str,
    components: &[(&str, &str, &str)],
    depends: &str,
) -> String {
    let id = format!("00000000-0000-0000-0000-00000000000{number}");
    let mut groups = String::new();
    for (name, path, selectable) in components {
        groups.push_str(&format!(
            "<FILE_GROUP logicalPath=\"{path}\" componentName=\"{name}\" \
             restoreMetadata=\"no\" notifyOnBackupComplete=\"no\" selectable=\"{selectable}\" \
             selectableForRestore=\"yes\" componentFlags=\"0\"/>"
        ));
    }
    if !depends.is_empty() {
        let dependency = format!(
            "<DEPENDENCY writerId=\"00000000-0000-0000-0000-000000000002\" \
             componentName=\"{depends}\"/></FILE_GROUP>"
        );
        groups.truncate(groups.len() - "/>".len());
        groups.push('>');
        groups.push_str(&dependency);
    }
    format!(
        "<WRITER_METADATA xmlns=\"x-schema:#VssWriterMetadataInfo\" version=\"1.2\">\
         <IDENTIFICATION writerId=\"{id}\" instanceId=\"{id}\" friendlyName=\"{name}\" \
         usage=\"USER_DATA\" dataSource=\"OTHER\"/><BACKUP_LOCATIONS>{groups}</BACKUP_LOCATIONS>\
         </WRITER_METADATA>"
    )
}

/// The Backup Components Document of these components of the writer 1.
fn chosen_document(components: &str) -> String {
    format!(
        "<BACKUP_COMPONENTS xmlns=\"x-schema:#VssComponentMetadata\" version=\"1.2\">\
         <WRITER_COMPONENTS instanceId=\"00000000-0000-0000-0000-000000000001\" \
         writerId=\"00000000-0000-0000-0000-000000000001\">{components}</WRITER_COMPONENTS>\
         </BACKUP_COMPONENTS>"
    )
}

/// The files of a writer with a required component, a set and a dependency, and of
/// the writer that it depends on.
fn two_writers(stage: &Stage) -> [String; 2] {
    let mail = [
        ("index", "", "no"),
        ("boxes", "", "yes"),
        ("anna", "boxes", "no"),
        ("web", "", "yes"),
    ];
    let mail = stage.file(
        "mail.xml",
        &writer_document(1, "Mail Writer", &mail, "users"),
    );
    let users = [("users", "", "yes"), ("groups", "", "yes")];
    let users = stage.file("users.xml", &writer_document(2, "User Writer", &users, ""));
    [mail, users].map(|file| file.to_str().unwrap().to_owned())
}

#[test]
fn a_selection_is_told_in_words() {
    let stage = Stage::new();
    let [mail, users] = &two_writers(&stage);
    let everything = stage.umbra.ok(["document", mail, users, "--select"]);
    let lines = |text: &str| -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).collect()
    };
    assert_eq!(
        lines(&everything),
        [
            "writer Mail Writer",
            "COMPONENT INCLUDED WHY",
            "index explicitly its writer requires it",
            "boxes explicitly",
            "boxes\\anna implicitly it comes with boxes",
            "web explicitly",
            "web depends on users of the writer User Writer, which takes part",
            "",
            "writer User Writer",
            "COMPONENT INCLUDED WHY",
            "users explicitly",
            "groups explicitly",
        ]
    );
    let named = ["document", mail, users, "--select", "mail writer:\\web"];
    assert_eq!(
        lines(&stage.umbra.ok(named)),
        [
            "writer Mail Writer",
            "COMPONENT INCLUDED WHY",
            "index explicitly its writer requires it",
            "boxes no it was not chosen",
            "boxes\\anna no it comes only with boxes, which was not chosen",
            "web explicitly",
            "web depends on users of the writer User Writer, which was not chosen",
            "",
            "writer User Writer takes no part: nothing of it was chosen",
        ]
    );
    let json = stage
        .umbra
        .json(["document", mail, users, "--json", "--select", "User Writer"]);
    assert_eq!(json["operation"], "backup", "{json:#}");
    assert_eq!(json["writers"][0]["takes_part"], false, "{json:#}");
    let component = &json["writers"][1]["components"][0];
    assert_eq!(component["inclusion"], "explicit", "{json:#}");
    let left_out = &json["writers"][0]["components"][2];
    assert_eq!(left_out["inclusion"], "left-out", "{json:#}");
    assert_eq!(left_out["reason"], "ancestor-not-chosen", "{json:#}");
    assert_eq!(left_out["ancestor"], "boxes", "{json:#}");
}

#[test]
fn a_backup_and_a_restore_are_explained_by_their_document() {
    let stage = Stage::new();
    let [mail, users] = &two_writers(&stage);
    let backup = chosen_document(
        "<COMPONENT componentName=\"boxes\" componentType=\"filegroup\"/>\
         <COMPONENT logicalPath=\"boxes\" componentName=\"anna\" componentType=\"filegroup\"/>",
    );
    let backup = stage.file("backup.xml", &backup);
    let text = stage.umbra.ok([
        "document",
        mail,
        users,
        backup.to_str().unwrap(),
        "--select",
    ]);
    for words in [
        "it was not chosen, but must be",
        "it comes with boxes",
        "not allowed by the writers",
        "\"boxes\\\\anna\" of the writer Mail Writer cannot be added by itself",
        "writer User Writer takes no part",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let restore = chosen_document(
        "<COMPONENT componentName=\"boxes\" componentType=\"filegroup\" \
         selectedForRestore=\"yes\"/>\
         <COMPONENT componentName=\"index\" componentType=\"filegroup\"/>",
    );
    let restore = stage.file("restore.xml", &restore);
    let restore = restore.to_str().unwrap();
    let json = stage
        .umbra
        .json(["document", "--json", mail, restore, "--select"]);
    assert_eq!(json["operation"], "restore", "{json:#}");
    let components = json["writers"][0]["components"].as_array().unwrap();
    let reasons: Vec<_> = components
        .iter()
        .map(|one| {
            (
                one["path"].as_str().unwrap(),
                one["inclusion"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        reasons,
        [
            ("boxes", "explicit"),
            ("boxes\\anna", "implicit"),
            ("index", "not-restored")
        ]
    );
    assert_eq!(components[2]["reason"], "required-not-selected", "{json:#}");
}

#[test]
fn a_selection_that_cannot_be_says_why() {
    let stage = Stage::new();
    let [mail, users] = &two_writers(&stage);
    let select = |name| ["document", mail, users, "--select", name];
    stage
        .umbra
        .fails(select("Nobody"), 101, &["no writer \"Nobody\""]);
    stage.umbra.fails(
        select("Mail Writer:nothing"),
        101,
        &["no component \"nothing\""],
    );
    stage.umbra.fails(
        select("Mail Writer:boxes\\anna"),
        2,
        &["comes with \"boxes\""],
    );
    let twice = [
        "document",
        mail,
        "--select",
        "Mail Writer:web",
        "Mail Writer:web",
    ];
    stage.umbra.fails(twice, 2, &["has been added already"]);
    let backup = stage.file("backup.xml", &chosen_document(""));
    let backup = backup.to_str().unwrap();
    stage.umbra.fails(
        ["document", backup, "--select"],
        2,
        &["no Writer Metadata Document"],
    );
    let two = ["document", mail, backup, backup, "--select"];
    stage
        .umbra
        .fails(two, 2, &["more than one Backup Components Document"]);
    stage
        .umbra
        .fails(["document", mail, "--check", "--select"], 2, &[]);
}
