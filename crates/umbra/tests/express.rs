//! `umbra express` and `umbra abort`, as an administrator uses them.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use support::{Bench, Umbra};
use umbra_client::{Address, Connection, ExpressWriterMetadata, Requester};
use umbra_documents::{Component, FileSet, WriterVersion};
use umbra_model::{UsageType, WriterId};

const ID: &str = "5d8f14c5-0d0a-4f0c-9c1f-3b6f9d8c2f01";

fn document(name: &str, folder: &Path) -> String {
    let (id, version): (WriterId, _) = (ID.parse().unwrap(), WriterVersion::default());
    let mut express = ExpressWriterMetadata::create(id, name, UsageType::UserData, version);
    let component = Component {
        files: vec![FileSet::tree(folder)],
        ..Component::file_group("pages")
    };
    express.add_component(component).unwrap();
    express.save_as_xml().unwrap()
}

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

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn registered_listed_and_unregistered(stage: &Stage) {
    let umbra = &stage.umbra;
    let none = umbra.ok(["express", "list"]);
    assert_eq!(none, "There are no express writers.\n");
    let file = stage.file("wiki.xml", &document("Wiki", Path::new("/srv/wiki")));
    let registered = umbra.run(["express", "register", &file]);
    assert!(registered.status.success(), "{registered:?}");
    assert!(
        registered.stderr.contains("Wiki") && registered.stderr.contains(ID),
        "{registered:?}"
    );

    let listed = umbra.ok(["express", "list"]);
    assert!(listed.contains(ID) && listed.contains("Wiki"), "{listed}");
    let json = umbra.json(["express", "list", "--json"]);
    assert_eq!(json[0]["id"], ID, "{json:#}");
    assert_eq!(json[0]["components"][0], "pages", "{json:#}");
    let kept = json[0]["file"].as_str().unwrap();
    assert!(
        kept.ends_with(&format!("etc/umbra/writers.d/{ID}.xml")),
        "{kept}"
    );
    let checked = umbra.ok(["document", "--check", kept]);
    assert!(checked.ends_with(": valid\n"), "{checked}");

    let writers = umbra.json(["writers", "--json"]);
    assert_eq!(
        writers[0]["name"], "VSS Metadata Store Writer",
        "{writers:#}"
    );
    assert_eq!(writers[1]["name"], "Wiki", "{writers:#}");
    assert_eq!(writers[1]["origin"], "express", "{writers:#}");
    let xml = umbra.ok(["writers", "Wiki", "--xml"]);
    assert!(xml.contains("path=\"/srv/wiki\""), "{xml}");

    umbra.fails(
        ["express", "register", &file],
        104,
        &[ID, "registered already"],
    );
    umbra.ok(["express", "unregister", ID]);
    umbra.fails(["express", "unregister", ID], 101, &[ID, "list them"]);
    assert_eq!(
        umbra.json(["writers", "--json"]).as_array().unwrap().len(),
        0
    );
}

#[test]
fn a_writer_is_registered_listed_and_unregistered() {
    let stage = Stage::new();
    registered_listed_and_unregistered(&stage);
    let daemon = stage.umbra.daemon();
    registered_listed_and_unregistered(&stage);
    assert!(daemon.stop().status.success());
}

#[test]
fn a_bad_document_is_refused_with_its_place() {
    let stage = Stage::new();
    let umbra = &stage.umbra;
    let cut = stage.file("cut.xml", "<WRITER_METADATA\n><");
    umbra.fails(
        ["express", "register", &cut],
        112,
        &["cut.xml", "line 2, column 2"],
    );
    let text = document("Wiki", Path::new("/srv/wiki")).replace("FILE_GROUP", "DATABASE");
    let database = stage.file("database.xml", &text);
    umbra.fails(
        ["express", "register", &database],
        112,
        &["database.xml", "\"pages\"", "file groups only"],
    );
    umbra.fails(
        ["express", "register", "/nowhere.xml"],
        101,
        &["/nowhere.xml"],
    );
    umbra.fails(["express", "unregister", "wiki"], 2, &["GUID"]);
    umbra.fails(["express"], 2, &[]);
    assert!(
        !umbra
            .root()
            .join(format!("etc/umbra/writers.d/{ID}.xml"))
            .exists()
    );
}

#[test]
fn a_file_that_makes_no_writer_is_named_and_warned_of_once() {
    let stage = Stage::new();
    let umbra = &stage.umbra;
    umbra.write("etc/umbra/writers.d/broken.xml", "<WRITER_METADATA>");
    let open = "etc/umbra/writers.d/open.xml";
    umbra.write(open, &document("Wiki", Path::new("/srv/wiki")));
    let mode = fs::Permissions::from_mode(0o666);
    fs::set_permissions(umbra.root().join(open), mode).unwrap();

    let daemon = umbra.daemon();
    let listed = umbra.ok(["express", "list"]);
    for words in [
        "broken.xml: no writer: ",
        "line 1, column",
        "open.xml: no writer: ",
        "go-w",
    ] {
        assert!(listed.contains(words), "{words} in {listed}");
    }
    for _ in 0..2 {
        let writers = umbra.json(["writers", "--json"]);
        assert_eq!(writers.as_array().unwrap().len(), 1, "{writers:#}");
    }
    let stopped = daemon.stop();
    let warnings = stopped.stderr.matches("no express writer from").count();
    assert_eq!(warnings, 2, "{stopped:?}");
}

#[test]
fn an_express_writer_neither_raises_nor_lowers_what_a_set_promises() {
    let bench = Bench::new();
    let (umbra, volume) = (&bench.umbra, bench.ext4.mount.as_path());
    let pages = volume.join("wiki");
    fs::create_dir(&pages).unwrap();
    umbra.write("etc/umbra/writers.d/wiki.xml", &document("Wiki", &pages));
    let create = || umbra.json(["create".as_ref(), "--json".as_ref(), volume.as_os_str()]);
    let set = create();
    assert_eq!(set["consistency"], "filesystem", "{set:#}");
    let reason = set["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "Wiki only says where the data is and does nothing to it"
    );
    let vouching = set["writers"].as_array().unwrap();
    assert!(vouching.is_empty(), "it vouches for nothing: {set:#}");

    let database = volume.join("notes.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)")
        .unwrap();
    umbra.write(
        "etc/umbra/writers.d/sqlite.toml",
        &format!("[[database]]\npath = {:?}\n", database.to_str().unwrap()),
    );
    let set = create();
    assert_eq!(set["consistency"], "application", "{set:#}");
    let reason = set["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("the files of Wiki are as the instant found them"),
        "{reason}"
    );
    // Nothing would have been done to its data.
    let without = ["--json", "--exclude-writer", "Wiki"].map(AsRef::as_ref);
    let arguments = [&["create".as_ref(), volume.as_os_str()][..], &without].concat();
    let set = umbra.json(arguments);
    assert_eq!(set["consistency"], "application", "{set:#}");
    umbra.ok(["delete", "--all", "--yes"]);
}

#[test]
fn every_set_in_the_making_is_given_up() {
    let stage = Stage::new();
    let umbra = &stage.umbra;
    let told = umbra.run(["abort"]);
    assert!(told.stderr.contains("umbrad does not run"), "{told:?}");

    let daemon = umbra.daemon();
    let told = umbra.run(["abort"]);
    assert!(told.status.success(), "{told:?}");
    assert!(
        told.stderr.contains("no shadow copy set is being made"),
        "{told:?}"
    );

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let connection = Connection::open(&Address::Path(umbra.socket()))
            .await
            .unwrap();
        let session = Requester::open(&connection, "slow").await.unwrap();
        session.start_snapshot_set().await.unwrap();
        let told = umbra.run(["abort"]);
        assert!(told.status.success(), "{told:?}");
        assert!(told.stderr.contains("is given up"), "{told:?}");
        let error = session.do_snapshot_set().await.unwrap_err();
        assert!(error.to_string().contains("administrator"), "{error}");
        session.close().await.unwrap();
    });
    assert!(daemon.stop().status.success());
}
