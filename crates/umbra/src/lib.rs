//! What the two programs `umbra` (command) and `umbrad` (service) share: command
//! lines, configuration, start-up of the service, and the tasks themselves.
//!
//! Invariant: both programs run the same service, server and client: `umbra`
//! reaches them over the socket of `umbrad` or, where none listens, over a pipe
//! in memory. No task knows which.
//! Invariant: standard output carries results only; with `umbra exec` it belongs
//! to the command that is run.
//! Invariant: everything that is read or written lies under one root.

pub mod command_line;
pub mod configuration;
pub mod daemon;
pub mod exec;
pub mod exit;
pub mod failure;
mod log;
mod mounter;
pub mod output;
mod reach;
pub mod root;
mod signals;
pub mod start_up;
pub mod tasks;
