//! Which chunks of a volume were written since they were last copied.
//!
//! Programs in the kernel, on the tracepoints of the block layer, set a bit in a
//! shared bitmap for each chunk of one device that is written. The bitmap and
//! the programs are pinned in a bpffs, so that tracking goes on while no Umbra
//! runs, and ends with the machine's uptime.
//!
//! Memory: two bits a chunk, in the kernel, never paged out: 16 MiB for each TiB
//! at 16 KiB chunks.
//!
//! Invariant: a write whose completion was reported is marked before anyone can
//! learn of the completion; so after a freeze no write is unmarked.
//! Invariant: a bit leaves `written` only after it is in `pending`, and leaves
//! `pending` only in [`Tracker::settle`]; a process killed between any two
//! instructions forgets nothing.
//! Invariant: where a write may have been missed, [`Tracker::take_into`] says so
//! from then on, and the next [`Tracker::attach`] gives another token.
//! Invariant: nothing here is in the write path: the programs only look.

mod bitmaps;
mod chunks;
mod device;
mod error;
mod folder;
mod pinned;
mod programs;
mod record;
mod shared_words;
mod token;
mod tracker;

pub use chunks::{ChunkRange, ChunkSize};
pub use error::TrackerError;
pub use folder::TrackerFolder;
pub use token::{NoToken, TrackingToken};
pub use tracker::{Taken, Tracker, Untracked};
