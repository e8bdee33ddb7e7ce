//! What the tests of writers need: events about real folders, and the names that
//! Windows knows.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod schema;

pub use schema::assert_windows_would_read;

use std::{os::unix::fs::MetadataExt, path::Path};
use umbra_model::{DeviceNumber, SessionId, SetId, Volume, VolumeId};
use umbra_writer::SetEvent;

/// An event of a set with the volume that a folder lies on.
pub fn event(folder: &Path, components: &[String]) -> SetEvent {
    let device = folder.metadata().unwrap().dev();
    let volumes = vec![Volume {
        id: VolumeId::new("test"),
        mount_point: "/".into(),
        root: "/".into(),
        file_system: "ext4".into(),
        device: "/dev/null".into(),
        number: DeviceNumber {
            major: rustix::fs::major(device),
            minor: rustix::fs::minor(device),
        },
        mount_id: 1,
        subvolume: None,
    }];
    SetEvent::new(
        SessionId::random(),
        SetId::random(),
        volumes,
        components.to_vec(),
    )
}
