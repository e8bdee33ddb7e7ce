//! Where the names of the two schemas come from. Microsoft describes what the
//! documents hold and not how all of it is spelled; so each element, attribute and
//! word is in a real document, on a page, or made from a name of the VSS reference
//! by the rule that [`Reference`] is.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use umbra_documents::{
    BackupComponentsDocument, Document, DocumentElement, ElementRule, ValueKind,
    WriterMetadataDocument,
};

/// What "VSS Test Writer Tool" (desktop-src/VSS/vss-test-writer-tool.md) spells out.
/// It is of the tool's configuration, which uses the words of the documents.
const TEST_WRITER_ATTRIBUTES: [&str; 14] = [
    "alternatePath",
    "componentName",
    "componentType",
    "filespec",
    "logicalPath",
    "method",
    "path",
    "ranges",
    "rebootRequired",
    "recursive",
    "selectable",
    "usage",
    "writerId",
    "writerRestore",
];
const TEST_WRITER_WORDS: [&str; 4] = [
    "USER_DATA",
    "RESTORE_IF_CAN_BE_REPLACED",
    "always",
    "filegroup",
];
/// What "In-Box VSS Writers" (desktop-src/VSS/in-box-vss-writers.md) shows of the
/// documents of the NTDS and the ADAM writer.
const IN_BOX_ELEMENTS: [&str; 4] = [
    "BACKUP_LOCATIONS",
    "DATABASE",
    "DATABASE_FILES",
    "DATABASE_LOGFILES",
];

fn shared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(name);
    assert!(path.exists(), "{path:?} is missing; this test needs it");
    path
}

/// Names of elements and attributes, and words.
#[derive(Debug, Default)]
struct Names {
    elements: BTreeSet<String>,
    attributes: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Names {
    fn of_schemas() -> Self {
        let mut names = Self::default();
        names.add_rule(&WriterMetadataDocument::rule());
        names.add_rule(&BackupComponentsDocument::rule());
        names
    }

    fn add_rule(&mut self, rule: &ElementRule) {
        self.elements.insert(rule.tag.to_owned());
        for attribute in &rule.attributes {
            self.attributes.insert(attribute.name.to_owned());
            if let ValueKind::Words(words) = attribute.kind {
                self.words.extend(words.iter().map(ToString::to_string));
            }
        }
        for child in &rule.children {
            self.add_rule(&child.element);
        }
    }

    fn of_windows() -> Self {
        let mut names = Self::default();
        for entry in fs::read_dir(shared("cases/windows-documents")).unwrap() {
            let path = entry.unwrap().path();
            let is_document = path.extension().is_some_and(|extension| extension == "xml")
                // The manifest of diskshadow is no document.
                && !path.ends_with("Manifest.xml");
            if is_document {
                let text = fs::read_to_string(&path).unwrap();
                let document = roxmltree::Document::parse(&text).unwrap();
                names.add_elements(&document);
            }
        }
        names
    }

    fn add_elements(&mut self, document: &roxmltree::Document<'_>) {
        for element in document.descendants().filter(roxmltree::Node::is_element) {
            self.elements.insert(element.tag_name().name().to_owned());
            for attribute in element.attributes() {
                self.attributes.insert(attribute.name().to_owned());
                self.words.insert(attribute.value().to_owned());
            }
        }
    }
}

/// What the rule makes of the names of `vss-abi.json`:
///
/// - an element is what an `Add…` or `Get…` method adds or gets, in capitals with
///   underscores: `AddPartialFile` makes `PARTIAL_FILE`;
/// - an attribute is what a `Set…` or `Get…` method sets or gets, or a parameter
///   without the prefix of its type, in camel case: `SetBackupStamp` makes
///   `backupStamp`, `wszUserProcedure` makes `userProcedure`;
/// - a word is a value of an enumeration without the prefix of that, in capitals, in
///   small letters or in camel case: `VSS_BT_FULL` makes `full`.
fn of_rule() -> Names {
    let text = fs::read_to_string(shared("facts/vss-abi.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut names = Names::default();
    for interface in facts["interfaces"].as_object().unwrap().values() {
        for method in interface["methods"].as_array().unwrap() {
            let name = method["name"].as_str().unwrap();
            let noun = |verbs: [&str; 2]| verbs.iter().find_map(|verb| name.strip_prefix(verb));
            names.elements.extend(noun(["Add", "Get"]).map(capitals));
            names.attributes.extend(noun(["Set", "Get"]).map(camel));
            for parameter in method["params"].as_array().unwrap() {
                let bare = without_prefix(parameter["name"].as_str().unwrap());
                names.attributes.insert(camel(bare));
            }
        }
    }
    for enumeration in facts["enums"].as_object().unwrap().values() {
        for pair in enumeration["values"].as_array().unwrap() {
            let value = pair[0].as_str().unwrap();
            if let Some(word) = value.splitn(3, '_').nth(2) {
                let small = word.to_lowercase();
                names
                    .words
                    .extend([word.to_owned(), camel_of(&small), small]);
            }
        }
    }
    names
}

/// `PartialFile` as `PARTIAL_FILE`.
fn capitals(noun: &str) -> String {
    let mut text = String::new();
    for one in noun.chars() {
        if one.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(one.to_uppercase());
    }
    text
}

/// `BackupStamp` as `backupStamp`.
fn camel(noun: &str) -> String {
    let mut rest = noun.chars();
    rest.next()
        .map(|first| first.to_lowercase().chain(rest).collect())
        .unwrap_or_default()
}

/// `if_replace_fails` as `ifReplaceFails`.
fn camel_of(word: &str) -> String {
    let mut text = String::new();
    for part in word.split('_') {
        let mut rest = part.chars();
        let first = rest.next().into_iter();
        if text.is_empty() {
            text.extend(first);
        } else {
            text.extend(first.flat_map(char::to_uppercase));
        }
        text.extend(rest);
    }
    text
}

/// `wszUserProcedure` as `UserProcedure`.
fn without_prefix(parameter: &str) -> &str {
    const PREFIXES: [&str; 12] = [
        "wsz", "pwsz", "pbstr", "bstr", "pb", "b", "pdw", "dw", "pft", "ft", "pid", "p",
    ];
    let starts_word = |rest: &&str| rest.starts_with(|one: char| one.is_ascii_uppercase());
    let mut bare = PREFIXES
        .iter()
        .filter_map(|prefix| parameter.strip_prefix(prefix));
    bare.find(starts_word).unwrap_or(parameter)
}

/// Those of our names that no source has.
fn without(ours: &BTreeSet<String>, sources: &[&BTreeSet<String>]) -> BTreeSet<String> {
    let known = |name: &&String| sources.iter().any(|names| names.contains(*name));
    ours.iter().filter(|name| !known(name)).cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The names of the schemas that no document and no page shows, and whether the
/// rule makes them.
#[test]
fn every_name_has_a_public_source() {
    let (ours, windows, rule) = (Names::of_schemas(), Names::of_windows(), of_rule());
    let check = |ours, sources: [&BTreeSet<String>; 2], rule| {
        let derived = without(ours, &sources);
        assert_eq!(without(&derived, &[rule]), BTreeSet::new());
        derived
    };
    let page = set(&IN_BOX_ELEMENTS);
    let elements = check(&ours.elements, [&windows.elements, &page], &rule.elements);
    let page = set(&TEST_WRITER_ATTRIBUTES);
    let attributes = check(
        &ours.attributes,
        [&windows.attributes, &page],
        &rule.attributes,
    );
    let page = set(&TEST_WRITER_WORDS);
    let words = check(&ours.words, [&windows.words, &page], &rule.words);

    // The documentation names them, and no others.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/documents.md");
    let text = fs::read_to_string(path).unwrap();
    for (title, names) in [
        ("Elements", elements),
        ("Attributes", attributes),
        ("Words", words),
    ] {
        let (_, row) = text
            .split_once(&format!("| {title} made by the rule |"))
            .unwrap();
        let row = row.lines().next().unwrap();
        let listed: BTreeSet<String> = row
            .split('`')
            .skip(1)
            .step_by(2)
            .map(String::from)
            .collect();
        assert_eq!(listed, names, "{title} in docs/documents.md");
    }
}

/// The elements that "In-Box VSS Writers" shows of databases.
#[test]
fn databases_of_the_page_are_understood() {
    let text = r#"<WRITER_METADATA xmlns="x-schema:#VssWriterMetadataInfo" version="1.1">
        <IDENTIFICATION writerId="b2014c9e-8711-4c5c-a5a9-3cf384484757"
            instanceId="00000000-0000-0000-0000-000000000001" friendlyName="NTDS"
            usage="BOOTABLE_SYSTEM_STATE" dataSource="TRANSACTION_DB"/>
        <BACKUP_LOCATIONS>
          <DATABASE logicalPath="C:_data" componentName="ntds" caption="" restoreMetadata="no"
              notifyOnBackupComplete="no" selectable="no" selectableForRestore="no"
              componentFlags="3">
            <DATABASE_FILES path="C:\data" filespec="ntds.dit" filespecBackupType="3855"/>
            <DATABASE_LOGFILES path="C:\data" filespec="edb*.log" filespecBackupType="3855"/>
          </DATABASE>
        </BACKUP_LOCATIONS>
      </WRITER_METADATA>"#;
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(document.unknown(), Vec::<String>::new());
    let Document::WriterMetadata(document) = document else {
        panic!("{document:?}");
    };
    let component = &document.to_metadata().components[0];
    assert_eq!(component.database_files[0].specification, "ntds.dit");
    assert_eq!(component.log_files[0].specification, "edb*.log");
}
