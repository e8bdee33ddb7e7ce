//! The two VSS documents, as they are printed.

use super::{
    Listing,
    table::{Column, table},
    text::plain,
};
use serde::Serialize;
use umbra_documents::{
    BackupComponentsDocument, BackupLocations, ChosenComponent, Document, WriterMetadataDocument,
};

/// A document with the file it was read from.
#[derive(Debug, Clone, Serialize)]
pub struct DocumentView {
    /// The file.
    pub file: String,
    /// What it says.
    #[serde(flatten)]
    document: Document,
}

impl DocumentView {
    /// A document that was read from this file.
    pub fn new(file: String, document: Document) -> Self {
        Self { file, document }
    }
}

impl Listing for Vec<DocumentView> {
    fn text(&self, width: u16) -> String {
        let texts: Vec<String> = self.iter().map(|view| view.lines(width)).collect();
        texts.join("\n")
    }
}

impl DocumentView {
    fn lines(&self, width: u16) -> String {
        let mut lines = Lines {
            properties: vec![vec!["file".to_owned(), self.file.clone()]],
            body: String::new(),
        };
        match &self.document {
            Document::WriterMetadata(document) => lines.writer(document),
            Document::BackupComponents(document) => lines.backup(document),
        }
        for note in self.document.unknown() {
            lines.body(&format!("\nnot known, but kept: {note}"));
        }
        let columns = [Column::Whole("PROPERTY"), Column::Broken("VALUE")];
        table(&columns, lines.properties, width) + &lines.body
    }
}

/// A table of properties and what comes below it.
struct Lines {
    properties: Vec<Vec<String>>,
    body: String,
}

impl Lines {
    fn property(&mut self, name: &str, value: impl AsRef<str>) {
        self.properties
            .push(vec![name.to_owned(), plain(value.as_ref())]);
    }

    fn maybe(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.property(name, value);
        }
    }

    fn body(&mut self, line: &str) {
        let (breaks, words) = line.split_at(line.len() - line.trim_start_matches('\n').len());
        self.body.push_str(breaks);
        self.body.push_str(&plain(words));
        self.body.push('\n');
    }

    fn writer(&mut self, document: &WriterMetadataDocument) {
        let who = &document.identification;
        self.property("document", "Writer Metadata Document");
        self.property("version", document.version.name());
        self.property("writer", &who.friendly_name);
        self.maybe("instance name", who.instance_name.as_ref());
        self.property("class", who.writer_id.to_string());
        self.property("instance", who.instance_id.to_string());
        self.property("usage", who.usage.reference_name());
        self.property("source", who.data_source.reference_name());
        if let Some(schema) = document.backup_schema {
            let names: Vec<_> = schema.names().collect();
            self.property("backup schema", names.join(" "));
        }
        if let Some(restore) = &document.restore_method {
            self.property("restore", restore.method.reference_name());
            self.maybe("service", restore.service.as_ref());
            let takes_part = restore.writer_restore.as_ref();
            self.maybe(
                "writer restores",
                takes_part.map(|when| when.reference_name()),
            );
            self.maybe("reboot", restore.reboot_required.map(yes_no));
        }
        if let Some(locations) = &document.backup_locations {
            self.locations(locations);
        }
    }

    fn locations(&mut self, locations: &BackupLocations) {
        for group in &locations.file_groups {
            let path = full(group.logical_path.as_deref(), &group.name);
            let how = choosing(group.selectable, group.selectable_for_restore);
            self.body(&format!("\ncomponent {path} ({how})"));
            for list in &group.files {
                self.file(&list.path, &list.specification, list.recursive);
                self.alternate(list.alternate_path.as_deref());
            }
        }
        self.heading(locations.excluded.is_empty(), "not to be backed up");
        for list in &locations.excluded {
            self.file(&list.path, &list.specification, list.recursive);
        }
        self.heading(
            locations.excluded_from_snapshot.is_empty(),
            "not in the shadow copy",
        );
        for list in &locations.excluded_from_snapshot {
            self.file(&list.path, &list.specification, list.recursive);
        }
    }

    fn heading(&mut self, nothing_below: bool, words: &str) {
        if !nothing_below {
            self.body(&format!("\n{words}"));
        }
    }

    fn file(&mut self, path: &str, specification: &str, recursive: Option<bool>) {
        let line = files(path, specification, recursive);
        self.body(&format!("  {line}"));
    }

    fn alternate(&mut self, path: Option<&str>) {
        if let Some(path) = path {
            self.body(&format!("    found in {path}"));
        }
    }

    fn backup(&mut self, document: &BackupComponentsDocument) {
        self.property("document", "Backup Components Document");
        self.property("version", document.version.name());
        let backup = document.backup_type.as_ref();
        self.maybe("backup", backup.map(|kind| kind.reference_name()));
        self.maybe("components chosen", document.select_components.map(yes_no));
        self.maybe("system state", document.bootable_system_state.map(yes_no));
        self.maybe("parts of files", document.partial_file_support.map(yes_no));
        self.maybe("set", document.snapshot_set_id.map(|id| id.to_string()));
        for writer in &document.writers {
            self.body(&format!("\nwriter {}", writer.writer_id));
            for component in &writer.components {
                self.chosen(component);
            }
        }
    }

    fn chosen(&mut self, component: &ChosenComponent) {
        let path = full(component.logical_path.as_deref(), &component.name);
        let kind = component.component_type.word();
        self.body(&format!("  component {path} ({kind})"));
        // Everything that is set, under the name it has in the document.
        let element = umbra_documents::DocumentElement::to_element(component);
        let shown = ["logicalPath", "componentName", "componentType"];
        for (name, value) in &element.attributes {
            if !shown.contains(&name.as_str()) {
                self.body(&format!("    {name} = {value}"));
            }
        }
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn full(logical_path: Option<&str>, name: &str) -> String {
    match logical_path {
        Some(path) if !path.is_empty() => format!("{path}\\{name}"),
        _ => name.to_owned(),
    }
}

fn choosing(backup: Option<bool>, restore: Option<bool>) -> &'static str {
    match (backup.unwrap_or(false), restore.unwrap_or(false)) {
        (true, true) => "selectable for backup and restore",
        (true, false) => "selectable for backup",
        (false, true) => "selectable for restore",
        (false, false) => "not selectable",
    }
}

/// A file set in one line. A path that is longer than the line stays whole:
/// people copy it.
fn files(path: &str, specification: &str, recursive: Option<bool>) -> String {
    let separator = if path.starts_with('/') { '/' } else { '\\' };
    let below = if recursive == Some(true) {
        " and below"
    } else {
        ""
    };
    let folder = path.trim_end_matches(separator);
    format!("{folder}{separator}{specification}{below}")
}
