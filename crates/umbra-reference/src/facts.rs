//! The names of the VSS reference, in its order.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData, path::Path};

/// A table of JSON, in the order in which it is written.
#[derive(Debug)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        from.deserialize_map(Pairs(PhantomData)).map(Self)
    }
}

impl<T> Ordered<T> {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Interface {
    header: String,
    bases: Vec<String>,
    methods: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Enumeration {
    header: String,
    values: Vec<(String, IgnoredAny)>,
}

#[derive(Debug, Deserialize)]
struct Structure {
    header: String,
    fields: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Class {
    header: String,
    bases: Vec<String>,
    members: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Export {
    symbol: String,
    demangled: Option<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    interfaces: Ordered<Interface>,
    enums: Ordered<Enumeration>,
    structs: Ordered<Structure>,
    constants: Ordered<IgnoredAny>,
    guids: Ordered<IgnoredAny>,
    typedefs: Ordered<IgnoredAny>,
    functions: Vec<Named>,
    hresults: Ordered<IgnoredAny>,
    vssapi_exports: Vec<Export>,
    cpp_classes: Ordered<Class>,
}

/// What kind of thing the reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Interface,
    Class,
    Enumeration,
    Structure,
    Functions,
    Constants,
    Codes,
    Types,
    Exports,
}

/// A thing of the reference that has parts, or a list of things of one kind.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Where it comes from, in words; may be empty.
    pub(crate) origin: String,
    /// Its methods, values, fields or members.
    pub(crate) parts: Vec<String>,
}

/// Reads `vss-abi.json`.
///
/// # Errors
///
/// The file is not there, or is not what it should be.
pub(crate) fn read(path: &Path) -> Result<Vec<Group>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!(
            "the names of the VSS reference are missing: {}: {error}; the folder `shared` \
             must lie beside the repository",
            path.display()
        )
    })?;
    let file: File =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(groups(file))
}

fn groups(file: File) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, one) in file.interfaces.0 {
        groups.push(Group {
            kind: Kind::Interface,
            origin: origin(&one.header, &one.bases),
            name,
            parts: names(one.methods),
        });
    }
    for (name, one) in &file.cpp_classes.0 {
        groups.push(Group {
            kind: Kind::Class,
            name: name.clone(),
            origin: origin(&one.header, &one.bases),
            parts: one.members.iter().map(|one| one.name.clone()).collect(),
        });
    }
    for (name, one) in file.enums.0 {
        groups.push(Group {
            kind: Kind::Enumeration,
            name,
            origin: origin(&one.header, &[]),
            parts: one.values.into_iter().map(|(name, _)| name).collect(),
        });
    }
    for (name, one) in file.structs.0 {
        groups.push(Group {
            kind: Kind::Structure,
            name,
            origin: origin(&one.header, &[]),
            parts: names(one.fields),
        });
    }
    let exports = exports(&file.vssapi_exports, &groups, &file.functions);
    let types = [file.typedefs.names(), file.guids.names()].concat();
    let lists = [
        (Kind::Functions, "Functions", names(file.functions)),
        (Kind::Constants, "Constants", file.constants.names()),
        (Kind::Codes, "Codes", file.hresults.names()),
        (Kind::Types, "Types", types),
        (Kind::Exports, "Exports", exports),
    ];
    for (kind, name, parts) in lists {
        groups.push(Group {
            kind,
            name: name.to_owned(),
            origin: String::new(),
            parts,
        });
    }
    groups
}

fn names(list: Vec<Named>) -> Vec<String> {
    list.into_iter().map(|one| one.name).collect()
}

fn origin(header: &str, bases: &[String]) -> String {
    match bases {
        [] => format!("`{header}`"),
        bases => format!("`{header}`, on `{}`", bases.join("`, `")),
    }
}

/// What the library exports and no other table of the reference has: by class where
/// it is a member of one.
fn exports(exports: &[Export], groups: &[Group], functions: &[Named]) -> Vec<String> {
    let is_function = |name: &str| {
        functions
            .iter()
            .any(|known| known.name == name || known.name.strip_suffix("Internal") == Some(name))
    };
    let is_member = |class: &str, member: &str| {
        groups.iter().any(|group| {
            group.kind == Kind::Class
                && group.name == class
                && group.parts.iter().any(|part| part == member)
        })
    };
    let mut left: Vec<String> = Vec::new();
    for export in exports {
        let whole = export.demangled.as_deref().unwrap_or(&export.symbol);
        let before = whole.split('(').next().unwrap_or(whole);
        let name = before.rsplit(' ').next().unwrap_or(before);
        let (known, shown) = match name.split_once("::") {
            Some((class, member)) => {
                let has_class = groups.iter().any(|group| group.name == class);
                let shown = if has_class { name } else { class };
                (is_member(class, member), shown)
            }
            None => (is_function(name), name),
        };
        if !known && !left.iter().any(|one| one == shown) {
            left.push(shown.to_owned());
        }
    }
    left
}
