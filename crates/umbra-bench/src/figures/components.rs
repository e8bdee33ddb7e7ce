//! What a requester does with the components of many writers.

use crate::{
    connected::{self, Writers},
    machine::peak_memory,
    service::Service,
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use std::{
    env,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use umbra_client::{Address, BackupComponents, BackupState, ComponentAddress, Connection};
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{BackupType, WriterId, WriterInstanceId};
use umbra_testbed::Testbed;
use umbra_writer::{Writer, WriterFailure};

/// How many writers.
const STEPS: [usize; 3] = [10, 100, 1000];
/// How many components each of them has.
const EACH: usize = 100;
const ROUNDS: usize = 5;

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub async fn measure() -> Result<()> {
    let bed = Testbed::new();
    let mut table = Table::new([
        "writers",
        "components",
        "gather, ms",
        "select",
        "save",
        "load",
        "all, per component",
        "to 10 writers",
        "document, MiB",
        "memory, MiB: requester",
        "umbrad",
    ]);
    let mut first = None;
    for count in STEPS {
        let service = Service::start(&bed.folder().join(count.to_string()))?;
        let (socket, count_text) = (service.socket(), count.to_string());
        let _writers =
            Writers::start(["owners".as_ref(), socket.as_os_str(), count_text.as_ref()])?;
        let mut steps: [Sample; 4] = Default::default();
        let (mut all, mut sizes, mut memory) =
            (Sample::default(), Sample::default(), Sample::default());
        for _ in 0..ROUNDS {
            let said = chosen(&socket)?;
            for (step, took) in steps.iter_mut().zip(said.took) {
                step.add(took);
            }
            all.add(said.took.iter().sum());
            sizes.add_milliseconds(said.bytes as f64 / f64::from(1 << 20));
            memory.add_milliseconds(said.peak as f64 / 1024.0);
            if said.components != count * EACH {
                bail!("{} of {} components", said.components, count * EACH);
            }
        }
        let each = all.median() / (count * EACH) as f64;
        let first = *first.get_or_insert(each);
        let mut row = vec![count.to_string(), (count * EACH).to_string()];
        row.extend(steps.iter().map(|step| milliseconds(step.median())));
        row.push(format!("{:.1} µs", each * 1e3));
        row.push(ratio(each / first));
        row.push(milliseconds(sizes.median()));
        row.push(milliseconds(memory.max()));
        row.push(milliseconds(service.peak_memory()? as f64 / 1024.0));
        table.row(row);
    }
    println!(
        "### Components of many writers\n\n{EACH} components each, {ROUNDS} rounds, medians; the \
         requester is a process of its own each time:\n\n{table}"
    );
    Ok(())
}

/// What a requester took.
struct Chosen {
    /// To gather, select, save and load.
    took: [Duration; 4],
    components: usize,
    bytes: u64,
    /// In KiB.
    peak: u64,
}

fn chosen(socket: &Path) -> Result<Chosen> {
    let output = Command::new(env::current_exe()?)
        .arg("choose")
        .arg(socket)
        .output()
        .context("cannot start the requester")?;
    if !output.status.success() {
        bail!("the requester: {}", String::from_utf8_lossy(&output.stderr));
    }
    let said = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = said
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [gather, select, save, load, components, bytes, peak] = numbers[..] else {
        bail!("the requester said {said:?}");
    };
    Ok(Chosen {
        took: [gather, select, save, load].map(Duration::from_nanos),
        components: usize::try_from(components)?,
        bytes,
        peak,
    })
}

/// The requester's process: gathers the writers, selects every component, saves the
/// document and loads it again; prints what each took.
///
/// # Errors
///
/// Whatever failed.
pub async fn choose(socket: &Path) -> Result<()> {
    let address = Address::Path(socket.to_owned());
    let connection = Connection::open(&address).await?;
    let backup = BackupComponents::open(&connection, "umbra-bench").await?;
    backup.initialize_for_backup()?;
    backup.set_backup_state(BackupState::of_components(BackupType::Full))?;

    let begun = Instant::now();
    let gathered = backup.gather_writer_metadata().await?;
    let gather = begun.elapsed();

    let begun = Instant::now();
    let mut components = 0;
    for writer in &gathered.writers {
        for component in &writer.components {
            backup.add_component(&ComponentAddress::of(writer, component))?;
            components += 1;
        }
    }
    let select = begun.elapsed();

    let begun = Instant::now();
    let xml = backup.save_as_xml().await?;
    let save = begun.elapsed();
    drop(gathered);
    backup.close().await?;

    let restore = BackupComponents::open(&connection, "umbra-bench").await?;
    let begun = Instant::now();
    restore.initialize_for_restore(xml.as_bytes()).await?;
    let load = begun.elapsed();
    if restore.save_as_xml().await? != xml {
        bail!("what was loaded is not what was saved");
    }
    for took in [gather, select, save, load] {
        print!("{} ", took.as_nanos());
    }
    println!("{components} {} {}", xml.len(), peak_memory("self")?);
    Ok(restore.close().await?)
}

/// The writers' process.
///
/// # Errors
///
/// A writer was not welcomed.
pub async fn run_owners(socket: &Path, count: usize) -> Result<()> {
    let owner = |number: usize| {
        let id = WriterId::from_u128(number as u128 + 1);
        let name = format!("Owner {number}");
        let component = |number: usize| Component {
            logical_path: Some(format!("instance {}\\databases", number / 10)),
            files: vec![FileSet::files("/srv/data", format!("{number}.db"))],
            ..Component::file_group(format!("database {number}"))
        };
        Arc::new(Owner(WriterMetadata {
            components: (0..EACH).map(component).collect(),
            ..WriterMetadata::new(WriterIdentity::new(id, WriterInstanceId::random(), name))
        })) as Arc<dyn Writer>
    };
    connected::run(socket, (0..count).map(owner)).await
}

/// A writer that has components and nothing else.
struct Owner(WriterMetadata);

#[async_trait]
impl Writer for Owner {
    fn identity(&self) -> &WriterIdentity {
        &self.0.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.0.clone())
    }
}
