//! How the elements of the two schemas are described once, and read and written
//! from that description.

mod element;
mod field;
mod term;
mod value;

pub use element::{AttributeRule, ChildRule, DocumentElement, ElementRule};
pub(crate) use element::{element_types, read_root, write_root};
pub use field::Extra;
pub(crate) use field::{AttributeField, ChildField, Source};
pub use term::{DocumentTerm, Term};
pub use value::{AttributeValue, SchemaVersion, ValueKind};
