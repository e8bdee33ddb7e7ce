//! The wire: the published .proto files, the types generated from them, and the
//! conversions between those and the vocabulary.
//!
//! What goes out is converted with `From`, which cannot fail; what comes in with
//! `TryFrom`, which refuses with `E_INVALIDARG` and names the field.
//!
//! Invariant: this crate only translates; a rule that lives here is in the wrong
//! room.
//! Invariant: nothing that a peer sends makes a conversion panic.

mod address;
mod components;
pub mod fields;
mod file_sets;
mod limits;
mod management;
mod sets;
mod status;
mod volumes;
mod writers;

pub use address::{DEFAULT_ABSTRACT_NAME, abstract_name};
pub use components::changed;
pub use limits::{
    KEEPALIVE, MAX_HEADERS, MAX_REPLY, MAX_REQUEST, MAX_STATUS_MESSAGE, MAX_TRAILER,
    MAX_WITH_DOCUMENT, MAX_WRITER_MESSAGE,
};
pub use management::protection_level;
pub use status::{ERROR_TRAILER, from_status, to_status};

/// The generated types, clients and servers of package `umbra.v1`.
#[allow(missing_docs, unused_qualifications, clippy::large_enum_variant)]
pub mod v1 {
    tonic::include_proto!("umbra.v1");
}
