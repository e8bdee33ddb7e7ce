//! What writers say about their data and what requesters chose of it: the Writer
//! Metadata Document and the Backup Components Document, in the Windows schema,
//! and the shorter form in which Umbra's writers answer.
//!
//! Invariant: nothing in this crate touches a file, a socket or a clock.
//! Invariant: no input makes it panic or take memory without bound; what is not
//! a document is `VSS_E_INVALID_XML_DOCUMENT`, with line and column.
//! Invariant: what a document says and Umbra does not know is written back.

mod components_document;
mod conversion;
mod document;
mod file_set;
mod file_time;
mod matching;
mod metadata;
mod schema;
mod tree;
mod writer_document;
mod xml;

pub use components_document::{
    BACKUP_COMPONENTS_SCHEMA, BackupComponentsDocument, ChosenComponent, ComponentFailure,
    DifferencedFile, DirectedTarget, NewTarget, PartialFile, RestoreSubcomponent, WriterComponents,
};
pub use document::Document;
pub use file_set::{FileSet, Recursion};
pub use file_time::FileTime;
pub use matching::{
    AlternateDestination, BackupRequest, ByteRange, ChosenFile, Destination, DestinationReason,
    DirectedPart, FileRules, FileRulesError, FileSpecification, NoAlternateLocation,
    PartialFileRule, PartialFileSupport, PartialRanges, PathStyle, Place, RangeList,
    RangeListError, ReadFrom, RestoreRules, Take, ViewKind, supported_backup_type,
};
pub use metadata::{
    AlternateLocation, Component, Dependency, FreezeLevel, MetadataError, RestorePlan, Selectable,
    WriterIdentity, WriterMetadata, WriterVersion, full_path,
};
pub use schema::{
    AttributeRule, AttributeValue, ChildRule, DocumentElement, DocumentTerm, ElementRule, Extra,
    SchemaVersion, Term, ValueKind,
};
pub use tree::{
    BackupSelection, BackupSet, ComponentAt, ComponentChoice, ComponentInBackup,
    ComponentInRestore, ComponentTree, Coverage, DependencyState, DependencyStatus, Designation,
    Inclusion, LeftOut, NotRestored, RestoreInclusion, RestoreSelection, RestoreSet,
    SelectionError, Standing, WriterEvent, WriterInBackup, WriterInRestore, WriterTree,
    WriterTrees, canonical_path,
};
pub use umbra_model::{bytes_to_text, path_to_text, text_to_bytes, text_to_path};
pub use writer_document::{
    AlternateLocationMapping, BackupLocations, Database, DatabaseFiles, DatabaseLogFiles,
    DependencyElement, ExcludedFiles, ExcludedFilesFromSnapshot, FileGroup, FileList,
    Identification, IncludedFiles, RestoreMethodElement, WRITER_METADATA_SCHEMA,
    WriterMetadataDocument,
};
pub use xml::{MAX_DOCUMENT_BYTES, XmlElement, XmlNode};

use file_set::is_plain_absolute;
