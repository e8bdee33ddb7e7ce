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
    process::{Child, Command},
};
use umbra_client::BackupOutcome;
use umbra_documents::{FreezeLevel, WriterIdentity, WriterMetadata};
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

async fn backs_up(served: &Served, data: &Path, mut example: Child) {
    let mut lines = BufReader::new(example.stdout.take().unwrap()).lines();
    until(&mut lines, "welcome").await;
    served.wait_for_writers(1).await;
    let mut metadata = parts::metadata("Witness");
    metadata.level = FreezeLevel::System;
    let witness = Arc::new(Witness {
        metadata,
        file: data.join("lines"),
        grown_by: Mutex::default(),
    });
    parts::eventually("the example writes", || {
        std::fs::metadata(&witness.file).is_ok_and(|file| file.len() > 0)
    })
    .await;
    let registration = served
        .service
        .register_writer(witness.clone(), "the test".into())
        .unwrap();

    let session = prepared(&served.connect().await, "test").await.unwrap();
    let set = within(session.do_snapshot_set()).await.unwrap();
    assert_eq!(set.writers.len(), 2, "{:?}", set.writers);
    assert_eq!(*witness.grown_by.lock().unwrap(), [0]);
    let after = witness.length();
    parts::eventually("the example goes on", || witness.length() > after).await;
    session
        .backup_complete(BackupOutcome::Succeeded)
        .await
        .unwrap();
    within(session.close()).await.unwrap();
    let mut words = until(&mut lines, "backup_shutdown").await;
    words.retain(|word| word != "identify");
    assert_eq!(words, EVENTS);

    drop(registration);
    example.kill().await.unwrap();
    served.wait_for_writers(0).await;
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
    backs_up(&served, data.path(), rust_writer(&served, data.path())).await;
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
    backs_up(&served, data.path(), spawn(&mut command)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_writer_on_the_abstract_socket() {
    the_python_writer(|served| format!("unix-abstract:{}", served.abstract_name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_writer_on_the_path_socket() {
    the_python_writer(|served| format!("unix:{}", served.socket().display())).await;
}
