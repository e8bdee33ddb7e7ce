//! Whether the volumes of a set hold all that a component needs.

use std::{os::unix::fs::MetadataExt, path::Path};
use umbra_model::{DeviceNumber, Volume};
use umbra_writer::{WriterFailure, WriterFailureKind};

/// The volume of the set that a path lies on.
///
/// # Errors
///
/// `InconsistentSnapshot` where it lies on none: a copy of only a part of a
/// database is worth nothing.
pub(crate) fn volume_of<'a>(
    component: &str,
    path: &Path,
    volumes: &'a [Volume],
) -> Result<&'a Volume, WriterFailure> {
    let device = std::fs::metadata(path)
        .map_err(|error| {
            WriterFailure::new(
                WriterFailureKind::NonRetryable,
                format!("cannot look at {} of {component}: {error}", path.display()),
            )
        })?
        .dev();
    let number = DeviceNumber {
        major: rustix::fs::major(device),
        minor: rustix::fs::minor(device),
    };
    volumes
        .iter()
        .find(|volume| volume.number == number)
        .ok_or_else(|| {
            WriterFailure::new(
                WriterFailureKind::InconsistentSnapshot,
                format!(
                    "{component} has data in {}, which is on no volume of the set; \
                     add that volume, or leave the writer out",
                    path.display()
                ),
            )
        })
}
