//! What a writer can ask of the set that is being made (`CVssWriter`): which volumes
//! it has, whether a path lies on one, and where the copy of a volume is.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::{fs, os::unix::fs::MetadataExt, path::Path};
use umbra_model::{DeviceNumber, SessionId, SetId, ShadowCopyId, Volume, VolumeId};
use umbra_writer::SetEvent;

/// The file system of a folder, as a volume.
fn volume_of(folder: &Path) -> Volume {
    let device = fs::metadata(folder).unwrap().dev();
    Volume {
        id: VolumeId::new("here"),
        mount_point: folder.to_owned(),
        root: "/".into(),
        file_system: "ext4".into(),
        device: "/dev/null".into(),
        number: DeviceNumber {
            major: rustix::fs::major(device),
            minor: rustix::fs::minor(device),
        },
        mount_id: 1,
        subvolume: None,
    }
}

fn event(volumes: Vec<Volume>) -> SetEvent {
    SetEvent::new(SessionId::random(), SetId::random(), volumes, Vec::new())
}

#[test]
fn a_path_is_affected_where_its_file_system_is_in_the_set() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let event = event(vec![volume_of(here)]);
    assert_eq!(event.volumes.len(), 1);
    assert!(event.is_path_affected(here));
    // What is not there yet will be where its folder is.
    assert!(event.is_path_affected(&here.join("not/there/yet")));
    // The kernel's own file systems are never the one that sources lie on.
    assert!(!event.is_path_affected(Path::new("/proc/self")));
    assert!(!event.is_path_affected(Path::new("relative/and/nowhere")));
}

#[test]
fn the_copy_of_a_volume_is_known_once_it_exists() {
    let volume = volume_of(Path::new("/"));
    let mut event = event(vec![volume.clone()]);
    assert_eq!(event.copy_of(&volume.id), None);
    let copy = ShadowCopyId::random();
    event.copies.push((volume.id.clone(), copy));
    assert_eq!(event.copy_of(&volume.id), Some(copy));
    assert_eq!(event.copy_of(&VolumeId::new("elsewhere")), None);
}
