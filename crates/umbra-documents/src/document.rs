//! Either of the two documents, read from bytes and written as text.

use crate::{
    components_document::{BACKUP_COMPONENTS_SCHEMA, BackupComponentsDocument},
    schema::{DocumentElement, read_root, write_root},
    writer_document::{WRITER_METADATA_SCHEMA, WriterMetadataDocument},
    xml,
};
use serde::Serialize;
use umbra_model::VssResult;

/// A document, whichever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// A Writer Metadata Document.
    WriterMetadata(Box<WriterMetadataDocument>),
    /// A Backup Components Document.
    BackupComponents(Box<BackupComponentsDocument>),
}

impl Document {
    /// Reads a document: UTF-8 or UTF-16, as Windows writes it.
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT`, with line and column, for anything that is
    /// neither of the two documents or is more than the limits allow.
    pub fn read(bytes: &[u8]) -> VssResult<Self> {
        let text = xml::decode(bytes)?;
        let read = || {
            let root = xml::parse(&text)?;
            match root.name.as_str() {
                WriterMetadataDocument::TAG => read_root(root, WRITER_METADATA_SCHEMA)
                    .map(|document| Self::WriterMetadata(Box::new(document))),
                BackupComponentsDocument::TAG => read_root(root, BACKUP_COMPONENTS_SCHEMA)
                    .map(|document| Self::BackupComponents(Box::new(document))),
                other => Err(xml::Fault::at(
                    root.offset,
                    format!(
                        "the root is {other:?}, neither {} nor {}",
                        WriterMetadataDocument::TAG,
                        BackupComponentsDocument::TAG
                    ),
                )),
            }
        };
        read().map_err(|fault| fault.in_text(&text))
    }

    /// A note for each attribute, element, text or word that Umbra does not know
    /// and keeps.
    pub fn unknown(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self {
            Self::WriterMetadata(document) => document.note_unknown(&mut notes),
            Self::BackupComponents(document) => document.note_unknown(&mut notes),
        }
        notes
    }

    /// The document in its canonical form.
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT` for what XML cannot represent: a control
    /// character, or unknown content that is malformed.
    pub fn to_xml(&self) -> VssResult<String> {
        match self {
            Self::WriterMetadata(document) => document.to_xml(),
            Self::BackupComponents(document) => document.to_xml(),
        }
    }
}

macro_rules! documents {
    ($($name:ident in $schema:ident;)*) => {$(
        impl $name {
            /// Reads the document: UTF-8 or UTF-16, as Windows writes it
            /// (`LoadFromXML`, `InitializeForRestore`).
            ///
            /// # Errors
            ///
            /// `VSS_E_INVALID_XML_DOCUMENT`, with line and column, for anything
            /// else, and for more than the limits allow.
            pub fn from_xml(bytes: &[u8]) -> VssResult<Self> {
                let text = xml::decode(bytes)?;
                xml::parse(&text)
                    .and_then(|root| read_root(root, $schema))
                    .map_err(|fault| fault.in_text(&text))
            }

            /// The document in its canonical form (`SaveAsXML`).
            ///
            /// # Errors
            ///
            /// `VSS_E_INVALID_XML_DOCUMENT` for what XML cannot represent: a
            /// control character, or unknown content that is malformed.
            pub fn to_xml(&self) -> VssResult<String> {
                write_root(self, $schema)
            }
        }
    )*};
}

documents! {
    WriterMetadataDocument in WRITER_METADATA_SCHEMA;
    BackupComponentsDocument in BACKUP_COMPONENTS_SCHEMA;
}
