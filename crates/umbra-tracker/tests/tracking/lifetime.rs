//! What is pinned outlives the process, and is never mistaken for something else.

use crate::stage::{Stage, chunks, number, take};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};
use umbra_model::DeviceNumber;
use umbra_testbed::run;
use umbra_tracker::{ChunkSize, Tracker, TrackerError, TrackerFolder};

/// Tells a copy of this test program to play the other process.
const OTHER: &str = "UMBRA_TRACKER_OTHER";

fn write_chunk(device: &Path, number: u64) {
    let write = format!("pwrite -S {} {} 4096", number % 200 + 1, number * 16384);
    run("xfs_io", ["-d", "-c", &write, device.to_str().unwrap()]);
}

#[test]
fn tracking_goes_on_while_nobody_is_there() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("adopted.img", 16);
    let tracker = stage.attach(&device);
    let token = tracker.token();
    assert_eq!(chunks(&take(&tracker)), [].into());
    write_chunk(&device, 3);
    drop(tracker);
    write_chunk(&device, 5);
    let tracker = stage.attach(&device);
    assert_eq!(tracker.token(), token);
    assert_eq!(chunks(&take(&tracker)), [3, 5].into());
    // Pending until settled, and no longer.
    write_chunk(&device, 9);
    assert_eq!(chunks(&take(&tracker)), [3, 5, 9].into());
    tracker.settle();
    assert_eq!(chunks(&take(&tracker)), [].into());
    tracker.check_device().unwrap();
}

#[test]
fn only_one_has_it_at_a_time() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("busy.img", 16);
    let tracker = stage.attach(&device);
    let again = Tracker::attach(&stage.folder, number(&device), ChunkSize::DEFAULT);
    assert!(matches!(again, Err(TrackerError::InUse(_))), "{again:?}");
    let removed = Tracker::remove(&stage.folder, number(&device));
    assert!(
        matches!(removed, Err(TrackerError::InUse(_))),
        "{removed:?}"
    );
    drop(tracker);
    Tracker::remove(&stage.folder, number(&device)).unwrap();
    let name = number(&device).to_string().replace(':', "-");
    assert!(!stage.folder.path().join(name).exists());
    Tracker::remove(&stage.folder, number(&device)).unwrap();
}

#[test]
fn another_version_or_chunk_size_starts_anew() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("version.img", 16);
    let first = stage.attach(&device).token();
    let other = ChunkSize::new(4096).unwrap();
    let tracker = Tracker::attach(&stage.folder, number(&device), other).unwrap();
    assert_ne!(tracker.token(), first);
    drop(tracker);
    let second = stage.attach(&device).token();
    assert_eq!(stage.attach(&device).token(), second);
    let name = number(&device).to_string().replace(':', "-");
    let tracking = stage.folder.path().join(name).join("tracking");
    let record = MapHandle::from_pinned_path(tracking.join("record")).unwrap();
    let version = 0_u32.to_ne_bytes();
    record
        .update(&version, &1_u64.to_ne_bytes(), MapFlags::ANY)
        .unwrap();
    let third = stage.attach(&device).token();
    assert_ne!(third, second);
    // One whose programs were taken away is as good as none.
    fs::remove_file(tracking.join("completed_second")).unwrap();
    let tracker = stage.attach(&device);
    assert_ne!(tracker.token(), third);
    write_chunk(&device, 1);
    assert_eq!(chunks(&take(&tracker)), [1].into());
}

#[test]
fn one_left_in_the_making_is_replaced() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("making.img", 16);
    let token = stage.attach(&device).token();
    let name = number(&device).to_string().replace(':', "-");
    let folder = stage.folder.path().join(name);
    fs::rename(folder.join("tracking"), folder.join("starting")).unwrap();
    let tracker = stage.attach(&device);
    assert_ne!(tracker.token(), token);
    assert!(!folder.join("starting").exists());
}

#[test]
fn another_disk_under_the_same_number_is_not_adopted() {
    let stage = Stage::new();
    // Far above the numbers that are handed out, lest another test gets it while
    // it is free.
    let device = PathBuf::from(format!("/dev/loop{}", 970 + std::process::id() % 8));
    stage.bed.undo(&format!("losetup -d {}", device.display()));
    let [one, other] = ["one.img", "other.img"].map(|name| stage.bed.folder().join(name));
    for image in [&one, &other] {
        fs::write(image, vec![1; 16 << 20]).unwrap();
    }
    run("losetup", [&device, &one]);
    let tracker = stage.attach(&device);
    let token = tracker.token();
    run("losetup", [Path::new("-d"), &device]);
    run("losetup", [&device, &other]);
    let changed = tracker.check_device();
    assert!(
        matches!(changed, Err(TrackerError::Changed { .. })),
        "{changed:?}"
    );
    write_chunk(&device, 2);
    let untracked = tracker.take_into(&mut Vec::new()).unwrap_err();
    assert!(untracked.changed > 0, "{untracked}");
    drop(tracker);
    let tracker = stage.attach(&device);
    assert_ne!(tracker.token(), token);
    write_chunk(&device, 4);
    assert_eq!(chunks(&take(&tracker)), [4].into());
}

#[test]
fn a_disk_of_another_size_is_not_adopted() {
    let stage = Stage::new();
    let (device, image) = stage.raw_disk("grows.img", 16);
    let tracker = stage.attach(&device);
    let token = tracker.token();
    run("truncate", [Path::new("-s"), Path::new("32M"), &image]);
    run("losetup", [Path::new("-c"), &device]);
    tracker.check_device().unwrap_err();
    tracker.take_into(&mut Vec::new()).unwrap();
    write_chunk(&device, (20 << 20) / 16384);
    assert!(tracker.take_into(&mut Vec::new()).unwrap_err().changed > 0);
    drop(tracker);
    let tracker = stage.attach(&device);
    assert_ne!(tracker.token(), token);
    assert_eq!(tracker.chunks(), (32 << 20) / 16384);
}

#[test]
fn a_gap_stays_until_tracking_starts_anew() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("gap.img", 16);
    let tracker = stage.attach(&device);
    let token = tracker.token();
    let name = number(&device).to_string().replace(':', "-");
    let gaps = stage.folder.path().join(name).join("tracking/gaps");
    // What a command past the block layer does, which no loop device takes.
    MapHandle::from_pinned_path(gaps)
        .unwrap()
        .update(&0_u32.to_ne_bytes(), &1_u64.to_ne_bytes(), MapFlags::ANY)
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            tracker.take_into(&mut Vec::new()).unwrap_err().passthrough,
            1
        );
    }
    drop(tracker);
    let tracker = stage.attach(&device);
    assert_ne!(tracker.token(), token);
    tracker.take_into(&mut Vec::new()).unwrap();
}

#[test]
fn devices_that_cannot_be_tracked_are_refused_with_the_reason() {
    let stage = Stage::new();
    let refused = |device: DeviceNumber, reason: &str| {
        let said = Tracker::supports(device).unwrap_err();
        assert!(said.contains(reason), "{said}");
        let error = Tracker::attach(&stage.folder, device, ChunkSize::DEFAULT).unwrap_err();
        assert!(error.to_string().contains(&said), "{error}");
    };
    refused(
        DeviceNumber {
            major: 0,
            minor: 30,
        },
        "no block device",
    );
    refused(
        DeviceNumber {
            major: 7,
            minor: 9999,
        },
        "no such block device",
    );
    if Path::new("/dev/zram0").exists() {
        let zram = number(Path::new("/dev/zram0"));
        Tracker::supports(zram).unwrap_err();
    }
    let nowhere = TrackerFolder::at(stage.bed.folder());
    assert!(
        matches!(nowhere, Err(TrackerError::NoBpffs(_))),
        "{nowhere:?}"
    );
    let own = stage.folder.path();
    assert_eq!(TrackerFolder::at(own).unwrap(), stage.folder);
    let again = TrackerFolder::of_run_folder(own.parent().unwrap()).unwrap();
    assert_eq!(again, stage.folder, "mounted a second time");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(mounts.matches(own.to_str().unwrap()).count(), 1);
}

/// What the other process does, when it is one.
#[test]
fn other_process() {
    let Ok(order) = env::var(OTHER) else { return };
    let [folder, device] = [0, 1].map(|at| order.split('|').nth(at).unwrap());
    let folder = TrackerFolder::at(Path::new(folder)).unwrap();
    match Tracker::attach(&folder, number(Path::new(device)), ChunkSize::DEFAULT) {
        Ok(tracker) => {
            println!("OTHER: {:?}", chunks(&take(&tracker)));
            sleep(Duration::from_secs(60));
        }
        Err(error) => println!("OTHER: {error}"),
    }
}

fn other(stage: &Stage, device: &Path, before: &[&str]) -> (std::process::Child, String) {
    let program = env::current_exe().unwrap();
    let command: Vec<_> = before
        .iter()
        .map(Path::new)
        .chain([program.as_path()])
        .collect();
    let order = format!("{}|{}", stage.folder.path().display(), device.display());
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .args(["--exact", "lifetime::other_process", "--nocapture"])
        .env(OTHER, order)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let said = output
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.split_once("OTHER: ").map(|(_, said)| said.to_owned()));
    (child, said.unwrap())
}

#[test]
fn a_process_killed_between_take_and_settle_forgets_nothing() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("killed.img", 16);
    let token = stage.attach(&device).token();
    write_chunk(&device, 7);
    let (mut child, took) = other(&stage, &device, &[]);
    assert_eq!(took, "{7}");
    let busy = Tracker::attach(&stage.folder, number(&device), ChunkSize::DEFAULT);
    assert!(matches!(busy, Err(TrackerError::InUse(_))), "{busy:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    write_chunk(&device, 8);
    let tracker = stage.attach(&device);
    assert_eq!(tracker.token(), token);
    assert_eq!(chunks(&take(&tracker)), [7, 8].into());
}

#[test]
fn missing_rights_are_said() {
    let stage = Stage::new();
    let (device, _) = stage.raw_disk("rights.img", 16);
    let weak = "--bounding-set=-sys_admin,-bpf,-perfmon";
    let (mut child, said) = other(&stage, &device, &["setpriv", weak]);
    child.wait().unwrap();
    assert!(said.contains("CAP_BPF"), "{said}");
}
