//! The PostgreSQL writer on real clusters. Needs root, the user `postgres` and
//! PostgreSQL 15 in /usr/lib/postgresql/15 (`apt install postgresql-15`).

// Clippy's exemption for tests does not reach what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use support::event;
use tempfile::TempDir;
use umbra_documents::FileSet;
use umbra_writer::{BackupOutcome, SetEvent, Writer, WriterFailureKind, WriterSource};
use umbra_writers::{ClusterConfig, PostgresConfig, PostgresSource, RelayCommand};

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const PORT: u16 = 5439;

/// Starts the postmaster and, when its input ends, for whatever reason, stops
/// it at once.
const KEEPER: &str = r#""$@" & pid=$!; read -r line; kill -QUIT $pid 2>/dev/null; wait $pid"#;

struct Cluster {
    folder: TempDir,
    owner: (u32, u32),
    keeper: Option<Child>,
}

impl Cluster {
    /// A cluster with its WAL and its socket outside of its data directory.
    fn new(initdb: &[&str], settings: &[&str]) -> Self {
        assert!(
            Path::new(PROGRAMS).join("initdb").exists(),
            "this test needs PostgreSQL 15 in {PROGRAMS}: apt install postgresql-15"
        );
        let owner = (id("-u"), id("-g"));
        let folder = tempfile::Builder::new()
            .prefix("umbra-pg")
            .tempdir_in("/tmp")
            .unwrap();
        for path in [folder.path(), &folder.path().join("s")] {
            std::fs::create_dir_all(path).unwrap();
            std::os::unix::fs::chown(path, Some(owner.0), Some(owner.1))
                .expect("this test runs PostgreSQL as another user and needs root");
        }
        let mut cluster = Self {
            folder,
            owner,
            keeper: None,
        };
        // Other programs under test may not be reachable for the user.
        std::fs::copy(env!("CARGO_BIN_EXE_umbra-relay"), cluster.relay()).unwrap();
        let output = cluster
            .command(&format!("{PROGRAMS}/initdb"))
            .args(["-N", "--no-instructions", "-E", "UTF8", "--locale", "C"])
            .arg("-D")
            .arg(cluster.data())
            .arg("-X")
            .arg(cluster.wal())
            .args(initdb)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        cluster.start(settings);
        cluster
    }

    fn start(&mut self, settings: &[&str]) {
        let mut command = self.command("sh");
        command
            .args(["-c", KEEPER, "sh"])
            .arg(format!("{PROGRAMS}/postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=", "-p", &PORT.to_string()])
            .arg("-k")
            .arg(self.socket())
            .args(["-c", "shared_buffers=16MB", "-c", "fsync=off"]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.keeper = Some(keeper);
        let begun = Instant::now();
        let ready = || {
            let status = self
                .command(&format!("{PROGRAMS}/pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(self.socket())
                .args(["-p", &PORT.to_string()])
                .status();
            status.unwrap().success()
        };
        while !ready() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the cluster did not start: {}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .uid(self.owner.0)
            .gid(self.owner.1)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn wal(&self) -> PathBuf {
        self.folder.path().join("wal")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn relay(&self) -> PathBuf {
        self.folder.path().join("relay")
    }

    fn name(&self) -> String {
        self.data().display().to_string()
    }

    fn sql(&self, statement: &str) -> String {
        let output = self
            .command(&format!("{PROGRAMS}/psql"))
            .arg("-h")
            .arg(self.socket())
            .args(["-p", &PORT.to_string(), "-d", "postgres", "-XAtqc"])
            .arg(statement)
            .env("PGPASSWORD", "right")
            .output()
            .unwrap();
        assert!(output.status.success(), "{statement}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn postmaster(&self) -> Pid {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap()
    }

    /// Only the clusters of this test.
    fn discovery(&self) -> PostgresConfig {
        PostgresConfig {
            below: vec![self.folder.path().into()],
            ..PostgresConfig::default()
        }
    }

    fn configured(&self) -> ClusterConfig {
        ClusterConfig {
            name: "orders".into(),
            host: self.socket(),
            port: PORT,
            user: "postgres".into(),
            database: "postgres".into(),
            os_user: None,
            passfile: None,
        }
    }

    fn source(&self, config: PostgresConfig) -> PostgresSource {
        PostgresSource::new(config, RelayCommand::new(self.relay()))
    }

    async fn found(&self) -> Arc<dyn Writer> {
        self.source(self.discovery()).writers().await.remove(0)
    }

    async fn with(&self, cluster: ClusterConfig) -> Arc<dyn Writer> {
        let config = PostgresConfig {
            clusters: vec![cluster],
            ..self.discovery()
        };
        self.source(config).writers().await.remove(0)
    }

    fn event(&self) -> SetEvent {
        event(self.folder.path(), &[self.name()])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn id(option: &str) -> u32 {
    let output = Command::new("id")
        .args([option, "postgres"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim()
        .parse()
        .expect("this test needs the user postgres: apt install postgresql-15")
}

#[tokio::test]
async fn a_cluster_that_is_found_goes_through_a_whole_set() {
    let mut cluster = Cluster::new(&["-A", "peer"], &[]);
    let space = cluster.folder.path().join("space");
    let elsewhere = cluster.folder.path().join("etc");
    for folder in [&space, &elsewhere] {
        std::fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(cluster.owner.0), Some(cluster.owner.1)).unwrap();
    }
    cluster.sql(&format!(
        "CREATE TABLESPACE space LOCATION '{}'",
        space.display()
    ));
    cluster.stop();
    std::fs::rename(
        cluster.data().join("pg_hba.conf"),
        elsewhere.join("pg_hba.conf"),
    )
    .unwrap();
    // As an administrator does who is short of space.
    let moved = cluster.folder.path().join("multixact");
    std::fs::rename(cluster.data().join("pg_multixact"), &moved).unwrap();
    std::os::unix::fs::symlink(&moved, cluster.data().join("pg_multixact")).unwrap();
    let hba = format!("hba_file={}/pg_hba.conf", elsewhere.display());
    cluster.start(&[&hba]);

    let source = cluster.source(cluster.discovery());
    let writer = source.writers().await.remove(0);
    let metadata = writer.identify().await.unwrap();
    metadata.validate().unwrap();
    let [data, configuration] = metadata.components.as_slice() else {
        panic!("{:?}", metadata.components);
    };
    assert_eq!(data.full_path(), cluster.name());
    assert_eq!(
        data.files,
        [cluster.data(), moved, cluster.wal(), space].map(FileSet::tree)
    );
    assert_eq!(
        configuration.full_path(),
        format!("{}\\configuration", cluster.name())
    );
    assert_eq!(
        configuration.files,
        [FileSet::files(&elsewhere, "pg_hba.conf")]
    );
    assert!(
        metadata
            .excluded
            .contains(&FileSet::files(cluster.data(), "postmaster.pid"))
    );

    let event = event(
        cluster.folder.path(),
        &[data.full_path(), configuration.full_path()],
    );
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    let checkpoint = "SELECT checkpoint_lsn FROM pg_control_checkpoint()";
    let before = cluster.sql(checkpoint);
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    assert_ne!(cluster.sql(checkpoint), before);
    writer.freeze(&event).await.unwrap();
    writer.thaw(&event).await.unwrap();
    writer.post_snapshot(&event).await.unwrap();
    writer
        .backup_complete(&event, BackupOutcome::Succeeded)
        .await
        .unwrap();
    writer.backup_shutdown(event.session).await;
    let begun = Instant::now();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'umbra'";
    while cluster.sql(connected) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "still connected");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    cluster.stop();
    assert!(source.writers().await.is_empty());
    assert!(writer.identify().await.unwrap().components.is_empty());
    let failure = writer.prepare_for_backup(&event).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::Retryable);
    assert!(failure.message.contains("does not run"), "{failure}");
}

#[tokio::test]
async fn a_postmaster_that_dies_while_frozen_fails_thaw() {
    let mut cluster = Cluster::new(&["-A", "peer"], &[]);
    let (writer, event) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    kill_process(cluster.postmaster(), Signal::KILL).unwrap();
    cluster.stop();
    let failure = writer.thaw(&event).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::Retryable);
    assert!(failure.message.contains("postmaster ended"), "{failure}");

    // It was started again between PrepareForSnapshot and Freeze.
    std::fs::remove_file(cluster.data().join("postmaster.pid")).unwrap();
    cluster.start(&[]);
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    cluster.stop();
    cluster.start(&[]);
    let failure = writer.freeze(&event).await.unwrap_err();
    assert!(failure.message.contains("postmaster ended"), "{failure}");
    writer.abort(&event).await;
}

#[tokio::test]
async fn a_password_is_asked_for_and_taken_from_the_passfile() {
    let passwords = tempfile::NamedTempFile::new().unwrap();
    let mut file = passwords.as_file();
    file.write_all(b"right").unwrap();
    // Read by initdb, as the user postgres.
    file.set_permissions(PermissionsExt::from_mode(0o644))
        .unwrap();
    let pwfile = format!("--pwfile={}", passwords.path().display());
    let cluster = Cluster::new(&["-A", "scram-sha-256", &pwfile], &[]);

    let failure = cluster.found().await.identify().await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::NonRetryable);
    for part in [
        "[[cluster]]",
        "passfile",
        "postgresql.toml",
        &cluster.name(),
    ] {
        assert!(failure.message.contains(part), "{part:?} in {failure}");
    }

    let passfile = cluster.folder.path().join("pgpass");
    let with_password = |password: &str, mode: u32| {
        std::fs::write(&passfile, format!("*:*:*:postgres:{password}\n")).unwrap();
        std::fs::set_permissions(&passfile, PermissionsExt::from_mode(mode)).unwrap();
        cluster.with(ClusterConfig {
            passfile: Some(passfile.clone()),
            ..cluster.configured()
        })
    };
    let writer = with_password("right", 0o600).await;
    let metadata = writer.identify().await.unwrap();
    assert_eq!(metadata.components[0].full_path(), "orders");
    assert_eq!(metadata.components.len(), 1, "found and configured are one");

    let failure = with_password("wrong", 0o600)
        .await
        .identify()
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("password authentication failed"),
        "{failure}"
    );
    let failure = with_password("right", 0o644)
        .await
        .identify()
        .await
        .unwrap_err();
    assert!(failure.message.contains("0600"), "{failure}");
}

#[tokio::test]
async fn a_role_without_the_right_is_told_which_one() {
    let cluster = Cluster::new(&["-A", "trust"], &[]);
    cluster.sql("CREATE ROLE plain LOGIN");
    let writer = cluster
        .with(ClusterConfig {
            user: "plain".into(),
            ..cluster.configured()
        })
        .await;
    let event = event(cluster.folder.path(), &["orders".into()]);
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("GRANT pg_monitor"), "{failure}");
    cluster.sql("GRANT pg_monitor TO plain");
    writer.prepare_for_backup(&event).await.unwrap();
    let failure = writer.prepare_for_snapshot(&event).await.unwrap_err();
    assert!(failure.message.contains("GRANT pg_checkpoint"), "{failure}");
    writer.abort(&event).await;
    cluster.sql("GRANT pg_checkpoint TO plain");
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.abort(&event).await;

    // The owner by the operating system's name, as a role that is not there.
    let writer = cluster
        .with(ClusterConfig {
            user: "nobody_here".into(),
            os_user: Some("postgres".into()),
            ..cluster.configured()
        })
        .await;
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("nobody_here"), "{failure}");
    let writer = cluster
        .with(ClusterConfig {
            host: cluster.folder.path().join("nowhere"),
            os_user: Some("postgres".into()),
            ..cluster.configured()
        })
        .await;
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("No such file"), "{failure}");
}

#[tokio::test]
async fn a_set_without_all_of_its_volumes_or_with_unsafe_ones_is_vetoed() {
    let cluster = Cluster::new(&["-A", "peer"], &["fsync=on", "full_page_writes=off"]);
    let (writer, whole) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&whole).await.unwrap();

    let none = SetEvent {
        volumes: Vec::new(),
        ..whole.clone()
    };
    let veto = writer.prepare_for_backup(&none).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::InconsistentSnapshot, "{veto}");

    let mut never_held = whole.clone();
    never_held.volumes[0].file_system = "btrfs".into();
    let veto = writer.prepare_for_backup(&never_held).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::NonRetryable, "{veto}");
    assert!(veto.message.contains("full_page_writes"), "{veto}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_nobody_waits_for_is_cancelled() {
    let cluster = Cluster::new(&["-A", "peer"], &[]);
    let (writer, event) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&event).await.unwrap();
    let checkpointer: i32 = cluster
        .sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        .parse()
        .unwrap();
    let checkpointer = Pid::from_raw(checkpointer).unwrap();
    kill_process(checkpointer, Signal::STOP).unwrap();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'CHECKPOINT'";
    let wait_for = |count: &str| {
        let begun = Instant::now();
        while cluster.sql(waiting) != count {
            assert!(begun.elapsed() < Duration::from_secs(20), "never {count}");
        }
    };
    let task = tokio::spawn(async move { writer.prepare_for_snapshot(&event).await });
    tokio::task::block_in_place(|| wait_for("1"));
    task.abort();
    let result = task.await;
    tokio::task::block_in_place(|| wait_for("0"));
    kill_process(checkpointer, Signal::CONT).unwrap();
    assert!(result.unwrap_err().is_cancelled());
}
