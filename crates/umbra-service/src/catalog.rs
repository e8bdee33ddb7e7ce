//! The catalog: which sets there are and which are in the making.
//!
//! One redb file, opened for each operation under a lock, so that several
//! services can share it. Every change is one durable transaction.

use crate::{lock_file::LockFile, owner::OwnerId};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use umbra_model::{
    SessionId, SetId, ShadowCopy, ShadowCopyId, ShadowCopySet, VssCode, VssError, VssResult,
};

/// Sets by id, as JSON.
const SETS: TableDefinition<&str, &[u8]> = TableDefinition::new("sets");
/// The layout of a record that this program reads and writes.
const VERSION: u32 = 1;
/// How long another process may keep the catalog.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// What the catalog says of one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which service looks after it.
    pub(crate) owner: OwnerId,
    /// For which session.
    pub(crate) session: SessionId,
    /// Whether its copies go with the session.
    pub(crate) release: Release,
    /// How far it came.
    pub(crate) phase: Phase,
}

/// When a set's copies are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Release {
    /// When its session ends.
    WithSession,
    /// When somebody asks.
    OnRequest,
}

/// How far a set came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Providers may have made something of these copies.
    Intent(SetId, Vec<ShadowCopy>),
    /// It is made.
    Finished(Box<ShadowCopySet>),
}

impl Record {
    pub(crate) fn set_id(&self) -> SetId {
        match &self.phase {
            Phase::Intent(id, _) => *id,
            Phase::Finished(set) => set.id,
        }
    }

    pub(crate) fn copies(&self) -> &[ShadowCopy] {
        match &self.phase {
            Phase::Intent(_, copies) => copies,
            Phase::Finished(set) => &set.copies,
        }
    }

    pub(crate) fn finished(&self) -> Option<&ShadowCopySet> {
        match &self.phase {
            Phase::Intent(..) => None,
            Phase::Finished(set) => Some(set),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct Nothing {}

/// The catalog's file. All methods block.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    path: PathBuf,
}

/// Why the catalog's file could not be used.
#[derive(Debug, thiserror::Error)]
enum CatalogError {
    #[error(transparent)]
    Redb(#[from] redb::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the record of set {0} is not readable: {1}")]
    Record(String, serde_json::Error),
    #[error("the record of set {0} has layout {1}, which a newer Umbra wrote")]
    Newer(String, u32),
    #[error("a record cannot be written as JSON: {0}")]
    Encode(serde_json::Error),
}

macro_rules! from_redb {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for CatalogError {
            fn from(error: redb::$name) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}
from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError
);

impl CatalogError {
    fn into_error(self, tried: &str, path: &Path) -> VssError {
        let code = match &self {
            Self::Io(error) | Self::Redb(redb::Error::Io(error)) => code_of(error),
            Self::Encode(_) => VssCode::VolumeNotSupported,
            _ => VssCode::Unexpected,
        };
        let advice = match (&self, code) {
            (Self::Newer(..), _) => "use that version of Umbra",
            (_, VssCode::InsufficientStorage) => "make room and try again",
            (_, VssCode::VolumeNotSupported) => "mount the volume under a name that is UTF-8",
            (_, VssCode::AccessDenied) => "run this as root",
            _ => {
                "nothing in it was changed; move the file away to start with an empty catalog, \
                 which knows none of the copies that there are"
            }
        };
        VssError::new(
            code,
            format!("cannot {tried} the catalog {}; {advice}", path.display()),
        )
        .caused_by(self)
    }
}

/// The code for a system error met at the service's own files.
pub(crate) fn code_of(error: &io::Error) -> VssCode {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            VssCode::InsufficientStorage
        }
        io::ErrorKind::PermissionDenied => VssCode::AccessDenied,
        _ => VssCode::Unexpected,
    }
}

impl Catalog {
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            path: state.join("catalog.redb"),
        }
    }

    /// Every record, in no order.
    ///
    /// # Errors
    ///
    /// The catalog is damaged, of another program or in use.
    pub(crate) fn read(&self) -> VssResult<Vec<Record>> {
        let _lock = self.lock()?;
        self.read_locked()
            .map_err(|error| error.into_error("read", &self.path))
    }

    fn read_locked(&self) -> Result<Vec<Record>, CatalogError> {
        if !self.path.try_exists()? {
            return Ok(Vec::new());
        }
        let database = Database::open(&self.path)?;
        let reading = database.begin_read()?;
        let table = match reading.open_table(SETS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut records = Vec::new();
        for entry in table.iter()? {
            let (id, record) = entry?;
            records.push(decode(id.value(), record.value())?);
        }
        Ok(records)
    }

    /// Writes the intent to make a set, before anything is made.
    ///
    /// # Errors
    ///
    /// `VSS_E_INSUFFICIENT_STORAGE`, or the catalog cannot be used.
    pub(crate) fn begin(&self, record: &Record) -> VssResult<()> {
        #[cfg(feature = "failpoints")]
        fail::fail_point!("catalog::begin", |_| Err(failed_on_purpose("begin")));
        self.put(record)
    }

    /// Writes that a set is made.
    ///
    /// # Errors
    ///
    /// As [`Catalog::begin`].
    pub(crate) fn finish(&self, record: &Record) -> VssResult<()> {
        #[cfg(feature = "failpoints")]
        fail::fail_point!("catalog::finish", |_| Err(failed_on_purpose("finish")));
        self.put(record)
    }

    fn put(&self, record: &Record) -> VssResult<()> {
        self.edit(record.set_id(), |_| Some(record.clone()))
    }

    /// Forgets a set; succeeds where it is not known.
    ///
    /// # Errors
    ///
    /// As [`Catalog::begin`].
    pub(crate) fn remove(&self, set: SetId) -> VssResult<()> {
        #[cfg(feature = "failpoints")]
        fail::fail_point!("catalog::remove", |_| Err(failed_on_purpose("remove")));
        // A catalog that could not be made for want of room is not made now.
        if matches!(self.path.try_exists(), Ok(false)) {
            return Ok(());
        }
        self.edit(set, |_| None)
    }

    /// Forgets one copy of a finished set, and the set with its last one.
    ///
    /// # Errors
    ///
    /// As [`Catalog::begin`].
    pub(crate) fn remove_copy(&self, set: SetId, copy: ShadowCopyId) -> VssResult<()> {
        #[cfg(feature = "failpoints")]
        fail::fail_point!("catalog::remove_copy", |_| Err(failed_on_purpose(
            "remove_copy"
        )));
        self.edit(set, |record| {
            let mut record = record?;
            if let Phase::Finished(set) = &mut record.phase {
                set.copies.retain(|other| other.id != copy);
                if set.copies.is_empty() {
                    return None;
                }
            }
            Some(record)
        })
    }

    /// Replaces one record, or forgets it, in one durable transaction.
    ///
    /// # Errors
    ///
    /// As [`Catalog::begin`].
    pub(crate) fn edit(
        &self,
        set: SetId,
        change: impl FnOnce(Option<Record>) -> Option<Record>,
    ) -> VssResult<()> {
        let _lock = self.lock()?;
        self.edit_locked(&set.to_string(), change)
            .map_err(|error| error.into_error("write to", &self.path))
    }

    fn edit_locked(
        &self,
        key: &str,
        change: impl FnOnce(Option<Record>) -> Option<Record>,
    ) -> Result<(), CatalogError> {
        if !self.path.try_exists()? {
            self.create()?;
        }
        let database = Database::open(&self.path)?;
        let writing = database.begin_write()?;
        {
            let mut table = writing.open_table(SETS)?;
            let old = match table.get(key)? {
                Some(bytes) => Some(decode(key, bytes.value())?),
                None => None,
            };
            match change(old) {
                Some(record) => {
                    let bytes = serde_json::to_vec(&Versioned {
                        version: VERSION,
                        record,
                    })
                    .map_err(CatalogError::Encode)?;
                    table.insert(key, bytes.as_slice())?;
                }
                None => {
                    table.remove(key)?;
                }
            }
        }
        writing.commit()?;
        Ok(())
    }

    /// Makes an empty catalog under another name first: a full disk or a crash
    /// leaves no half one.
    fn create(&self) -> Result<(), CatalogError> {
        let making = self.path.with_extension("new");
        remove_if_there(&making)?;
        if let Err(error) = self.create_as(&making) {
            // A disk that is full needs the room, and the error is the first one.
            let _ = remove_if_there(&making);
            return Err(error);
        }
        Ok(())
    }

    fn create_as(&self, making: &Path) -> Result<(), CatalogError> {
        {
            let database = Database::create(making)?;
            let writing = database.begin_write()?;
            writing.open_table(SETS)?;
            writing.commit()?;
        }
        std::fs::rename(making, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    fn lock(&self) -> VssResult<LockFile> {
        LockFile::lock_within(&self.path.with_extension("lock"), LOCK_WAIT)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn decode(key: &str, bytes: &[u8]) -> Result<Record, CatalogError> {
    let broken = |error| CatalogError::Record(key.to_owned(), error);
    let version = serde_json::from_slice::<Versioned<Nothing>>(bytes)
        .map_err(broken)?
        .version;
    if version != VERSION {
        return Err(CatalogError::Newer(key.to_owned(), version));
    }
    serde_json::from_slice::<Versioned<Record>>(bytes)
        .map(|versioned| versioned.record)
        .map_err(broken)
}

#[cfg(feature = "failpoints")]
fn failed_on_purpose(write: &str) -> VssError {
    VssError::new(
        VssCode::InsufficientStorage,
        format!("cannot write to the catalog: the fail point catalog::{write} is on"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_layout_is_refused() {
        let check = |json: &str, expected: &str| {
            let error = decode("key", json.as_bytes()).unwrap_err();
            let error = error.into_error("read", Path::new("/c")).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(r#"{"version":2,"sets":[]}"#, "newer Umbra wrote");
        check(r#"{"version":1}"#, "not readable");
        check("nonsense", "not readable");
    }
}
