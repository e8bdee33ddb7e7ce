//! Which component a call is about.

use umbra_documents::{Component, ComponentChoice, WriterMetadata};
use umbra_model::{ComponentType, WriterId, WriterInstanceId};

/// A component by writer, type, logical path and name: what `AddComponent` and every
/// setter of `IVssBackupComponents` begins with.
///
/// The instance of the writer need not be said; logical path and name are unique
/// among the instances of a class. In a restore it is the instance that was backed
/// up.
///
/// ```
/// # use umbra_client::ComponentAddress;
/// # use umbra_model::{ComponentType, WriterId};
/// # let mail = WriterId::from_u128(1);
/// let inbox = ComponentAddress::new(mail, ComponentType::Database, "inbox").below("users\\ann");
/// assert_eq!(inbox.full_path(), "users\\ann\\inbox");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ComponentAddress {
    /// The class of the writer.
    pub writer: WriterId,
    /// The instance of it; none for whichever has the component.
    pub instance: Option<WriterInstanceId>,
    /// What the component is.
    pub component_type: ComponentType,
    /// Where it stands in the writer's tree.
    pub logical_path: Option<String>,
    /// Its name.
    pub name: String,
}

impl ComponentAddress {
    /// A component at the top of its writer's tree.
    pub fn new(writer: WriterId, component_type: ComponentType, name: impl Into<String>) -> Self {
        Self {
            writer,
            instance: None,
            component_type,
            logical_path: None,
            name: name.into(),
        }
    }

    /// A component as its writer's metadata has it.
    pub fn of(writer: &WriterMetadata, component: &Component) -> Self {
        Self {
            writer: writer.identity.id,
            instance: Some(writer.identity.instance),
            component_type: component.kind,
            logical_path: component.logical_path.clone(),
            name: component.name.clone(),
        }
    }

    /// The one at this logical path.
    #[must_use]
    pub fn below(self, logical_path: impl Into<String>) -> Self {
        Self {
            logical_path: Some(logical_path.into()),
            ..self
        }
    }

    /// The one of this instance.
    #[must_use]
    pub fn of_instance(self, instance: WriterInstanceId) -> Self {
        Self {
            instance: Some(instance),
            ..self
        }
    }

    /// Logical path and name, joined as VSS prints them.
    pub fn full_path(&self) -> String {
        self.choice().full_path()
    }

    /// As component trees want it.
    pub(super) fn choice(&self) -> ComponentChoice<'_> {
        ComponentChoice {
            writer: self.writer,
            instance: self.instance,
            kind: Some(self.component_type),
            logical_path: self.logical_path.as_deref(),
            name: &self.name,
        }
    }
}
