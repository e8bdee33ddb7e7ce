//! The reflink provider on real images.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lifecycle;

use lifecycle::*;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use umbra_model::{HoldMethod, VssCode};
use umbra_provider::{Presence, Provider, Support};
use umbra_providers::{ReflinkProvider, STORAGE_FOLDER};
use umbra_testbed::{Disk, Format, Testbed, run};

/// A file system whose image lies on another.
fn nested(bed: &Testbed, outer: Format, inner: Format) -> (Disk, Disk) {
    let outer = bed.disk(outer, 600);
    let megabytes = if inner == Format::Ext4 { 64 } else { 320 };
    let inner = bed.disk_in(&outer.mount, inner, megabytes);
    (outer, inner)
}

/// That the checking program finds nothing wrong with a copy.
fn check_whole(bed: &Testbed, format: Format, device: &Path) {
    let device = device.to_str().unwrap();
    if format == Format::Ext4 {
        run("e2fsck", ["-fn", device]);
        return;
    }
    // A frozen XFS has its free-space counter in the log only, so the log is
    // replayed first, on a copy of the copy.
    let image = bed.folder().join("replayed.img");
    let mount = bed.folder().join("replayed");
    let (image, mount) = (image.to_str().unwrap(), mount.to_str().unwrap());
    run("cp", ["--sparse=always", device, image]);
    run("mkdir", [mount]);
    run("mount", ["-o", "loop,nouuid", image, mount]);
    run("umount", [mount]);
    run("xfs_repair", ["-n", image]);
}

/// A copy made in a real freeze shows the instant, whole, while its volume goes
/// on; and nothing is left of it in the end.
fn check_end_to_end(outer: Format, inner: Format) {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, outer, inner);
    let volume = volume(&disk.mount);
    assert_eq!(
        provider.is_volume_supported(&volume),
        Support::Supported(HoldMethod::Freeze)
    );
    let before = in_use(&bed);
    fill(&disk.mount);
    let expected = contents(&disk.mount);

    let copy = make(&provider, &volume, || disk.freeze(), || disk.thaw()).unwrap();
    assert!(!disk.is_frozen());
    assert_in_use(&bed, before);
    disturb(&disk.mount);

    assert_eq!(provider.presence(&copy), Presence::Present);
    let storage = below.mount.join(STORAGE_FOLDER);
    assert_eq!(
        storage.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let shown = show(&bed, &provider, &copy);
    // Compared while the volume, with the same UUID, is mounted.
    let mut seen = contents(&shown.path);
    let mut wanted = expected;
    for lost_and_found in [&mut seen, &mut wanted] {
        lost_and_found.remove(Path::new("lost+found"));
    }
    assert!(seen == wanted, "the copy differs: {:?}", seen.keys());
    let refused = std::fs::write(shown.path.join("x"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    check_whole(&bed, inner, shown.surface.device.as_ref().unwrap());
    drop(shown);
    assert_in_use(&bed, before);

    provider.delete(&copy).unwrap();
    assert_eq!(provider.presence(&copy), Presence::Missing);
    assert!(!storage.exists());
    provider.delete(&copy).unwrap();
    assert_fails(provider.surface(&copy), VssCode::ObjectNotFound, "is gone");
    assert_in_use(&bed, before);
}

#[test]
fn ext4_on_xfs() {
    check_end_to_end(Format::Xfs, Format::Ext4);
}

#[test]
fn ext4_on_btrfs() {
    check_end_to_end(Format::Btrfs, Format::Ext4);
}

#[test]
fn xfs_on_xfs() {
    check_end_to_end(Format::Xfs, Format::Xfs);
}

/// Much is cloned before the instant; the copy must show the instant all the same.
#[test]
fn what_changes_after_the_preparation_is_in_the_copy() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (_below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    fill(&disk.mount);
    let mut expected = None;
    let hold = || {
        disturb(&disk.mount);
        std::fs::write(disk.mount.join("late"), vec![7; 9 << 20]).unwrap();
        expected = Some(contents(&disk.mount));
        disk.freeze();
    };
    let copy = make(&provider, &volume(&disk.mount), hold, || disk.thaw()).unwrap();
    std::fs::write(disk.mount.join("late"), vec![8; 9 << 20]).unwrap();
    let shown = show(&bed, &provider, &copy);
    assert!(Some(contents(&shown.path)) == expected);
    check_whole(&bed, Format::Ext4, shown.surface.device.as_ref().unwrap());
}

#[test]
fn an_image_without_checksums_on_btrfs() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let below = bed.disk(Format::Btrfs, 300);
    let image = below.mount.join("nocow.img");
    std::fs::File::create(&image).unwrap();
    run("chattr", ["+C", image.to_str().unwrap()]);
    run("truncate", ["-s", "64M", image.to_str().unwrap()]);
    let disk = bed.disk_on(&image, Format::Ext4);
    fill(&disk.mount);
    let volume = volume(&disk.mount);
    let copy = make(&provider, &volume, || disk.freeze(), || disk.thaw()).unwrap();
    let shown = show(&bed, &provider, &copy);
    assert_eq!(contents(&shown.path), contents(&disk.mount));
}

#[test]
fn a_file_system_in_a_part_of_an_image() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let below = bed.disk(Format::Xfs, 320);
    let image = below.mount.join("part.img");
    let image = image.to_str().unwrap();
    run("truncate", ["-s", "80M", image]);
    let args = [
        "-f",
        "--show",
        "-o",
        "1048576",
        "--sizelimit",
        "67108864",
        image,
    ];
    let device = run("losetup", args);
    let device = device.trim();
    bed.undo(&format!("losetup -d {device}"));
    run("mkfs.ext4", ["-q", device]);
    let mount = bed.folder().join("part");
    std::fs::create_dir(&mount).unwrap();
    run("mount", [device, mount.to_str().unwrap()]);
    bed.will_unmount(&mount);
    fill(&mount);

    let volume = volume(&mount);
    let disk = Disk {
        mount: mount.clone(),
        device: PathBuf::from(device),
        image: PathBuf::from(image),
    };
    let copy = make(&provider, &volume, || disk.freeze(), || disk.thaw()).unwrap();
    let shown = show(&bed, &provider, &copy);
    assert_eq!(contents(&shown.path), contents(&mount));
    let size = run(
        "blockdev",
        [
            "--getsize64",
            shown.surface.device.as_ref().unwrap().to_str().unwrap(),
        ],
    );
    assert_eq!(size.trim(), "67108864");
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_reason() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let check = |volume: &umbra_model::Volume, words: &str| {
        match provider.is_volume_supported(volume) {
            Support::Unsupported(why) => assert!(why.contains(words), "{why}"),
            Support::Supported(_) => panic!("supported, but {words}"),
        }
        let code = VssCode::VolumeNotSupportedByProvider;
        assert_fails(planned(&provider, volume), code, words);
    };
    let below = bed.disk(Format::Xfs, 600);
    check(&volume(&below.mount), "neither on XFS nor on btrfs");
    let inner = bed.disk_in(&below.mount, Format::Btrfs, 128);
    check(&volume(&inner.mount), "it is btrfs");
    check(&volume(Path::new("/")), "no loop device");

    let image = bed.folder().join("plain-xfs.img");
    run("truncate", ["-s", "320M", image.to_str().unwrap()]);
    run(
        "mkfs.xfs",
        ["-q", "-m", "reflink=0", image.to_str().unwrap()],
    );
    let mount = bed.folder().join("plain-xfs");
    std::fs::create_dir(&mount).unwrap();
    run(
        "mount",
        [
            "-o",
            "loop",
            image.to_str().unwrap(),
            mount.to_str().unwrap(),
        ],
    );
    bed.will_unmount(&mount);
    let inner = bed.disk_in(&mount, Format::Ext4, 32);
    check(&volume(&inner.mount), "made without reflinks");

    let moved = bed.disk_in(&below.mount, Format::Ext4, 32);
    std::fs::rename(&moved.image, below.mount.join("elsewhere")).unwrap();
    std::fs::write(&moved.image, "something else").unwrap();
    // The kernel follows the file; the path that it says must be the file's.
    assert_eq!(
        provider.is_volume_supported(&volume(&moved.mount)),
        Support::Supported(HoldMethod::Freeze)
    );
    std::fs::remove_file(below.mount.join("elsewhere")).unwrap();
    check(&volume(&moved.mount), "does not lead to the file");
}

#[test]
fn a_partition_of_a_loop_device_is_refused() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let below = bed.disk(Format::Xfs, 320);
    let image = below.mount.join("disk.img");
    let image = image.to_str().unwrap();
    run("truncate", ["-s", "64M", image]);
    let device = run("losetup", ["-f", "--show", image]);
    let device = device.trim();
    bed.undo(&format!("losetup -d {device}"));
    // Told to the kernel directly, which may know no partition tables.
    run("addpart", [device, "1", "2048", "100000"]);
    bed.undo(&format!("delpart {device} 1"));
    let partition = format!("{device}p1");
    run("mkfs.ext4", ["-q", &partition]);
    let mount = bed.folder().join("partition");
    std::fs::create_dir(&mount).unwrap();
    run("mount", [partition.as_str(), mount.to_str().unwrap()]);
    bed.will_unmount(&mount);
    match provider.is_volume_supported(&volume(&mount)) {
        Support::Unsupported(why) => assert!(why.contains("partition of a loop device"), "{why}"),
        Support::Supported(_) => panic!("supported"),
    }
}

#[test]
fn abort_leaves_nothing_after_any_step() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    let volume = volume(&disk.mount);
    let before = in_use(&bed);
    let there = contents(&below.mount).into_keys().collect::<Vec<_>>();
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
        assert_eq!(
            contents(&below.mount).into_keys().collect::<Vec<_>>(),
            there
        );
        assert_in_use(&bed, before);
    }
}

#[test]
fn a_half_made_copy_of_a_dead_service_is_deleted() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    let volume = volume(&disk.mount);
    for steps in 0..=STEPS.len() {
        let copy = planned(&provider, &volume).unwrap();
        let mut pending = begin(&provider, &copy).unwrap();
        for (_, run) in &STEPS[..steps] {
            run(pending.as_mut()).unwrap();
        }
        drop(pending);
        assert!(below.mount.join(STORAGE_FOLDER).exists());
        provider.delete(&copy).unwrap();
        assert!(!below.mount.join(STORAGE_FOLDER).exists());
    }
}

#[test]
fn the_folder_stays_while_a_copy_is_in_it_or_in_the_making() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    let volume = volume(&disk.mount);
    let storage = below.mount.join(STORAGE_FOLDER);
    let first = make(&provider, &volume, || (), || ()).unwrap();
    let second = make(&provider, &volume, || (), || ()).unwrap();
    provider.delete(&first).unwrap();
    assert_eq!(provider.presence(&second), Presence::Present);
    provider.delete(&second).unwrap();
    assert!(!storage.exists());
}

#[test]
fn deleting_a_mounted_copy_frees_it_when_it_is_unmounted() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    fill(&disk.mount);
    let before = in_use(&bed);
    let volume = volume(&disk.mount);
    let copy = make(&provider, &volume, || disk.freeze(), || disk.thaw()).unwrap();
    let shown = show(&bed, &provider, &copy);
    provider.delete(&copy).unwrap();
    assert!(!below.mount.join(STORAGE_FOLDER).exists());
    assert_eq!(contents(&shown.path), contents(&disk.mount));
    drop(shown);
    assert_in_use(&bed, before);
}

#[test]
fn copies_on_an_unmounted_file_system_are_unreachable_not_missing() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let below = bed.disk(Format::Xfs, 320);
    let folder = below.mount.join("a/b");
    std::fs::create_dir_all(&folder).unwrap();
    let disk = bed.disk_in(&folder, Format::Ext4, 32);
    let volume = volume(&disk.mount);
    let copy = make(&provider, &volume, || disk.freeze(), || disk.thaw()).unwrap();

    let mount = below.mount.to_str().unwrap();
    run("umount", [disk.mount.to_str().unwrap()]);
    run("losetup", ["-d", disk.device.to_str().unwrap()]);
    run("umount", [mount]);
    match provider.presence(&copy) {
        Presence::Unreachable(why) => assert!(why.contains("mount it there"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_fails(
        provider.delete(&copy),
        VssCode::ObjectNotFound,
        "not mounted",
    );
    assert_fails(
        provider.surface(&copy),
        VssCode::ObjectNotFound,
        "not mounted",
    );

    run("mount", [below.device.to_str().unwrap(), mount]);
    assert_eq!(provider.presence(&copy), Presence::Present);
    drop(show(&bed, &provider, &copy));
    std::fs::remove_dir_all(below.mount.join("a")).unwrap();
    assert_eq!(provider.presence(&copy), Presence::Missing);
    provider.delete(&copy).unwrap();
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    let volume = volume(&disk.mount);
    fill(&disk.mount);
    // So that it writes nothing while the disk below is full.
    run("mount", ["-o", "remount,ro", disk.mount.to_str().unwrap()]);
    run("sync", ["-f", below.mount.to_str().unwrap()]);
    let filler = below.mount.join("filler");
    std::fs::create_dir(&filler).unwrap();
    let fill = "cd $1 && for size in 64M 8M 1M 64K 4K; do i=0; \
                while fallocate -l $size $size.$i; do i=$((i+1)); done; done; sync -f .";
    run("sh", ["-c", fill, "sh", filler.to_str().unwrap()]);
    let before = in_use(&bed);
    assert_fails(
        make(&provider, &volume, || (), || ()),
        VssCode::InsufficientStorage,
        "free some space",
    );
    run("rm", ["-rf", filler.to_str().unwrap()]);
    assert!(!below.mount.join(STORAGE_FOLDER).exists());
    assert_in_use(&bed, before);
    let copy = make(&provider, &volume, || (), || ()).unwrap();
    provider.delete(&copy).unwrap();
}

#[test]
fn a_strangers_folder_is_not_used() {
    let bed = Testbed::new();
    let provider = ReflinkProvider::default();
    let (below, disk) = nested(&bed, Format::Xfs, Format::Ext4);
    let volume = volume(&disk.mount);
    let storage = below.mount.join(STORAGE_FOLDER);
    let refused = |what: &str| {
        let copy = planned(&provider, &volume).unwrap();
        assert_fails(begin(&provider, &copy), VssCode::AccessDenied, "0700");
        assert!(storage.symlink_metadata().is_ok(), "{what} was removed");
    };
    std::os::unix::fs::symlink(bed.folder(), &storage).unwrap();
    refused("a link");
    std::fs::remove_file(&storage).unwrap();
    std::fs::create_dir(&storage).unwrap();
    std::fs::set_permissions(&storage, std::fs::Permissions::from_mode(0o755)).unwrap();
    refused("a public folder");
    std::fs::set_permissions(&storage, std::fs::Permissions::from_mode(0o700)).unwrap();
    run("chown", ["1000", storage.to_str().unwrap()]);
    refused("another user's folder");
}
