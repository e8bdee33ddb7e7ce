//! The calls of a restore ("Overview of Processing a Restore Under VSS").

use super::{
    BackupComponents, VssAsync,
    chosen::ChosenComponents,
    off_loop,
    order::{Call, Phase},
    state::State,
};
use crate::RestoreReport;
use umbra_documents::Term;
use umbra_model::{RestoreType, VssCode, VssError, VssResult};

/// What the writers came to: the document, and their failures.
type Told = (ChosenComponents, Vec<VssError>);

impl BackupComponents {
    /// What kind of restore it is (`SetRestoreState`), before PreRestore;
    /// `VSS_RTYPE_UNDEFINED` where it is not called, which writers take for
    /// `VSS_RTYPE_BY_COPY` ("VSS Restore State").
    pub fn set_restore_state(&self, restore_type: RestoreType) -> VssResult<()> {
        let mut call = self.call(Call::SetRestoreState)?;
        let mut state = call.state();
        state.components.document_mut().restore_type = Some(Term::Known(restore_type));
        Ok(())
    }

    /// Tells the writers whose components were selected that their files are about to
    /// be put back (`PreRestore`); they add to the document: restore targets, directed
    /// targets. Gives the failures of writers, which do not end the restore: the
    /// requester decides. Why a writer failed stands at its components too.
    ///
    /// After it was cancelled some writers may have been told: go on with
    /// [`BackupComponents::post_restore`].
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a component that its writer does not have.
    pub fn pre_restore(&self) -> VssAsync<Vec<VssError>> {
        let call = self.call(Call::PreRestore);
        self.run(
            call,
            |session| async move {
                let document = session.state().components.shared();
                told(session.requester.pre_restore(&document).await?).await
            },
            |state, told| state.told(told, Phase::PreRestored),
        )
    }

    /// Tells the writers how it went (`PostRestore`); each component says so
    /// ([`super::BackupComponent::set_file_restore_status`]). Gives the failures of
    /// writers.
    pub fn post_restore(&self) -> VssAsync<Vec<VssError>> {
        let call = self.call(Call::PostRestore);
        self.run(
            call,
            |session| async move {
                let document = session.state().components.shared();
                told(session.requester.post_restore(&document).await?).await
            },
            |state, told| state.told(told, Phase::RestoreEnded),
        )
    }
}

async fn told(report: RestoreReport) -> VssResult<Told> {
    let RestoreReport { document, failures } = report;
    off_loop(move || Ok((ChosenComponents::new(document), failures))).await
}

impl State {
    fn told(&mut self, told: VssResult<Told>, next: Phase) -> VssResult<Vec<VssError>> {
        if let Err(error) = &told
            && error.code() != VssCode::AsyncCancelled
        {
            return told.map(|(_, failures)| failures);
        }
        self.phase = next;
        let (components, failures) = told?;
        self.components = components;
        Ok(failures)
    }
}
