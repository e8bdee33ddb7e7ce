//! The writers: who gets events, and what they say of themselves.

use super::{
    BackupComponents, VssAsync, WriterStatus, off_loop,
    order::{Call, Phase, bad_state},
    state::{Session, State},
};
use crate::{WriterReport, WriterSelection};
use std::sync::Arc;
use umbra_documents::{BackupSelection, WriterMetadata, WriterTrees};
use umbra_model::{VssCode, VssError, VssResult, WriterId, WriterInstanceId, WriterState};

/// What GatherWriterMetadata came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredWriters {
    /// The writers that take part from now on, with what they said.
    pub writers: Vec<Arc<WriterMetadata>>,
    /// The writers that could not say anything. They do not take part, and no later
    /// call speaks of them ("Determining Writer Status").
    pub failed: Vec<WriterStatus>,
}

/// What the session keeps of it.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) writers: Vec<Arc<WriterMetadata>>,
    pub(super) trees: Arc<WriterTrees>,
    failed: Vec<WriterStatus>,
}

impl Gathered {
    pub(super) fn new(writers: Vec<Arc<WriterMetadata>>, failed: Vec<WriterStatus>) -> Self {
        let trees = Arc::new(writers.iter().map(Arc::clone).collect());
        Self {
            writers,
            trees,
            failed,
        }
    }

    /// The writers of a class.
    pub(super) fn instances(&self, class: WriterId) -> impl Iterator<Item = &Arc<WriterMetadata>> {
        self.trees
            .instances(class)
            .iter()
            .filter_map(|writer| self.writers.get(*writer))
    }
}

impl State {
    /// What the writers said.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` before GatherWriterMetadata and after FreeWriterMetadata.
    pub(super) fn gathered(&self, call: Call) -> VssResult<&Gathered> {
        let gathered = self.gathered.as_ref();
        gathered.ok_or_else(|| bad_state(call, "GatherWriterMetadata, and no FreeWriterMetadata,"))
    }
}

impl BackupComponents {
    /// Lets only the writers of these classes, and of those enabled before, take part
    /// (`EnableWriterClasses`). All do until it is called. A class that was disabled
    /// takes part again.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for no class. `VSS_E_BAD_STATE` after GatherWriterMetadata, where
    /// VSS lets the call go without effect.
    pub fn enable_writer_classes(&self, classes: &[WriterId]) -> VssResult<()> {
        let mut call = self.call(Call::EnableWriterClasses)?;
        some(classes, "EnableWriterClasses")?;
        call.state().filter.enable_classes(classes);
        Ok(())
    }

    /// Keeps the writers of these classes from taking part (`DisableWriterClasses`).
    /// A class of which there is no writer may be named.
    ///
    /// # Errors
    ///
    /// As [`BackupComponents::enable_writer_classes`].
    pub fn disable_writer_classes(&self, classes: &[WriterId]) -> VssResult<()> {
        let mut call = self.call(Call::DisableWriterClasses)?;
        some(classes, "DisableWriterClasses")?;
        call.state().filter.disable_classes(classes);
        Ok(())
    }

    /// Keeps these instances of writers from taking part (`DisableWriterInstances`),
    /// whether their class is enabled or not. Their ids come from a session before
    /// this one.
    ///
    /// # Errors
    ///
    /// As [`BackupComponents::enable_writer_classes`].
    pub fn disable_writer_instances(&self, instances: &[WriterInstanceId]) -> VssResult<()> {
        let mut call = self.call(Call::DisableWriterInstances)?;
        some(instances, "DisableWriterInstances")?;
        call.state().filter.disable_instances(instances);
        Ok(())
    }

    /// Asks every writer to identify itself (`GatherWriterMetadata`). Once: what
    /// writers say does not change for this backup or restore.
    pub fn gather_writer_metadata(&self) -> VssAsync<GatheredWriters> {
        let call = self.call(Call::GatherWriterMetadata);
        self.run(call, gather, |state, gathered| {
            let gathered = gathered?;
            let result = GatheredWriters {
                writers: gathered.writers.clone(),
                failed: gathered.failed.clone(),
            };
            state.phase = match state.phase {
                Phase::Restore => Phase::RestoreGathered,
                _ => Phase::BackupGathered,
            };
            state.selection = Some(BackupSelection::new(Arc::clone(&gathered.trees)));
            state.gathered = Some(gathered);
            Ok(result)
        })
    }

    /// What the writers said that take part (`GetWriterMetadata`,
    /// `GetWriterMetadataEx`; the value has everything that
    /// `IVssExamineWriterMetadata` to `Ex2`, `IVssWMComponent`, `IVssWMFiledesc` and
    /// `IVssWMDependency` give). `metadata.to_document().to_xml()` is `SaveAsXML`.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` before GatherWriterMetadata and after
    /// [`BackupComponents::free_writer_metadata`].
    pub fn writer_metadata(&self) -> VssResult<Vec<Arc<WriterMetadata>>> {
        let state = self.session.state();
        let gathered = state.gathered.as_ref().ok_or_else(|| {
            VssError::new(
                VssCode::BadState,
                "GetWriterMetadata was called where GatherWriterMetadata was expected",
            )
        })?;
        Ok(gathered.writers.clone())
    }

    /// Lets go of what the writers said (`FreeWriterMetadata`). Nothing can be added
    /// to the backup then, and nothing be asked that needs to know the writers.
    pub fn free_writer_metadata(&self) -> VssResult<()> {
        let mut call = self.call(Call::FreeWriterMetadata)?;
        let mut state = call.state();
        state.gathered = None;
        state.selection = None;
        Ok(())
    }

    /// Gives the writers' metadata that was saved with the backup
    /// (`CreateVssExamineWriterMetadata`, `LoadFromXML`;
    /// [`umbra_documents::WriterMetadataDocument::from_xml`]). What comes with which
    /// component in a restore is decided by it; where it is not given, by what the
    /// writers say now ("Use of Components by the Requester").
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` where it cannot count any more, or this is a backup.
    pub fn use_stored_metadata(
        &self,
        writers: impl IntoIterator<Item = WriterMetadata>,
    ) -> VssResult<()> {
        let mut call = self.call(Call::LoadFromXML)?;
        call.state().stored = Some(Arc::new(writers.into_iter().collect()));
        Ok(())
    }
}

async fn gather(session: Arc<Session>) -> VssResult<Gathered> {
    let reports = session.requester.gather_writer_metadata().await?;
    let (wanted, unwanted): (Vec<_>, Vec<_>) = {
        let state = session.state();
        reports
            .into_iter()
            .partition(|writer| state.filter.lets_through(&writer.metadata.identity))
    };
    if !unwanted.is_empty() {
        let instance = |writer: &WriterReport| writer.metadata.identity.instance.to_string();
        let except = unwanted.iter().map(instance).collect();
        let selection = WriterSelection::Except(except);
        session.requester.select_writers(&selection).await?;
    }
    off_loop(move || {
        let (failed, writers): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|writer| writer.state == WriterState::FailedAtIdentify);
        let writers = writers.into_iter().map(|one| Arc::new(one.metadata));
        let failed = failed.into_iter().map(WriterStatus::from).collect();
        Ok(Gathered::new(writers.collect(), failed))
    })
    .await
}

fn some<T>(items: &[T], call: &str) -> VssResult<()> {
    if items.is_empty() {
        Err(VssError::new(
            VssCode::InvalidArgument,
            format!("{call} was called for nothing; name at least one"),
        ))
    } else {
        Ok(())
    }
}
