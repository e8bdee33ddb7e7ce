//! The wire: the published .proto files, the types generated from them, and the
//! conversions between those and the vocabulary.
//!
//! Invariant: this crate only translates; a rule that lives here is in the wrong
//! room.

/// The generated types, clients and servers of package `umbra.v1`.
#[allow(missing_docs, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("umbra.v1");
}
