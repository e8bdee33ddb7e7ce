//! Writes `docs/vss-reference.md`: every name of the VSS reference with the item
//! of Umbra that answers it and the test that shows it, or why it has no meaning
//! on Linux. And checks it, so that no row points nowhere.
//!
//! Invariant: a row is written only for an item and a test that are in the code.

mod facts;
mod map;
mod page;
mod reference;
mod sources;
mod tests_of;
mod tokens;

pub use reference::Reference;
