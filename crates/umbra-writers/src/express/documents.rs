//! What the documents of the folder come to: writers, and files that make none.

use super::{folder::Found, writer::METADATA_STORE_WRITER_ID};
use crate::{POSTGRES_WRITER_ID, SQLITE_WRITER_ID};
use std::{collections::HashMap, ffi::OsString, hash::Hash};
use umbra_model::{VssCode, VssError, VssResult, WriterId};
use umbra_writer::ExpressWriterMetadata;

/// A file of the folder.
pub(super) struct Entry {
    pub(super) name: OsString,
    /// Whose document it is, where it could be read.
    pub(super) id: Option<WriterId>,
    /// The writer that it makes, or why it makes none.
    pub(super) writer: VssResult<ExpressWriterMetadata>,
}

/// Reads the documents. Of two that make the same writer the first by name
/// counts, so that what counts does not change from one gathering to the next.
pub(super) fn entries(found: Vec<Found>) -> Vec<Entry> {
    let mut writers = HashMap::new();
    let mut instances = HashMap::new();
    let mut entries = Vec::new();
    for Found { name, content } in found {
        let read = content
            .map_err(|why| VssError::new(VssCode::InvalidArgument, why))
            .and_then(|bytes| ExpressWriterMetadata::load(&bytes));
        let id = read.as_ref().ok().map(ExpressWriterMetadata::id);
        let writer = read.and_then(|writer| {
            let id = writer.id();
            not_in_box(id)?;
            only_one(&mut writers, id, &name, "writer id", "writerId")?;
            let instance = writer.metadata().identity.instance;
            only_one(&mut instances, instance, &name, "instance id", "instanceId")?;
            Ok(writer)
        });
        entries.push(Entry { name, id, writer });
    }
    entries
}

/// # Errors
///
/// `E_INVALIDARG` for the class of a writer that comes with Umbra.
pub(super) fn not_in_box(id: WriterId) -> VssResult<()> {
    let taken = [
        POSTGRES_WRITER_ID,
        SQLITE_WRITER_ID,
        METADATA_STORE_WRITER_ID,
    ];
    if taken.contains(&id) {
        Err(VssError::new(
            VssCode::InvalidArgument,
            format!("the writer id {id} is that of a writer that comes with Umbra; take another"),
        ))
    } else {
        Ok(())
    }
}

fn only_one<T: Eq + Hash + ToString>(
    seen: &mut HashMap<T, OsString>,
    id: T,
    name: &OsString,
    what: &str,
    attribute: &str,
) -> VssResult<()> {
    if let Some(other) = seen.get(&id) {
        return Err(VssError::new(
            VssCode::ObjectAlreadyExists,
            format!(
                "its {what} {} is that of {} too, which counts; remove one of the two, or give it \
                 another {attribute}",
                id.to_string(),
                other.display()
            ),
        ));
    }
    seen.insert(id, name.clone());
    Ok(())
}
