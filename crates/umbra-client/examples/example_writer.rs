//! A writer that owns a folder: it appends numbered lines to a file in it, and
//! stops between Freeze and Thaw. It prints every event.
//!
//! ```text
//! cargo run --example example_writer -- /srv/data [PATH-OF-SOCKET | @ABSTRACT]
//! ```

use async_trait::async_trait;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use umbra_client::{Address, BackupOutcome, Connection, SubscribedWriter};
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{SessionId, VssResult, WriterId, WriterInstanceId};
use umbra_writer::{SetEvent, Writer, WriterFailure};

/// Whether the data may be written now. The writing thread holds the lock while
/// it writes a line, so whoever sets `Stopped` has waited for that line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Stopped,
}

/// The data and the thread that writes it.
struct Data {
    gate: Mutex<Gate>,
    opened: Condvar,
}

impl Data {
    fn start(folder: &Path) -> std::io::Result<Arc<Self>> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(folder.join("lines"))?;
        let data = Arc::new(Self {
            gate: Mutex::new(Gate::Open),
            opened: Condvar::new(),
        });
        let writer = data.clone();
        thread::spawn(move || {
            for number in 1_u64.. {
                let gate = writer
                    .opened
                    .wait_while(writer.lock(), |gate| *gate == Gate::Stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = writeln!(file, "{number}") {
                    eprintln!("cannot write: {error}");
                    return;
                }
                drop(gate);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(data)
    }

    fn stop(&self) {
        *self.lock() = Gate::Stopped;
    }

    fn go_on(&self) {
        *self.lock() = Gate::Open;
        self.opened.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct ExampleWriter {
    identity: WriterIdentity,
    folder: PathBuf,
    data: Arc<Data>,
}

#[async_trait]
impl Writer for ExampleWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(WriterMetadata {
            components: vec![Component {
                caption: Some("The example's folder".into()),
                files: vec![FileSet::tree(&self.folder)],
                ..Component::file_group("data")
            }],
            ..WriterMetadata::new(self.identity.clone())
        })
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        println!("prepare_for_backup {}", event.components.join(" "));
        Ok(())
    }

    async fn prepare_for_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        println!("prepare_for_snapshot");
        Ok(())
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.data.stop();
        println!("freeze");
        Ok(())
    }

    async fn thaw(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.data.go_on();
        println!("thaw");
        Ok(())
    }

    async fn post_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        println!("post_snapshot");
        Ok(())
    }

    async fn backup_complete(
        &self,
        _: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        println!("backup_complete {outcome:?}");
        Ok(())
    }

    async fn backup_shutdown(&self, _: SessionId) {
        println!("backup_shutdown");
    }

    async fn abort(&self, _: &SetEvent) {
        self.data.go_on();
        println!("abort");
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: example_writer FOLDER [PATH-OF-SOCKET | @ABSTRACT]");
        return 2.into();
    };
    let address = match arguments.next() {
        None => Address::default(),
        Some(text) => match text.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(name) => Address::Abstract(name.to_owned()),
            None => Address::Path(text.into()),
        },
    };
    let data = match Data::start(&folder) {
        Ok(data) => data,
        Err(error) => {
            eprintln!("cannot write in {}: {error}", folder.display());
            return 1.into();
        }
    };
    let result = run(&folder, &address, data.clone()).await;
    // Whatever ended the subscription, nothing stays stopped.
    data.go_on();
    match result {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("{error}");
            1.into()
        }
    }
}

async fn run(folder: &Path, address: &Address, data: Arc<Data>) -> VssResult<()> {
    let connection = Connection::open(address).await?;
    let writer = ExampleWriter {
        identity: WriterIdentity::new(
            WriterId::from_u128(0x8b0c_6a77_1f3e_4d0b_9d55_2f6f_0a4e_6c01),
            WriterInstanceId::random(),
            "Example Writer",
        ),
        folder: folder.to_owned(),
        data,
    };
    let subscribed = SubscribedWriter::subscribe(&connection, Arc::new(writer)).await?;
    println!("welcome");
    subscribed.run().await
}
