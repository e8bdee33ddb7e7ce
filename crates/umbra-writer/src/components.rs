//! What a requester chose of a writer, as the writer sees and changes it during an
//! event.

use crate::{WriterEvent, WriterFailureKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use umbra_documents::{
    ChosenComponent, ComponentFailure, DifferencedFile, DirectedTarget, Extra, FileSet, FileTime,
    PartialFile, Recursion, Term, WriterComponents, path_to_text,
};
use umbra_model::{RestoreTarget, VssCode, VssError, VssResult};

/// The components of one writer in the Backup Components Document
/// (`IVssWriterComponents`). Clones are the same components; what a writer
/// changes during an event the requester finds in its document.
///
/// What a writer keeps of an event beyond its end can be read and not changed.
#[derive(Debug, Clone)]
pub struct EventComponents {
    shared: Arc<Mutex<Shared>>,
    event: WriterEvent,
    /// Which of the events that there have been it is.
    turn: u64,
}

#[derive(Debug, Default)]
struct Shared {
    components: Option<WriterComponents>,
    /// Counts the events: only what belongs to the latest may change anything.
    turn: u64,
}

impl Default for EventComponents {
    /// None: the requester chose no components.
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            event: WriterEvent::Identify,
            turn: 0,
        }
    }
}

impl PartialEq for EventComponents {
    fn eq(&self, other: &Self) -> bool {
        self.event == other.event && self.document() == other.document()
    }
}

impl Eq for EventComponents {}

impl EventComponents {
    /// These components, at no event yet: nothing can be changed.
    pub fn new(components: WriterComponents) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                components: Some(components),
                turn: 0,
            })),
            event: WriterEvent::Identify,
            turn: 0,
        }
    }

    /// The same components during this event. The event before it is over.
    ///
    /// Only whoever has the components at no event leads them through events: for a
    /// writer, what this gives belongs to an event that is over.
    #[must_use]
    pub fn at(&self, event: WriterEvent) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            event,
            turn: self.next_turn(),
        }
    }

    /// Ends the event, this one or whichever it is now where this is at none: what
    /// the writer kept of it changes nothing any more.
    pub fn end_event(&self) {
        let mut shared = self.lock();
        if self.event == WriterEvent::Identify || self.turn == shared.turn {
            shared.turn += 1;
        }
    }

    /// The number of the event that begins; 0, which none has, at an event.
    fn next_turn(&self) -> u64 {
        if self.event != WriterEvent::Identify {
            return 0;
        }
        let mut shared = self.lock();
        shared.turn += 1;
        shared.turn
    }

    /// Changes the part of the document between two events, for whoever keeps the
    /// document. Nothing happens where no components were chosen, and at an event:
    /// a writer has [`EventComponent`] for its changes.
    pub fn update(&self, change: impl FnOnce(&mut WriterComponents)) {
        if self.event != WriterEvent::Identify {
            return;
        }
        if let Some(components) = &mut self.lock().components {
            change(components);
        }
    }

    /// The part of the document as it is now, with the ids of the writer
    /// (`GetWriterInfo`); none where no components were chosen.
    pub fn document(&self) -> Option<WriterComponents> {
        self.lock().components.clone()
    }

    /// Looks at the part of the document without a copy of it.
    pub fn with<T>(&self, look: impl FnOnce(Option<&WriterComponents>) -> T) -> T {
        look(self.lock().components.as_ref())
    }

    /// Every component (`IVssWriterComponents::GetComponent`, `GetComponentCount`).
    pub fn all(&self) -> Vec<EventComponent> {
        let count = self.with(|all| all.map_or(0, |all| all.components.len()));
        let one = |index| EventComponent {
            all: self.clone(),
            index,
        };
        (0..count).map(one).collect()
    }

    /// The component at this place.
    pub fn find(&self, logical_path: Option<&str>, name: &str) -> Option<EventComponent> {
        let all = self.lock();
        let mut components = all.components.as_ref()?.components.iter();
        let index = components.position(|one| one.is_at(logical_path, name))?;
        Some(EventComponent {
            all: self.clone(),
            index,
        })
    }

    /// Takes over what a writer in another process changed during this event.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` for a change that this event does not allow,
    /// `VSS_E_OBJECT_NOT_FOUND` for a component that was not chosen. Nothing is
    /// taken over then.
    pub fn take_over(&self, changed: Vec<ChosenComponent>) -> VssResult<()> {
        let mut shared = self.lock();
        if !changed.is_empty() {
            self.check_turn(&shared)?;
        }
        let mut copy = shared.components.clone();
        let ours = copy.as_mut().map_or(&mut [][..], |all| &mut all.components);
        let places = places_of(&changed, ours);
        for (theirs, place) in changed.into_iter().zip(places) {
            let ours = place.and_then(|place| ours.get_mut(place)).ok_or_else(|| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "the writer changed the component {:?}, which was not chosen",
                        theirs.full_path()
                    ),
                )
            })?;
            take_over(self.event, ours, theirs)?;
        }
        shared.components = copy;
        Ok(())
    }

    fn check_turn(&self, shared: &Shared) -> VssResult<()> {
        if self.turn == shared.turn {
            return Ok(());
        }
        Err(VssError::new(
            VssCode::BadState,
            format!(
                "{} is over; components can be changed only while the writer answers it",
                self.event
            ),
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where each of these components stands among ours. There may be a hundred
/// thousand.
fn places_of(theirs: &[ChosenComponent], ours: &[ChosenComponent]) -> Vec<Option<usize>> {
    let known: HashMap<_, _> = ours.iter().map(place_of).zip(0..).collect();
    let places = theirs.iter().map(|one| known.get(&place_of(one)).copied());
    places.collect()
}

/// Logical path, empty where there is none, and name.
fn place_of(component: &ChosenComponent) -> (&str, &str) {
    let path = component.logical_path.as_deref();
    (path.unwrap_or_default(), &component.name)
}

/// One chosen component during an event (`IVssComponent`, `Ex`, `Ex2`).
#[derive(Debug, Clone)]
pub struct EventComponent {
    all: EventComponents,
    index: usize,
}

/// What a writer can leave at a component, and at which events.
macro_rules! settings {
    ($($(#[$doc:meta])* $call:literal $field:ident at $($event:ident)|+;)*) => {
        const SETTINGS: &[(&str, &[WriterEvent])] =
            &[$(($call, &[$(WriterEvent::$event,)+]),)*];

        /// Moves the fields that a writer may set, each where the event allows it.
        fn take_over(
            event: WriterEvent,
            ours: &mut ChosenComponent,
            theirs: ChosenComponent,
        ) -> VssResult<()> {
            $(if ours.$field != theirs.$field {
                check(event, $call)?;
                ours.$field = theirs.$field;
            })*
            Ok(())
        }
    };
}

settings! {
    "SetBackupMetadata" backup_metadata at PrepareForBackup | PostSnapshot;
    "SetBackupStamp" backup_stamp at PrepareForBackup | PrepareForSnapshot | Freeze | Thaw | PostSnapshot;
    "AddPartialFile" partial_files at PostSnapshot;
    "AddDifferencedFiles" differenced_files at PrepareForBackup | PostSnapshot;
    "SetPrepareForBackupFailureMsg" prepare_for_backup_failure at PrepareForBackup;
    "SetPostSnapshotFailureMsg" post_snapshot_failure at PostSnapshot;
    "SetRestoreMetadata" restore_metadata at PreRestore;
    "SetRestoreTarget" restore_target at PreRestore;
    "AddDirectedTarget" directed_targets at PreRestore;
    "SetPreRestoreFailureMsg" pre_restore_failure at PreRestore;
    "SetPostRestoreFailureMsg" post_restore_failure at PostRestore;
    "SetFailure" failure at PrepareForBackup | PrepareForSnapshot | Freeze | Thaw | PostSnapshot
        | BackupComplete | PreRestore | PostRestore;
}

fn check(event: WriterEvent, call: &'static str) -> VssResult<()> {
    let allowed = SETTINGS
        .iter()
        .find(|(known, _)| *known == call)
        .map_or(&[][..], |(_, events)| events);
    if allowed.contains(&event) {
        return Ok(());
    }
    let events: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    Err(VssError::new(
        VssCode::BadState,
        format!(
            "{call} was called at {event}; it belongs to {}",
            events.join(", ")
        ),
    ))
}

impl EventComponent {
    /// Everything that the document says of it: whatever `IVssComponent` has a
    /// `Get...` for.
    pub fn get(&self) -> ChosenComponent {
        let shared = self.all.lock();
        let all = shared.components.as_ref();
        let found = all.and_then(|all| all.components.get(self.index));
        // Components are never taken away while a handle to one lives.
        found.cloned().unwrap_or_else(|| {
            ChosenComponent::new(None, "", umbra_model::ComponentType::Undefined)
        })
    }

    fn set(&self, call: &'static str, change: impl FnOnce(&mut ChosenComponent)) -> VssResult<()> {
        check(self.all.event, call)?;
        let mut shared = self.all.lock();
        self.all.check_turn(&shared)?;
        let all = shared.components.as_mut();
        if let Some(component) = all.and_then(|all| all.components.get_mut(self.index)) {
            change(component);
        }
        Ok(())
    }

    /// What the writer keeps with the backup (`SetBackupMetadata`).
    ///
    /// # Errors
    ///
    /// As every method here that changes something: `VSS_E_BAD_STATE` at an event
    /// to which the call does not belong.
    pub fn set_backup_metadata(&self, data: impl Into<String>) -> VssResult<()> {
        self.set("SetBackupMetadata", |one| {
            one.backup_metadata = Some(data.into())
        })
    }

    /// When it was backed up, in a form of the writer (`SetBackupStamp`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_backup_stamp(&self, stamp: impl Into<String>) -> VssResult<()> {
        self.set("SetBackupStamp", |one| {
            one.backup_stamp = Some(stamp.into())
        })
    }

    /// Backs up parts of a file instead of the whole (`AddPartialFile`). The ranges
    /// are `offset:length,offset:length`, in bytes, or the path of a file that has
    /// them.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn add_partial_file(
        &self,
        folder: &std::path::Path,
        name: &str,
        ranges: &str,
        metadata: Option<&str>,
    ) -> VssResult<()> {
        let file = PartialFile {
            path: path_to_text(folder),
            name: name.to_owned(),
            ranges: Some(ranges.to_owned()),
            ranges_file: None,
            metadata: metadata.map(str::to_owned),
            extra: Extra::default(),
        };
        self.set("AddPartialFile", |one| one.partial_files.push(file))
    }

    /// Backs up the files of a set that were changed since a moment
    /// (`AddDifferencedFilesByLastModifyTime`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn add_differenced_files_by_time(&self, files: &FileSet, since: FileTime) -> VssResult<()> {
        self.add_differenced_files(files, None, Some(since))
    }

    /// Backs up the files of a set that were changed since a log sequence number,
    /// in a form of the writer (`AddDifferencedFilesByLastModifyLSN`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn add_differenced_files_by_lsn(&self, files: &FileSet, lsn: &str) -> VssResult<()> {
        self.add_differenced_files(files, Some(lsn.to_owned()), None)
    }

    fn add_differenced_files(
        &self,
        files: &FileSet,
        lsn: Option<String>,
        last_modified: Option<FileTime>,
    ) -> VssResult<()> {
        let files = DifferencedFile {
            path: path_to_text(&files.path),
            specification: files.specification.clone(),
            recursive: Some(files.recursion == Recursion::Tree),
            lsn,
            last_modified,
            extra: Extra::default(),
        };
        self.set("AddDifferencedFiles", |one| {
            one.differenced_files.push(files)
        })
    }

    /// Why PrepareForBackup failed (`SetPrepareForBackupFailureMsg`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_prepare_for_backup_failure(&self, message: impl Into<String>) -> VssResult<()> {
        self.set("SetPrepareForBackupFailureMsg", |one| {
            one.prepare_for_backup_failure = Some(message.into());
        })
    }

    /// Why PostSnapshot failed (`SetPostSnapshotFailureMsg`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_post_snapshot_failure(&self, message: impl Into<String>) -> VssResult<()> {
        self.set("SetPostSnapshotFailureMsg", |one| {
            one.post_snapshot_failure = Some(message.into());
        })
    }

    /// What the writer keeps for the rest of the restore (`SetRestoreMetadata`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_restore_metadata(&self, data: impl Into<String>) -> VssResult<()> {
        self.set("SetRestoreMetadata", |one| {
            one.restore_metadata = Some(data.into())
        })
    }

    /// Where the writer wants the files (`SetRestoreTarget`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_restore_target(&self, target: RestoreTarget) -> VssResult<()> {
        self.set("SetRestoreTarget", |one| {
            one.restore_target = Some(Term::Known(target));
        })
    }

    /// Where the writer wants parts of a file (`AddDirectedTarget`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn add_directed_target(&self, target: DirectedTarget) -> VssResult<()> {
        self.set("AddDirectedTarget", |one| one.directed_targets.push(target))
    }

    /// Why PreRestore failed (`SetPreRestoreFailureMsg`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_pre_restore_failure(&self, message: impl Into<String>) -> VssResult<()> {
        self.set("SetPreRestoreFailureMsg", |one| {
            one.pre_restore_failure = Some(message.into());
        })
    }

    /// Why PostRestore failed (`SetPostRestoreFailureMsg`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_post_restore_failure(&self, message: impl Into<String>) -> VssResult<()> {
        self.set("SetPostRestoreFailureMsg", |one| {
            one.post_restore_failure = Some(message.into());
        })
    }

    /// How the writer failed at this component, with a code of its own
    /// (`IVssComponentEx2::SetFailure`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub fn set_failure(
        &self,
        kind: WriterFailureKind,
        application_code: Option<u32>,
        message: Option<&str>,
    ) -> VssResult<()> {
        let failure = ComponentFailure {
            code: kind.code().hresult(),
            application_code,
            message: message.map(str::to_owned),
            extra: Extra::default(),
        };
        self.set("SetFailure", |one| one.failure = Some(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbra_model::{ComponentType, WriterId, WriterInstanceId};

    fn components() -> EventComponents {
        let mut all = WriterComponents::new(WriterId::from_u128(1), WriterInstanceId::from_u128(2));
        let one = ChosenComponent::new(Some("db".into()), "a", ComponentType::Database);
        all.components.push(one);
        EventComponents::new(all)
    }

    #[test]
    fn a_change_is_for_everybody_who_has_the_components() {
        let all = components();
        let there = all.at(WriterEvent::PostSnapshot);
        let one = there.find(Some("db"), "a").unwrap();
        one.set_backup_stamp("42").unwrap();
        assert_eq!(all.all()[0].get().backup_stamp.as_deref(), Some("42"));
        assert!(all.find(None, "a").is_none());
    }

    #[test]
    fn what_is_kept_beyond_an_event_changes_nothing() {
        let all = components();
        let kept = all.at(WriterEvent::PostSnapshot).all().remove(0);
        kept.set_backup_stamp("1").unwrap();
        all.end_event();
        let error = kept.set_backup_stamp("2").unwrap_err();
        assert_eq!(error.code(), VssCode::BadState);
        assert!(error.message().contains("PostSnapshot is over"), "{error}");
        assert_eq!(kept.get().backup_stamp.as_deref(), Some("1"));
        let error = kept.all.take_over(vec![kept.get()]).unwrap_err();
        assert_eq!(error.code(), VssCode::BadState);

        // Nor does a writer get further than its event.
        let there = all.at(WriterEvent::Freeze);
        let elsewhere = there.at(WriterEvent::PostSnapshot).all().remove(0);
        let error = elsewhere.set_backup_metadata("x").unwrap_err();
        assert_eq!(error.code(), VssCode::BadState);
        there.update(|part| part.components.clear());
        let one = there.all().remove(0);
        one.set_backup_stamp("3").unwrap();
        there.end_event();
        one.set_backup_stamp("4").unwrap_err();
    }

    #[test]
    fn each_call_belongs_to_its_events() {
        let all = components();
        for (call, events) in SETTINGS {
            assert!(!events.is_empty(), "{call}");
        }
        let check = |event, result: fn(&EventComponent) -> VssResult<()>, expected: &str| {
            let all = all.at(event);
            let error = result(&all.all()[0]).unwrap_err();
            assert_eq!(error.code(), VssCode::BadState);
            assert!(error.message().contains(expected), "{error}");
        };
        check(
            WriterEvent::Freeze,
            |one| one.add_partial_file("/srv".as_ref(), "a", "0:1", None),
            "it belongs to PostSnapshot",
        );
        check(
            WriterEvent::PostSnapshot,
            |one| one.set_restore_target(RestoreTarget::Alternate),
            "PreRestore",
        );
        check(
            WriterEvent::PreRestore,
            |one| one.set_post_restore_failure("x"),
            "PostRestore",
        );
    }

    #[test]
    fn what_another_process_changed_is_checked() {
        let all = components().at(WriterEvent::PreRestore);
        let mut changed = all.all()[0].get();
        changed.restore_metadata = Some("half".into());
        // What only requesters set is not taken over.
        changed.restore_options = Some("mine".into());
        all.take_over(vec![changed.clone()]).unwrap();
        let now = all.all()[0].get();
        assert_eq!(now.restore_metadata.as_deref(), Some("half"));
        assert_eq!(now.restore_options, None);

        changed.backup_stamp = Some("late".into());
        let error = all.take_over(vec![changed]).unwrap_err();
        assert_eq!(error.code(), VssCode::BadState, "{error}");
        let other = ChosenComponent::new(None, "b", ComponentType::FileGroup);
        let error = all.take_over(vec![other]).unwrap_err();
        assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
    }
}
