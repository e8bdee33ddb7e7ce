//! How the in-box writers want their files put back.
//!
//! Each says it in attributes that the documents of Windows show. There the words
//! for people are in another attribute, whose name no public document shows; here
//! they are in `docs/writers.md` and in the veto of a writer that can see that
//! something is wrong.

use umbra_documents::{ChosenComponent, RestorePlan};
use umbra_model::{RestoreMethod, WriterRestore};
use umbra_writer::{EventComponent, RestoreEvent};

/// Files go where they were, over what is there.
pub(crate) fn in_place(writer_restore: WriterRestore) -> RestorePlan {
    RestorePlan {
        method: RestoreMethod::RestoreIfCanReplace,
        service: None,
        user_procedure: None,
        writer_restore,
        reboot_required: false,
        alternate_locations: Vec::new(),
    }
}

/// The components, by full path, whose files go where they were.
pub(crate) fn put_back(event: &RestoreEvent) -> Vec<String> {
    let chosen = event.chosen.all();
    let chosen = chosen.iter().map(EventComponent::get);
    chosen
        .filter(|component| component.selected_for_restore == Some(true))
        .filter(|component| component.new_targets.is_empty())
        .map(|component| ChosenComponent::full_path(&component))
        .collect()
}
