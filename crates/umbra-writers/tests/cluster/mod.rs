//! Clusters for tests. Needs root, the user `postgres` and PostgreSQL 15.

use crate::support::event;
use rustix::process::Pid;
use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use umbra_writer::{SetEvent, Writer, WriterSource};
use umbra_writers::{ClusterConfig, PostgresConfig, PostgresSource, RelayCommand};

pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Each cluster has a socket folder of its own, so all can have one port.
pub const PORT: u16 = 5439;

/// Starts the postmaster and, when its input ends, for whatever reason, stops
/// it at once.
const KEEPER: &str = r#""$@" & pid=$!; read -r line; kill -QUIT $pid 2>/dev/null; wait $pid"#;

/// A running cluster, stopped when it is dropped.
pub struct Cluster {
    pub folder: TempDir,
    pub owner: (u32, u32),
    data: PathBuf,
    wal: PathBuf,
    keeper: Option<Child>,
}

impl Cluster {
    /// A cluster with its WAL and its socket outside of its data directory.
    pub fn new(initdb: &[&str], settings: &[&str]) -> Self {
        let mut cluster = Self::stopped();
        cluster.initialise(initdb);
        cluster.start(settings);
        cluster
    }

    /// The same with its data directory and its WAL below other folders.
    pub fn in_folders(data: &Path, wal: &Path, initdb: &[&str], settings: &[&str]) -> Self {
        let mut cluster = Self::copied(data, wal);
        cluster.initialise(initdb);
        cluster.start(settings);
        cluster
    }

    /// A cluster whose files are there already; not started.
    pub fn copied(data: &Path, wal: &Path) -> Self {
        let mut cluster = Self::stopped();
        cluster.data = data.join("data");
        cluster.wal = wal.join("wal");
        cluster
    }

    fn stopped() -> Self {
        assert!(
            Path::new(PROGRAMS).join("initdb").exists(),
            "this test needs PostgreSQL 15 in {PROGRAMS}: apt install postgresql-15"
        );
        let folder = tempfile::Builder::new()
            .prefix("umbra-pg")
            .tempdir_in("/tmp")
            .unwrap();
        let cluster = Self {
            data: folder.path().join("data"),
            wal: folder.path().join("wal"),
            owner: (id("-u"), id("-g")),
            folder,
            keeper: None,
        };
        cluster.give(cluster.folder.path());
        cluster.give(&cluster.socket());
        // Other programs under test may not be reachable for the user.
        std::fs::copy(env!("CARGO_BIN_EXE_umbra-relay"), cluster.relay()).unwrap();
        cluster
    }

    fn initialise(&self, initdb: &[&str]) {
        let output = self
            .command(&format!("{PROGRAMS}/initdb"))
            .args(["-N", "--no-instructions", "-E", "UTF8", "--locale", "C"])
            .arg("-D")
            .arg(&self.data)
            .arg("-X")
            .arg(&self.wal)
            .args(initdb)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Makes a folder, if need be, and gives it to the cluster's owner.
    pub fn give(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        chown(folder, Some(self.owner.0), Some(self.owner.1))
            .expect("this test runs PostgreSQL as another user and needs root");
    }

    pub fn start(&mut self, settings: &[&str]) {
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

    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .uid(self.owner.0)
            .gid(self.owner.1)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
    }

    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub fn wal(&self) -> PathBuf {
        self.wal.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub fn relay(&self) -> PathBuf {
        self.folder.path().join("relay")
    }

    pub fn name(&self) -> String {
        self.data().display().to_string()
    }

    pub fn sql(&self, statement: &str) -> String {
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

    pub fn postmaster(&self) -> Pid {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap()
    }

    /// Only the clusters of this test.
    pub fn discovery(&self) -> PostgresConfig {
        PostgresConfig {
            below: vec![self.data.clone()],
            ..PostgresConfig::default()
        }
    }

    pub fn configured(&self) -> ClusterConfig {
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

    pub fn source(&self, config: PostgresConfig) -> PostgresSource {
        PostgresSource::new(config, RelayCommand::new(self.relay()))
    }

    pub async fn found(&self) -> Arc<dyn Writer> {
        self.source(self.discovery()).writers().await.remove(0)
    }

    pub async fn with(&self, cluster: ClusterConfig) -> Arc<dyn Writer> {
        let config = PostgresConfig {
            clusters: vec![cluster],
            ..self.discovery()
        };
        self.source(config).writers().await.remove(0)
    }

    pub fn event(&self) -> SetEvent {
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
