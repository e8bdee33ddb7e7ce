//! For other people's programs: ask for shadow copies, or take part as a writer.
//!
//! Everything goes over one [`Connection`] to a running Umbra service:
//!
//! - [`Requester`] is one session of a backup program, from
//!   `InitializeForBackup` to the end (`IVssBackupComponents`);
//! - [`Admin`] lists what there is and deletes copies;
//! - [`run_writer`] lets a value that implements [`umbra_writer::Writer`] answer
//!   the service's events.
//!
//! ```no_run
//! use std::path::Path;
//! use umbra_client::{Address, BackupOutcome, Connection, Requester};
//!
//! # async fn example() -> umbra_model::VssResult<()> {
//! let connection = Connection::open(&Address::default()).await?;
//! let session = Requester::open(&connection, "my backup program").await?;
//! session.gather_writer_metadata().await?;
//! session.start_snapshot_set().await?;
//! let (copy, volume) = session.add_to_snapshot_set(Path::new("/srv")).await?;
//! session.prepare_for_backup().await?;
//! let set = session.do_snapshot_set().await?;
//! println!("{} shows {:?} ({})", copy, volume.mount_point, set.consistency.level);
//! let surfaced = session.surface(copy).await?;
//! // … mount `surfaced.mount` and copy the files …
//! session.backup_complete(BackupOutcome::Succeeded).await?;
//! session.close().await
//! # }
//! ```
//!
//! Invariant: there is nothing of the service in this crate.
//! Invariant: a session ends when its [`Requester`] is dropped, and a writer is
//! gone when its [`SubscribedWriter`] is; nothing goes on in the background.

mod admin;
mod backup_components;
mod connection;
mod reports;
mod requester;
mod selection;
mod writer;
mod writer_events;

pub use admin::Admin;
pub use backup_components::{
    AdditionalRestores, AsyncStatus, Authority, BackupComponent, BackupComponents, BackupState,
    ComponentAddress, GatheredWriters, RestoreChoice, Retry, RollForward, RootPath,
    SnapshotProperties, VssAsync, WriterStatus,
};
pub use connection::{Address, ConnectError, Connection};
pub use reports::{
    Progress, ProviderReport, RestoreReport, ServiceStatus, SessionReport, Surfaced, VolumeReport,
    WriterReport,
};
pub use requester::Requester;
pub use selection::{Selection, WriterSelection};
pub use umbra_provider::MountSource;
pub use umbra_writer::BackupOutcome;
pub use writer::{SubscribedWriter, run_writer};
