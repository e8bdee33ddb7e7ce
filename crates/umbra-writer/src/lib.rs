//! The contract of a writer: who owns data, and what it does when a shadow copy
//! of that data is made.
//!
//! A writer implements [`Writer`], event by event; what it does not implement
//! does what `CVssWriter` does. It is driven in the service (in-box writers) or
//! over the socket (a process of its own); the contract is the same.
//!
//! Invariant: between Freeze and Thaw a writer does not write to its data.
//! Invariant: whatever a writer answers, it is thawed or aborted within the
//! service's time-outs; no writer can keep another one frozen.

mod components;
mod contract;
mod express;
mod failure;

pub use components::{EventComponent, EventComponents};
pub use contract::{
    BackupOutcome, BackupState, RestoreEvent, SetEvent, Subscription, Writer, WriterEvent,
    WriterSource,
};
pub use express::{
    ExpressWriterEntry, ExpressWriterMetadata, ExpressWriters, MAX_EXPRESS_DOCUMENT,
};
pub use failure::{WriterFailure, WriterFailureKind};
