//! The rules of the house that a compiler does not know: floors, `unsafe`,
//! invariants, and that `docs/architecture.md` names rooms that exist.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every crate of the house with its floor. Crates beside the house, for tests
/// and benchmarks, may use everything and are used by no other.
const FLOORS: [(&str, u8); 15] = [
    ("umbra-model", 0),
    ("umbra-documents", 0),
    ("umbra-writer", 1),
    ("umbra-provider", 1),
    ("umbra-volume", 1),
    ("umbra-tracker", 1),
    ("umbra-protocol", 1),
    ("umbra-client", 2),
    ("umbra-writers", 2),
    ("umbra-providers", 2),
    ("umbra-service", 3),
    ("umbra-server", 4),
    ("umbra-backup", 4),
    ("umbra-conformance", 4),
    ("umbra", 5),
];
const BESIDE: [&str; 3] = ["umbra-testbed", "umbra-bench", "umbra-reference"];
/// Uses on the same floor: the vocabulary stands below the documents, and the test
/// requester copies files as any backup does.
const ALLOWED: [(&str, &str); 2] = [
    ("umbra-documents", "umbra-model"),
    ("umbra-conformance", "umbra-backup"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dependencies(name: &str) -> Vec<String> {
    let manifest = repository().join("crates").join(name).join("Cargo.toml");
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    let table = manifest["dependencies"].as_table().unwrap();
    table
        .keys()
        .filter(|key| key.starts_with("umbra"))
        .cloned()
        .collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn crates_use_only_floors_below_their_own() {
    let floors: BTreeMap<_, _> = FLOORS.into_iter().collect();
    let mut there: Vec<String> = fs::read_dir(repository().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !BESIDE.contains(&name.as_str()))
        .collect();
    there.sort();
    assert_eq!(
        there,
        floors.keys().map(ToString::to_string).collect::<Vec<_>>()
    );
    for (name, floor) in FLOORS {
        for used in dependencies(name) {
            let below = floors.get(used.as_str()).is_some_and(|of| *of < floor);
            assert!(
                below || ALLOWED.contains(&(name, used.as_str())),
                "{name} uses {used}"
            );
        }
    }
}

#[test]
fn unsafe_code_is_in_the_kernel_s_neighbours_only() {
    let crates = repository().join("crates");
    for (name, _) in FLOORS
        .into_iter()
        .filter(|(name, _)| !["umbra-volume", "umbra-tracker"].contains(name))
    {
        let mut files = Vec::new();
        rust_files(&crates.join(name).join("src"), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                !text.contains("allow(unsafe_code)"),
                "{file:?} has unsafe code"
            );
        }
    }
}

#[test]
fn every_crate_states_its_invariants() {
    for (name, _) in FLOORS {
        let root = repository().join("crates").join(name).join("src/lib.rs");
        let text = fs::read_to_string(&root).unwrap();
        assert!(
            text.lines().any(|line| line.starts_with("//! Invariant: ")),
            "{name}"
        );
    }
}

#[test]
fn the_architecture_names_rooms_that_exist() {
    let text = fs::read_to_string(repository().join("docs/architecture.md")).unwrap();
    let rooms: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("umbra") && word.contains('/'))
        .collect();
    assert!(rooms.len() > 5, "{rooms:?}");
    for room in rooms {
        assert!(
            repository().join("crates").join(room).exists(),
            "{room} is no room"
        );
    }
}
