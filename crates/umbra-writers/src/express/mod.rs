//! Express writers: documents in `writers.d` that stand for writers without a
//! process, and the VSS Metadata Store Writer, which owns those documents.

mod documents;
mod folder;
mod source;
mod writer;

pub use source::ExpressSource;
pub use writer::METADATA_STORE_WRITER_ID;
