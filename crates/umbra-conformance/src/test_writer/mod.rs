//! The test writer ("VSS Test Writer Tool").

mod events;
mod failing;
mod files;
mod record;
mod report;
mod restored;
mod writer;

pub(crate) use record::covers as is_at_or_below;
pub use writer::{TEST_WRITER_ID, TestWriter};

#[cfg(test)]
mod tests;
