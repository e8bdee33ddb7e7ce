//! Mounts, loop devices and the btrfs ioctls on real file systems.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use rustix::fs::ioctl_ficlone;
use std::{fs::File, os::unix::fs::FileExt, path::Path, time::Duration};
use umbra_model::{DeviceNumber, VssCode, VssResult};
use umbra_testbed::{Format, Testbed, run};
use umbra_volume::{
    btrfs,
    loop_device::{Behind, LoopDevice, Window, behind},
    mount::{DetachedMount, MountRequest, is_mount_point, unmount},
    reflink::{Reflinks, clone_ahead, reflinks_of},
};

fn request(file_system: &str, source: &Path, options: &[&str]) -> MountRequest {
    MountRequest {
        file_system: file_system.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn assert_fails<T>(result: VssResult<T>, code: VssCode, words: &str) {
    match result {
        Ok(_) => panic!("succeeded, where {code} was expected"),
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

/// The number of a device node.
fn number(device: &Path) -> DeviceNumber {
    let rdev = rustix::fs::stat(device).unwrap().st_rdev;
    DeviceNumber {
        major: rustix::fs::major(rdev),
        minor: rustix::fs::minor(rdev),
    }
}

fn losetup(device: &Path) -> Vec<String> {
    let columns = "RO,AUTOCLEAR,OFFSET,SIZELIMIT,BACK-FILE";
    run(
        "losetup",
        ["-l", "-n", "-O", columns, device.to_str().unwrap()],
    )
    .split_whitespace()
    .map(str::to_owned)
    .collect()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("still not: {what}");
}

#[test]
fn a_mount_is_there_from_attach_to_unmount() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    std::fs::write(disk.mount.join("file"), "content").unwrap();
    run("umount", [&disk.mount]);
    disk.await_release();
    let at = &disk.mount;
    assert!(!is_mount_point(at).unwrap());

    let mount = DetachedMount::of(&request("ext4", &disk.device, &["noload"])).unwrap();
    assert!(!is_mount_point(at).unwrap());
    mount.attach(at).unwrap();
    drop(mount);
    assert!(is_mount_point(at).unwrap());
    assert!(is_mount_point(&at.join("")).unwrap());
    assert!(!is_mount_point(&at.join("lost+found")).unwrap());
    let options = run("findmnt", ["-n", "-o", "OPTIONS", at.to_str().unwrap()]);
    assert!(options.starts_with("ro,nosuid,nodev"), "{options}");

    let user = File::open(at.join("file")).unwrap();
    assert_fails(unmount(at), VssCode::VolumeInUse, "still uses it");
    drop(user);
    unmount(at).unwrap();
    assert_fails(unmount(at), VssCode::ObjectNotFound, "nothing is mounted");
    let nowhere = bed.folder().join("nowhere");
    assert_fails(
        unmount(&nowhere),
        VssCode::ObjectNotFound,
        "nothing is mounted",
    );
    assert_fails(
        is_mount_point(&nowhere),
        VssCode::ObjectNotFound,
        "cannot look",
    );
}

#[test]
fn a_mount_that_is_never_attached_leaves_nothing() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    run("umount", [&disk.mount]);
    disk.await_release();
    let mount = DetachedMount::of(&request("ext4", &disk.device, &[])).unwrap();
    assert_fails(
        mount.attach(&bed.folder().join("nowhere")),
        VssCode::ObjectNotFound,
        "nowhere",
    );
    drop(mount);
    // Its device is free again.
    eventually("the device can be checked", || {
        umbra_testbed::succeeds("e2fsck", ["-fp", disk.device.to_str().unwrap()])
    });
}

#[test]
fn a_failed_mount_says_what_the_kernel_says() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let check = |file_system: &str, source: &Path, options: &[&str], words: &str| {
        let result = DetachedMount::of(&request(file_system, source, options));
        assert_fails(result, VssCode::Unexpected, words);
    };
    check(
        "ext4",
        &disk.device,
        &["color=red"],
        "Unknown parameter 'color'",
    );
    check("xfs", &disk.device, &[], "cannot mount");
    check("no-such", &disk.device, &[], "No such device");
    check("ext4", &bed.folder().join("none"), &[], "the kernel says");
}

#[test]
fn a_loop_device_goes_with_its_last_user() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    std::fs::write(disk.mount.join("file"), "content").unwrap();
    run("umount", [&disk.mount]);
    disk.await_release();
    run("losetup", ["-d", disk.device.to_str().unwrap()]);
    let image = File::open(&disk.image).unwrap();
    let device = LoopDevice::attach(&image, &disk.image, Window::default()).unwrap();
    let path = device.path().to_owned();
    let shown = disk.image.to_str().unwrap();
    assert_eq!(losetup(&path), ["1", "1", "0", "0", shown]);

    let mount = DetachedMount::of(&request("ext4", &path, &["noload"])).unwrap();
    mount.attach(&disk.mount).unwrap();
    drop((device, mount, image));
    assert_eq!(losetup(&path), ["1", "1", "0", "0", shown]);
    assert_eq!(
        std::fs::read_to_string(disk.mount.join("file")).unwrap(),
        "content"
    );
    unmount(&disk.mount).unwrap();
    eventually("the device is gone", || {
        !run("losetup", ["-l", "-n", "-O", "BACK-FILE"]).contains(shown)
    });
}

#[test]
fn loop_devices_are_attached_from_many_threads() {
    let bed = Testbed::new();
    let image = bed.folder().join("image");
    std::fs::write(&image, [0; 4096]).unwrap();
    let attach = || {
        let file = File::open(&image).unwrap();
        LoopDevice::attach(&file, &image, Window::default()).unwrap()
    };
    let devices: Vec<LoopDevice> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(attach)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut paths: Vec<_> = devices.iter().map(LoopDevice::path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 12);
}

#[test]
fn what_lies_behind_a_loop_device() {
    let bed = Testbed::new();
    let image = bed.folder().join("an image\nof two lines");
    std::fs::write(&image, [7; 16384]).unwrap();
    let window = Window {
        offset: 4096,
        size_limit: 8192,
    };
    let file = File::open(&image).unwrap();
    let device = LoopDevice::attach(&file, &image, window).unwrap();
    let number = number(device.path());
    let Behind::File(backing) = behind(number).unwrap() else {
        panic!("no file");
    };
    assert_eq!((&backing.path, backing.window), (&image, window));
    backing.open().unwrap();

    // Another file by that name is not the one.
    let moved = bed.folder().join("moved");
    std::fs::rename(&image, &moved).unwrap();
    std::fs::write(&image, "another").unwrap();
    assert_fails(
        backing.open(),
        VssCode::ObjectNotFound,
        "does not lead to the file",
    );
    let Behind::File(found) = behind(number).unwrap() else {
        panic!("no file");
    };
    assert_eq!(found.path, moved);
    found.open().unwrap();

    let none = DeviceNumber {
        major: 7,
        minor: 999_999,
    };
    assert_fails(behind(none), VssCode::ObjectNotFound, "7:999999");
    let root = rustix::fs::stat("/").unwrap().st_dev;
    let root = DeviceNumber {
        major: rustix::fs::major(root),
        minor: rustix::fs::minor(root),
    };
    assert_eq!(behind(root).unwrap(), Behind::NoLoop);
}

#[test]
fn btrfs_says_who_it_is() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Btrfs, 200);
    let path = disk.mount.join("data");
    run("btrfs", ["subvolume", "create", path.to_str().unwrap()]);
    std::fs::create_dir(path.join("folder")).unwrap();
    let top = File::open(&disk.mount).unwrap();
    let data = File::open(&path).unwrap();
    let folder = File::open(path.join("folder")).unwrap();

    let uuid = run(
        "blkid",
        [
            "-p",
            "-o",
            "value",
            "-s",
            "UUID",
            disk.device.to_str().unwrap(),
        ],
    );
    let uuid = uuid.trim();
    assert_eq!(btrfs::file_system_uuid(&folder).unwrap().to_string(), uuid);
    let found = btrfs::find_device(uuid, &[]).unwrap();
    assert_eq!(found.canonicalize().unwrap(), disk.device);
    assert_eq!(btrfs::subvolume_id(&top).unwrap(), 5);
    assert_eq!(btrfs::subvolume_id(&folder).unwrap(), 256);
    assert_eq!(btrfs::subvolume_of(&data).unwrap().id, 256);
    assert!(btrfs::is_subvolume_root(&data).unwrap());
    assert!(!btrfs::is_subvolume_root(&folder).unwrap());
    assert!(!btrfs::is_read_only(&data).unwrap());
    run(
        "btrfs",
        ["property", "set", path.to_str().unwrap(), "ro", "true"],
    );
    assert!(btrfs::is_read_only(&data).unwrap());
    let stranger = File::open(bed.folder()).unwrap();
    assert!(btrfs::file_system_uuid(&stranger).is_err());
    assert!(!btrfs::is_subvolume_root(&stranger).unwrap());

    drop((top, data, folder));
    run("umount", [&disk.mount]);
    disk.await_release();
    assert_eq!(btrfs::find_device(uuid, &[]), None);
    let candidates = [Path::new("/dev/null"), &disk.device];
    assert_eq!(
        btrfs::find_device(uuid, &candidates).as_ref(),
        Some(&disk.device)
    );
}

#[test]
fn which_file_systems_share_blocks() {
    let bed = Testbed::new();
    let reflinks = |format, megabytes| {
        let disk = bed.disk(format, megabytes);
        let uuid = run(
            "blkid",
            [
                "-p",
                "-o",
                "value",
                "-s",
                "UUID",
                disk.device.to_str().unwrap(),
            ],
        );
        (reflinks_of(File::open(&disk.mount).unwrap()).unwrap(), uuid)
    };
    for format in [Format::Xfs, Format::Btrfs] {
        let (Reflinks::Shared(found), uuid) = reflinks(format, 320) else {
            panic!("{format:?} without reflinks");
        };
        assert_eq!(found.to_string(), uuid.trim());
    }
    assert_eq!(reflinks(Format::Ext4, 32).0, Reflinks::OtherFileSystem);
}

#[test]
fn a_clone_made_ahead_is_the_source_where_nothing_changed() {
    let bed = Testbed::new();
    let xfs = bed.disk(Format::Xfs, 320);
    let open = |name| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(xfs.mount.join(name)).unwrap()
    };
    // Data, a hole of many pieces, data, and an end that is no whole piece.
    let (source, clone) = (open("source"), open("clone"));
    for (offset, byte) in [(0, 1), (5 << 20, 2), (41 << 20, 3), (44 << 20, 4)] {
        source.write_all_at(&[byte; 70_000], offset).unwrap();
    }
    clone_ahead(&clone, &source).unwrap();
    let read = |file: &File, offset| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).map(|()| byte[0])
    };
    for (offset, byte) in [(0, 1), (5 << 20, 2), (20 << 20, 0), (41 << 20, 3)] {
        assert_eq!(read(&clone, offset).unwrap(), byte, "at {offset}");
    }
    assert!(
        read(&clone, 44 << 20).is_err(),
        "the end comes with FICLONE"
    );

    source.write_all_at(&[9; 10], 5 << 20).unwrap();
    ioctl_ficlone(&clone, &source).unwrap();
    let whole = |name| std::fs::read(xfs.mount.join(name)).unwrap();
    assert!(whole("clone") == whole("source"));
}

#[test]
fn nothing_is_cloned_ahead_where_it_would_not_help() {
    let bed = Testbed::new();
    for format in [Format::Btrfs, Format::Ext4] {
        let disk = bed.disk(format, 128);
        let source = disk.mount.join("source");
        std::fs::write(&source, vec![1; 8 << 20]).unwrap();
        let clone = File::create(disk.mount.join("clone")).unwrap();
        clone_ahead(&clone, File::open(&source).unwrap()).unwrap();
        assert_eq!(clone.metadata().unwrap().len(), 0, "{format:?}");
    }
}
