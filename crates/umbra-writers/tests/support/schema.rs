//! Which names documents of a Windows server show.

use roxmltree::Document;
use std::{collections::BTreeSet, path::Path};
use umbra_documents::WriterMetadata;

/// Attributes that have one of a few words each.
const WORDS: [&str; 4] = ["usage", "dataSource", "method", "writerRestore"];

/// Checks that a writer's document has no element, attribute or word that no
/// document of a Windows server has.
pub fn assert_windows_would_read(metadata: &WriterMetadata) {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/windows-documents");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("this test needs the documents of a Windows server in {folder:?}: {error}")
    });
    let mut known = BTreeSet::new();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("WM") {
            let xml = std::fs::read_to_string(&path).unwrap();
            known.extend(names(&xml));
        }
    }
    assert!(known.len() > 40, "{known:?}");
    let xml = metadata.to_document().to_xml().unwrap();
    let ours = names(&xml);
    let strange: Vec<_> = ours.difference(&known).collect();
    assert!(strange.is_empty(), "{strange:?} in {xml}");
}

fn names(xml: &str) -> BTreeSet<String> {
    let document = Document::parse(xml).unwrap();
    let mut names = BTreeSet::new();
    for element in document.descendants().filter(roxmltree::Node::is_element) {
        let tag = element.tag_name().name();
        names.insert(tag.to_owned());
        for attribute in element.attributes() {
            let name = attribute.name();
            names.insert(format!("{tag} {name}"));
            if WORDS.contains(&name) {
                names.insert(format!("{tag} {name}={}", attribute.value()));
            }
        }
    }
    names
}
