//! The example writers, in Rust and in Python, as processes of their own against
//! a real service: they really stop writing between Freeze and Thaw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

#[path = "../../umbra-server/tests/parts/mod.rs"]
mod parts;

use async_trait::async_trait;
use parts::{Served, prepared, within};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};
use umbra_client::{BackupOutcome, Requester};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, FreezeLevel, Term, WriterComponents, WriterIdentity,
    WriterMetadata,
};
use umbra_model::{BackupType, ComponentType, FileRestoreStatus, RestoreTarget, VssCode};
use umbra_writer::{SetEvent, Writer, WriterFailure};

/// What an example prints for one backup.
const EVENTS: [&str; 7] = [
    "prepare_for_backup",
    "prepare_for_snapshot",
    "freeze",
    "thaw",
    "post_snapshot",
    "backup_complete",
    "backup_shutdown",
];

/// Watches the example's file while the example is frozen: it is frozen after
/// the example, whose level comes first, and thawed before it.
struct Witness {
    metadata: WriterMetadata,
    file: PathBuf,
    grown_by: Mutex<Vec<u64>>,
}

impl Witness {
    fn length(&self) -> u64 {
        std::fs::metadata(&self.file).unwrap().len()
    }
}

#[async_trait]
impl Writer for Witness {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.metadata.clone())
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        let before = self.length();
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.grown_by.lock().unwrap().push(self.length() - before);
        Ok(())
    }
}

/// Reads what an example prints, a word a line, until this word has come.
async fn until(
    lines: &mut tokio::io::Lines<impl AsyncBufReadExt + Unpin>,
    last: &str,
) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        let line = within(lines.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the example ended after {words:?}"));
        let word = line.split(' ').next().unwrap().to_owned();
        words.push(word.clone());
        if word == last {
            return words;
        }
    }
}

/// An example that runs, and what it prints.
struct Example {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    /// The file that it writes.
    file: PathBuf,
}

impl Example {
    async fn new(served: &Served, data: &Path, mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        until(&mut lines, "welcome").await;
        served.wait_for_writers(1).await;
        let file = data.join("lines");
        parts::eventually("the example writes", || {
            std::fs::metadata(&file).is_ok_and(|file| file.len() > 0)
        })
        .await;
        Self { child, lines, file }
    }

    fn length(&self) -> u64 {
        std::fs::metadata(&self.file).unwrap().len()
    }

    async fn goes_on(&self) {
        let before = self.length();
        parts::eventually("the example goes on", || self.length() > before).await;
    }

    /// What it prints until a session ends.
    async fn told(&mut self) -> Vec<String> {
        let mut words = until(&mut self.lines, "backup_shutdown").await;
        words.retain(|word| word != "identify");
        words
    }
}

/// Everything that an example shows, one after the other.
async fn works(served: &Served, data: &Path, child: Child) {
    let mut example = Example::new(served, data, child).await;
    stops_while_a_set_is_made(served, &mut example).await;
    describes_its_backups(served, &mut example).await;
    fails_on_request(served).await;
    stops_for_a_restore(served, &example).await;
    example.child.kill().await.unwrap();
    served.wait_for_writers(0).await;
}

async fn stops_while_a_set_is_made(served: &Served, example: &mut Example) {
    let mut metadata = parts::metadata("Witness");
    metadata.level = FreezeLevel::System;
    let witness = Arc::new(Witness {
        metadata,
        file: example.file.clone(),
        grown_by: Mutex::default(),
    });
    let registration = served
        .service
        .register_writer(witness.clone(), "the test".into())
        .unwrap();
    let session = prepared(&served.connect().await, "test").await.unwrap();
    let set = within(session.do_snapshot_set()).await.unwrap();
    assert_eq!(set.writers.len(), 2, "{:?}", set.writers);
    assert_eq!(*witness.grown_by.lock().unwrap(), [0]);
    example.goes_on().await;
    session
        .backup_complete(BackupOutcome::Succeeded)
        .await
        .unwrap();
    within(session.close()).await.unwrap();
    assert_eq!(example.told().await, EVENTS);
    drop(registration);
}

/// A session that has a set, and a document with the example's component `data`.
async fn chosen(served: &Served, data: ChosenComponent) -> (Requester, BackupComponentsDocument) {
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    let mut writers = within(session.gather_writer_metadata()).await.unwrap();
    let metadata = writers.remove(0).metadata;
    assert_eq!(metadata.components[1].full_path(), "data\\settings");
    let mut part = WriterComponents::new(metadata.identity.id, metadata.identity.instance);
    part.components.push(data);
    let document = BackupComponentsDocument {
        partial_file_support: Some(true),
        writers: vec![part],
        ..BackupComponentsDocument::new()
    };
    (session, document)
}

fn data() -> ChosenComponent {
    ChosenComponent::new(None, "data", ComponentType::FileGroup)
}

fn only(document: &BackupComponentsDocument) -> &ChosenComponent {
    &document.writers[0].components[0]
}

/// What the example leaves at `data` in a backup of this type.
async fn back_up(
    served: &Served,
    example: &mut Example,
    data: ChosenComponent,
    kind: BackupType,
) -> ChosenComponent {
    let (session, mut document) = chosen(served, data).await;
    document.backup_type = Some(Term::Known(kind));
    session.start_snapshot_set().await.unwrap();
    let volume = Path::new(parts::VOLUME);
    session.add_to_snapshot_set(volume).await.unwrap();
    within(session.prepare_for_backup_of(&document))
        .await
        .unwrap();
    let (_, mut made) = within(session.do_snapshot_set_of()).await.unwrap();
    made.writers[0].components[0].backup_succeeded = Some(true);
    within(session.backup_complete_of(&made)).await.unwrap();
    within(session.close()).await.unwrap();
    assert_eq!(example.told().await, EVENTS);
    only(&made).clone()
}

async fn describes_its_backups(served: &Served, example: &mut Example) {
    let full = back_up(served, example, data(), BackupType::Full).await;
    assert_eq!(full.partial_files, []);
    let stamp = full.backup_stamp.unwrap();
    let metadata = format!("{stamp} bytes of lines");
    assert_eq!(full.backup_metadata, Some(metadata));
    example.goes_on().await;

    let next = ChosenComponent {
        previous_backup_stamp: Some(stamp.clone()),
        ..data()
    };
    let next = back_up(served, example, next, BackupType::Incremental).await;
    let (start, end): (u64, u64) = (
        stamp.parse().unwrap(),
        next.backup_stamp.unwrap().parse().unwrap(),
    );
    assert!(start < end, "{start} {end}");
    let [part] = &next.partial_files[..] else {
        panic!("{:?}", next.partial_files);
    };
    assert_eq!(Path::new(&part.path).join(&part.name), example.file);
    let ranges = format!("{start}:{}", end - start);
    assert_eq!(part.ranges, Some(ranges));
}

async fn fails_on_request(served: &Served) {
    let failing = ChosenComponent {
        backup_options: Some("fail".into()),
        ..data()
    };
    let (session, document) = chosen(served, failing).await;
    session.start_snapshot_set().await.unwrap();
    let volume = Path::new(parts::VOLUME);
    session.add_to_snapshot_set(volume).await.unwrap();
    let error = within(session.prepare_for_backup_of(&document))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable, "{error}");
    let said = session.document().await.unwrap().unwrap();
    let why = only(&said).prepare_for_backup_failure.clone().unwrap();
    assert!(why.contains("asked to fail"), "{why}");
    let status = session.gather_writer_status().await.unwrap();
    assert_eq!(status[0].application_code, Some(42));
    within(session.close()).await.unwrap();
}

async fn stops_for_a_restore(served: &Served, example: &Example) {
    let selected = ChosenComponent {
        selected_for_restore: Some(true),
        ..data()
    };
    let (session, document) = chosen(served, selected).await;
    let before = within(session.pre_restore(&document)).await.unwrap();
    assert_eq!(before.failures, []);
    let mut document = before.document;
    let target = only(&document).restore_target.clone();
    assert_eq!(target, Some(Term::Known(RestoreTarget::Original)));
    let length = example.length();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(example.length(), length);

    document.writers[0].components[0].file_restore_status =
        Some(Term::Known(FileRestoreStatus::Failed));
    let after = within(session.post_restore(&document)).await.unwrap();
    assert_eq!(after.failures.len(), 1, "{:?}", after.failures);
    let why = only(&after.document).post_restore_failure.clone().unwrap();
    assert!(why.contains("restore them again"), "{why}");
    example.goes_on().await;
    within(session.close()).await.unwrap();
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// The Rust example, writing in this folder.
fn rust_writer(served: &Served, data: &Path) -> Child {
    let program = std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/example_writer");
    assert!(
        program.exists(),
        "{program:?} is missing: this test needs `cargo build -p umbra-client --examples` first"
    );
    let mut command = Command::new(program);
    command.arg(data).arg(format!("@{}", served.abstract_name));
    spawn(&mut command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_writer() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    works(&served, data.path(), rust_writer(&served, data.path())).await;
}

/// Its socket stays open; only the pings tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_writer_counts_as_gone() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut example = rust_writer(&served, data.path());
    served.wait_for_writers(1).await;
    let pid = example.id().unwrap();
    let stopped = Command::new("kill")
        .args(["-STOP", &pid.to_string()])
        .status();
    assert!(stopped.await.unwrap().success());
    served.wait_for_writers(0).await;
    example.kill().await.unwrap();
}

/// The Python writer on the socket that `target` makes of the service.
async fn the_python_writer(target: impl FnOnce(&Served) -> String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let folder = root.join("target/python-writer");
    let generated = std::process::Command::new("flock")
        .arg(root.join("target/python-writer.lock"))
        .arg(root.join("examples/python-writer/generate.sh"))
        .arg(&folder)
        .output()
        .expect("this test needs flock, of util-linux");
    assert!(
        generated.status.success(),
        "this test needs Python 3 with venv (apt-get install python3-venv) and PyPI: {}",
        String::from_utf8_lossy(&generated.stderr)
    );
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(folder.join("venv/bin/python"));
    command
        .arg(root.join("examples/python-writer/writer.py"))
        .arg("--target")
        .arg(target(&served))
        .arg(data.path())
        .env("UMBRA_GENERATED", folder.join("generated"));
    works(&served, data.path(), spawn(&mut command)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_writer_on_the_abstract_socket() {
    the_python_writer(|served| format!("unix-abstract:{}", served.abstract_name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_writer_on_the_path_socket() {
    the_python_writer(|served| format!("unix:{}", served.socket().display())).await;
}
