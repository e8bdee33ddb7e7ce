//! The SQLite writer on real databases, beside programs that write to them.

// Clippy's exemption for tests does not reach what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use rusqlite::{Connection, OpenFlags};
use std::{
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use support::{assert_windows_would_read, event};
use tempfile::TempDir;
use umbra_writer::{SetEvent, Writer, WriterFailureKind, WriterSource};
use umbra_writers::{DatabaseConfig, SqliteConfig, SqliteSource};

struct Bed {
    folder: TempDir,
    source: SqliteSource,
    path: PathBuf,
}

impl Bed {
    fn new(journal_mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", journal_mode)
            .unwrap();
        connection
            .execute_batch("CREATE TABLE log (number INTEGER, filling TEXT)")
            .unwrap();
        drop(connection);
        Self {
            source: source(&path, 5),
            folder,
            path,
        }
    }

    async fn writer(&self) -> Arc<dyn Writer> {
        self.source.writers().await.remove(0)
    }

    fn event(&self) -> SetEvent {
        event(self.folder.path(), &[self.path.display().to_string()])
    }

    fn write_once(&self) -> rusqlite::Result<usize> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.execute("INSERT INTO log VALUES (0, '')", [])
    }
}

fn source(path: &Path, lock_wait_seconds: u32) -> SqliteSource {
    SqliteSource::new(SqliteConfig {
        lock_wait_seconds,
        databases: vec![DatabaseConfig { path: path.into() }],
    })
}

/// A program that writes without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicI64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn on(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicI64::new(0));
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        connection
            .pragma_update(None, "synchronous", "OFF")
            .unwrap();
        let thread = thread::spawn({
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    connection
                        .execute(
                            "INSERT INTO log VALUES (?1, hex(randomblob(2000)))",
                            [written.load(Ordering::Relaxed) + 1],
                        )
                        .unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self {
            stop,
            written,
            thread: Some(thread),
        }
    }

    fn written(&self) -> i64 {
        self.written.load(Ordering::Relaxed)
    }

    fn wait_until_more_than(&self, count: i64) {
        let begun = Instant::now();
        while self.written() <= count {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing written");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn whole_set_beside_a_writing_program(journal_mode: &str) {
    let bed = Bed::new(journal_mode);
    let load = Load::on(&bed.path);
    load.wait_until_more_than(20);
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();

    // One transaction may have been counted late; then nothing moves.
    thread::sleep(Duration::from_millis(20));
    let frozen_at = load.written();
    let copy = tempfile::tempdir().unwrap();
    // Another process: closing a file here would drop SQLite's locks on it.
    let copied = Command::new("cp")
        .arg("-r")
        .arg(bed.folder.path())
        .arg(copy.path().join("all"))
        .status()
        .unwrap();
    assert!(copied.success());
    thread::sleep(Duration::from_millis(100));
    assert_eq!(load.written(), frozen_at, "written while frozen");

    writer.thaw(&event).await.unwrap();
    writer.post_snapshot(&event).await.unwrap();
    load.wait_until_more_than(frozen_at);

    let copy = Connection::open(copy.path().join("all/app.db")).unwrap();
    let verdict: String = copy
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let rows: i64 = copy
        .query_row("SELECT count(*) FROM log", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, frozen_at);
}

#[tokio::test]
async fn a_writing_program_stops_from_freeze_to_thaw_in_wal_mode() {
    whole_set_beside_a_writing_program("WAL").await;
}

#[tokio::test]
async fn a_writing_program_stops_from_freeze_to_thaw_in_delete_mode() {
    whole_set_beside_a_writing_program("DELETE").await;
}

#[tokio::test]
async fn abort_and_drop_release_the_lock() {
    let writable = |bed: &Bed| {
        let begun = Instant::now();
        while bed.write_once().is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "still locked");
            thread::sleep(Duration::from_millis(2));
        }
    };
    let bed = Bed::new("WAL");
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    assert!(bed.write_once().is_err());
    writer.abort(&event).await;
    writable(&bed);

    writer.freeze(&event).await.unwrap();
    assert!(bed.write_once().is_err());
    drop(writer);
    let Bed {
        folder,
        source: dropped,
        path,
    } = bed;
    drop(dropped);
    writable(&Bed {
        source: source(&path, 1),
        folder,
        path,
    });
}

#[tokio::test]
async fn a_freeze_that_nobody_waits_for_locks_nothing() {
    let bed = Bed::new("DELETE");
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    let other = Connection::open(&bed.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let freeze = writer.freeze(&event);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), freeze)
            .await
            .is_err()
    );
    writer.abort(&event).await;
    other.execute_batch("ROLLBACK").unwrap();
    thread::sleep(Duration::from_millis(50));
    bed.write_once().unwrap();
}

#[tokio::test]
async fn a_lock_of_another_program_is_a_retryable_veto() {
    let bed = Bed::new("WAL");
    let source = source(&bed.path, 0);
    let writer = source.writers().await.remove(0);
    let event = bed.event();
    writer.prepare_for_backup(&event).await.unwrap();
    let other = Connection::open(&bed.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let veto = writer.freeze(&event).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::Retryable, "{veto}");
    assert!(veto.message.contains("lock_wait_seconds"), "{veto}");
}

#[tokio::test]
async fn a_replaced_database_fails_thaw() {
    let bed = Bed::new("DELETE");
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    std::fs::rename(&bed.path, bed.folder.path().join("old.db")).unwrap();
    Connection::open(&bed.path)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    let failure = writer.thaw(&event).await.unwrap_err();
    assert!(failure.message.contains("replaced"), "{failure}");
}

#[tokio::test]
async fn a_journal_of_a_crashed_program_is_rolled_back_before_freeze() {
    let bed = Bed::new("DELETE");
    let crashed = tempfile::tempdir().unwrap();
    let program = Connection::open(&bed.path).unwrap();
    program
        .execute_batch(
            "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO log SELECT i, hex(randomblob(2000)) FROM n",
        )
        .unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(bed.folder.path())
        .arg(crashed.path().join("all"))
        .status()
        .unwrap();
    assert!(copied.success());
    drop(program);
    let path = crashed.path().join("all/app.db");
    assert!(path.with_file_name("app.db-journal").exists());
    let bed = Bed {
        source: source(&path, 5),
        folder: crashed,
        path,
    };
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    assert!(!bed.path.with_file_name("app.db-journal").exists());
    writer.thaw(&event).await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_a_clear_failure_and_nothing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.db");
    let source = source(&path, 1);
    let writer = source.writers().await.remove(0);
    let failure = writer.identify().await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::NonRetryable);
    assert!(failure.message.contains("sqlite.toml"), "{failure}");
    assert!(!path.exists());

    std::fs::write(&path, "certainly no database".repeat(100)).unwrap();
    writer.identify().await.unwrap();
    let event = event(folder.path(), &[path.display().to_string()]);
    let failure = writer.prepare_for_backup(&event).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::NonRetryable);
    assert!(failure.message.contains("not a database"), "{failure}");
}

#[tokio::test]
async fn a_database_outside_the_set_is_vetoed() {
    let bed = Bed::new("WAL");
    let event = SetEvent {
        volumes: Vec::new(),
        ..bed.event()
    };
    let veto = bed
        .writer()
        .await
        .prepare_for_backup(&event)
        .await
        .unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::InconsistentSnapshot, "{veto}");
}

#[tokio::test]
async fn identify_names_the_journals_and_follows_a_link() {
    let bed = Bed::new("WAL");
    let link = bed.folder.path().join("link.db");
    std::os::unix::fs::symlink(&bed.path, &link).unwrap();
    let source = source(&link, 1);
    let writer = source.writers().await.remove(0);
    let metadata = writer.identify().await.unwrap();
    metadata.validate().unwrap();
    assert_windows_would_read(&metadata);
    let component = &metadata.components[0];
    assert_eq!(component.full_path(), link.display().to_string());
    let names: Vec<_> = component
        .files
        .iter()
        .map(|files| files.specification.as_str())
        .collect();
    assert_eq!(
        names,
        ["app.db", "app.db-wal", "app.db-shm", "app.db-journal"]
    );
    let event = event(bed.folder.path(), &[component.full_path()]);
    writer.prepare_for_backup(&event).await.unwrap();
}

/// The service runs as root, the application does not: what SQLite makes
/// beside the database must belong to the application.
#[tokio::test]
async fn journals_that_appear_belong_to_the_owner_of_the_database() {
    let owner = 65534;
    let bed = Bed::new("WAL");
    chown(&bed.path, Some(owner), Some(owner))
        .expect("this test gives a file to another user and needs root");
    let (writer, event) = (bed.writer().await, bed.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    for suffix in ["-wal", "-shm"] {
        let journal = bed.path.with_file_name(format!("app.db{suffix}"));
        assert_eq!(journal.metadata().unwrap().uid(), owner, "{suffix}");
    }
    writer.thaw(&event).await.unwrap();
}
