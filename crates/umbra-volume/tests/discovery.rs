//! Volumes, and what is none, on real mounts.

#![allow(clippy::unwrap_used, reason = "a test cannot go on without it")]

mod stage;

use rustix::mount::{MountFlags, mount, mount_bind};
use stage::machine;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
};
use umbra_model::VssCode;
use umbra_testbed::{Disk, Format, Testbed, run};
use umbra_volume::Volumes;

#[track_caller]
fn check_refused(name: &Path, code: VssCode, words: &[&str]) {
    let error = machine().resolve(name).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.message().contains(word), "{word:?} in: {error}");
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn blkid(disk: &Disk) -> String {
    let asked = ["-p", "-s", "UUID", "-o", "value", shown(&disk.device)];
    run("blkid", asked).trim().to_owned()
}

fn folder(bed: &Testbed, name: &str) -> PathBuf {
    let folder = bed.folder().join(name);
    fs::create_dir(&folder).unwrap();
    bed.will_unmount(&folder);
    folder
}

#[test]
fn a_volume_has_many_names() {
    let bed = Testbed::new();
    for (format, kind) in [(Format::Ext4, "ext4"), (Format::Xfs, "xfs")] {
        let disk = bed.disk(format, 320);
        let volume = machine().resolve(&disk.mount).unwrap();
        assert_eq!(volume.mount_point, disk.mount);
        assert_eq!(volume.device, disk.device);
        assert_eq!(volume.file_system, kind);
        assert_eq!(volume.root, Path::new("/"));
        assert_eq!(volume.subvolume, None);
        assert_eq!(volume.id.as_str(), blkid(&disk));

        let link = bed.folder().join(format!("link-{kind}"));
        symlink(&disk.device, &link).unwrap();
        let slashed = PathBuf::from(format!("{}///", shown(&disk.mount)));
        let dotted = disk.mount.join("../").join(disk.mount.file_name().unwrap());
        for name in [
            &disk.device,
            &link,
            &slashed,
            &dotted,
            Path::new(volume.id.as_str()),
        ] {
            assert_eq!(machine().resolve(name).unwrap(), volume, "{name:?}");
        }

        let file = disk.mount.join("folder");
        fs::create_dir(&file).unwrap();
        assert_eq!(machine().containing(&file).unwrap(), volume);
        check_refused(
            &file,
            VssCode::ObjectNotFound,
            &["is a path on the volume", shown(&disk.mount)],
        );
    }
}

#[test]
fn what_is_no_volume_says_why() {
    let bed = Testbed::new();
    check_refused(Path::new("/proc"), VssCode::VolumeNotSupported, &["proc"]);
    check_refused(
        Path::new("/sys/kernel"),
        VssCode::VolumeNotSupported,
        &["sysfs"],
    );
    check_refused(
        Path::new("/no/such/place"),
        VssCode::ObjectNotFound,
        &["/no/such/place"],
    );
    check_refused(Path::new("srv"), VssCode::ObjectNotFound, &["absolute"]);
    check_refused(
        Path::new("/dev/null"),
        VssCode::VolumeNotSupported,
        &["devtmpfs"],
    );

    let tmpfs = folder(&bed, "tmpfs");
    mount("none", &tmpfs, "tmpfs", MountFlags::empty(), None).unwrap();
    check_refused(&tmpfs, VssCode::VolumeNotSupported, &["tmpfs", "memory"]);
    let error = machine().containing(&tmpfs).unwrap_err();
    assert_eq!(error.code(), VssCode::VolumeNotSupported);

    let disk = bed.disk(Format::Ext4, 32);
    disk.unmount();
    check_refused(&disk.device, VssCode::ObjectNotFound, &["is not mounted"]);

    let listed = machine().list().unwrap();
    assert!(listed.iter().all(|of| of.mount_point != tmpfs));
    assert!(listed.iter().all(|of| of.mount_point != Path::new("/proc")));
}

#[test]
fn a_bound_folder_belongs_to_its_volume() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    fs::create_dir(disk.mount.join("data")).unwrap();
    let part = folder(&bed, "part");
    mount_bind(disk.mount.join("data"), &part).unwrap();
    let again = folder(&bed, "a-second-mount-point");
    mount_bind(&disk.mount, &again).unwrap();

    check_refused(
        &part,
        VssCode::ObjectNotFound,
        &["a part of the volume", shown(&disk.mount)],
    );
    assert_eq!(machine().containing(&part).unwrap().mount_point, disk.mount);
    let second = machine().resolve(&again).unwrap();
    assert_eq!(second.mount_point, again);
    assert_eq!(second.id, machine().resolve(&disk.mount).unwrap().id);
    assert_eq!(
        machine().resolve(&disk.device).unwrap().mount_point,
        disk.mount
    );

    let listed = machine().list().unwrap();
    let of_disk: Vec<_> = listed
        .iter()
        .filter(|listing| Path::new(&listing.source) == disk.device)
        .collect();
    assert_eq!(of_disk.len(), 1, "{of_disk:?}");
    assert_eq!(of_disk[0].mount_point, disk.mount);

    // With only the folder still mounted there is no volume, and the list says so.
    disk.unmount();
    rustix::mount::unmount(&again, rustix::mount::UnmountFlags::empty()).unwrap();
    check_refused(&part, VssCode::ObjectNotFound, &["is no volume"]);
    let listed = machine().list().unwrap();
    let left = listed.iter().find(|listing| listing.mount_point == part);
    assert!(left.unwrap().volume.is_err());
}

#[test]
fn the_last_mount_on_a_mount_point_counts() {
    let bed = Testbed::new();
    let below = bed.disk(Format::Ext4, 32);
    let above = bed.disk(Format::Ext4, 32);
    mount_bind(&above.mount, &below.mount).unwrap();
    bed.will_unmount(&below.mount);
    let found = machine().resolve(&below.mount).unwrap();
    assert_eq!(found.id, machine().resolve(&above.mount).unwrap().id);
    // The one below cannot be reached, so it is not a volume now.
    let listed = machine().list().unwrap();
    assert!(
        listed
            .iter()
            .all(|listing| Path::new(&listing.source) != below.device)
    );
}

#[test]
fn a_mount_point_may_have_any_name() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let odd = bed.folder().join(OsStr::from_bytes(b"a b\\c\n#\xff"));
    fs::create_dir(&odd).unwrap();
    mount_bind(&disk.mount, &odd).unwrap();
    let found = machine().resolve(&odd);
    rustix::mount::unmount(&odd, rustix::mount::UnmountFlags::empty()).unwrap();
    assert_eq!(found.unwrap().mount_point, odd);
}

#[test]
fn a_read_only_volume_is_a_volume() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    run("mount", ["-o", "remount,ro", shown(&disk.mount)]);
    let volume = machine().resolve(&disk.mount).unwrap();
    stage::hold(
        &[stage::frozen(&volume.mount_point)],
        stage::patient(),
        vec![stage::commit(|| {})],
    )
    .unwrap();
    assert!(!disk.is_frozen());
}

#[test]
fn each_mounted_subvolume_is_a_volume() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Btrfs, 256);
    let top = machine().resolve(&disk.mount).unwrap();
    assert_eq!(top.subvolume, Some(5));
    assert_eq!(top.id.as_str(), format!("{}/subvol=5", blkid(&disk)));
    assert_eq!(top.device, disk.device);
    assert_eq!(top.number.major, 0);

    let inner = disk.mount.join("inner");
    run("btrfs", ["subvolume", "create", shown(&inner)]);
    fs::create_dir(inner.join("folder")).unwrap();
    check_refused(
        &inner,
        VssCode::ObjectNotFound,
        &["subvolume inside", shown(&disk.mount)],
    );
    let error = machine().containing(&inner.join("folder")).unwrap_err();
    assert!(
        error.message().contains("not mounted as a whole"),
        "{error}"
    );

    let at = folder(&bed, "inner");
    mount(
        &disk.device,
        &at,
        "btrfs",
        MountFlags::empty(),
        Some(c"subvol=inner"),
    )
    .unwrap();
    let volume = machine().resolve(&at).unwrap();
    assert_ne!(volume.subvolume, Some(5));
    assert_ne!(volume.number, top.number);
    assert_eq!(volume.root, Path::new("/inner"));
    assert_eq!(volume.device, disk.device);
    assert_eq!(machine().containing(&inner.join("folder")).unwrap(), volume);
    assert_eq!(
        machine().resolve(Path::new(volume.id.as_str())).unwrap(),
        volume
    );

    // The device stands for both.
    check_refused(
        &disk.device,
        VssCode::ObjectNotFound,
        &["several volumes", shown(&at)],
    );
    let part = folder(&bed, "part");
    mount_bind(at.join("folder"), &part).unwrap();
    check_refused(
        &part,
        VssCode::ObjectNotFound,
        &["a part of the volume", shown(&at)],
    );

    let listed = machine().list().unwrap();
    let of_disk = listed
        .iter()
        .filter(|of| Path::new(&of.source) == disk.device);
    assert_eq!(of_disk.filter(|of| of.volume.is_ok()).count(), 2);
}

#[test]
fn a_btrfs_has_the_name_of_each_of_its_devices() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Btrfs, 128);
    let spare = bed.disk(Format::Ext4, 128);
    spare.unmount();
    run(
        "btrfs",
        [
            "device",
            "add",
            "-f",
            shown(&spare.device),
            shown(&disk.mount),
        ],
    );
    let volume = machine().resolve(&spare.device).unwrap();
    assert_eq!(volume.mount_point, disk.mount);
}
