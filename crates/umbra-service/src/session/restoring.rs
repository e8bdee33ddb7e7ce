//! The calls of a restore: PreRestore, PostRestore ("Overview of Processing a
//! Restore Under VSS").

use super::{
    RestoreReport,
    standing::{Restoring, SessionInner, State},
};
use crate::{
    SetState,
    choice::Owners,
    kept_document::{KeptDocument, Part},
    messages::{Others, Patience, deliver},
    order::{Call, bad_state},
    set::Listener,
    writers::Gathering,
};
use std::{sync::Arc, time::Duration};
use umbra_documents::BackupComponentsDocument;
use umbra_model::{VssCode, VssError, VssResult, WriterRestore};
use umbra_writer::{RestoreEvent, WriterEvent};

impl SessionInner {
    pub(super) async fn pre_restore(
        self: Arc<Self>,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let mut state = self.call(Call::PreRestore).await?;
        let Some(gathered) = state.gathered.clone() else {
            return Err(bad_state(Call::PreRestore, "GatherWriterMetadata"));
        };
        let document = KeptDocument::new(document);
        document.forget_earlier_restore();
        let (restoring, mut failures) = self.who_restores(&state, &document, &gathered)?;
        self.enter(SetState::Restoring, "writers are told of the restore")
            .await?;
        state.document = Some(document);
        state.restoring = restoring;
        let limit = self.service.limits.pre_restore;
        let event = WriterEvent::PreRestore;
        failures.extend(self.tell_restoring(&state.restoring, event, limit).await?);
        Ok(report(&state, failures))
    }

    pub(super) async fn post_restore(
        self: Arc<Self>,
        document: BackupComponentsDocument,
    ) -> VssResult<RestoreReport> {
        let state = self.call(Call::PostRestore).await?;
        if let Some(kept) = &state.document {
            kept.take_over(document)?;
        }
        let limit = self.service.limits.post_restore;
        let event = WriterEvent::PostRestore;
        let failures = self.tell_restoring(&state.restoring, event, limit).await?;
        self.enter(SetState::Restored, "the restore is over")
            .await?;
        Ok(report(&state, failures))
    }

    /// The writers that take part in the restore, and which that should are not
    /// there.
    ///
    /// A writer gets the events of a restore where a component of it is selected
    /// for restore; where the document selects none at all, everything in it is
    /// restored. One that wants no part in restores gets none
    /// ("Restores without Writer Participation").
    fn who_restores(
        &self,
        state: &State,
        document: &KeptDocument,
        gathered: &Gathering,
    ) -> VssResult<(Vec<Restoring>, Vec<VssError>)> {
        let owners = Owners::new(document.parts(), gathered.trees());
        let nothing_selected = !document.parts().iter().any(says_what_is_selected);
        let takes_part = |writer: usize| takes_part(state, gathered, writer);
        let (mut restoring, mut absent): (Vec<Restoring>, Vec<VssError>) = Default::default();
        for part in document.parts() {
            let selected = is_selected(part);
            let meant = selected || (nothing_selected && has_components(part));
            if !meant {
                continue;
            }
            let owner = part.chosen.with(|components| {
                components.map_or(Ok(None), |components| {
                    owners.of_restore(components, takes_part)
                })
            })?;
            let Some(writer) = owner.and_then(|writer| gathered.writers.get(writer)) else {
                if selected {
                    absent.extend(why_absent(part, gathered));
                }
                continue;
            };
            let instance = writer.identity.instance;
            if restoring
                .iter()
                .any(|one| one.listener.identity.instance == instance)
            {
                return Err(twice(&writer.identity.name));
            }
            let listener = Listener::new(Arc::clone(&writer.writer), writer.identity.clone());
            if listener.gets(WriterEvent::PreRestore) {
                let event = RestoreEvent {
                    session: self.id,
                    restore_type: document.restore_type(),
                    chosen: part.chosen.clone(),
                };
                restoring.push(Restoring { listener, event });
            }
        }
        Ok((restoring, absent))
    }

    /// Hears every writer out, unless the session ends.
    async fn tell_restoring(
        &self,
        restoring: &[Restoring],
        event: WriterEvent,
        limit: Duration,
    ) -> VssResult<Vec<VssError>> {
        let restoring = restoring.iter();
        let deliveries = restoring.filter_map(|one| one.listener.restore(event, &one.event));
        let patience = Patience {
            limit,
            window: None,
            cancel: Some(&self.cancel),
            others: Others::Heard,
        };
        let failures = deliver(&self.service.writers, deliveries.collect(), patience).await;
        self.cancel.check().map(|()| failures)
    }
}

fn report(state: &State, failures: Vec<VssError>) -> RestoreReport {
    let document = state.document.as_ref().map(KeptDocument::to_document);
    RestoreReport {
        document: document.unwrap_or_default(),
        failures,
    }
}

/// Whether a writer has a part in restores, as it says itself (`SetRestoreMethod`)
/// and as the requester wants it.
fn takes_part(state: &State, gathered: &Gathering, writer: usize) -> bool {
    gathered.writers.get(writer).is_some_and(|writer| {
        let plan = writer.metadata.as_ref().ok();
        let plan = plan.and_then(|metadata| metadata.restore.as_ref());
        let never = plan.is_some_and(|plan| plan.writer_restore == WriterRestore::Never);
        writer.metadata.is_ok() && !never && state.selection.includes(&writer.identity)
    })
}

fn has_components(part: &Part) -> bool {
    part.chosen
        .with(|part| part.is_some_and(|part| !part.components.is_empty()))
}

fn says_what_is_selected(part: &Part) -> bool {
    part.chosen.with(|part| {
        let mut components = part.iter().flat_map(|part| &part.components);
        components.any(|component| component.selected_for_restore.is_some())
    })
}

fn is_selected(part: &Part) -> bool {
    part.chosen.with(|part| {
        let mut components = part.iter().flat_map(|part| &part.components);
        components.any(|component| component.selected_for_restore == Some(true))
    })
}

/// Why nobody restores a part that is selected; nothing where the writer wants no
/// part in it.
fn why_absent(part: &Part, gathered: &Gathering) -> Option<VssError> {
    let writers = gathered.writers.iter();
    let mut class = writers
        .filter(|writer| writer.identity.id == part.writer)
        .peekable();
    if class.peek().is_none() {
        return Some(not_running(part));
    }
    class.find_map(|writer| writer.metadata.as_ref().err().cloned())
}

fn not_running(part: &Part) -> VssError {
    VssError::new(
        VssCode::ObjectNotFound,
        format!(
            "components of the writer {} are selected for restore, but no such writer runs; \
             their files can be put back without it",
            part.writer
        ),
    )
}

fn twice(writer: &str) -> VssError {
    VssError::new(
        VssCode::ObjectAlreadyExists,
        format!(
            "two parts of the document would be restored by the writer {writer:?}; name its \
             running instance in one of them"
        ),
    )
}
