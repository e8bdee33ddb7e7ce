//! A writer that owns a folder, to start your own from. It appends numbered lines
//! to the file `lines`, stops between Freeze and Thaw, and prints every event.
//!
//! - A full backup takes the whole file; an incremental one only what was appended
//!   since, as a partial file. The stamp of a backup is the length of the file.
//! - Before a restore it stops writing, and goes on after it.
//! - A requester that sets the backup option `fail` sees how a writer fails.
//!
//! ```text
//! cargo run --example example_writer -- /srv/data [PATH-OF-SOCKET | @ABSTRACT]
//! ```

use async_trait::async_trait;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use umbra_client::{Address, BackupOutcome, Connection, SubscribedWriter};
use umbra_documents::{
    Component, FileSet, RestorePlan, Selectable, Term, WriterIdentity, WriterMetadata,
    WriterVersion,
};
use umbra_model::{
    BackupSchema, BackupType, FileRestoreStatus, RestoreMethod, RestoreTarget, SessionId, VssError,
    VssResult, WriterId, WriterInstanceId, WriterRestore,
};
use umbra_writer::{RestoreEvent, SetEvent, Writer, WriterFailure, WriterFailureKind};

/// This writer's own code for a failure that was asked for.
const ASKED_TO_FAIL: u32 = 42;

/// Whether the data may be written now. The writing thread holds the lock while
/// it writes a line, so whoever sets `Stopped` has waited for that line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Stopped,
}

/// The data and the thread that writes it.
struct Data {
    folder: PathBuf,
    gate: Mutex<Gate>,
    opened: Condvar,
}

impl Data {
    fn start(folder: &Path) -> io::Result<Arc<Self>> {
        fs::create_dir_all(folder.join("settings"))?;
        let data = Arc::new(Self {
            folder: folder.to_owned(),
            gate: Mutex::new(Gate::Open),
            opened: Condvar::new(),
        });
        data.append(0)?;
        let writer = data.clone();
        thread::spawn(move || {
            for number in 1_u64.. {
                let gate = writer
                    .opened
                    .wait_while(writer.lock(), |gate| *gate == Gate::Stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = writer.append(number) {
                    eprintln!("cannot write: {error}");
                    return;
                }
                drop(gate);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(data)
    }

    /// Opens the file each time: a restore may have put another one in its place.
    fn append(&self, number: u64) -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("lines"))?;
        writeln!(file, "{number}")
    }

    fn length(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.folder.join("lines"))?.len())
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
    data: Arc<Data>,
    /// How long the file was at Freeze: as long as it is in the copy.
    frozen_length: Mutex<u64>,
}

impl ExampleWriter {
    fn new(data: Arc<Data>) -> Self {
        Self {
            identity: WriterIdentity {
                version: WriterVersion { major: 1, minor: 0 },
                ..WriterIdentity::new(
                    WriterId::from_u128(0x8b0c_6a77_1f3e_4d0b_9d55_2f6f_0a4e_6c01),
                    WriterInstanceId::random(),
                    "Example Writer",
                )
            },
            data,
            frozen_length: Mutex::default(),
        }
    }

    fn frozen_length(&self) -> MutexGuard<'_, u64> {
        self.frozen_length
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves at the component `data` what the backup needs to know.
    fn describe_backup(&self, event: &SetEvent) -> VssResult<()> {
        // Nothing, where the requester backs up whole volumes.
        let Some(data) = event.chosen.find(None, "data") else {
            return Ok(());
        };
        let length = *self.frozen_length();
        data.set_backup_stamp(length.to_string())?;
        data.set_backup_metadata(format!("{length} bytes of lines"))?;
        let previous = data.get().previous_backup_stamp;
        let previous = previous.and_then(|stamp| stamp.parse::<u64>().ok());
        match previous.and_then(|start| Some((start, length.checked_sub(start)?))) {
            Some((start, more))
                if event.backup.backup_type == BackupType::Incremental
                    && event.backup.partial_files =>
            {
                let ranges = format!("{start}:{more}");
                data.add_partial_file(&self.data.folder, "lines", &ranges, None)
            }
            // The whole file, as the metadata says.
            _ => Ok(()),
        }
    }
}

/// A call at a component that failed, as the failure of the event.
fn failed(error: VssError) -> WriterFailure {
    WriterFailure::new(WriterFailureKind::NonRetryable, error.to_string())
}

#[async_trait]
impl Writer for ExampleWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        let folder = &self.data.folder;
        Ok(WriterMetadata {
            backup_schema: BackupSchema::INCREMENTAL.with(BackupSchema::TIMESTAMPED),
            restore: Some(RestorePlan {
                method: RestoreMethod::RestoreIfCanReplace,
                service: None,
                user_procedure: None,
                // It wants PreRestore and PostRestore in any case.
                writer_restore: WriterRestore::Always,
                reboot_required: false,
                alternate_locations: Vec::new(),
            }),
            components: vec![
                Component {
                    caption: Some("The example's lines".into()),
                    notify_on_backup_complete: true,
                    selectable_for_restore: Selectable::Yes,
                    files: vec![FileSet::files(folder, "lines")],
                    ..Component::file_group("data")
                },
                // Below `data`: comes with it in a backup, may be restored alone.
                Component {
                    logical_path: Some("data".into()),
                    selectable: Selectable::No,
                    selectable_for_restore: Selectable::Yes,
                    files: vec![FileSet::tree(folder.join("settings"))],
                    ..Component::file_group("settings")
                },
            ],
            excluded: vec![FileSet::files(folder.join("settings"), "*.tmp")],
            ..WriterMetadata::new(self.identity.clone())
        })
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        println!("prepare_for_backup {}", event.components.join(" "));
        for component in event.chosen.all() {
            if component.get().backup_options.as_deref() == Some("fail") {
                let why = "it was asked to fail; leave the backup option out";
                component
                    .set_prepare_for_backup_failure(why)
                    .map_err(failed)?;
                return Err(WriterFailure::new(WriterFailureKind::NonRetryable, why)
                    .with_application_code(ASKED_TO_FAIL));
            }
        }
        Ok(())
    }

    async fn prepare_for_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        println!("prepare_for_snapshot");
        Ok(())
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.data.stop();
        *self.frozen_length() = self.data.length().map_err(|error| {
            let why = format!("cannot look at the data: {error}");
            WriterFailure::new(WriterFailureKind::Retryable, why)
        })?;
        println!("freeze");
        Ok(())
    }

    async fn thaw(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.data.go_on();
        println!("thaw");
        Ok(())
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        println!("post_snapshot");
        self.describe_backup(event).map_err(failed)
    }

    async fn backup_complete(
        &self,
        _: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        println!("backup_complete {outcome:?}");
        Ok(())
    }

    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        println!("pre_restore");
        self.data.stop();
        for component in event.chosen.all() {
            component
                .set_restore_target(RestoreTarget::Original)
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        println!("post_restore");
        self.data.go_on();
        for component in event.chosen.all() {
            let status = component.get().file_restore_status;
            if status == Some(Term::Known(FileRestoreStatus::Failed)) {
                let why = "files are missing after the restore; restore them again";
                component.set_post_restore_failure(why).map_err(failed)?;
                return Err(WriterFailure::new(WriterFailureKind::Retryable, why));
            }
        }
        Ok(())
    }

    async fn backup_shutdown(&self, _: SessionId) {
        // Also after PreRestore, when no PostRestore is to come.
        self.data.go_on();
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
    let result = run(&address, data.clone()).await;
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

async fn run(address: &Address, data: Arc<Data>) -> VssResult<()> {
    let connection = Connection::open(address).await?;
    let writer = Arc::new(ExampleWriter::new(data));
    let subscribed = SubscribedWriter::subscribe(&connection, writer).await?;
    println!("welcome");
    subscribed.run().await
}
