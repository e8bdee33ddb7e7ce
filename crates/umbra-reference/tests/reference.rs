//! Holds the map of the VSS reference against the names of VSS, the code and the
//! page that was written from it.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::Path;
use umbra_reference::Reference;

#[test]
fn no_answer_points_nowhere() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reference = Reference::read(&repository).unwrap();
    assert!(reference.wrong.is_empty(), "{:#?}", reference.wrong);
}
