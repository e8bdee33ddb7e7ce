//! For other people's programs: ask for shadow copies, or take part as a writer.
//!
//! Everything goes over one [`Connection`] to a running Umbra service:
//!
//! - [`BackupComponents`] is a backup or a restore as VSS has it
//!   (`IVssBackupComponents`): components, the Backup Components Document, calls
//!   that can be waited for and cancelled;
//! - [`Requester`] is the session below it, for a program that wants shadow copies
//!   of whole volumes and no more;
//! - [`Admin`] lists what there is and deletes copies;
//! - [`run_writer`] lets a value that implements [`umbra_writer::Writer`] answer
//!   the service's events.
//!
//! A backup of every component of every writer:
//!
//! ```no_run
//! use std::path::Path;
//! use umbra_client::{
//!     Address, BackupComponents, BackupOutcome, BackupState, Connection,
//! };
//! use umbra_model::BackupType;
//!
//! # async fn example() -> umbra_model::VssResult<()> {
//! let connection = Connection::open(&Address::default()).await?;
//! let backup = BackupComponents::open(&connection, "my backup program").await?;
//! backup.initialize_for_backup()?;
//! backup.set_backup_state(BackupState::of_components(BackupType::Full))?;
//! backup.gather_writer_metadata().await?;
//! let chosen = backup.add_everything()?;
//! for address in &chosen {
//!     backup.component(address)?.set_backup_options("compress")?;
//! }
//! backup.start_snapshot_set().await?;
//! backup.add_to_snapshot_set(Path::new("/srv"), None).await?;
//! backup.prepare_for_backup().await?;
//! let set = backup.do_snapshot_set().await?;
//! let surfaced = backup.surface(set.copies[0].id).await?;
//! // … mount `surfaced.mount` and copy the files …
//! for address in &chosen {
//!     let component = backup.component(address)?;
//!     component.set_backup_succeeded(BackupOutcome::Succeeded)?;
//! }
//! backup.backup_complete().await?;
//! let document = backup.save_as_xml().await?;
//! // … keep `document` with the files: a restore begins with it …
//! backup.close().await
//! # }
//! ```
//!
//! Invariant: there is nothing of the service in this crate.
//! Invariant: a session ends when its [`Requester`] or [`BackupComponents`] is
//! dropped, and a writer is gone when its [`SubscribedWriter`] is; nothing goes on in
//! the background.

mod admin;
mod backup_components;
mod connection;
mod management;
mod off_loop;
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
pub use management::{Management, ProviderStorage};
pub use reports::{
    Progress, ProviderReport, RestoreReport, ServiceStatus, SessionReport, Surfaced, VolumeReport,
    WriterReport,
};
pub use requester::Requester;
pub use selection::{Selection, WriterSelection};
pub use umbra_provider::{Migration, MountSource, Persistence};
pub use umbra_writer::{
    BackupOutcome, ExpressWriterEntry, ExpressWriterMetadata, MAX_EXPRESS_DOCUMENT,
};
pub use writer::{SubscribedWriter, run_writer};
