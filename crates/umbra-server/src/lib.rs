//! Serves an [`umbra_service::Service`] on sockets, or over a pipe in memory:
//! who may call, how long a session lives, how a writer's process is driven.
//!
//! [`serve`] is all of it: give it a service, [`Listener`]s and [`Access`].
//!
//! Invariant: this crate only translates; a rule about shadow copies that lives
//! here is in the wrong room.
//! Invariant: every connection's rights come from the kernel's peer credentials,
//! whatever socket it came through.
//! Invariant: a session and a writer live no longer than the stream that they
//! came over.
//! Invariant: nothing here logs or writes a file while it serves, so a held file
//! system cannot stop it.

mod access;
mod admin;
mod connections;
mod listener;
mod management;
mod message_sizes;
mod remote_writer;
mod requester;
mod serve;
mod sessions;
mod writer;
mod writer_events;
mod writer_line;

pub use access::Access;
pub use listener::Listener;
pub use serve::serve;
