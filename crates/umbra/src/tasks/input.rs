//! Files that are named on the command line.

use crate::{exit::ExitKind, failure::Failure, output::path_text};
use std::{fs::File, io::Read, path::Path};

/// What is in a file, up to one byte past a limit: enough to see that it is passed.
pub(super) fn read(file: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ExitKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ExitKind::NoPrivilege,
                _ => ExitKind::Unexpected,
            };
            Failure::new(kind, format!("cannot read {}: {error}", path_text(file)))
        })?;
    Ok(bytes)
}
