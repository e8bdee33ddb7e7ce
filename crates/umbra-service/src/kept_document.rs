//! The Backup Components Document of a session ("Backup Components Document Life
//! Cycle").

use std::{collections::HashMap, mem};
use umbra_documents::{BackupComponentsDocument, ChosenComponent, Term, WriterComponents};
use umbra_model::{BackupType, Context, RestoreType, SetId, WriterId, WriterInstanceId};
use umbra_model::{VssCode, VssError, VssResult};
use umbra_writer::{BackupOutcome, BackupState, EventComponents};

/// The document, with each writer's part where its writer can change it.
///
/// There is one of every part: what a writer leaves in its part during an event is
/// in the document, without anybody having to carry it there. A writer reaches no
/// part but its own.
pub(crate) struct KeptDocument {
    /// Everything but the parts.
    head: BackupComponentsDocument,
    parts: Vec<Part>,
}

/// What was chosen of one writer. Clones are the same part.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) writer: WriterId,
    pub(crate) instance: WriterInstanceId,
    pub(crate) chosen: EventComponents,
}

impl KeptDocument {
    pub(crate) fn new(mut document: BackupComponentsDocument) -> Self {
        let writers = mem::take(&mut document.writers);
        let part = |writer: WriterComponents| Part {
            writer: writer.writer_id,
            instance: writer.instance_id,
            chosen: EventComponents::new(writer),
        };
        Self {
            head: document,
            parts: writers.into_iter().map(part).collect(),
        }
    }

    /// The document as it is now.
    pub(crate) fn to_document(&self) -> BackupComponentsDocument {
        let parts = self.parts.iter();
        BackupComponentsDocument {
            writers: parts.filter_map(|part| part.chosen.document()).collect(),
            ..self.head.clone()
        }
    }

    /// In the order of the document.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether components are chosen one by one: the requester says so, or has
    /// chosen some ("VSS Backup State").
    pub(crate) fn is_by_component(&self) -> bool {
        self.head.select_components == Some(true) || self.has_components()
    }

    pub(crate) fn has_components(&self) -> bool {
        let has_any = |part: &Part| {
            part.chosen
                .with(|part| part.is_some_and(|part| !part.components.is_empty()))
        };
        self.parts.iter().any(has_any)
    }

    /// What writers are told of the backup (`SetBackupState`).
    pub(crate) fn backup_state(&self, context: Context) -> BackupState {
        let head = &self.head;
        let backup_type = head.backup_type.as_ref();
        BackupState {
            context,
            components_selected: head.select_components.unwrap_or(self.has_components()),
            bootable_system_state: head.bootable_system_state.unwrap_or_default(),
            backup_type: backup_type.map_or(BackupType::Full, |word| {
                word.known().unwrap_or(BackupType::Other)
            }),
            partial_files: head.partial_file_support.unwrap_or_default(),
        }
    }

    /// What writers are told of the restore (`SetRestoreState`).
    pub(crate) fn restore_type(&self) -> RestoreType {
        let word = self.head.restore_type.as_ref();
        word.and_then(Term::known).unwrap_or(RestoreType::Undefined)
    }

    pub(crate) fn set_snapshot_set(&mut self, set: SetId) {
        self.head.snapshot_set_id = Some(set);
    }

    /// Takes back what writers left in an earlier try of this backup: they say it
    /// all again.
    pub(crate) fn forget_what_writers_left(&self) {
        let forget = |component: &mut ChosenComponent| {
            component.backup_metadata = None;
            component.backup_stamp = None;
            component.partial_files.clear();
            component.differenced_files.clear();
            component.prepare_for_backup_failure = None;
            component.post_snapshot_failure = None;
            component.failure = None;
        };
        self.each_component(forget);
    }

    /// Takes back what writers left in an earlier restore of this backup.
    pub(crate) fn forget_earlier_restore(&self) {
        self.each_component(|component| {
            component.restore_metadata = None;
            component.restore_target = None;
            component.directed_targets.clear();
            component.pre_restore_failure = None;
            component.post_restore_failure = None;
            component.failure = None;
        });
    }

    fn each_component(&self, mut change: impl FnMut(&mut ChosenComponent)) {
        for part in &self.parts {
            part.chosen
                .update(|part| part.components.iter_mut().for_each(&mut change));
        }
    }

    /// Says how the backup of each component ended that nothing is said of yet
    /// (`SetBackupSucceeded`).
    pub(crate) fn set_outcome(&self, outcome: BackupOutcome) {
        let succeeded = outcome == BackupOutcome::Succeeded;
        self.each_component(|component| {
            component.backup_succeeded.get_or_insert(succeeded);
        });
    }

    /// Takes over what the requester set since PrepareForBackup or PreRestore.
    /// What only writers set, and what nobody knows, stays as it is here.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a component that was not chosen before. Nothing
    /// is taken over then.
    pub(crate) fn take_over(&self, theirs: BackupComponentsDocument) -> VssResult<()> {
        let of = |one: &WriterComponents| (one.writer_id, one.instance_id);
        let ours: HashMap<_, _> = self
            .parts
            .iter()
            .map(|part| ((part.writer, part.instance), &part.chosen))
            .collect();
        let mut places = Vec::with_capacity(theirs.writers.len());
        for writer in &theirs.writers {
            let chosen = ours.get(&of(writer));
            let found = chosen.map_or_else(
                || places_of(&writer.components, None),
                |chosen| chosen.with(|ours| places_of(&writer.components, ours)),
            );
            let found = found.map_err(|unknown| not_chosen(writer.writer_id, unknown))?;
            places.push((chosen, found));
        }
        for (writer, (chosen, places)) in theirs.writers.into_iter().zip(places) {
            let Some(chosen) = chosen else { continue };
            chosen.update(|ours| {
                for (theirs, place) in writer.components.into_iter().zip(places) {
                    if let Some(ours) = ours.components.get_mut(place) {
                        set_by_requester(ours, theirs);
                    }
                }
            });
        }
        Ok(())
    }
}

/// Where each of these components stands among ours, or the first that does not.
fn places_of<'a>(
    theirs: &'a [ChosenComponent],
    ours: Option<&WriterComponents>,
) -> Result<Vec<usize>, &'a ChosenComponent> {
    let ours = ours.map_or(&[][..], |ours| &ours.components);
    let key = |one: &'a ChosenComponent| place_of(one);
    let known: HashMap<_, _> = ours.iter().map(place_of).zip(0..).collect();
    theirs
        .iter()
        .map(|one| known.get(&key(one)).copied().ok_or(one))
        .collect()
}

/// Logical path, empty where there is none, and name.
fn place_of(component: &ChosenComponent) -> (&str, &str) {
    let path = component.logical_path.as_deref();
    (path.unwrap_or_default(), &component.name)
}

fn not_chosen(writer: WriterId, component: &ChosenComponent) -> VssError {
    VssError::new(
        VssCode::ObjectNotFound,
        format!(
            "the component {:?} of the writer {writer} is in the document, but was not chosen \
             before; choose components before PrepareForBackup, or before PreRestore",
            component.full_path()
        ),
    )
}

macro_rules! set_by_requester {
    ($($field:ident)*) => {
        /// Moves the fields that requesters set.
        fn set_by_requester(ours: &mut ChosenComponent, theirs: ChosenComponent) {
            $(ours.$field = theirs.$field;)*
            // Of a partial file, only where its ranges are (`SetRangesFilePath`).
            for (ours, theirs) in ours.partial_files.iter_mut().zip(theirs.partial_files) {
                if (&ours.path, &ours.name) == (&theirs.path, &theirs.name) {
                    ours.ranges_file = theirs.ranges_file;
                }
            }
        }
    };
}

set_by_requester! {
    backup_succeeded
    backup_options
    previous_backup_stamp
    selected_for_restore
    additional_restores
    restore_options
    restore_name
    authoritative_restore
    roll_forward
    roll_forward_point
    file_restore_status
    alternate_locations
    new_targets
    restore_subcomponents
}
