//! What writers say of themselves, on the wire.

use crate::{fields, v1};
use umbra_documents::{
    Component, Dependency, FreezeLevel, RestorePlan, Selectable, WriterIdentity, WriterMetadata,
    WriterVersion,
};
use umbra_model::{
    BackupSchema, ComponentFlags, ComponentType, RestoreMethod, SourceType, UsageType, VssError,
    WriterRestore,
};

impl From<FreezeLevel> for v1::FreezeLevel {
    fn from(level: FreezeLevel) -> Self {
        match level {
            FreezeLevel::FrontEnd => Self::FrontEnd,
            FreezeLevel::BackEnd => Self::BackEnd,
            FreezeLevel::System => Self::System,
        }
    }
}

impl From<v1::FreezeLevel> for FreezeLevel {
    /// A writer that names no level is an ordinary one: front end.
    fn from(level: v1::FreezeLevel) -> Self {
        match level {
            v1::FreezeLevel::Unspecified | v1::FreezeLevel::FrontEnd => Self::FrontEnd,
            v1::FreezeLevel::BackEnd => Self::BackEnd,
            v1::FreezeLevel::System => Self::System,
        }
    }
}

impl From<ComponentType> for v1::ComponentType {
    fn from(kind: ComponentType) -> Self {
        match kind {
            ComponentType::Undefined => Self::Unspecified,
            ComponentType::Database => Self::Database,
            ComponentType::FileGroup => Self::FileGroup,
        }
    }
}

impl From<v1::ComponentType> for ComponentType {
    /// A component that names no type is an ordinary one: a file group.
    fn from(kind: v1::ComponentType) -> Self {
        match kind {
            v1::ComponentType::Unspecified | v1::ComponentType::FileGroup => Self::FileGroup,
            v1::ComponentType::Database => Self::Database,
        }
    }
}

pub(crate) fn component_type(field: &str, number: i32) -> Result<ComponentType, VssError> {
    v1::ComponentType::try_from(number)
        .map(Into::into)
        .map_err(|error| fields::invalid(field, error))
}

impl From<Dependency> for v1::Dependency {
    fn from(dependency: Dependency) -> Self {
        Self {
            writer_id: dependency.writer.to_string(),
            logical_path: dependency.logical_path.unwrap_or_default(),
            name: dependency.name,
        }
    }
}

impl TryFrom<v1::Dependency> for Dependency {
    type Error = VssError;

    fn try_from(dependency: v1::Dependency) -> Result<Self, VssError> {
        Ok(Self {
            writer: fields::id("Dependency.writer_id", &dependency.writer_id)?,
            logical_path: fields::optional_text(dependency.logical_path),
            name: dependency.name,
        })
    }
}

impl From<Component> for v1::Component {
    fn from(component: Component) -> Self {
        let wire = |files: Vec<_>| files.into_iter().map(Into::into).collect();
        Self {
            logical_path: component.logical_path.unwrap_or_default(),
            name: component.name,
            caption: component.caption.unwrap_or_default(),
            selectable: component.selectable.is_yes(),
            files: wire(component.files),
            component_type: v1::ComponentType::from(component.kind).into(),
            restore_metadata: component.restore_metadata,
            notify_on_backup_complete: component.notify_on_backup_complete,
            selectable_for_restore: component.selectable_for_restore.is_yes(),
            flags: component.flags.bits(),
            database_files: wire(component.database_files),
            log_files: wire(component.log_files),
            dependencies: component.dependencies.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Component> for Component {
    type Error = VssError;

    fn try_from(component: v1::Component) -> Result<Self, VssError> {
        Ok(Self {
            kind: component_type("Component.component_type", component.component_type)?,
            logical_path: fields::optional_text(component.logical_path),
            name: component.name,
            caption: fields::optional_text(component.caption),
            restore_metadata: component.restore_metadata,
            notify_on_backup_complete: component.notify_on_backup_complete,
            selectable: Selectable::from(component.selectable),
            selectable_for_restore: Selectable::from(component.selectable_for_restore),
            flags: ComponentFlags::from_bits(component.flags),
            files: fields::all(component.files)?,
            database_files: fields::all(component.database_files)?,
            log_files: fields::all(component.log_files)?,
            dependencies: fields::all(component.dependencies)?,
        })
    }
}

impl From<RestorePlan> for v1::RestorePlan {
    fn from(plan: RestorePlan) -> Self {
        let locations = plan.alternate_locations.into_iter();
        Self {
            method: plan.method.value(),
            service: plan.service.unwrap_or_default(),
            user_procedure: plan.user_procedure.unwrap_or_default(),
            writer_restore: plan.writer_restore.value(),
            reboot_required: plan.reboot_required,
            alternate_locations: locations.map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::RestorePlan> for RestorePlan {
    type Error = VssError;

    fn try_from(plan: v1::RestorePlan) -> Result<Self, VssError> {
        Ok(Self {
            method: fields::value("RestorePlan.method", plan.method, RestoreMethod::from_value)?,
            service: fields::optional_text(plan.service),
            user_procedure: fields::optional_text(plan.user_procedure),
            writer_restore: fields::value(
                "RestorePlan.writer_restore",
                plan.writer_restore,
                WriterRestore::from_value,
            )?,
            reboot_required: plan.reboot_required,
            alternate_locations: fields::all(plan.alternate_locations)?,
        })
    }
}

impl From<WriterMetadata> for v1::WriterMetadata {
    fn from(metadata: WriterMetadata) -> Self {
        let wire = |files: Vec<_>| files.into_iter().map(Into::into).collect();
        let identity = metadata.identity;
        Self {
            writer_id: identity.id.to_string(),
            instance_id: identity.instance.to_string(),
            name: identity.name,
            level: v1::FreezeLevel::from(metadata.level).into(),
            components: metadata.components.into_iter().map(Into::into).collect(),
            excluded: wire(metadata.excluded),
            instance_name: identity.instance_name.unwrap_or_default(),
            major_version: identity.version.major,
            minor_version: identity.version.minor,
            usage: Some(identity.usage.value()),
            source: Some(identity.source.value()),
            backup_schema: metadata.backup_schema.bits(),
            restore: metadata.restore.map(Into::into),
            included: wire(metadata.included),
            excluded_from_snapshot: wire(metadata.excluded_from_snapshot),
        }
    }
}

impl TryFrom<v1::WriterMetadata> for WriterMetadata {
    type Error = VssError;

    /// Checks the form only; [`WriterMetadata::validate`] checks what it says.
    fn try_from(metadata: v1::WriterMetadata) -> Result<Self, VssError> {
        let level = v1::FreezeLevel::try_from(metadata.level)
            .map_err(|error| fields::invalid("WriterMetadata.level", error))?;
        Ok(Self {
            identity: identity(&metadata)?,
            level: level.into(),
            backup_schema: BackupSchema::from_bits(metadata.backup_schema),
            restore: metadata.restore.map(TryInto::try_into).transpose()?,
            components: fields::all(metadata.components)?,
            included: fields::all(metadata.included)?,
            excluded: fields::all(metadata.excluded)?,
            excluded_from_snapshot: fields::all(metadata.excluded_from_snapshot)?,
        })
    }
}

fn identity(metadata: &v1::WriterMetadata) -> Result<WriterIdentity, VssError> {
    let plain = WriterIdentity::new(
        fields::id("WriterMetadata.writer_id", &metadata.writer_id)?,
        fields::id("WriterMetadata.instance_id", &metadata.instance_id)?,
        &metadata.name,
    );
    Ok(WriterIdentity {
        instance_name: fields::optional_text(metadata.instance_name.clone()),
        version: WriterVersion {
            major: metadata.major_version,
            minor: metadata.minor_version,
        },
        usage: match metadata.usage {
            Some(number) => fields::value("WriterMetadata.usage", number, UsageType::from_value)?,
            None => plain.usage,
        },
        source: match metadata.source {
            Some(number) => fields::value("WriterMetadata.source", number, SourceType::from_value)?,
            None => plain.source,
        },
        ..plain
    })
}
