//! Which files a component has: specifications, the file sets that a kind of backup
//! needs, parts of files, and where files go on restore. Everything here is about
//! names; who looks for files brings them.

mod backup_request;
mod backup_type;
mod file_rules;
mod folder_index;
mod range_list;
mod restore_rules;
mod specification;

pub use backup_request::{
    BackupRequest, ChosenFile, FileRulesError, PartialFileRule, PartialFileSupport, Take, ViewKind,
};
pub use backup_type::{ReadFrom, supported_backup_type};
pub use file_rules::{FileRules, Place};
pub use range_list::{ByteRange, PartialRanges, RangeList, RangeListError};
pub use restore_rules::{
    AlternateDestination, Destination, DestinationReason, DirectedPart, NoAlternateLocation,
    RestoreRules,
};
pub use specification::{FileSpecification, PathStyle};
