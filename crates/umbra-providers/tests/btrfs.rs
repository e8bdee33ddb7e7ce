//! The btrfs provider on real file systems.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lifecycle;

use lifecycle::*;
use std::path::PathBuf;
use umbra_model::{HoldMethod, Volume, VssCode};
use umbra_provider::{Presence, Provider, Support};
use umbra_providers::{BtrfsProvider, STORAGE_FOLDER};
use umbra_testbed::{Disk, Format, Testbed, run};
use umbra_volume::btrfs;

/// A subvolume of a disk, mounted by its name.
fn subvolume(bed: &Testbed, disk: &Disk, name: &str) -> PathBuf {
    run(
        "btrfs",
        [
            "subvolume",
            "create",
            disk.mount.join(name).to_str().unwrap(),
        ],
    );
    let mount = bed.folder().join(format!("sub-{name}"));
    std::fs::create_dir(&mount).unwrap();
    let option = format!("subvol={name}");
    let (device, at) = (disk.device.to_str().unwrap(), mount.to_str().unwrap());
    run("mount", ["-o", &option, device, at]);
    bed.will_unmount(&mount);
    mount
}

fn subvolumes(disk: &Disk) -> String {
    run("btrfs", ["subvolume", "list", disk.mount.to_str().unwrap()])
}

#[test]
fn a_copy_shows_the_instant_while_its_volume_goes_on() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let volume = volume(&disk.mount);
    assert_eq!(
        provider.is_volume_supported(&volume),
        Support::Supported(HoldMethod::Atomic)
    );
    let before = in_use(&bed);
    fill(&disk.mount);
    let expected = contents(&disk.mount);
    let copy = make(&provider, &volume, || (), || ()).unwrap();
    assert_in_use(&bed, before);
    disturb(&disk.mount);

    assert_eq!(provider.presence(&copy), Presence::Present);
    let shown = show(&bed, &provider, &copy);
    let mut seen = contents(&shown.path);
    // The folder that the snapshot itself lies in is part of the top level.
    seen.retain(|path, _| !path.starts_with(STORAGE_FOLDER));
    assert!(seen == expected, "the copy differs: {:?}", seen.keys());
    let refused = std::fs::write(shown.path.join("x"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let root = std::fs::File::open(&shown.path).unwrap();
    assert!(btrfs::is_read_only(&root).unwrap());
    let origin = std::fs::File::open(&disk.mount).unwrap();
    let snapshot = btrfs::subvolume_of(&root).unwrap();
    let source = btrfs::subvolume_of(&origin).unwrap();
    assert_eq!(snapshot.parent, source.uuid);
    assert_eq!(source.id, 5);
    assert!(!btrfs::is_read_only(&origin).unwrap());
    drop((root, origin));
    std::fs::write(disk.mount.join("still"), "writable").unwrap();
    drop(shown);
    assert_in_use(&bed, before);

    provider.delete(&copy).unwrap();
    assert_eq!(provider.presence(&copy), Presence::Missing);
    provider.delete(&copy).unwrap();
    assert_fails(provider.surface(&copy), VssCode::ObjectNotFound, "is gone");
    assert_eq!(subvolumes(&disk), "");
    assert!(!disk.mount.join(STORAGE_FOLDER).exists());
    assert_in_use(&bed, before);
}

#[test]
fn a_subvolume_is_copied_by_itself() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    std::fs::write(disk.mount.join("outside"), "of the subvolume").unwrap();
    let data = subvolume(&bed, &disk, "data");
    fill(&data);
    let volume = volume(&data);
    let expected = contents(&data);
    let copy = make(&provider, &volume, || (), || ()).unwrap();
    disturb(&data);
    let shown = show(&bed, &provider, &copy);
    assert_eq!(contents(&shown.path), expected);
    drop(shown);
    provider.delete(&copy).unwrap();
    assert_eq!(subvolumes(&disk).lines().count(), 1);
}

#[test]
fn abort_leaves_nothing_after_any_step() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let volume = volume(&disk.mount);
    let before = in_use(&bed);
    for steps in 0..=STEPS.len() {
        let copy = planned(&provider, &volume).unwrap();
        let mut pending = begin(&provider, &copy).unwrap();
        for (step, run) in &STEPS[..steps] {
            run(pending.as_mut()).unwrap_or_else(|error| panic!("{step}: {error}"));
        }
        pending.abort().unwrap();
        pending.abort().unwrap();
        drop(pending);
        assert_eq!(provider.presence(&copy), Presence::Missing, "{steps}");
        assert!(!disk.mount.join(STORAGE_FOLDER).exists());
        assert_in_use(&bed, before);
    }
}

#[test]
fn a_half_made_copy_of_a_dead_service_is_deleted() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let volume = volume(&disk.mount);
    for steps in 0..=STEPS.len() {
        let copy = planned(&provider, &volume).unwrap();
        let mut pending = begin(&provider, &copy).unwrap();
        for (_, run) in &STEPS[..steps] {
            run(pending.as_mut()).unwrap();
        }
        drop(pending);
        provider.delete(&copy).unwrap();
        assert_eq!(subvolumes(&disk), "");
        assert!(!disk.mount.join(STORAGE_FOLDER).exists());
    }
}

#[test]
fn the_folder_stays_while_a_copy_is_in_it_or_in_the_making() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let volume = volume(&disk.mount);
    let first = make(&provider, &volume, || (), || ()).unwrap();
    let second = planned(&provider, &volume).unwrap();
    let mut pending = begin(&provider, &second).unwrap();
    pending.end_prepare().unwrap();
    // The folder is empty now, but the second copy is about to go there.
    provider.delete(&first).unwrap();
    pending.commit().unwrap();
    pending.post_commit().unwrap();
    drop(pending);
    assert_eq!(provider.presence(&second), Presence::Present);
    provider.delete(&second).unwrap();
    assert!(!disk.mount.join(STORAGE_FOLDER).exists());
}

#[test]
fn copies_are_found_when_their_volume_is_not_mounted() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let data = subvolume(&bed, &disk, "data");
    fill(&data);
    let volume = volume(&data);
    let expected = contents(&data);
    let [one, two, three] = [(); 3].map(|()| make(&provider, &volume, || (), || ()).unwrap());

    // Another subvolume of the file system still is.
    run("umount", [data.to_str().unwrap()]);
    assert_eq!(provider.presence(&one), Presence::Present);
    provider.delete(&one).unwrap();
    // Nothing of the file system is, but its device is there.
    run("umount", [disk.mount.to_str().unwrap()]);
    disk.await_release();
    assert_eq!(provider.presence(&two), Presence::Present);
    let shown = show(&bed, &provider, &two);
    assert_eq!(contents(&shown.path), expected);
    // The copy's read-only mount, the first of all, does not stand in the way.
    provider.delete(&three).unwrap();
    let (device, mount) = (disk.device.to_str().unwrap(), disk.mount.to_str().unwrap());
    run("mount", [device, mount]);
    std::fs::write(disk.mount.join("x"), "writable").unwrap();
    drop(shown);
    // The device is gone.
    run("umount", [mount]);
    run("losetup", ["-d", device]);
    match provider.presence(&two) {
        Presence::Unreachable(why) => assert!(why.contains("not on this machine"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_fails(
        provider.delete(&two),
        VssCode::ObjectNotFound,
        "attach and mount it",
    );
    run("losetup", [device, disk.image.to_str().unwrap()]);
    run("mount", [device, mount]);
    assert_eq!(provider.presence(&two), Presence::Present);
    provider.delete(&two).unwrap();
}

#[test]
fn deleting_a_mounted_copy_empties_its_mount() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    fill(&disk.mount);
    let before = in_use(&bed);
    let copy = make(&provider, &volume(&disk.mount), || (), || ()).unwrap();
    let shown = show(&bed, &provider, &copy);
    provider.delete(&copy).unwrap();
    assert_eq!(provider.presence(&copy), Presence::Missing);
    drop(shown);
    assert_in_use(&bed, before);
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_reason() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let ext4 = bed.disk(Format::Ext4, 32);
    let check = |volume: &Volume, words: &str| match provider.is_volume_supported(volume) {
        Support::Unsupported(why) => assert!(why.contains(words), "{why}"),
        Support::Supported(_) => panic!("supported, but {words}"),
    };
    check(&volume(&ext4.mount), "it is ext4");
    let folder = disk.mount.join("folder");
    std::fs::create_dir(&folder).unwrap();
    let bind = bed.folder().join("bind");
    std::fs::create_dir(&bind).unwrap();
    run(
        "mount",
        ["--bind", folder.to_str().unwrap(), bind.to_str().unwrap()],
    );
    bed.will_unmount(&bind);
    let bound = Volume {
        mount_point: bind,
        ..volume(&disk.mount)
    };
    check(&bound, "not a subvolume");
}

#[test]
fn a_read_only_file_system_is_said_and_stays_so() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    fill(&disk.mount);
    let expected = contents(&disk.mount);
    let volume = volume(&disk.mount);
    let earlier = make(&provider, &volume, || (), || ()).unwrap();
    let mount = disk.mount.to_str().unwrap();
    run("mount", ["-o", "remount,ro", mount]);
    let copy = planned(&provider, &volume).unwrap();
    let words = "must be writable";
    assert_fails(begin(&provider, &copy), VssCode::Unexpected, words);
    assert_fails(provider.delete(&earlier), VssCode::Unexpected, words);
    assert_eq!(provider.presence(&copy), Presence::Missing);
    assert_eq!(provider.presence(&earlier), Presence::Present);
    let mut seen = contents(&show(&bed, &provider, &earlier).path);
    seen.retain(|path, _| !path.starts_with(STORAGE_FOLDER));
    assert!(seen == expected);
    // None of this made it writable again.
    let options = run("findmnt", ["-n", "-o", "FS-OPTIONS", mount]);
    assert!(options.starts_with("ro"), "{options}");
}

#[test]
fn another_subvolume_in_the_place_of_the_chosen_one_is_noticed() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let data = subvolume(&bed, &disk, "data");
    let volume = volume(&data);
    let copy = planned(&provider, &volume).unwrap();
    run("umount", [data.to_str().unwrap()]);
    run(
        "mount",
        [disk.device.to_str().unwrap(), data.to_str().unwrap()],
    );
    assert_fails(
        begin(&provider, &copy),
        VssCode::ObjectNotFound,
        "another subvolume",
    );
}

#[test]
fn a_frozen_file_system_is_noticed() {
    let bed = Testbed::new();
    let provider = BtrfsProvider::default();
    let disk = bed.disk(Format::Btrfs, 200);
    let volume = volume(&disk.mount);
    let copy = planned(&provider, &volume).unwrap();
    let before = in_use(&bed);
    disk.freeze();
    let result = begin(&provider, &copy);
    // What a service does after that does not hang either.
    let found = provider.presence(&copy);
    disk.thaw();
    assert_fails(result, VssCode::VolumeInUse, "may have frozen it");
    assert_eq!(found, Presence::Missing);
    // The attempt that came through in the end cleans up after itself.
    assert_in_use(&bed, before);
    assert!(!disk.mount.join(STORAGE_FOLDER).exists());
    let copy = make(&provider, &volume, || (), || ()).unwrap();
    provider.delete(&copy).unwrap();
}
