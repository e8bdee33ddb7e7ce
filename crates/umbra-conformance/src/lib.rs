//! The test writer and the test requester of VSS, as commands: a writer that is
//! told by a file what to own, where to fail and what to check
//! ("VSS Test Writer Tool"), and a requester that backs up and restores what
//! another file selects ("BETest Tool"). Each checks the other, and both check
//! the service.
//!
//! Invariant: the test writer finds, copies and compares files with code of its
//! own; it shares none with a requester whose work it judges.
//! Invariant: it deletes only files of its own components, and only when its
//! configuration says so.

pub mod betest;
pub mod configuration;
pub mod test_writer;
