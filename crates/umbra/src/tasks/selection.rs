//! Tells what a selection of components means, from documents alone.

use crate::{
    exit::ExitKind,
    failure::Failure,
    output::{Format, SelectionView, plain, print},
};
use umbra_documents::{
    BackupComponentsDocument, BackupSelection, Designation, Document, RestoreSelection,
    SelectionError, WriterTrees,
};
use umbra_model::{VssCode, VssError};

/// Prints what is in the backup, or in the restore, of these documents.
pub(super) fn select(
    documents: Vec<Document>,
    names: &[String],
    format: Format,
) -> Result<(), Failure> {
    let mut writers = Vec::new();
    let mut chosen = None;
    for document in documents {
        match document {
            Document::WriterMetadata(document) => writers.push(document.to_metadata()),
            Document::BackupComponents(document) if chosen.is_none() => chosen = Some(document),
            Document::BackupComponents(_) => {
                return Err(Failure::new(
                    ExitKind::Usage,
                    "there is more than one Backup Components Document: give one, with the Writer \
                     Metadata Documents of its writers",
                ));
            }
        }
    }
    if writers.is_empty() {
        return Err(Failure::new(
            ExitKind::Usage,
            "there is no Writer Metadata Document among the files: what a selection means \
             depends on what the writers say",
        ));
    }
    let writers = WriterTrees::from_iter(writers);
    if let (Some(document), []) = (&chosen, names)
        && is_for_restore(document)
    {
        let set = RestoreSelection::of_stored(&writers).restore_set(document);
        return print(&SelectionView::of_restore(&set), format);
    }
    let mut selection = BackupSelection::new(writers.into());
    let mut problems = Vec::new();
    match (chosen, names) {
        (Some(document), []) => problems = selection.add_document(&document),
        (None, []) => selection.add_everything(),
        (_, names) => {
            for name in names {
                add(&mut selection, name).map_err(refused)?;
            }
            selection.add_required();
        }
    }
    let problems = problems.iter().map(ToString::to_string).collect();
    print(
        &SelectionView::of_backup(&selection.backup_set(), problems),
        format,
    )
}

fn add(selection: &mut BackupSelection, name: &str) -> Result<(), SelectionError> {
    match selection.writers().designated(name)? {
        Designation::Writer(writer) => {
            selection.add_writer(writer);
            Ok(())
        }
        Designation::Component(at) => selection.add_at(at),
    }
}

/// What a person named and cannot be had is a mistake in the command line, unless it
/// is not there at all.
fn refused(error: SelectionError) -> Failure {
    let kind = match error.code() {
        VssCode::ObjectNotFound => ExitKind::NotFound,
        _ => ExitKind::Usage,
    };
    Failure::of_kind(kind, VssError::new(error.code(), plain(&error.to_string())))
}

fn is_for_restore(document: &BackupComponentsDocument) -> bool {
    let mut components = document.writers.iter().flat_map(|one| &one.components);
    components.any(|one| one.selected_for_restore == Some(true))
}
