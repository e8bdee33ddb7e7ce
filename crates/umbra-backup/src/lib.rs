//! Backup and restore of the files of components: which files of a mounted volume or
//! shadow copy belong to a component, copying them into a folder, and back.
//!
//! ```no_run
//! use umbra_backup::{BackupFolder, Volume, Wanted, component_files, save};
//! # fn example(metadata: &umbra_documents::WriterMetadata) -> umbra_model::VssResult<()> {
//! use umbra_documents::{BackupRequest, FileRules, PathStyle};
//! let request = BackupRequest::new(umbra_model::BackupType::Full);
//! let component = &metadata.components[0];
//! let rules = FileRules::for_backup(metadata, &[component], None, &request, PathStyle::Linux)
//!     .expect("there are no partial files");
//! let copy = Volume::shadow_copy("/mnt/copy", "/srv")?;
//! for file in component_files(&copy, &rules, Wanted::All)? {
//!     println!("{}", file?.original().display());
//! }
//! let backup = BackupFolder::create("/backup/today")?;
//! let report = save(&copy, &rules, Wanted::All, &backup)?;
//! println!("{} files, {} failed", report.files, report.failed);
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: looking for files never leaves the file system it began on and follows
//! no symbolic link.
//! Invariant: memory does not grow with the number of files, nor open descriptors
//! with the depth of folders.
//! Invariant: nothing is written outside the folder of a backup or the target of a
//! restore, whatever symbolic links are in them.
//! Invariant: a file that is replaced is there at any moment, the old or the new.

mod attributes;
mod backup_folder;
mod beneath;
mod content;
mod error;
mod files;
mod restore;
mod save;
mod sink;
mod stream;
mod volume;

pub use backup_folder::BackupFolder;
pub use error::EntryError;
pub use files::{FileKind, Files, FoundFile, Wanted, component_files};
pub use restore::{RestoreReport, restore};
pub use save::{SaveReport, save};
pub use volume::Volume;
