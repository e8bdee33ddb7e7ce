//! Where express writers come from, and who registers them.

use super::{
    documents::{Entry, entries, not_in_box},
    folder::Folder,
    writer::SilentWriter,
};
use async_trait::async_trait;
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use umbra_model::{VssCode, VssError, VssResult, WriterId, WriterInstanceId};
use umbra_writer::{
    ExpressWriterEntry, ExpressWriterMetadata, ExpressWriters, Writer, WriterSource,
};

/// The express writers whose documents are in a folder (`IVssExpressWriter`), and
/// the VSS Metadata Store Writer while there is such a document.
///
/// The folder is read at each gathering: a few small files, and never a state that
/// is no longer true.
pub struct ExpressSource {
    store: Arc<Store>,
}

struct Store {
    folder: PathBuf,
    /// Of the VSS Metadata Store Writer.
    instance: WriterInstanceId,
    /// What was warned of at the last gathering, so that it is said once.
    warned: Mutex<HashSet<String>>,
}

impl ExpressSource {
    /// A source with this folder. Reads nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            store: Arc::new(Store {
                folder: folder.into(),
                instance: WriterInstanceId::random(),
                warned: Mutex::default(),
            }),
        }
    }
}

#[async_trait]
impl WriterSource for ExpressSource {
    async fn writers(&self) -> Vec<Arc<dyn Writer>> {
        let store = Arc::clone(&self.store);
        // A thread that was ended has found nothing.
        tokio::task::spawn_blocking(move || store.writers())
            .await
            .unwrap_or_default()
    }

    fn origin(&self) -> &'static str {
        "express"
    }

    fn express_writers(&self) -> Option<Arc<dyn ExpressWriters>> {
        Some(Arc::clone(&self.store) as Arc<dyn ExpressWriters>)
    }
}

impl Store {
    fn writers(&self) -> Vec<Arc<dyn Writer>> {
        let entries = match self.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.warn([error.to_string()].into());
                return Vec::new();
            }
        };
        let mut writers: Vec<Arc<dyn Writer>> = Vec::new();
        let mut warnings = HashSet::new();
        if !entries.is_empty() {
            let store = SilentWriter::metadata_store(self.instance, &self.folder);
            writers.push(Arc::new(store));
        }
        for Entry { name, writer, .. } in entries {
            match writer {
                Ok(writer) => writers.push(Arc::new(SilentWriter::new(writer.metadata()))),
                Err(why) => {
                    let file = self.folder.join(name);
                    let why = why.message();
                    warnings.insert(format!("no express writer from {}: {why}", file.display()));
                }
            }
        }
        self.warn(warnings);
        writers
    }

    fn warn(&self, warnings: HashSet<String>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.difference(&warned) {
            tracing::warn!("{warning}");
        }
        *warned = warnings;
    }

    fn entries(&self) -> VssResult<Vec<Entry>> {
        let found = Folder::open(&self.folder)
            .and_then(|folder| folder.as_ref().map_or(Ok(Vec::new()), Folder::documents));
        found.map(entries).map_err(|error| {
            failed(
                "read the documents of express writers in",
                &self.folder,
                error,
            )
        })
    }

    fn entry(&self, Entry { name, writer, .. }: Entry) -> ExpressWriterEntry {
        ExpressWriterEntry {
            file: self.folder.join(name),
            writer: writer.map(|writer| writer.metadata()),
        }
    }
}

impl ExpressWriters for Store {
    fn list(&self) -> VssResult<Vec<ExpressWriterEntry>> {
        let entries = self.entries()?.into_iter();
        Ok(entries.map(|entry| self.entry(entry)).collect())
    }

    fn register(&self, metadata: &ExpressWriterMetadata) -> VssResult<ExpressWriterEntry> {
        let id = metadata.id();
        let metadata = metadata.clone().with_instance(WriterInstanceId::random());
        let xml = metadata.save_as_xml()?;
        not_in_box(id)?;
        let write = |error| failed("register an express writer in", &self.folder, error);
        let folder = Folder::open_or_make(&self.folder).map_err(write)?;
        folder.lock().map_err(write)?;
        let there = entries(folder.documents().map_err(write)?);
        if let Some(other) = there.iter().find(|entry| entry.id == Some(id)) {
            return Err(VssError::new(
                VssCode::ObjectAlreadyExists,
                format!(
                    "the express writer {id} is registered already, in {}; unregister it first",
                    self.folder.join(&other.name).display()
                ),
            ));
        }
        let name = format!("{id}.xml");
        folder.write(name.as_ref(), xml.as_bytes()).map_err(write)?;
        Ok(ExpressWriterEntry {
            file: self.folder.join(name),
            writer: Ok(metadata.metadata()),
        })
    }

    fn unregister(&self, id: WriterId) -> VssResult<()> {
        let write = |error| failed("unregister an express writer in", &self.folder, error);
        let mut removed = false;
        if let Some(folder) = Folder::open(&self.folder).map_err(write)? {
            folder.lock().map_err(write)?;
            for entry in entries(folder.documents().map_err(write)?) {
                if entry.id == Some(id) {
                    folder.remove(&entry.name).map_err(write)?;
                    removed = true;
                }
            }
        }
        if removed {
            Ok(())
        } else {
            Err(VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "there is no document of an express writer {id} in {}; list them to see which \
                     there are",
                    self.folder.display()
                ),
            ))
        }
    }
}

fn failed(what: &str, folder: &Path, error: io::Error) -> VssError {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => VssCode::AccessDenied,
        io::ErrorKind::AlreadyExists => VssCode::ObjectAlreadyExists,
        io::ErrorKind::StorageFull => VssCode::InsufficientStorage,
        _ => VssCode::Unexpected,
    };
    VssError::new(code, format!("cannot {what} {}", folder.display())).caused_by(error)
}
