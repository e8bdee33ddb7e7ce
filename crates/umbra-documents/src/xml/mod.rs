//! XML as far as the two documents need it: bytes to a tree and back, with every
//! limit on what is accepted.

mod element;
mod encoding;
mod fault;
mod read;
mod write;

pub use element::{XmlElement, XmlNode};
pub(crate) use fault::Fault;
pub use read::MAX_DOCUMENT_BYTES;
pub(crate) use read::{decode, gate, parse};
pub(crate) use write::write;
