//! Why a requester cannot add a component to a backup or a restore.

use umbra_model::{ComponentType, VssCode, VssError, WriterId, WriterInstanceId};

/// A component that cannot be added. Each has the code that VSS has for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// There is no such writer (`VSS_E_OBJECT_NOT_FOUND`).
    #[error("there is no writer {writer}{}: gather the writers' metadata and choose one of them",
        instance.map(|id| format!(" with the instance {id}")).unwrap_or_default())]
    UnknownWriter {
        /// The class that was named.
        writer: WriterId,
        /// The instance that was named.
        instance: Option<WriterInstanceId>,
    },
    /// No writer has this name or id, and none a component of this name
    /// (`VSS_E_OBJECT_NOT_FOUND`).
    #[error(
        "there is no writer {text:?} and no component of that name of a writer: say WRITER or \
             WRITER:LOGICAL\\PATH\\NAME, with the writer by name, class id or instance id"
    )]
    UnknownName {
        /// What was named.
        text: String,
    },
    /// The writer is not running now, so that it cannot take part in a restore
    /// (`VSS_E_OBJECT_NOT_FOUND`, "Overview of Preparing for Restore").
    #[error("the writer {writer} is not running: start it, or restore its files without it")]
    WriterNotRunning {
        /// The writer.
        writer: String,
    },
    /// Several instances of the writer have it (`E_INVALIDARG`).
    #[error("there are several instances of the writer {writer} that it can be: name the instance")]
    SeveralInstances {
        /// The writer.
        writer: String,
    },
    /// The writer has no such component (`VSS_E_OBJECT_NOT_FOUND`).
    #[error("the writer {writer} has no component {component:?}")]
    UnknownComponent {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
    },
    /// The writer's component has another type (`VSS_E_OBJECT_NOT_FOUND`: none of
    /// this type has the name).
    #[error("the component {component:?} of the writer {writer} is a {kind}, not a {asked}")]
    WrongKind {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
        /// The type that was named.
        asked: ComponentType,
        /// The type that it has.
        kind: ComponentType,
    },
    /// The component comes only with one above it (`E_INVALIDARG`).
    #[error(
        "the component {component:?} of the writer {writer} cannot be added by itself: it comes \
         with {with:?}; add that"
    )]
    ComesOnlyWith {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
        /// The nearest component above it that can be added.
        with: String,
    },
    /// The component was added before (`VSS_E_OBJECT_ALREADY_EXISTS`).
    #[error("the component {component:?} of the writer {writer} has been added already")]
    AlreadyAdded {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
    },
    /// A component above it was added, so that it is in the backup already
    /// (`VSS_E_OBJECT_ALREADY_EXISTS`).
    #[error(
        "the component {component:?} of the writer {writer} comes with {with:?}, which has been \
         added already"
    )]
    AlreadyComesWith {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
        /// The component that was added.
        with: String,
    },
    /// A component below it was added, which would be in the backup twice
    /// (`VSS_E_OBJECT_ALREADY_EXISTS`).
    #[error(
        "the component {below:?} of the writer {writer} has been added already and comes with \
         {component:?} too: add only the upper one"
    )]
    PartAlreadyAdded {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
        /// A component below it that was added.
        below: String,
    },
    /// The component is not in the Backup Components Document
    /// (`VSS_E_OBJECT_NOT_FOUND`, `SetSelectedForRestore`,
    /// `AddRestoreSubcomponent`).
    #[error(
        "the component {component:?} of the writer {writer} was not added to the backup: only what \
         was added can be selected for restore, and what came with it be added as its subcomponent"
    )]
    NotInBackup {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
    },
    /// `AddRestoreSubcomponent` before `SetSelectedForRestore` of the component
    /// above (`VSS_E_BAD_STATE`).
    #[error(
        "the component {component:?} of the writer {writer} is not selected for restore yet: call \
         SetSelectedForRestore for it before AddRestoreSubcomponent"
    )]
    NotSelectedYet {
        /// The writer.
        writer: String,
        /// Logical path and name.
        component: String,
    },
    /// The subcomponent was not in the backup with the component (`E_INVALIDARG`).
    #[error(
        "the component {subcomponent:?} of the writer {writer} does not come with {component:?}"
    )]
    DidNotComeWith {
        /// The writer.
        writer: String,
        /// Logical path and name of the component that was added to the backup.
        component: String,
        /// Logical path and name of the other.
        subcomponent: String,
    },
    /// The subcomponent was added to the backup itself, or stands below another
    /// that was and is nearer (`E_INVALIDARG`).
    #[error(
        "the component {subcomponent:?} of the writer {writer} belongs to {owner:?} in this backup: \
         select that for restore"
    )]
    BelongsToOther {
        /// The writer.
        writer: String,
        /// Logical path and name of the subcomponent.
        subcomponent: String,
        /// The component that it belongs to.
        owner: String,
    },
    /// The subcomponent is not selectable for restore (`E_INVALIDARG`).
    #[error(
        "the component {subcomponent:?} of the writer {writer} is not selectable for restore: it \
         can only be restored with all of {component:?}"
    )]
    NotSelectableForRestore {
        /// The writer.
        writer: String,
        /// Logical path and name of the component that was added to the backup.
        component: String,
        /// Logical path and name of the subcomponent.
        subcomponent: String,
    },
}

impl SelectionError {
    /// The code that a method of VSS answers with.
    pub fn code(&self) -> VssCode {
        match self {
            Self::UnknownWriter { .. }
            | Self::UnknownName { .. }
            | Self::WriterNotRunning { .. }
            | Self::UnknownComponent { .. }
            | Self::WrongKind { .. }
            | Self::NotInBackup { .. } => VssCode::ObjectNotFound,
            Self::AlreadyAdded { .. }
            | Self::AlreadyComesWith { .. }
            | Self::PartAlreadyAdded { .. } => VssCode::ObjectAlreadyExists,
            Self::NotSelectedYet { .. } => VssCode::BadState,
            Self::SeveralInstances { .. }
            | Self::ComesOnlyWith { .. }
            | Self::DidNotComeWith { .. }
            | Self::BelongsToOther { .. }
            | Self::NotSelectableForRestore { .. } => VssCode::InvalidArgument,
        }
    }
}

impl From<SelectionError> for VssError {
    fn from(error: SelectionError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
