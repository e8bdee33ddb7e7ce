//! Express writers in real folders. Some tests give files to other users and need
//! root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use umbra_documents::{Component, FileSet, WriterMetadata, WriterVersion};
use umbra_model::{Consistency, UsageType, VssCode, WriterId};
use umbra_writer::{ExpressWriterMetadata, ExpressWriters, WriterSource};
use umbra_writers::{ExpressSource, METADATA_STORE_WRITER_ID, SQLITE_WRITER_ID};

const NOBODY: u32 = 65_534;

struct Stage {
    folder: tempfile::TempDir,
    source: ExpressSource,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = ExpressSource::new(folder.path().join("writers.d"));
        Self { folder, source }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("writers.d").join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn registry(&self) -> Arc<dyn ExpressWriters> {
        self.source.express_writers().unwrap()
    }

    /// Every writer there is, by name.
    async fn writers(&self) -> Vec<(String, WriterMetadata)> {
        let mut all = Vec::new();
        for writer in self.source.writers().await {
            let metadata = writer.identify().await.unwrap();
            assert_eq!(metadata.identity, *writer.identity());
            metadata.validate().unwrap();
            all.push((metadata.identity.name.clone(), metadata));
        }
        all
    }

    async fn names(&self) -> Vec<String> {
        let writers = self.writers().await.into_iter();
        writers.map(|(name, _)| name).collect()
    }

    /// Why the file of this name makes no writer.
    fn problem(&self, name: &str) -> String {
        let entries = self.registry().list().unwrap();
        let entry = entries.iter().find(|entry| entry.file == self.path(name));
        let writer = entry.expect("it is listed").writer.clone();
        writer.expect_err("it makes no writer").to_string()
    }
}

fn document(id: u128, name: &str) -> String {
    express(id, name).save_as_xml().unwrap()
}

fn express(id: u128, name: &str) -> ExpressWriterMetadata {
    let (id, version) = (WriterId::from_u128(id), WriterVersion::default());
    let mut express = ExpressWriterMetadata::create(id, name, UsageType::UserData, version);
    let component = Component {
        files: vec![FileSet::tree("/srv/app")],
        ..Component::file_group("data")
    };
    express.add_component(component).unwrap();
    express
}

#[tokio::test]
async fn a_document_is_a_writer_from_one_gathering_to_the_next() {
    let stage = Stage::new();
    assert!(stage.names().await.is_empty(), "no folder, no writers");
    stage.file("notes.txt", "no document");
    stage.file(".hidden.xml", "one in the making");
    assert!(stage.names().await.is_empty());

    let file = stage.file("app.xml", document(1, "App"));
    let writers = stage.writers().await;
    assert_eq!(writers[0].0, "VSS Metadata Store Writer");
    assert_eq!(writers[0].1.identity.id, METADATA_STORE_WRITER_ID);
    let store = &writers[0].1.components[0];
    assert_eq!(store.name, "WriterMetadataStore");
    assert_eq!(
        store.files,
        [FileSet::files(stage.path(""), "*.xml")],
        "the documents themselves"
    );
    support::assert_windows_would_read(&writers[0].1);
    assert_eq!(writers[1].0, "App");
    support::assert_windows_would_read(&writers[1].1);
    assert_eq!(
        writers[1].1.components[0].files[0].path,
        Path::new("/srv/app")
    );
    assert_eq!(stage.writers().await, writers, "the same instances again");
    for writer in stage.source.writers().await {
        assert_eq!(writer.vouches_for(), Consistency::Filesystem);
    }

    fs::write(&file, document(1, "App 2")).unwrap();
    assert_eq!(stage.names().await[1], "App 2");
    fs::remove_file(file).unwrap();
    assert!(stage.names().await.is_empty());
}

#[tokio::test]
async fn a_bad_file_is_named_and_the_others_go_on() {
    let stage = Stage::new();
    stage.file("good.xml", document(1, "Good"));
    stage.file("cut.xml", &document(2, "Cut").as_bytes()[..200]);
    stage.file("other.xml", "<BACKUP_COMPONENTS/>");
    stage.file("empty.xml", "");
    let bad = document(3, "Database").replace("FILE_GROUP", "DATABASE");
    stage.file("database.xml", bad);
    let relative = document(4, "Relative").replace("/srv/app", "%SystemRoot%\\app");
    stage.file("windows.xml", relative);
    let in_box = document(5, "Mine").replace(
        &WriterId::from_u128(5).to_string(),
        &SQLITE_WRITER_ID.to_string(),
    );
    stage.file("in-box.xml", in_box);
    symlink(stage.path("good.xml"), stage.path("link.xml")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        stage.path("pipe.xml"),
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    fs::create_dir(stage.path("folder.xml")).unwrap();

    assert_eq!(stage.names().await, ["VSS Metadata Store Writer", "Good"]);
    for (name, expected) in [
        ("cut.xml", "line 2, column 3"),
        ("other.xml", "line 1, column 1"),
        ("empty.xml", "line 1, column 1"),
        ("database.xml", "\"data\" is a database"),
        ("windows.xml", "is not absolute"),
        ("in-box.xml", "comes with Umbra"),
        ("link.xml", "symbolic link"),
        ("pipe.xml", "no regular file"),
        ("folder.xml", "no regular file"),
    ] {
        let problem = stage.problem(name);
        assert!(problem.contains(expected), "{name}: {problem}");
    }
}

#[tokio::test]
async fn what_others_could_have_written_does_not_count() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives files to another user and needs root"
    );
    let stage = Stage::new();
    let foreign = stage.file("foreign.xml", document(1, "Foreign"));
    chown(&foreign, Some(NOBODY), None).unwrap();
    let open = stage.file("open.xml", document(2, "Open"));
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&open, 0o664);
    assert_eq!(stage.names().await, ["VSS Metadata Store Writer"]);
    assert!(stage.problem("foreign.xml").contains("uid 65534"));
    assert!(stage.problem("open.xml").contains("go-w"));

    chown(&foreign, Some(0), None).unwrap();
    mode(&open, 0o644);
    assert_eq!(stage.names().await.len(), 3);
    mode(&stage.path(""), 0o777);
    assert!(
        stage.names().await.is_empty(),
        "anybody could put one there"
    );
    let error = stage.registry().list().unwrap_err();
    assert!(error.to_string().contains("go-w"), "{error}");
    let error = stage.registry().register(&express(3, "New")).unwrap_err();
    assert!(error.to_string().contains("go-w"), "{error}");
}

#[tokio::test]
async fn of_two_with_one_id_the_first_by_name_counts() {
    let stage = Stage::new();
    stage.file("b.xml", document(1, "Second"));
    stage.file("a.xml", document(1, "First"));
    let copied = document(1, "First");
    let other = WriterId::from_u128(2).to_string();
    stage.file(
        "c.xml",
        copied.replace(&WriterId::from_u128(1).to_string(), &other),
    );
    assert_eq!(
        stage.names().await,
        ["VSS Metadata Store Writer", "First", "First"],
        "another id is another writer"
    );
    assert!(stage.problem("b.xml").contains("that of a.xml"));

    let instance = fs::read_to_string(stage.path("a.xml")).unwrap();
    stage.file(
        "d.xml",
        instance.replace(
            &WriterId::from_u128(1).to_string(),
            &WriterId::from_u128(3).to_string(),
        ),
    );
    let problem = stage.problem("d.xml");
    assert!(problem.contains("instance id"), "{problem}");
}

#[tokio::test]
async fn registering_writes_a_file_and_unregistering_removes_it() {
    let stage = Stage::new();
    let registry = stage.registry();
    assert!(registry.list().unwrap().is_empty());
    let express = express(1, "App");
    // What a program that was killed left behind is in nobody's way.
    let name = format!("{}.xml", WriterId::from_u128(1));
    stage.file(&format!(".{name}.new"), "half");

    let entry = registry.register(&express).unwrap();
    assert_eq!(entry.file, stage.path(&name));
    let registered = entry.writer.clone().unwrap();
    assert_ne!(
        registered.identity.instance,
        express.metadata().identity.instance,
        "each registration is an instance"
    );
    assert_eq!(registry.list().unwrap(), [entry]);
    assert_eq!(stage.names().await, ["VSS Metadata Store Writer", "App"]);
    let files: Vec<_> = fs::read_dir(stage.path("")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");

    let error = registry.register(&express).unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectAlreadyExists, "{error}");
    assert!(error.message().contains(&name), "{error}");

    registry.unregister(express.id()).unwrap();
    assert!(stage.names().await.is_empty());
    let error = registry.unregister(express.id()).unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
}

#[tokio::test]
async fn unregistering_finds_a_document_under_any_name() {
    let stage = Stage::new();
    stage.file("package.xml", document(1, "App"));
    stage.file("package-old.xml", document(1, "App"));
    stage.file("other.xml", document(2, "Other"));
    stage.registry().unregister(WriterId::from_u128(1)).unwrap();
    assert_eq!(stage.names().await, ["VSS Metadata Store Writer", "Other"]);
}

#[tokio::test]
async fn a_document_that_is_replaced_meanwhile_is_read_whole() {
    let stage = Stage::new();
    let long = express(1, "Long");
    let long = {
        let mut long = long;
        for number in 0..200 {
            let component = Component::file_group(format!("component {number}"));
            long.add_component(component).unwrap();
        }
        long.save_as_xml().unwrap()
    };
    let short = document(1, "Short");
    stage.file("app.xml", &short);
    let end = Arc::new(AtomicBool::new(false));
    let replace = {
        let (path, end) = (stage.path("app.xml"), Arc::clone(&end));
        let new = stage.path("app.new");
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                for text in [&long, &short] {
                    fs::write(&new, text).unwrap();
                    fs::rename(&new, &path).unwrap();
                }
            }
        })
    };
    for _ in 0..200 {
        let names = stage.names().await;
        assert!(
            names[1] == "Long" || names[1] == "Short",
            "{names:?}: {:?}",
            stage.registry().list()
        );
    }
    end.store(true, Ordering::Relaxed);
    replace.join().unwrap();
}

#[tokio::test]
async fn the_document_in_the_documentation_is_one() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/writers.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```xml\n").unwrap();
    let (xml, _) = rest.split_once("```").unwrap();
    let stage = Stage::new();
    stage.file("wiki.xml", xml);
    let writers = stage.writers().await;
    assert_eq!(writers[1].0, "Wiki", "{:?}", stage.registry().list());
    support::assert_windows_would_read(&writers[1].1);
}
