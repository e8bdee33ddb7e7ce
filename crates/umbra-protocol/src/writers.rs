//! What writers say of themselves, on the wire.

use crate::{fields, v1};
use umbra_documents::{
    Component, FileSet, FreezeLevel, Recursion, Selectable, WriterIdentity, WriterMetadata,
};
use umbra_model::VssError;

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

impl From<FileSet> for v1::FileSet {
    fn from(files: FileSet) -> Self {
        Self {
            path: fields::bytes(&files.path),
            specification: files.specification,
            recursive: files.recursion == Recursion::Tree,
            ..Self::default()
        }
    }
}

impl TryFrom<v1::FileSet> for FileSet {
    type Error = VssError;

    fn try_from(files: v1::FileSet) -> Result<Self, VssError> {
        Ok(Self::new(
            fields::path("FileSet.path", files.path)?,
            files.specification,
            Recursion::from(files.recursive),
        ))
    }
}

impl From<Component> for v1::Component {
    fn from(component: Component) -> Self {
        Self {
            logical_path: component.logical_path.unwrap_or_default(),
            name: component.name,
            caption: component.caption.unwrap_or_default(),
            selectable: component.selectable == Selectable::Yes,
            files: component.files.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl TryFrom<v1::Component> for Component {
    type Error = VssError;

    fn try_from(component: v1::Component) -> Result<Self, VssError> {
        Ok(Self {
            logical_path: fields::optional_text(component.logical_path),
            caption: fields::optional_text(component.caption),
            selectable: Selectable::from(component.selectable),
            files: component
                .files
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            ..Self::file_group(component.name)
        })
    }
}

impl From<WriterMetadata> for v1::WriterMetadata {
    fn from(metadata: WriterMetadata) -> Self {
        Self {
            writer_id: metadata.identity.id.to_string(),
            instance_id: metadata.identity.instance.to_string(),
            name: metadata.identity.name,
            level: v1::FreezeLevel::from(metadata.level).into(),
            components: metadata.components.into_iter().map(Into::into).collect(),
            excluded: metadata.excluded.into_iter().map(Into::into).collect(),
            ..Self::default()
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
            level: level.into(),
            components: metadata
                .components
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            excluded: metadata
                .excluded
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            ..Self::new(WriterIdentity::new(
                fields::id("WriterMetadata.writer_id", &metadata.writer_id)?,
                fields::id("WriterMetadata.instance_id", &metadata.instance_id)?,
                metadata.name,
            ))
        })
    }
}
