//! Chosen components on the wire: the parts of a Backup Components Document that
//! writers are shown.
//!
//! What the wire does not carry is left out: elements, attributes and words that
//! Umbra does not know. [`changed`] keeps them where a writer did not change what
//! it was shown. Paths are taken as they are, since a document may name those of
//! another system.

use crate::{fields, v1, writers::component_type};
use umbra_documents::{
    AlternateLocationMapping, ChosenComponent, ComponentFailure, DifferencedFile, DirectedTarget,
    DocumentTerm, Extra, FileTime, NewTarget, PartialFile, RestoreSubcomponent, Term,
    WriterComponents, bytes_to_text, text_to_bytes,
};
use umbra_model::{
    ComponentType, FileRestoreStatus, RestoreTarget, RollForwardType, VssError, VssResult,
};

impl From<WriterComponents> for v1::WriterComponents {
    fn from(components: WriterComponents) -> Self {
        Self {
            writer_id: components.writer_id.to_string(),
            instance_id: components.instance_id.to_string(),
            components: components.components.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::WriterComponents> for WriterComponents {
    type Error = VssError;

    fn try_from(components: v1::WriterComponents) -> Result<Self, VssError> {
        Ok(Self {
            components: fields::all(components.components)?,
            ..Self::new(
                fields::id("WriterComponents.writer_id", &components.writer_id)?,
                fields::id("WriterComponents.instance_id", &components.instance_id)?,
            )
        })
    }
}

/// The number of a word; none for a word that Umbra does not know.
fn number<T: DocumentTerm>(term: Option<Term<T>>, value: fn(T) -> u32) -> Option<u32> {
    term.and_then(|term| term.known()).map(value)
}

fn term<T>(
    field: &str,
    number: Option<u32>,
    known: fn(u32) -> Option<T>,
) -> VssResult<Option<Term<T>>> {
    number
        .map(|number| fields::value(field, number, known).map(Term::Known))
        .transpose()
}

fn wire<M, W: From<M>>(items: Vec<M>) -> Vec<W> {
    items.into_iter().map(Into::into).collect()
}

impl From<ChosenComponent> for v1::ChosenComponent {
    fn from(component: ChosenComponent) -> Self {
        let kind = component.component_type.known();
        Self {
            logical_path: component.logical_path.unwrap_or_default(),
            name: component.name,
            component_type: v1::ComponentType::from(kind.unwrap_or(ComponentType::Undefined))
                .into(),
            backup_succeeded: component.backup_succeeded,
            backup_options: component.backup_options,
            backup_metadata: component.backup_metadata,
            backup_stamp: component.backup_stamp,
            previous_backup_stamp: component.previous_backup_stamp,
            prepare_for_backup_failure: component.prepare_for_backup_failure,
            post_snapshot_failure: component.post_snapshot_failure,
            selected_for_restore: component.selected_for_restore,
            additional_restores: component.additional_restores,
            restore_options: component.restore_options,
            restore_metadata: component.restore_metadata,
            restore_target: number(component.restore_target, RestoreTarget::value),
            restore_name: component.restore_name,
            authoritative_restore: component.authoritative_restore,
            roll_forward: number(component.roll_forward, RollForwardType::value),
            roll_forward_point: component.roll_forward_point,
            file_restore_status: number(component.file_restore_status, FileRestoreStatus::value),
            pre_restore_failure: component.pre_restore_failure,
            post_restore_failure: component.post_restore_failure,
            alternate_locations: wire(component.alternate_locations),
            partial_files: wire(component.partial_files),
            differenced_files: wire(component.differenced_files),
            directed_targets: wire(component.directed_targets),
            new_targets: wire(component.new_targets),
            restore_subcomponents: wire(component.restore_subcomponents),
            failure: component.failure.map(Into::into),
        }
    }
}

impl TryFrom<v1::ChosenComponent> for ChosenComponent {
    type Error = VssError;

    fn try_from(component: v1::ChosenComponent) -> Result<Self, VssError> {
        Ok(Self {
            logical_path: fields::optional_text(component.logical_path),
            name: component.name,
            component_type: Term::Known(component_type(
                "ChosenComponent.component_type",
                component.component_type,
            )?),
            backup_succeeded: component.backup_succeeded,
            backup_options: component.backup_options,
            backup_metadata: component.backup_metadata,
            backup_stamp: component.backup_stamp,
            previous_backup_stamp: component.previous_backup_stamp,
            prepare_for_backup_failure: component.prepare_for_backup_failure,
            post_snapshot_failure: component.post_snapshot_failure,
            selected_for_restore: component.selected_for_restore,
            additional_restores: component.additional_restores,
            restore_options: component.restore_options,
            restore_metadata: component.restore_metadata,
            restore_target: term(
                "ChosenComponent.restore_target",
                component.restore_target,
                RestoreTarget::from_value,
            )?,
            restore_name: component.restore_name,
            authoritative_restore: component.authoritative_restore,
            roll_forward: term(
                "ChosenComponent.roll_forward",
                component.roll_forward,
                RollForwardType::from_value,
            )?,
            roll_forward_point: component.roll_forward_point,
            file_restore_status: term(
                "ChosenComponent.file_restore_status",
                component.file_restore_status,
                FileRestoreStatus::from_value,
            )?,
            pre_restore_failure: component.pre_restore_failure,
            post_restore_failure: component.post_restore_failure,
            alternate_locations: fields::all(component.alternate_locations)?,
            partial_files: fields::all(component.partial_files)?,
            differenced_files: fields::all(component.differenced_files)?,
            directed_targets: fields::all(component.directed_targets)?,
            new_targets: fields::all(component.new_targets)?,
            restore_subcomponents: fields::all(component.restore_subcomponents)?,
            failure: component.failure.map(Into::into),
            extra: Extra::default(),
        })
    }
}

/// A component as the other side changed it. What it left as it was shown stays as
/// it is here, with what the wire does not carry.
///
/// # Errors
///
/// `E_INVALIDARG` for what is no component.
pub fn changed(ours: &ChosenComponent, theirs: v1::ChosenComponent) -> VssResult<ChosenComponent> {
    let shown = ChosenComponent::try_from(v1::ChosenComponent::from(ours.clone()))?;
    let mut theirs = ChosenComponent::try_from(theirs)?;
    macro_rules! keep {
        ($($field:ident)*) => {$(
            if theirs.$field == shown.$field {
                theirs.$field.clone_from(&ours.$field);
            }
        )*};
    }
    keep! {
        component_type restore_target roll_forward file_restore_status failure
        alternate_locations new_targets restore_subcomponents
    }
    keep_items(
        &ours.partial_files,
        &shown.partial_files,
        &mut theirs.partial_files,
    );
    keep_items(
        &ours.differenced_files,
        &shown.differenced_files,
        &mut theirs.differenced_files,
    );
    keep_items(
        &ours.directed_targets,
        &shown.directed_targets,
        &mut theirs.directed_targets,
    );
    theirs.extra = ours.extra.clone();
    Ok(theirs)
}

/// Writers add to these lists.
fn keep_items<T: Clone + PartialEq>(ours: &[T], shown: &[T], theirs: &mut [T]) {
    for (theirs, (ours, shown)) in theirs.iter_mut().zip(ours.iter().zip(shown)) {
        if theirs == shown {
            theirs.clone_from(ours);
        }
    }
}

impl From<PartialFile> for v1::PartialFile {
    fn from(file: PartialFile) -> Self {
        Self {
            path: text_to_bytes(&file.path),
            name: text_to_bytes(&file.name),
            ranges: file.ranges,
            ranges_file: file.ranges_file,
            metadata: file.metadata,
        }
    }
}

impl TryFrom<v1::PartialFile> for PartialFile {
    type Error = VssError;

    fn try_from(file: v1::PartialFile) -> Result<Self, VssError> {
        Ok(Self {
            path: text("PartialFile.path", &file.path)?,
            name: text("PartialFile.name", &file.name)?,
            ranges: file.ranges,
            ranges_file: file.ranges_file,
            metadata: file.metadata,
            extra: Extra::default(),
        })
    }
}

impl From<DifferencedFile> for v1::DifferencedFile {
    fn from(file: DifferencedFile) -> Self {
        Self {
            path: text_to_bytes(&file.path),
            specification: file.specification,
            recursive: file.recursive.unwrap_or_default(),
            lsn: file.lsn,
            last_modified: file.last_modified.map(FileTime::units),
        }
    }
}

impl TryFrom<v1::DifferencedFile> for DifferencedFile {
    type Error = VssError;

    fn try_from(file: v1::DifferencedFile) -> Result<Self, VssError> {
        Ok(Self {
            path: text("DifferencedFile.path", &file.path)?,
            specification: file.specification,
            recursive: Some(file.recursive),
            lsn: file.lsn,
            last_modified: file.last_modified.map(FileTime::from_units),
            extra: Extra::default(),
        })
    }
}

impl From<DirectedTarget> for v1::DirectedTarget {
    fn from(target: DirectedTarget) -> Self {
        Self {
            source_path: text_to_bytes(&target.source_path),
            source_name: text_to_bytes(&target.source_name),
            source_ranges: target.source_ranges,
            destination_path: text_to_bytes(&target.destination_path),
            destination_name: text_to_bytes(&target.destination_name),
            destination_ranges: target.destination_ranges,
        }
    }
}

impl TryFrom<v1::DirectedTarget> for DirectedTarget {
    type Error = VssError;

    fn try_from(target: v1::DirectedTarget) -> Result<Self, VssError> {
        Ok(Self {
            source_path: text("DirectedTarget.source_path", &target.source_path)?,
            source_name: text("DirectedTarget.source_name", &target.source_name)?,
            source_ranges: target.source_ranges,
            destination_path: text("DirectedTarget.destination_path", &target.destination_path)?,
            destination_name: text("DirectedTarget.destination_name", &target.destination_name)?,
            destination_ranges: target.destination_ranges,
            extra: Extra::default(),
        })
    }
}

/// Both say: files by folder and specification, and another folder.
macro_rules! locations {
    ($($kind:ident)*) => {$(
        impl From<$kind> for v1::AlternateLocation {
            fn from(location: $kind) -> Self {
                Self {
                    files: Some(v1::FileSet {
                        path: text_to_bytes(&location.path),
                        specification: location.specification,
                        recursive: location.recursive.unwrap_or_default(),
                        ..v1::FileSet::default()
                    }),
                    destination: text_to_bytes(&location.alternate_path),
                }
            }
        }

        impl TryFrom<v1::AlternateLocation> for $kind {
            type Error = VssError;

            fn try_from(location: v1::AlternateLocation) -> Result<Self, VssError> {
                let files = fields::required("AlternateLocation.files", location.files)?;
                Ok(Self {
                    path: text("AlternateLocation.files.path", &files.path)?,
                    specification: files.specification,
                    recursive: Some(files.recursive),
                    alternate_path: text("AlternateLocation.destination", &location.destination)?,
                    extra: Extra::default(),
                })
            }
        }
    )*};
}

locations!(AlternateLocationMapping NewTarget);

impl From<RestoreSubcomponent> for v1::RestoreSubcomponent {
    fn from(component: RestoreSubcomponent) -> Self {
        Self {
            logical_path: component.logical_path.unwrap_or_default(),
            name: component.name,
            repair: component.repair.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::RestoreSubcomponent> for RestoreSubcomponent {
    type Error = VssError;

    fn try_from(component: v1::RestoreSubcomponent) -> Result<Self, VssError> {
        Ok(Self {
            logical_path: fields::optional_text(component.logical_path),
            name: component.name,
            repair: Some(component.repair),
            extra: Extra::default(),
        })
    }
}

impl From<ComponentFailure> for v1::ComponentFailure {
    fn from(failure: ComponentFailure) -> Self {
        Self {
            code: failure.code,
            application_code: failure.application_code,
            message: failure.message,
        }
    }
}

impl From<v1::ComponentFailure> for ComponentFailure {
    fn from(failure: v1::ComponentFailure) -> Self {
        Self {
            code: failure.code,
            application_code: failure.application_code,
            message: failure.message,
            extra: Extra::default(),
        }
    }
}

/// A path, or a part of one, as documents write it.
fn text(field: &str, bytes: &[u8]) -> VssResult<String> {
    if bytes.contains(&0) {
        return Err(fields::invalid(field, "there is a zero byte in it"));
    }
    Ok(bytes_to_text(bytes))
}
