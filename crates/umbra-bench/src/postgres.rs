//! A PostgreSQL with pgbench on it.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use umbra_testbed::Testbed;

const PORT: &str = "54330";
const CLIENTS: &str = "4";
const PATIENCE: Duration = Duration::from_secs(60);
/// How long pgbench may take to write out the transactions that matter.
const BUFFERED: Duration = Duration::from_secs(2);
/// Starts a program and, when its input ends, for whatever reason, stops it.
const KEEPER: &str = r#""$@" & pid=$!; read -r line; kill -INT $pid 2>/dev/null; wait $pid"#;

/// A running cluster. Stopped when it is dropped.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    keeper: Child,
}

/// A transaction of pgbench, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// When it was done, since the epoch.
    pub ended: u64,
    /// How long it took.
    pub latency: u64,
}

impl Postgres {
    /// A new cluster on a volume, with pgbench's tables (scale 10).
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed, or does not start.
    pub fn start(bed: &Testbed, volume: &Path) -> Result<Self> {
        let programs = programs()?;
        let folder = bed.folder().join("postgres");
        fs::create_dir(&folder)?;
        fs::set_permissions(bed.folder(), fs::Permissions::from_mode(0o755))?;
        for owned in [&folder, volume] {
            chown(owned, Some(id("-u")?), Some(id("-g")?))?;
        }
        let data = volume.join("data");
        finish(
            as_postgres(&programs.join("initdb"))
                .args(["-A", "trust", "-D"])
                .arg(&data),
        )?;
        let log = fs::File::create(folder.join("log"))?;
        let keeper = as_postgres(Path::new("sh"))
            .args(["-c", KEEPER, "sh"])
            .arg(programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-p", PORT, "-k"])
            .arg(&folder)
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start PostgreSQL")?;
        let cluster = Self {
            programs,
            folder,
            keeper,
        };
        let begun = Instant::now();
        while finish(&mut cluster.client("pg_isready")).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "PostgreSQL does not start: {}",
                    fs::read_to_string(cluster.folder.join("log"))?
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        finish(
            cluster
                .client("pgbench")
                .args(["-i", "-q", "-s", "10", "postgres"]),
        )?;
        cluster.checkpoint()?;
        Ok(cluster)
    }

    /// Starts pgbench with four clients, which note each transaction.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn bench(&self) -> Result<Pgbench> {
        let child = self
            .client("pgbench")
            .args(["-c", CLIENTS, "-T", "1000", "-l", "--log-prefix"])
            .arg(self.folder.join("transactions"))
            .arg("postgres")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start pgbench")?;
        Ok(Pgbench {
            child,
            folder: self.folder.clone(),
        })
    }

    /// Makes a checkpoint.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub fn checkpoint(&self) -> Result<()> {
        finish(
            self.client("psql")
                .args(["-XAtqc", "CHECKPOINT", "postgres"]),
        )
    }

    fn client(&self, program: &str) -> Command {
        let mut command = as_postgres(&self.programs.join(program));
        command.args(["-p", PORT, "-h"]).arg(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A running pgbench. Ended when it is dropped.
pub struct Pgbench {
    child: Child,
    folder: PathBuf,
}

impl Pgbench {
    /// Ends it; what it has done.
    ///
    /// # Errors
    ///
    /// Its log cannot be read.
    pub fn end(mut self) -> Result<Vec<Transaction>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("pgbench ended by itself ({status})");
        }
        // What it has in its buffer is lost when it is ended.
        thread::sleep(BUFFERED);
        self.stop();
        let mut transactions = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("transactions")
            {
                let text = fs::read_to_string(entry.path())?;
                transactions.extend(text.lines().filter_map(transaction));
            }
        }
        if transactions.is_empty() {
            bail!("pgbench noted no transaction");
        }
        Ok(transactions)
    }

    fn stop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A line of the log: client, number, latency, script, seconds, microseconds.
fn transaction(line: &str) -> Option<Transaction> {
    let fields: Vec<u64> = line
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [_, _, latency, _, seconds, microseconds] = fields[..] else {
        return None;
    };
    Some(Transaction {
        ended: seconds * 1_000_000 + microseconds,
        latency,
    })
}

/// The newest PostgreSQL of Debian.
fn programs() -> Result<PathBuf> {
    let found = fs::read_dir("/usr/lib/postgresql").map(|versions| {
        versions
            .filter_map(|version| version.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .max()
    });
    match found {
        Ok(Some(version)) => Ok(format!("/usr/lib/postgresql/{version}/bin").into()),
        _ => bail!("there is no PostgreSQL in /usr/lib/postgresql: apt install postgresql"),
    }
}

fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--clear-groups",
        ])
        .args(["--pdeathsig", "TERM", "--"])
        .arg(program)
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn id(option: &str) -> Result<u32> {
    let text = umbra_testbed::run("id", [option, "postgres"]);
    text.trim().parse().context("the user postgres has no id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_the_log() {
        let expected = Transaction {
            ended: 1_700_000_000_000_042,
            latency: 2270,
        };
        assert_eq!(transaction("0 199 2270 0 1700000000 42"), Some(expected));
        assert_eq!(transaction("0 199 22"), None);
        assert_eq!(transaction("0 199 failed 0 1700000000 42"), None);
    }
}
