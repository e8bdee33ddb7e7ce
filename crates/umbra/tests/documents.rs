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
