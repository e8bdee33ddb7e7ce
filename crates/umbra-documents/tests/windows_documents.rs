//! Reads and writes the documents of a Windows server, in
//! `shared/cases/windows-documents` beside the repository.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use support::meaning;
use umbra_documents::{
    BackupRequest, BackupSelection, Component, Document, FileRules, PathStyle, Term, ViewKind,
    WriterMetadata, WriterTrees, path_to_text, text_to_path,
};
use umbra_model::{BackupSchema, BackupType, ComponentType, RestoreMethod, SourceType, VssCode};

/// The folder, or nothing on a machine that does not have it. CI has it.
fn folder() -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/windows-documents");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{path:?} is missing");
    eprintln!("not checked against documents of Windows: {path:?} is missing");
    None
}

/// Every document in the folder: all XML files but the manifest of diskshadow,
/// which is none.
fn documents() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let mut documents: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .filter(|path| path.file_name().is_some_and(|name| name != "Manifest.xml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    documents.sort();
    assert_eq!(documents.len(), 12);
    documents
}

fn document(name: &str) -> Option<Document> {
    let (_, bytes) = documents().into_iter().find(|(other, _)| other == name)?;
    Some(Document::read(&bytes).unwrap())
}

fn check(bytes: &[u8], name: &str) -> String {
    let document = Document::read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = document.to_xml().unwrap();
    let again = Document::read(written.as_bytes()).unwrap();
    assert_eq!(again, document, "{name} reads as it was written");
    assert_eq!(again.to_xml().unwrap(), written, "{name} is stable");
    written
}

#[test]
fn nothing_is_lost() {
    for (name, bytes) in documents() {
        let written = check(&bytes, &name);
        let text = String::from_utf8(bytes).unwrap();
        assert!(meaning(&text) == meaning(&written), "{name}");
    }
}

#[test]
fn nothing_is_unknown() {
    for (name, bytes) in documents() {
        let document = Document::read(&bytes).unwrap();
        let json = serde_json::to_string(&document).unwrap();
        assert!(!json.contains("\"extra\""), "{name}");
    }
}

#[test]
fn every_encoding_reads_alike() {
    for (name, bytes) in documents() {
        let expected = Document::read(&bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let declared = format!("<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n{text}");
        let forms = [
            [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(),
            [b"\xff\xfe".as_slice(), &little].concat(),
            [b"\xfe\xff".as_slice(), &big].concat(),
            little,
            big,
            declared.into_bytes(),
        ];
        for form in forms {
            assert!(Document::read(&form).unwrap() == expected, "{name}");
        }
    }
}

#[test]
fn the_values_are_those_of_the_reference() {
    let Some(Document::WriterMetadata(sql)) = document("WM5.xml") else {
        return;
    };
    assert_eq!(sql.identification.friendly_name, "SqlServerWriter");
    let instance = sql.identification.instance_name.as_deref();
    assert_eq!(instance, Some("Microsoft SQL Server 2017:SQLWriter"));
    assert_eq!(
        sql.identification.data_source,
        Term::Known(SourceType::TransactedDb)
    );
    let schema = sql.backup_schema.unwrap();
    assert!(schema.contains(BackupSchema::DIFFERENTIAL.with(BackupSchema::COPY)));
    assert!(!schema.contains(BackupSchema::LOG));
    let restore = sql.restore_method.unwrap();
    assert_eq!(
        restore.method,
        Term::Known(RestoreMethod::RestoreIfCanReplace)
    );
    let groups = sql.backup_locations.unwrap().file_groups;
    assert_eq!(groups.len(), 6);
    assert_eq!(groups[0].files[1].specification, "mastlog.ldf");
    assert_eq!(groups[0].notify_on_backup_complete, Some(true));

    let Some(Document::BackupComponents(backup)) = document("BCDocument.xml") else {
        panic!("another document");
    };
    assert_eq!(backup.backup_type, Some(Term::Known(BackupType::Full)));
    assert_eq!(backup.writers.len(), 7);
    let component = &backup.writers[0].components[0];
    assert_eq!(
        component.component_type,
        Term::Known(ComponentType::FileGroup)
    );

    let Some(Document::WriterMetadata(asr)) = document("WM4.xml") else {
        panic!("another document");
    };
    let groups = asr.backup_locations.unwrap().file_groups;
    let caption = groups[1].caption.as_deref().unwrap();
    assert_eq!(caption.matches('\n').count(), 2, "{caption:?}");
}

#[test]
fn a_manifest_of_diskshadow_is_no_document() {
    let Some(folder) = folder() else { return };
    let bytes = fs::read(folder.join("Manifest.xml")).unwrap();
    let error = Document::read(&bytes).unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidXmlDocument);
    let message = error.message();
    assert!(
        message.contains("line 1, column 1: the root is \"Manifest\""),
        "{message}"
    );
}

#[test]
fn what_a_windows_server_chose_is_what_its_writers_allow() {
    let mut metadata = Vec::new();
    let mut chosen = None;
    for (_, bytes) in documents() {
        match Document::read(&bytes).unwrap() {
            Document::WriterMetadata(document) => metadata.push(document.to_metadata()),
            Document::BackupComponents(document) => chosen = Some(document),
        }
    }
    let Some(chosen) = chosen else { return };
    let writers = Arc::new(WriterTrees::from_iter(metadata));
    let mut selection = BackupSelection::new(Arc::clone(&writers));
    assert_eq!(selection.add_document(&chosen), []);
    let set = selection.backup_set();
    assert_eq!(set.included().count(), 8);
    assert!(
        set.writers
            .iter()
            .all(|writer| writer.missing().count() == 0)
    );
    // What was chosen stands in the document as Windows wrote it.
    let mut again = set.writer_components(&writers);
    again.sort_by_key(|writer| writer.instance_id);
    let mut before = chosen.writers.clone();
    before.sort_by_key(|writer| writer.instance_id);
    for writer in &mut before {
        writer.backup_schema = None;
    }
    assert_eq!(again, before);

    let mut everything = BackupSelection::new(Arc::clone(&writers));
    everything.add_everything();
    let set = everything.backup_set();
    let all: usize = writers
        .writers()
        .iter()
        .map(|writer| writer.tree().len())
        .sum();
    assert_eq!(set.included().count(), all);
}

/// The rules of every writer of a Windows server: each file that a file set names is
/// taken, whatever the case of its path, and what is excluded is not.
#[test]
fn file_rules_of_every_writer() {
    let mut sets_seen = 0;
    for (name, bytes) in documents() {
        let Document::WriterMetadata(document) = Document::read(&bytes).unwrap() else {
            continue;
        };
        let metadata = document.to_metadata();
        let components: Vec<&Component> = metadata.components.iter().collect();
        let request = BackupRequest::new(BackupType::Full);
        let style = PathStyle::Windows;
        let rules = FileRules::for_backup(&metadata, &components, None, &request, style).unwrap();
        let excluded = FileRules::for_included(
            &WriterMetadata {
                included: metadata.excluded.clone(),
                excluded: Vec::new(),
                ..metadata.clone()
            },
            style,
        );
        let is_taken = |rules: &FileRules, folder: &Path, file: &str| {
            let mut found = Vec::new();
            let place = rules.place(folder);
            rules.files(
                &place,
                folder,
                file.as_bytes(),
                ViewKind::ShadowCopy,
                &mut found,
            );
            !found.is_empty()
        };
        for set in components.iter().flat_map(|one| one.file_sets()) {
            let file = set.specification.replace(['*', '?'], "x").to_uppercase();
            let folder = path_to_text(set.alternate_path.as_ref().unwrap_or(&set.path));
            let folder = text_to_path(&folder.to_uppercase());
            let out = is_taken(&excluded, &set.path, &file);
            let taken = is_taken(&rules, &folder, &file);
            assert_ne!(taken, out, "{name}: {folder:?} {file:?}");
            sets_seen += 1;
        }
    }
    assert!(folder().is_none() || sets_seen > 18_000, "{sets_seen}");
}
