//! How long it takes to freeze many connected writers.

use crate::{
    images,
    service::{Service, make_set},
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use std::{
    env,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use umbra_client::{Address, Connection, SubscribedWriter, WriterSelection};
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{VssResult, WriterId, WriterInstanceId};
use umbra_testbed::Testbed;
use umbra_writer::{SetEvent, Writer, WriterFailure};

/// How many writers, and how many sets are made with them.
const STEPS: [(usize, usize); 4] = [(1, 20), (10, 20), (100, 20), (1000, 10)];
/// What the other process says when every writer has been welcomed.
const READY: &str = "ready";
/// How many writers say hello at once.
const HELLOS: usize = 16;

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub async fn measure() -> Result<()> {
    let bed = Testbed::new();
    let host = images::host(&bed, 4 << 10);
    let disk = images::volume(&bed, &host, 256);
    let service = Service::start(bed.folder())?;
    let connection = service.connect().await?;

    let mut table = Table::new([
        "writers",
        "sets",
        "all frozen, ms: p50",
        "p99",
        "per writer",
        "one writer, ms: p50",
        "p99",
        "Freeze to Thaw, ms: p50",
        "max",
    ]);
    let mut first = None;
    for (count, sets) in STEPS {
        let mut writers = Writers::start(&service.socket(), &disk.mount, count)?;
        let (mut all, mut each, mut frozen) =
            (Sample::default(), Sample::default(), Sample::default());
        // The first set only warms up.
        for set in 0..=sets {
            let made = make_set(&connection, &[&disk.mount], WriterSelection::All).await?;
            if made.writers.len() != count {
                bail!("{} of {count} writers took part", made.writers.len());
            }
            let delays = writers.next_set()?;
            if set > 0 {
                all.add(delays.iter().max().copied().unwrap_or_default());
                frozen.add(made.times.frozen);
                for delay in delays {
                    each.add(delay);
                }
            }
        }
        let per_writer = all.median() / count as f64;
        let first = *first.get_or_insert(frozen.median());
        table.row([
            count.to_string(),
            all.count().to_string(),
            milliseconds(all.median()),
            milliseconds(all.quantile(0.99)),
            format!("{:.0} µs", per_writer * 1e3),
            milliseconds(each.median()),
            milliseconds(each.quantile(0.99)),
            format!(
                "{} ({})",
                milliseconds(frozen.median()),
                ratio(frozen.median() / first)
            ),
            milliseconds(frozen.max()),
        ]);
    }
    println!("### Freeze fan-out\n\n{table}");
    println!(
        "\"All frozen\" is from the first Freeze delivered until the last writer has answered, \
         \"one writer\" from the first Freeze delivered until this writer has answered, both seen \
         by the writers, which run in one process of their own.\n"
    );
    Ok(())
}

/// The process of the writers. Ends with its standard input.
struct Writers {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Writers {
    fn start(socket: &Path, folder: &Path, count: usize) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .arg("writers")
            .arg(socket)
            .arg(folder)
            .arg(count.to_string())
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

    /// When each writer had answered Freeze, counted from the first one's.
    fn next_set(&mut self) -> Result<Vec<Duration>> {
        self.line()?
            .split(' ')
            .map(|word| Ok(Duration::from_nanos(word.parse()?)))
            .collect()
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.said.next().context("the writers ended")??)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The other process: connects writers, each on a connection of its own, and
/// prints for each set when each had answered Freeze.
///
/// # Errors
///
/// A writer was not welcomed.
pub async fn run_writers(socket: &Path, folder: &Path, count: usize) -> Result<()> {
    let clock = Arc::new(Clock::new(count));
    let mut subscribed = Vec::new();
    let mut hellos = JoinSet::new();
    for started in 0..count {
        if started >= HELLOS {
            subscribed.push(next_hello(&mut hellos).await?);
        }
        let address = Address::Path(socket.to_owned());
        let writer = Arc::new(TimedWriter {
            identity: WriterIdentity::new(
                WriterId::from_u128(0x5d0e_91b4_6a37_4f0c_8c52_77e1_09b3_d4a8),
                WriterInstanceId::random(),
                "Timed Writer",
            ),
            folder: folder.to_owned(),
            clock: clock.clone(),
        });
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

/// When the writers of one set were frozen.
struct Clock {
    count: usize,
    answered: Mutex<Vec<Instant>>,
}

impl Clock {
    fn new(count: usize) -> Self {
        Self {
            count,
            answered: Mutex::new(Vec::with_capacity(count)),
        }
    }

    fn note(&self) {
        self.lock().push(Instant::now());
    }

    /// Prints the times of the last set; only the last writer of it to ask does.
    fn print(&self) {
        let mut answered = self.lock();
        if answered.len() < self.count {
            return;
        }
        let first = answered.iter().min().copied();
        let delays: Vec<String> = answered
            .drain(..)
            .filter_map(|at| first.map(|first| (at - first).as_nanos().to_string()))
            .collect();
        println!("{}", delays.join(" "));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer that has nothing to stop.
struct TimedWriter {
    identity: WriterIdentity,
    folder: PathBuf,
    clock: Arc<Clock>,
}

#[async_trait]
impl Writer for TimedWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(WriterMetadata {
            components: vec![Component {
                files: vec![FileSet::tree(&self.folder)],
                ..Component::file_group("data")
            }],
            ..WriterMetadata::new(self.identity.clone())
        })
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.clock.note();
        Ok(())
    }

    /// Only now, when printing disturbs nothing that is measured.
    async fn post_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.clock.print();
        Ok(())
    }
}
