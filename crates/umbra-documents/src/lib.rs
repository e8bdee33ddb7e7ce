//! What writers say about their data and what requesters chose of it: the Writer
//! Metadata Document and the Backup Components Document, in the Windows schema,
//! and the shorter form in which Umbra's writers answer.
//!
//! Invariant: nothing in this crate touches a file, a socket or a clock.
//! Invariant: no input makes it panic or take memory without bound; what is not
//! a document is `VSS_E_INVALID_XML_DOCUMENT`, with line and column.
//! Invariant: what a document says and Umbra does not know is written back.

mod components_document;
mod document;
mod from_metadata;
mod metadata;
mod schema;
mod writer_document;
mod xml;

pub use components_document::{
    BACKUP_COMPONENTS_SCHEMA, BackupComponentsDocument, ChosenComponent, WriterComponents,
};
pub use document::Document;
pub use metadata::{
    Component, FileSet, FreezeLevel, MetadataError, Recursion, Selectable, WriterIdentity,
    WriterMetadata,
};
pub use schema::{
    AttributeRule, AttributeValue, ChildRule, DocumentElement, DocumentTerm, ElementRule, Extra,
    SchemaVersion, Term, ValueKind,
};
pub use writer_document::{
    BackupLocations, ExcludedFiles, ExcludedFilesFromSnapshot, FileGroup, FileList, Identification,
    RestoreMethodElement, WRITER_METADATA_SCHEMA, WriterMetadataDocument,
};
pub use xml::{MAX_DOCUMENT_BYTES, XmlElement, XmlNode};
