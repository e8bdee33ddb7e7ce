//! Which components are in the backup.

use crate::{
    configuration::{BetestConfiguration, SelectedComponent},
    test_writer::is_at_or_below,
};
use std::{cmp::Reverse, collections::BTreeSet, path::PathBuf, sync::Arc};
use umbra_client::{BackupComponents, ComponentAddress, VolumeReport};
use umbra_documents::{BackupSet, Component, ComponentAt, Inclusion, WriterMetadata};
use umbra_model::{VssCode, VssError, VssResult};

/// The addresses of what a file selects, each with what the file says of it.
///
/// # Errors
///
/// `VSS_E_OBJECT_NOT_FOUND` for a component that no writer has.
pub(super) fn selected<'c>(
    configuration: &'c BetestConfiguration,
    writers: &[Arc<WriterMetadata>],
) -> VssResult<Vec<(ComponentAddress, &'c SelectedComponent)>> {
    let mut addresses = Vec::new();
    for selected in &configuration.components {
        let found = writers
            .iter()
            .filter(|writer| writer.identity.id == selected.writer)
            .find_map(|writer| {
                let mut components = writer.components.iter();
                let component = components.find(|one| one.full_path() == selected.path)?;
                Some(ComponentAddress::of(writer, component))
            });
        let Some(address) = found else {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "no writer of the class {} that takes part has a component {:?}; `umbra \
                     writers` lists what there is",
                    selected.writer, selected.path
                ),
            ));
        };
        addresses.push((address, selected));
    }
    Ok(addresses)
}

/// Everything, the topmost components first: the address of each, and it with what
/// is below it.
pub(super) fn everything(
    writers: &[Arc<WriterMetadata>],
) -> Vec<(ComponentAddress, Vec<&Component>)> {
    let mut all = Vec::new();
    for writer in writers {
        for component in &writer.components {
            let path = component.full_path();
            let below = writer
                .components
                .iter()
                .filter(|one| is_at_or_below(&path, &one.full_path()));
            all.push((ComponentAddress::of(writer, component), below.collect()));
        }
    }
    all.sort_by_key(|(address, _)| address.full_path().matches('\\').count());
    all
}

/// The components of a backup set: of each that was added, it and what comes with it.
pub(super) fn with_what_comes(set: &BackupSet) -> Vec<(ComponentAt, Vec<ComponentAt>)> {
    let mut all = Vec::new();
    for (writer, in_backup) in set.writers.iter().enumerate() {
        for (component, one) in in_backup.components.iter().enumerate() {
            if one.inclusion != Inclusion::Explicit {
                continue;
            }
            let at = |component| ComponentAt { writer, component };
            let mut covered = vec![at(component)];
            let comes = |(_, other): &(usize, &umbra_documents::ComponentInBackup)| matches!(&other.inclusion, Inclusion::Implicit { with } if *with == one.path);
            let coming = in_backup.components.iter().enumerate().filter(comes);
            covered.extend(coming.map(|(place, _)| at(place)));
            all.push((at(component), covered));
        }
    }
    all
}

/// The mount points of the volumes on which the file sets of components lie.
///
/// # Errors
///
/// `VSS_E_OBJECT_NOT_FOUND` for a folder on no volume.
pub(super) async fn volumes_of<'c>(
    session: &BackupComponents,
    components: impl Iterator<Item = &'c Component>,
) -> VssResult<Vec<PathBuf>> {
    let folders: BTreeSet<&PathBuf> = components
        .flat_map(Component::file_sets)
        .map(|set| set.alternate_path.as_ref().unwrap_or(&set.path))
        .collect();
    let mut volumes = Vec::new();
    for folder in folders {
        let root = session.root_and_logical_prefix_paths(folder).await?.root;
        if !volumes.contains(&root) {
            volumes.push(root);
        }
    }
    Ok(volumes)
}

/// The mounts inside a volume, which are volumes of their own.
pub(super) fn mounts_below(reports: &[VolumeReport], volume: &std::path::Path) -> Vec<PathBuf> {
    let mut below: Vec<PathBuf> = reports
        .iter()
        .map(|report| report.mount_point.clone())
        .filter(|mount| mount != volume && mount.starts_with(volume))
        .collect();
    below.sort_by_key(|mount| Reverse(mount.components().count()));
    below
}
