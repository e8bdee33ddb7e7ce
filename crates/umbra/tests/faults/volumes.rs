//! Volumes that change under a set, and volumes inside volumes.

use crate::{
    puppet::Puppet,
    stage::{Stage, assert_failed, exec_over},
    support::{Running, Umbra},
};
use serde_json::Value;
use std::{ffi::OsStr, fs, path::Path};
use tokio::runtime::Runtime;
use umbra_client::{Address, Connection, Requester};
use umbra_model::{VssCode, VssError};
use umbra_testbed::{Disk, Format, Testbed, run};

#[test]
fn a_volume_that_someone_else_froze_is_named_before_any_writer_is_frozen() {
    let stage = Stage::new();
    let mut daemon = stage.daemon();
    let (ext4, second) = (&stage.bench.ext4, &stage.second);
    let writer = Puppet::good(&stage, "Good", &ext4.mount);
    second.freeze();
    let set = [ext4.mount.as_path(), &second.mount];
    let outcome = Running::start(exec_over(&stage.bench, &set, "echo ran")).end();
    assert_failed(&outcome, 104, &[second.mount.to_str().unwrap(), "frozen"]);
    let heard = writer.heard();
    assert!(!heard.contains(&"Freeze".to_owned()), "{heard:?}");
    assert!(
        second.is_frozen(),
        "Umbra thawed what someone else had frozen"
    );
    assert!(!ext4.is_frozen());
    second.thaw();
    drop(writer);
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
}

/// After the set began, while writers prepare.
#[test]
fn a_volume_that_someone_else_freezes_meanwhile_is_found_as_well() {
    let stage = Stage::new();
    let mut daemon = stage.daemon_with("set::PrepareForSnapshot=1*sleep(700)");
    let (ext4, second) = (&stage.bench.ext4, &stage.second);
    let writer = Puppet::good(&stage, "Good", &ext4.mount);
    let set = [ext4.mount.as_path(), &second.mount];
    let requester = Running::start(exec_over(&stage.bench, &set, "echo ran"));
    stage.until_state("PrepareForSnapshot");
    second.freeze();
    let outcome = requester.end();
    assert_failed(&outcome, 104, &[second.mount.to_str().unwrap(), "frozen"]);
    let heard = writer.heard();
    assert!(!heard.contains(&"Freeze".to_owned()), "{heard:?}");
    assert!(
        second.is_frozen(),
        "Umbra thawed what someone else had frozen"
    );
    second.thaw();
    drop(writer);
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
}

/// How a file system is unmounted.
#[derive(Debug, Clone, Copy)]
enum Unmount {
    Plainly,
    Lazily,
    /// Another file system is mounted in its place.
    Replaced,
}

fn unmount(stage: &Stage, disk: &Disk, how: Unmount) {
    match how {
        Unmount::Plainly => drop(run("umount", [&disk.mount])),
        Unmount::Lazily => disk.unmount(),
        Unmount::Replaced => {
            run("umount", [&disk.mount]);
            let tmpfs: [&OsStr; 4] = [
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "none".as_ref(),
                disk.mount.as_ref(),
            ];
            run("mount", tmpfs);
        }
    }
    stage.bench.bed.will_unmount(&disk.mount);
}

fn mount_again(disk: &Disk, how: Unmount) {
    if let Unmount::Replaced = how {
        run("umount", [&disk.mount]);
    }
    run("mount", [&disk.device, &disk.mount]);
}

#[test]
fn a_volume_is_unmounted_between_add_to_snapshot_set_and_the_hold() {
    let stage = Stage::new();
    let mut daemon = stage.daemon();
    let (ext4, second) = (&stage.bench.ext4, &stage.second);
    let runtime = Runtime::new().unwrap();
    for how in [Unmount::Plainly, Unmount::Lazily, Unmount::Replaced] {
        eprintln!("{how:?}");
        let writer = Puppet::good(&stage, "Good", &ext4.mount);
        let error: VssError = runtime.block_on(async {
            let address = Address::Path(stage.bench.umbra.socket());
            let connection = Connection::open(&address).await.unwrap();
            let session = Requester::open(&connection, "a test").await.unwrap();
            session.gather_writer_metadata().await.unwrap();
            session.start_snapshot_set().await.unwrap();
            for disk in [ext4, second] {
                session.add_to_snapshot_set(&disk.mount).await.unwrap();
            }
            session.prepare_for_backup().await.unwrap();
            unmount(&stage, second, how);
            let error = session.do_snapshot_set().await.unwrap_err();
            session.close().await.unwrap();
            error
        });
        eprintln!("{error:?}");
        assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
        assert!(
            error.message().contains(second.mount.to_str().unwrap()),
            "{error}"
        );
        let heard = writer.heard();
        assert!(!heard.contains(&"Freeze".to_owned()), "{heard:?}");
        mount_again(second, how);
        drop(writer);
        stage.assert_clean(Some(&mut daemon));
    }
    stage.assert_works();
}

/// The hold keeps the file system that it was prepared for, wherever its mount
/// has gone: the copy is of that one or there is none.
#[test]
fn a_volume_is_unmounted_lazily_right_before_the_hold() {
    let stage = Stage::new();
    let second = &stage.second;
    fs::write(second.mount.join("file"), "then").unwrap();
    let mut daemon = stage.daemon_with("set::Freeze=1*sleep(700)");
    let script = format!("cat {}/file", second.mount.display());
    let requester = stage.exec(&script);
    stage.until_state("Freeze");
    unmount(&stage, second, Unmount::Lazily);
    let outcome = requester.end();
    eprintln!("{outcome:?}");
    mount_again(second, Unmount::Lazily);
    if outcome.status.success() {
        assert_eq!(outcome.stdout, "then", "{outcome:?}");
    } else {
        assert!(
            outcome.stderr.contains(second.mount.to_str().unwrap()),
            "{outcome:?}"
        );
    }
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
}

/// ext4 in an image on XFS, and that XFS in an image on btrfs, both in the set.
#[test]
fn a_file_system_inside_another_volume_of_the_set_is_copied_exactly() {
    let bed = Testbed::new();
    let btrfs = bed.disk(Format::Btrfs, 700);
    let xfs = bed.disk_in(&btrfs.mount, Format::Xfs, 400);
    let ext4 = bed.disk_in(&xfs.mount, Format::Ext4, 32);
    let umbra = Umbra::in_folder(bed.folder());
    let before = String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").unwrap()).into_owned();
    for disk in [&xfs, &ext4] {
        fs::write(disk.mount.join("file"), "then").unwrap();
    }
    for order in [[&ext4, &xfs], [&xfs, &ext4]] {
        let mut create: Vec<&OsStr> = vec!["create".as_ref(), "--json".as_ref()];
        create.extend(order.map(|disk| disk.mount.as_os_str()));
        let set = umbra.json(create);
        assert_eq!(set["skew_ms"].as_f64(), Some(0.0), "{set:#}");
        for disk in order {
            fs::write(disk.mount.join("file"), "now").unwrap();
        }
        for (copy, disk) in set["shadow_copies"].as_array().unwrap().iter().zip(order) {
            assert_eq!(copy["provider"], "reflink", "{set:#}");
            let shown = exposed(&bed, &umbra, copy, |place| {
                fs::read_to_string(place.join("file")).unwrap()
            });
            assert_eq!(shown, "then", "{:?}", disk.mount);
        }
        for disk in order {
            assert!(!disk.is_frozen());
            fs::write(disk.mount.join("file"), "then").unwrap();
        }
        umbra.ok(["delete", "--all", "--yes"]);
    }
    for disk in [&btrfs, &xfs] {
        let left = fs::read_dir(&disk.mount).unwrap().flatten();
        let left: Vec<_> = left
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name.contains("umbra"))
            .collect();
        assert!(left.is_empty(), "{left:?} on {:?}", disk.mount);
    }
    let folder = bed.folder().to_str().unwrap();
    let here = |table: &str| table.lines().filter(|line| line.contains(folder)).count();
    let after = String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").unwrap()).into_owned();
    assert_eq!(here(&after), here(&before), "{after}");
    let loops = run("losetup", ["-l", "-n", "-O", "BACK-FILE"]);
    assert_eq!(here(&loops), 3, "{loops}");
    assert_eq!(umbra.json(["list", "--json"]), Value::Array(Vec::new()));
}

fn exposed<T>(bed: &Testbed, umbra: &Umbra, copy: &Value, look: impl FnOnce(&Path) -> T) -> T {
    let place = bed.folder().join("exposed");
    fs::create_dir_all(&place).unwrap();
    bed.will_unmount(&place);
    let id = copy["id"].as_str().unwrap();
    umbra.ok(["expose", id, place.to_str().unwrap()]);
    let seen = look(&place);
    umbra.ok(["unexpose", id]);
    seen
}
