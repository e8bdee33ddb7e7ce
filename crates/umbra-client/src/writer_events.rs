//! What the service tells a writer's process, and what the writer changed.

use umbra_documents::{ChosenComponent, WriterComponents};
use umbra_model::{BackupType, Context, RestoreType, VolumeId, VssResult};
use umbra_protocol::{fields, v1};
use umbra_writer::{BackupState, EventComponents, RestoreEvent, SetEvent, WriterEvent};

/// The chosen components of one event: as they came, and as the writer has them.
pub(crate) struct Chosen {
    came: Option<WriterComponents>,
    components: EventComponents,
}

impl Chosen {
    fn new(chosen: Option<v1::WriterComponents>, at: WriterEvent) -> VssResult<Self> {
        let came: Option<WriterComponents> = chosen.map(TryInto::try_into).transpose()?;
        let components = came.clone().map(EventComponents::new).unwrap_or_default();
        Ok(Self {
            came,
            components: components.at(at),
        })
    }

    /// What the writer changed so far.
    pub(crate) fn changed(&self) -> Vec<v1::ChosenComponent> {
        let came = self.came.iter().flat_map(|came| &came.components);
        let now = self.components.document();
        let now = now.into_iter().flat_map(|now| now.components);
        came.zip(now)
            .filter(|(came, now): &(&ChosenComponent, _)| *came != now)
            .map(|(_, now)| now.into())
            .collect()
    }
}

/// What a writer keeps of an event beyond its end changes nothing.
impl Drop for Chosen {
    fn drop(&mut self) {
        self.components.end_event();
    }
}

pub(crate) fn set_event(event: v1::SetEvent, at: WriterEvent) -> VssResult<(SetEvent, Chosen)> {
    let chosen = Chosen::new(event.chosen, at)?;
    let copies = event.copies.into_iter().map(|one| {
        let copy = fields::id("VolumeCopy.shadow_copy_id", &one.shadow_copy_id)?;
        Ok((VolumeId::new(one.volume_id), copy))
    });
    let told = SetEvent {
        session: fields::id("SetEvent.session_id", &event.session_id)?,
        set: fields::id("SetEvent.set_id", &event.set_id)?,
        volumes: fields::all(event.volumes)?,
        components: event.components,
        backup: event
            .backup
            .map(backup_state)
            .transpose()?
            .unwrap_or_default(),
        copies: copies.collect::<VssResult<_>>()?,
        chosen: chosen.components.clone(),
    };
    Ok((told, chosen))
}

fn backup_state(state: v1::BackupState) -> VssResult<BackupState> {
    Ok(BackupState {
        context: Context::from_value(state.context)
            .map_err(|error| fields::invalid("BackupState.context", error))?,
        components_selected: state.components_selected,
        bootable_system_state: state.bootable_system_state,
        backup_type: fields::value(
            "BackupState.backup_type",
            state.backup_type,
            BackupType::from_value,
        )?,
        partial_files: state.partial_files,
    })
}

pub(crate) fn restore_event(
    event: v1::RestoreEvent,
    at: WriterEvent,
) -> VssResult<(RestoreEvent, Chosen)> {
    let chosen = Chosen::new(event.chosen, at)?;
    let told = RestoreEvent {
        session: fields::id("RestoreEvent.session_id", &event.session_id)?,
        restore_type: fields::value(
            "RestoreEvent.restore_type",
            event.restore_type,
            RestoreType::from_value,
        )?,
        chosen: chosen.components.clone(),
    };
    Ok((told, chosen))
}
