//! Many writers in a process of their own, each on a connection of its own.

use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};
use tokio::task::JoinSet;
use umbra_client::{Address, Connection, SubscribedWriter};
use umbra_model::VssResult;
use umbra_writer::Writer;

/// What the process says when every writer has been welcomed.
const READY: &str = "ready";
/// How many writers say hello at once.
const HELLOS: usize = 16;

/// The process. Ends with its standard input.
pub struct Writers {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Writers {
    /// Starts this program with these arguments, and waits until every writer has been
    /// welcomed.
    ///
    /// # Errors
    ///
    /// It does not start, or ends.
    pub fn start<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the writers")?;
        let said = process.stdout.take().context("no output of the writers")?;
        let mut writers = Self {
            process,
            said: BufReader::new(said).lines(),
        };
        let first = writers.line()?;
        if first != READY {
            bail!("the writers said {first:?}");
        }
        Ok(writers)
    }

    /// The next line that it prints.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn line(&mut self) -> Result<String> {
        Ok(self.said.next().context("the writers ended")??)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// In that process: connects the writers and lets them answer until standard input
/// ends.
///
/// # Errors
///
/// A writer was not welcomed, or its connection broke.
pub async fn run(socket: &Path, writers: impl Iterator<Item = Arc<dyn Writer>>) -> Result<()> {
    let mut subscribed = Vec::new();
    let mut hellos = JoinSet::new();
    for (started, writer) in writers.enumerate() {
        if started >= HELLOS {
            subscribed.push(next_hello(&mut hellos).await?);
        }
        let address = Address::Path(socket.to_owned());
        hellos.spawn(async move {
            let connection = Connection::open(&address).await?;
            SubscribedWriter::subscribe(&connection, writer).await
        });
    }
    while !hellos.is_empty() {
        subscribed.push(next_hello(&mut hellos).await?);
    }
    let mut running = JoinSet::new();
    for writer in subscribed {
        running.spawn(writer.run());
    }
    println!("{READY}");
    let mut end = [0];
    tokio::select! {
        ended = running.join_next() => match ended {
            Some(result) => Ok(result??),
            None => bail!("there is no writer to run"),
        },
        // Nothing comes on it but its end.
        _ = tokio::task::spawn_blocking(move || std::io::Read::read(&mut std::io::stdin(), &mut end)) => Ok(()),
    }
}

async fn next_hello(hellos: &mut JoinSet<VssResult<SubscribedWriter>>) -> Result<SubscribedWriter> {
    let hello = hellos.join_next().await.context("no writer said hello")?;
    Ok(hello??)
}
