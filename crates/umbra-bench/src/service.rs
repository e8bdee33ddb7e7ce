//! The service under measurement: `umbrad`, built beside this program.

use crate::machine::peak_memory;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use umbra_client::{Address, BackupOutcome, Connection, Requester, WriterSelection};
use umbra_model::ShadowCopySet;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running `umbrad` with a root of its own. Stopped when it is dropped.
pub struct Service {
    root: PathBuf,
    daemon: Child,
}

impl Service {
    /// Starts it with its root in this folder, and waits until it listens. It
    /// takes part in no database but one below the folder.
    ///
    /// # Errors
    ///
    /// The program is not there or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let root = folder.join("root");
        let writers = root.join("etc/umbra/writers.d");
        fs::create_dir_all(&writers)?;
        fs::write(
            writers.join("postgresql.toml"),
            format!("below = [{:?}]\n", folder),
        )?;
        let log = fs::File::create(folder.join("umbrad.log"))?;
        // It must not outlive this process, which may be killed.
        let daemon = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program("umbrad")?)
            .env("UMBRA_ROOT", &root)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start umbrad")?;
        let mut service = Self { root, daemon };
        let deadline = Instant::now() + PATIENCE;
        while !service.socket().exists() {
            if service.daemon.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join("umbrad.log"))?;
                bail!("umbrad does not serve: {log}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(service)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("run/umbra/umbra.sock")
    }

    /// The most memory that it has had, in KiB.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        peak_memory(self.daemon.id())
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn connect(&self) -> Result<Connection> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Connection::open(&Address::Path(self.socket())).await {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                // The socket is made a moment before it is listened on.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// `umbra` with this service, ready to run.
    ///
    /// # Errors
    ///
    /// The program is not there.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(program("umbra")?);
        command
            .env("UMBRA_ROOT", &self.root)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        Ok(command)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
    }
}

/// Makes one shadow copy set as a backup program would, and lets go of it.
///
/// # Errors
///
/// The service's.
pub async fn make_set(
    connection: &Connection,
    volumes: &[&Path],
    writers: WriterSelection,
) -> Result<ShadowCopySet> {
    let session = Requester::open(connection, "umbra-bench").await?;
    if writers != WriterSelection::None {
        session.gather_writer_metadata().await?;
    }
    session.select_writers(&writers).await?;
    session.start_snapshot_set().await?;
    for volume in volumes {
        session.add_to_snapshot_set(volume).await?;
    }
    session.prepare_for_backup().await?;
    let set = session.do_snapshot_set().await?;
    session.backup_complete(BackupOutcome::Succeeded).await?;
    session.close().await?;
    Ok(set)
}

/// A program beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let path = env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!(
            "there is no {}: cargo build --release -p umbra",
            path.display()
        );
    }
    Ok(path)
}
