//! The hold on real file systems, when all goes well or a volume or a commit
//! does not.

mod stage;

use stage::{Writer, atomic, commit, frozen, hold, limits, machine, patient, prepare, within};
use std::{fs, path::Path, sync::Mutex, time::Duration};
use umbra_model::{VssCode, VssError};
use umbra_testbed::{Format, Testbed, run};
use umbra_volume::Volumes;

#[test]
fn writes_stand_still_while_commits_are_made() {
    let bed = Testbed::new();
    let disks = [bed.disk(Format::Ext4, 64), bed.disk(Format::Xfs, 320)];
    let writers = disks.each_ref().map(|disk| Writer::on(&disk.mount));
    let volumes = disks.each_ref().map(|disk| frozen(&disk.mount));
    let still = || writers.iter().for_each(Writer::assert_stands_still);
    let report = hold(&volumes, patient(), vec![commit(still), commit(still)]).unwrap();
    writers.iter().for_each(Writer::assert_moves);

    assert_eq!(report.volumes.len(), 2);
    assert_eq!(report.skew, Duration::ZERO);
    let starts = report.volumes.iter().map(|of| of.commit_started);
    let first_commit = starts.min().unwrap();
    for volume in &report.volumes {
        assert!(volume.freeze_started.unwrap() <= volume.frozen.unwrap());
        assert!(volume.frozen.unwrap() <= first_commit);
        assert!(volume.commit_ended >= volume.commit_started + Duration::from_millis(60));
        assert!(volume.released.unwrap() >= volume.commit_ended);
        assert!(report.held >= volume.released.unwrap() - volume.freeze_started.unwrap());
    }
}

#[test]
fn an_inner_volume_is_copied_onto_the_outer_one_before_that_is_frozen() {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 512);
    let inner = bed.disk_in(&outer.mount, Format::Ext4, 32);
    let writers = [Writer::on(&inner.mount), Writer::on(&outer.mount)];
    let order = Mutex::new(Vec::new());
    let copy = outer.mount.join("copy");
    let commit_inner = || {
        writers[0].assert_stands_still();
        writers[1].assert_moves();
        run("cp", [&inner.image, &copy]);
        order.lock().unwrap().push("inner");
    };
    let commit_outer = || {
        writers.iter().for_each(Writer::assert_stands_still);
        order.lock().unwrap().push("outer");
    };
    let volumes = [frozen(&outer.mount), frozen(&inner.mount)];
    let report = hold(
        &volumes,
        patient(),
        vec![commit(commit_outer), commit(commit_inner)],
    )
    .unwrap();
    assert_eq!(*order.lock().unwrap(), ["inner", "outer"]);
    let [of_outer, of_inner] = &report.volumes[..] else {
        panic!("{report:?}")
    };
    assert!(of_inner.commit_ended <= of_outer.freeze_started.unwrap());
    assert!(of_outer.released.unwrap() <= of_inner.released.unwrap());
    assert_eq!(report.skew, Duration::ZERO);
    writers.iter().for_each(Writer::assert_moves);
    assert!(copy.exists());
}

#[test]
fn a_loop_file_that_was_deleted_still_lies_where_it_lay() {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 512);
    let inner = bed.disk_in(&outer.mount, Format::Ext4, 32);
    fs::remove_file(&inner.image).unwrap();
    let volumes = [frozen(&outer.mount), frozen(&inner.mount)];
    let report = hold(&volumes, patient(), vec![commit(|| {}), commit(|| {})]).unwrap();
    assert!(report.volumes[1].commit_ended <= report.volumes[0].freeze_started.unwrap());
}

#[test]
fn an_atomic_volume_is_copied_while_the_others_stand_still() {
    let bed = Testbed::new();
    let btrfs = bed.disk(Format::Btrfs, 256);
    let ext4 = bed.disk(Format::Ext4, 64);
    let (free, still) = (Writer::on(&btrfs.mount), Writer::on(&ext4.mount));
    let snapshot = btrfs.mount.join("snapshot");
    let commit_btrfs = || {
        still.assert_stands_still();
        free.assert_moves();
        run(
            "btrfs",
            ["subvolume", "snapshot", "-r"]
                .map(Path::new)
                .into_iter()
                .chain([btrfs.mount.as_path(), &snapshot]),
        );
    };
    let volumes = [atomic(&btrfs.mount), frozen(&ext4.mount)];
    let report = hold(
        &volumes,
        patient(),
        vec![commit(commit_btrfs), commit(|| still.assert_stands_still())],
    )
    .unwrap();
    assert_eq!(report.skew, Duration::ZERO);
    assert_eq!(report.volumes[0].frozen, None);
    assert_eq!(report.volumes[0].released, None);
    assert!(snapshot.join("written").exists());
    still.assert_moves();
}

#[test]
fn an_atomic_volume_on_a_frozen_one_is_copied_before() {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 512);
    let btrfs = bed.disk_in(&outer.mount, Format::Btrfs, 256);
    let commit_btrfs = || {
        fs::write(btrfs.mount.join("new"), "x").unwrap();
        run("sync", [Path::new("-f"), &btrfs.mount]);
    };
    let volumes = [frozen(&outer.mount), atomic(&btrfs.mount)];
    let report = hold(
        &volumes,
        patient(),
        vec![commit(|| {}), commit(commit_btrfs)],
    )
    .unwrap();
    assert!(report.volumes[1].commit_ended <= report.volumes[0].freeze_started.unwrap());
    assert!(report.skew > Duration::ZERO);
}

#[test]
fn every_device_of_a_btrfs_counts() {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 512);
    let btrfs = bed.disk(Format::Btrfs, 128);
    let spare = bed.disk_in(&outer.mount, Format::Ext4, 128);
    spare.unmount();
    let add = ["btrfs", "device", "add", "-f"].map(Path::new);
    run(
        "env",
        add.into_iter()
            .chain([spare.device.as_path(), &btrfs.mount]),
    );
    let volumes = [frozen(&outer.mount), atomic(&btrfs.mount)];
    let report = hold(&volumes, patient(), vec![commit(|| {}), commit(|| {})]).unwrap();
    assert!(report.volumes[1].commit_ended <= report.volumes[0].freeze_started.unwrap());
}

#[test]
fn atomic_volumes_alone_need_no_guardian() {
    let bed = Testbed::new();
    let disks = [bed.disk(Format::Btrfs, 128), bed.disk(Format::Btrfs, 128)];
    let volumes = disks.each_ref().map(|disk| atomic(&disk.mount));
    let mut prepared = prepare(&volumes, patient());
    let alone = stage::children();
    prepared.rehearse().unwrap();
    let nap = || std::thread::sleep(Duration::from_millis(5));
    let report = prepared.run(vec![commit(nap), commit(nap)]).unwrap();
    assert_eq!(report.held, Duration::ZERO);
    assert!(
        report.skew >= Duration::from_millis(10),
        "{:?}",
        report.skew
    );
    // The testbed's own clean-up is the only child.
    assert_eq!(alone.len(), 1);
}

#[test]
fn a_volume_frozen_by_another_program_is_named_and_left_frozen() {
    let bed = Testbed::new();
    let disks = [bed.disk(Format::Ext4, 32), bed.disk(Format::Xfs, 320)];
    let volumes = disks.each_ref().map(|disk| frozen(&disk.mount));
    let mut prepared = prepare(&volumes, patient());
    disks[1].freeze();
    let error = prepared.rehearse().unwrap_err();
    assert_eq!(error.code(), VssCode::VolumeInUse, "{error}");
    assert!(error.message().contains(disks[1].mount.to_str().unwrap()));
    drop(prepared);
    assert!(disks[1].is_frozen(), "it was thawed under its owner's feet");
    disks[1].thaw();

    // Frozen after the rehearsal, it is found by the hold itself.
    let mut prepared = prepare(&volumes, patient());
    prepared.rehearse().unwrap();
    disks[0].freeze();
    let error = prepared
        .run(vec![
            commit(|| panic!("no commit")),
            commit(|| panic!("no commit")),
        ])
        .unwrap_err();
    assert_eq!(error.code(), VssCode::VolumeInUse, "{error}");
    assert_eq!(error.later(), []);
    drop(prepared);
    assert!(disks[0].is_frozen(), "it was thawed under its owner's feet");
    disks[0].thaw();
    assert!(!disks[1].is_frozen());
}

#[test]
fn a_volume_thawed_by_another_program_in_the_hold_is_not_believed() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let volumes = [frozen(&disk.mount)];
    let error = hold(&volumes, patient(), vec![commit(|| disk.thaw())]).unwrap_err();
    assert_eq!(error.code(), VssCode::HoldWritesTimeout);
    assert!(
        error.message().contains("another program thawed"),
        "{error}"
    );
}

#[test]
fn a_commit_that_fails_or_panics_ends_the_hold() {
    let bed = Testbed::new();
    let disks = [bed.disk(Format::Ext4, 32), bed.disk(Format::Ext4, 32)];
    let volumes = disks.each_ref().map(|disk| frozen(&disk.mount));
    let veto = |name: &'static str| VssError::new(VssCode::ProviderVeto, name);
    let error = hold(
        &volumes,
        patient(),
        vec![commit(|| {}), Box::new(move || Err(veto("no room")))],
    )
    .unwrap_err();
    assert_eq!(error, veto("no room"));

    let error = hold(
        &volumes,
        patient(),
        vec![
            Box::new(move || Err(veto("no room"))),
            commit(|| {
                std::thread::sleep(Duration::from_millis(50));
                panic!("on purpose")
            }),
        ],
    )
    .unwrap_err();
    assert_eq!(error.code(), VssCode::ProviderVeto);
    assert_eq!(error.later()[0].causes(), ["on purpose"]);
    assert!(disks.iter().all(|disk| !disk.is_frozen()));
}

#[test]
fn a_volume_that_was_unmounted_meanwhile_is_not_held() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let volume = frozen(&disk.mount);
    disk.unmount();
    for remounted in [false, true] {
        if remounted {
            // Another file system in its place, perhaps with the same mount id.
            let other = bed.disk(Format::Ext4, 32);
            run(
                "mount",
                ["--bind".as_ref(), other.mount.as_path(), &disk.mount],
            );
        }
        let error = machine()
            .prepare_hold(vec![volume.clone()], patient())
            .err()
            .unwrap();
        assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
        assert!(error.message().contains(disk.mount.to_str().unwrap()));
    }
}

#[test]
fn one_file_system_cannot_be_held_twice() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let volume = frozen(&disk.mount);
    let error = machine()
        .prepare_hold(vec![volume.clone(), volume.clone()], patient())
        .err()
        .unwrap();
    assert_eq!(error.code(), VssCode::ObjectAlreadyExists);
    let error = machine()
        .prepare_hold(vec![volume; 65], patient())
        .err()
        .unwrap();
    assert_eq!(error.code(), VssCode::MaximumNumberOfVolumesReached);
}

#[test]
fn a_program_that_is_no_guardian_is_found_out() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    for program in ["/bin/true", "/no/such/program"] {
        let machine = umbra_volume::LinuxVolumes::new(umbra_volume::GuardianCommand {
            program: program.into(),
            args: Vec::new(),
        });
        let error = machine
            .prepare_hold(vec![frozen(&disk.mount)], patient())
            .err()
            .unwrap();
        assert!(error.message().contains(program), "{error}");
    }
}

#[test]
fn a_hold_can_be_run_once() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let mut prepared = prepare(&[frozen(&disk.mount)], limits(5_000, 5_000));
    assert_eq!(
        prepared.run(Vec::new()).unwrap_err().code(),
        VssCode::InvalidArgument
    );
    prepared.run(vec![commit(|| {})]).unwrap();
    let error = prepared.run(vec![commit(|| {})]).unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
}

#[test]
fn fifty_holds_leave_nothing_behind() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let volume = frozen(&disk.mount);
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = (open(), threads(), stage::children().len());
    for _ in 0..50 {
        hold(
            std::slice::from_ref(&volume),
            patient(),
            vec![commit(|| {})],
        )
        .unwrap();
        // A thread that has done its work may take a moment to disappear.
        assert!(
            within(Duration::from_secs(10), || {
                (open(), threads(), stage::children().len()) == before
            }),
            "{:?} after {before:?}",
            (open(), threads(), stage::children())
        );
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let locked = status
        .lines()
        .find(|line| line.starts_with("VmLck"))
        .unwrap();
    assert!(locked.contains(" 0 kB"), "{locked}");
    assert!(!disk.is_frozen());
}
