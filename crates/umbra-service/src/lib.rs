//! Sessions, the shadow-copy-set state machine, the catalog.
//!
//! The service is given everything it works with ([`ServiceParts`]): volumes,
//! providers, writers and the mounter. It knows the order of things, the
//! time-outs, the one abort path and what has to be on disk before what. Its
//! tests run it whole with scripted writers and an in-memory provider.
//!
//! Invariant: nothing of the wire and no concrete writer or provider is known
//! here.
//! Invariant: every copy is in the catalog, durably, before its provider makes
//! anything of it; what a crash leaves behind is always known by name.
//! Invariant: between hold and release the service writes to no file, logs
//! nothing and sends no progress.
//! Invariant: whatever fails on the way of a set leads through one abort path
//! ([`create`]), and the first cause is what the requester gets.
//! Invariant: only what belongs to no living owner is reconciled.
//! Invariant: a writer reaches no part of a Backup Components Document but its
//! own, and changes that only while it answers an event.
//! Invariant: a session is one of a backup or one of a restore, never both.

mod blocking;
mod cancel;
mod catalog;
mod choice;
mod consistency;
mod copies;
mod create;
mod deletion;
mod exposure;
mod freeze;
mod kept_document;
mod limits;
mod lock_file;
mod management;
mod messages;
mod order;
mod owner;
mod parts;
mod places;
mod queue;
mod reconcile;
mod service;
mod session;
mod set;
mod set_state;
mod status;
mod taking_part;
mod tasks;
mod undo;
mod writer_status;
mod writers;

pub use deletion::Selection;
pub use limits::Limits;
pub use management::ProviderStorage;
pub use parts::{Mounter, Requester, ServiceParts, StateDirectory};
pub use service::Service;
pub use session::{RestoreReport, Session};
pub use set_state::{Progress, SetState};
pub use status::{ServiceStatus, SessionReport, VolumeReport};
pub use taking_part::WriterSelection;
pub use umbra_model::WriterState;
pub use writers::{WriterRegistration, WriterReport};
