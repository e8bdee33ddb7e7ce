//! What a writer's process is told, and what it left at the components in answer.

use std::collections::HashMap;
use umbra_documents::{BackupComponentsDocument, ChosenComponent, WriterComponents};
use umbra_model::{VssCode, VssError, VssResult};
use umbra_protocol::v1;
use umbra_writer::{
    BackupState, EventComponents, RestoreEvent, SetEvent, WriterFailure, WriterFailureKind,
};

pub(crate) fn set_event(event: &SetEvent) -> v1::SetEvent {
    let copies = event.copies.iter().map(|(volume, copy)| v1::VolumeCopy {
        volume_id: volume.as_str().to_owned(),
        shadow_copy_id: copy.to_string(),
    });
    v1::SetEvent {
        session_id: event.session.to_string(),
        set_id: event.set.to_string(),
        volumes: event.volumes.iter().cloned().map(Into::into).collect(),
        components: event.components.clone(),
        backup: Some(backup_state(event.backup)),
        copies: copies.collect(),
        chosen: event.chosen.document().map(Into::into),
    }
}

fn backup_state(state: BackupState) -> v1::BackupState {
    v1::BackupState {
        context: state.context.value(),
        components_selected: state.components_selected,
        bootable_system_state: state.bootable_system_state,
        backup_type: state.backup_type.value(),
        partial_files: state.partial_files,
    }
}

pub(crate) fn restore_event(event: &RestoreEvent) -> v1::RestoreEvent {
    v1::RestoreEvent {
        session_id: event.session.to_string(),
        restore_type: event.restore_type.value(),
        chosen: event.chosen.document().map(Into::into),
    }
}

/// Takes over what the writer changed, whether it did as it was told or not.
/// A change that the event does not allow is a failure of the writer.
pub(crate) async fn take_over(
    chosen: &EventComponents,
    changed: Vec<v1::ChosenComponent>,
    result: Result<(), WriterFailure>,
) -> Result<(), WriterFailure> {
    if changed.is_empty() {
        return result;
    }
    let chosen = chosen.clone();
    // Off the event loop: there may be many.
    let taken = tokio::task::spawn_blocking(move || checked_changes(&chosen, changed));
    let taken = taken.await.unwrap_or_else(|panic| {
        let what = "taking over what it changed broke off";
        Err(VssError::new(VssCode::Unexpected, what).caused_by(panic))
    });
    match (taken, result) {
        (Ok(()), result) => result,
        (Err(wrong), Ok(())) => Err(not_allowed(wrong.to_string())),
        (Err(wrong), Err(veto)) => Err(WriterFailure {
            application_code: veto.application_code,
            ..not_allowed(format!("{wrong}; it had failed anyway: {veto}"))
        }),
    }
}

fn not_allowed(why: String) -> WriterFailure {
    WriterFailure::new(WriterFailureKind::NonRetryable, why)
}

fn checked_changes(chosen: &EventComponents, changed: Vec<v1::ChosenComponent>) -> VssResult<()> {
    let shown = chosen.document();
    let shown_components = shown.as_ref().map_or(&[][..], |all| &all.components);
    let ours: HashMap<_, _> = shown_components
        .iter()
        .map(|one| (place_of(one), one))
        .collect();
    let changed = changed
        .into_iter()
        .map(|theirs| {
            let place = (theirs.logical_path.as_str(), theirs.name.as_str());
            match ours.get(&place) {
                Some(ours) => umbra_protocol::changed(ours, theirs),
                None => theirs.try_into(),
            }
        })
        .collect::<VssResult<Vec<ChosenComponent>>>()?;
    if let Some(shown) = &shown {
        check_text(shown, &changed)?;
    }
    chosen.take_over(changed)
}

/// Logical path, empty where there is none, and name.
fn place_of(component: &ChosenComponent) -> (&str, &str) {
    let path = component.logical_path.as_deref();
    (path.unwrap_or_default(), &component.name)
}

/// The requester must be able to save its document, whatever a writer said.
fn check_text(shown: &WriterComponents, changed: &[ChosenComponent]) -> VssResult<()> {
    let mut document = BackupComponentsDocument::new();
    document.writers.push(WriterComponents {
        components: changed.to_vec(),
        ..WriterComponents::new(shown.writer_id, shown.instance_id)
    });
    document.to_xml().map(drop).map_err(|error| {
        VssError::new(
            VssCode::InvalidArgument,
            "the writer left something at a component that no document can hold",
        )
        .caused_by(error)
    })
}
