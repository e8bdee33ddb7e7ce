//! The map that people keep: what answers each name of the reference.

use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// What answers one name.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The item of Umbra.
    pub(crate) item: Option<String>,
    /// The test that shows it, `FILE::TEST`; where absent, that of the group.
    pub(crate) test: Option<String>,
    /// The name by which the test uses the item, where it is not its last part.
    pub(crate) shown_as: Option<String>,
    /// Why it has no meaning on Linux, in a sentence.
    pub(crate) none: Option<String>,
    /// Why the item answers `VSS_E_NOT_SUPPORTED`, in a clause.
    pub(crate) unsupported: Option<String>,
    /// What else there is to say of it.
    pub(crate) note: Option<String>,
}

/// An entry, or the item alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Item(String),
    Entry(Entry),
}

impl Answer {
    pub(crate) fn entry(&self) -> Entry {
        match self {
            Self::Item(item) => Entry {
                item: Some(item.clone()),
                ..Entry::default()
            },
            Self::Entry(entry) => entry.clone(),
        }
    }
}

/// What answers an interface, an enumeration, a structure, or a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupEntry {
    /// The item that answers the whole.
    pub(crate) item: Option<String>,
    /// The test of every part that names none.
    pub(crate) test: Option<String>,
    /// The name by which the test uses the item, where it is not its last part.
    pub(crate) shown_as: Option<String>,
    /// Why nothing of it has a meaning on Linux, in a sentence.
    pub(crate) none: Option<String>,
    /// What else there is to say of it.
    pub(crate) note: Option<String>,
    /// What answers its parts, by name.
    #[serde(default)]
    pub(crate) parts: BTreeMap<String, Answer>,
}

pub(crate) type Map = BTreeMap<String, GroupEntry>;

/// Reads the map.
///
/// # Errors
///
/// It is not there, or is not as described here.
pub(crate) fn read(path: &Path) -> Result<Map, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
