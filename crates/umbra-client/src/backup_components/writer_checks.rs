//! What a writer must be to let a requester set something in a restore ("Writer Backup
//! Schema Support", "Overview of Preparing for Restore").

use super::{ComponentAddress, chosen::Place, order::Call, state::State};
use umbra_documents::SelectionError;
use umbra_model::{BackupSchema, VssCode, VssError, VssResult, WriterInstanceId};

/// Which instance of its writer is to restore a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The one that was backed up, as it runs now.
    Same(BackupSchema),
    /// Another one.
    Other(BackupSchema),
}

impl State {
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where no instance of the writer runs.
    pub(super) fn check_running(&self, address: &ComponentAddress) -> VssResult<()> {
        let gathered = self.gathered(Call::SetSelectedForRestore)?;
        if gathered.instances(address.writer).next().is_some() {
            Ok(())
        } else {
            Err(not_running(address).into())
        }
    }

    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where this instance does not run;
    /// `VSS_E_NOT_SUPPORTED` where it is another one than was backed up and the writer
    /// is not one for that.
    pub(super) fn check_may_move(
        &self,
        address: &ComponentAddress,
        place: Place,
        instance: WriterInstanceId,
    ) -> VssResult<Target> {
        let gathered = self.gathered(Call::SetSelectedForRestore)?;
        let mut running = gathered.instances(address.writer);
        let Some(target) = running.find(|writer| writer.identity.instance == instance) else {
            return Err(not_running(address).into());
        };
        let supports = BackupSchema::WRITER_SUPPORTS_RESTORE_WITH_MOVE;
        let from = self.components.writer(place.writer).instance_id;
        // An instance that was started again has another id and the same name.
        let name_then = self.stored.as_ref().and_then(|stored| {
            let writer = stored.writer(address.writer, Some(from)).ok()?;
            let identity = &stored.writers()[writer].metadata().identity;
            Some(identity.instance_name.as_deref())
        });
        let is_same = match name_then {
            _ if from == instance => true,
            Some(name) => name == target.identity.instance_name.as_deref(),
            None => gathered.instances(address.writer).count() == 1,
        };
        if is_same {
            Ok(Target::Same(target.backup_schema))
        } else if target.backup_schema.contains(supports) {
            Ok(Target::Other(target.backup_schema))
        } else {
            Err(not_supported(
                Call::SetSelectedForRestore,
                &target.identity.name,
                supports,
            ))
        }
    }

    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` where the writer's backup schema is without this.
    pub(super) fn check_schema(
        &self,
        call: Call,
        place: Place,
        needed: BackupSchema,
    ) -> VssResult<()> {
        let chosen = self.components.writer(place.writer);
        let running = self.gathered.as_ref().and_then(|gathered| {
            let mut instances = gathered.instances(chosen.writer_id);
            let exact = instances.find(|one| one.identity.instance == chosen.instance_id);
            exact.or_else(|| gathered.instances(chosen.writer_id).next())
        });
        let (name, schema) = match running {
            Some(writer) => (writer.identity.name.clone(), writer.backup_schema),
            None => (
                chosen.writer_id.to_string(),
                chosen.backup_schema.unwrap_or_default(),
            ),
        };
        if schema.contains(needed) {
            Ok(())
        } else {
            Err(not_supported(call, &name, needed))
        }
    }
}

fn not_running(address: &ComponentAddress) -> SelectionError {
    SelectionError::WriterNotRunning {
        writer: address.writer.to_string(),
    }
}

fn not_supported(call: Call, writer: &str, needed: BackupSchema) -> VssError {
    let names: Vec<_> = needed.names().collect();
    VssError::new(
        VssCode::NotSupported,
        format!(
            "{call:?} was called for the writer {writer:?}, whose backup schema is without {}; \
             restore without it",
            names.join(" and ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup_components::{chosen::ChosenComponents, gather::Gathered, order::Phase};
    use std::sync::Arc;
    use umbra_documents::{Component, WriterIdentity, WriterMetadata};
    use umbra_model::{ComponentType, WriterId};

    const THEN: WriterInstanceId = WriterInstanceId::from_u128(10);
    const FIRST: WriterInstanceId = WriterInstanceId::from_u128(11);
    const SECOND: WriterInstanceId = WriterInstanceId::from_u128(12);

    fn writer(instance: WriterInstanceId, name: &str, schema: BackupSchema) -> WriterMetadata {
        let identity = WriterIdentity::new(WriterId::from_u128(1), instance, "writer");
        let identity = WriterIdentity {
            instance_name: Some(name.into()),
            ..identity
        };
        WriterMetadata {
            backup_schema: schema,
            components: vec![Component::database("data")],
            ..WriterMetadata::new(identity)
        }
    }

    fn address() -> ComponentAddress {
        ComponentAddress::new(WriterId::from_u128(1), ComponentType::Database, "data")
    }

    /// A restore of the instance "one", while these run.
    fn restore(running: &[WriterMetadata]) -> (State, Place) {
        let mut state = State::new();
        let backed_up = writer(THEN, "one", BackupSchema::UNDEFINED);
        let mut components = ChosenComponents::default();
        components.add(&backed_up, &backed_up.components[0]);
        state.components = components;
        state.phase = Phase::RestoreGathered;
        let running = running.iter().cloned().map(Arc::new).collect();
        state.gathered = Some(Gathered::new(running, Vec::new()));
        let place = state.components.find(&address()).unwrap();
        (state, place)
    }

    /// "Writer Backup Schema Support".
    #[test]
    fn the_schema_of_the_writer_that_runs_decides() {
        for needed in [
            BackupSchema::AUTHORITATIVE_RESTORE,
            BackupSchema::ROLLFORWARD_RESTORE,
            BackupSchema::RESTORE_RENAME,
            BackupSchema::WRITER_SUPPORTS_NEW_TARGET,
        ] {
            let check = |running: &[WriterMetadata]| {
                let (state, place) = restore(running);
                state.check_schema(Call::SetRollForward, place, needed)
            };
            assert_eq!(check(&[writer(FIRST, "one", needed)]), Ok(()));
            let error = check(&[writer(FIRST, "one", BackupSchema::COPY)]).unwrap_err();
            assert_eq!(error.code(), VssCode::NotSupported);
            let name = needed.names().next().unwrap();
            assert!(error.message().contains(name), "{error}");
            assert!(check(&[]).is_err(), "nor does the document say so");
        }
    }

    #[test]
    fn the_schema_in_the_document_counts_where_the_writer_does_not_run() {
        let needed = BackupSchema::RESTORE_RENAME;
        let mut state = State::new();
        let backed_up = writer(THEN, "one", needed);
        state.components.add(&backed_up, &backed_up.components[0]);
        let place = state.components.find(&address()).unwrap();
        let call = Call::SetRestoreName;
        assert_eq!(state.check_schema(call, place, needed), Ok(()));
    }

    /// "Overview of Preparing for Restore".
    #[test]
    fn a_writer_that_does_not_run_takes_part_in_no_restore() {
        let (state, place) = restore(&[]);
        let error = state.check_running(&address()).unwrap_err();
        assert_eq!(error.code(), VssCode::ObjectNotFound);
        assert!(error.message().contains("is not running"), "{error}");
        let error = state.check_may_move(&address(), place, FIRST).unwrap_err();
        assert_eq!(error.code(), VssCode::ObjectNotFound);
        let (state, _) = restore(&[writer(FIRST, "one", BackupSchema::UNDEFINED)]);
        assert_eq!(state.check_running(&address()), Ok(()));
    }

    /// "Writer Backup Schema Support", Restore with Move.
    #[test]
    fn only_some_writers_let_a_component_go_to_another_instance() {
        let plain = BackupSchema::UNDEFINED;
        let moves = BackupSchema::WRITER_SUPPORTS_RESTORE_WITH_MOVE;
        let both = |schema| [writer(FIRST, "one", schema), writer(SECOND, "two", schema)];
        let check = |running: &[WriterMetadata], stored: bool, target| {
            let (mut state, place) = restore(running);
            if stored {
                let stored = [writer(THEN, "one", plain)];
                state.stored = Some(Arc::new(stored.into_iter().collect()));
            }
            let moved = state.check_may_move(&address(), place, target);
            moved.map_err(|error| error.code())
        };
        let refused = Err(VssCode::NotSupported);
        let alone = [writer(FIRST, "one", plain)];
        let same = Ok(Target::Same(plain));
        assert_eq!(check(&alone, false, FIRST), same, "started again");
        assert_eq!(check(&both(plain), true, FIRST), same, "the name says so");
        assert_eq!(check(&both(plain), true, SECOND), refused);
        assert_eq!(check(&both(plain), false, FIRST), refused, "nobody knows");
        let other = Ok(Target::Other(moves));
        assert_eq!(check(&both(moves), true, SECOND), other);
    }
}
