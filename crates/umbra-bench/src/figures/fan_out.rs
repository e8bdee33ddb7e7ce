//! How long it takes to freeze many connected writers.

use crate::{
    connected::{self, Writers},
    images,
    service::{Service, make_set},
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Result, bail};
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use umbra_client::WriterSelection;
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{WriterId, WriterInstanceId};
use umbra_testbed::Testbed;
use umbra_writer::{SetEvent, Writer, WriterFailure};

/// How many writers, and how many sets are made with them.
const STEPS: [(usize, usize); 4] = [(1, 20), (10, 20), (100, 20), (1000, 10)];

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
        let (socket, count_text) = (service.socket(), count.to_string());
        let mut writers = Writers::start([
            "writers".as_ref(),
            socket.as_os_str(),
            disk.mount.as_os_str(),
            count_text.as_ref(),
        ])?;
        let (mut all, mut each, mut frozen) =
            (Sample::default(), Sample::default(), Sample::default());
        // The first set only warms up.
        for set in 0..=sets {
            let made = make_set(&connection, &[&disk.mount], WriterSelection::All).await?;
            if made.writers.len() != count {
                bail!("{} of {count} writers took part", made.writers.len());
            }
            let delays = answers_of(&mut writers)?;
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

/// When each writer had answered Freeze in the set before, counted from the first
/// one's.
fn answers_of(writers: &mut Writers) -> Result<Vec<Duration>> {
    writers
        .line()?
        .split(' ')
        .map(|word| Ok(Duration::from_nanos(word.parse()?)))
        .collect()
}

/// The other process: connects writers, each on a connection of its own, and
/// prints for each set when each had answered Freeze.
///
/// # Errors
///
/// A writer was not welcomed.
pub async fn run_writers(socket: &Path, folder: &Path, count: usize) -> Result<()> {
    let clock = Arc::new(Clock::new(count));
    let writer = |_| {
        Arc::new(TimedWriter {
            identity: WriterIdentity::new(
                WriterId::from_u128(0x5d0e_91b4_6a37_4f0c_8c52_77e1_09b3_d4a8),
                WriterInstanceId::random(),
                "Timed Writer",
            ),
            folder: folder.to_owned(),
            clock: clock.clone(),
        }) as Arc<dyn Writer>
    };
    connected::run(socket, (0..count).map(writer)).await
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
