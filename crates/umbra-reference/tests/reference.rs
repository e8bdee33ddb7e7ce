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

#[test]
fn every_name_of_vss_has_its_answer() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reference = Reference::read(&repository).unwrap();
    assert!(reference.missing.is_empty(), "{:#?}", reference.missing);
}

#[test]
fn the_page_is_what_the_map_says() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(repository.join("docs/vss-reference.md")).unwrap();
    let written = Reference::read(&repository).unwrap().page();
    assert!(page == written, "run `make reference`");
}
