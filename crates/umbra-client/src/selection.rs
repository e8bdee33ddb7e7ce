//! Which writers, which copies.

use std::path::PathBuf;
use umbra_model::{SetId, ShadowCopyId};
use umbra_protocol::{fields, v1};

/// Which writers take part in a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterSelection {
    /// Every one with data on a volume of the set.
    All,
    /// None.
    None,
    /// Only these, each a name, class id or instance id.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl From<&WriterSelection> for v1::select_writers_request::Selection {
    fn from(selection: &WriterSelection) -> Self {
        let names = |names: &Vec<String>| v1::WriterNames {
            names: names.clone(),
        };
        match selection {
            WriterSelection::All => Self::All(true),
            WriterSelection::None => Self::None(true),
            WriterSelection::Only(only) => Self::Only(names(only)),
            WriterSelection::Except(except) => Self::Except(names(except)),
        }
    }
}

/// Which copies to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Copies(Vec<ShadowCopyId>),
    /// Every copy of this set.
    Set(SetId),
    /// The oldest copy of the volume with this name.
    OldestOf(PathBuf),
    /// Every copy.
    All,
}

impl From<&Selection> for v1::DeleteRequest {
    fn from(selection: &Selection) -> Self {
        use v1::delete_request::Selection as Wire;
        let selection = match selection {
            Selection::Copies(copies) => Wire::Copies(v1::ShadowCopyIds {
                ids: copies.iter().map(ToString::to_string).collect(),
            }),
            Selection::Set(set) => Wire::SetId(set.to_string()),
            Selection::OldestOf(volume) => Wire::OldestOfVolume(fields::bytes(volume)),
            Selection::All => Wire::All(true),
        };
        Self {
            selection: Some(selection),
        }
    }
}
