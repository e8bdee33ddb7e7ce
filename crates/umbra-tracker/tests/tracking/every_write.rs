//! No kind of write escapes.

use crate::stage::{Content, Stage, check_disk, check_marks, chunks, number, take};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::*},
    },
    thread,
    time::{Duration, Instant},
};
use umbra_testbed::{Disk, Format, run, succeeds};
use umbra_tracker::ChunkSize;

/// One line of commands for xfs_io, which makes every kind of write there is.
fn xfs_io(file: &Path, options: &str, commands: &[&str]) {
    let mut arguments = vec!["-f", options];
    for command in commands {
        arguments.extend(["-c", command]);
    }
    arguments.push(file.to_str().unwrap());
    run("xfs_io", arguments);
}

fn check_every_kind(format: Format, megabytes: u64) {
    let stage = Stage::new();
    let disk = stage.bed.disk(format, megabytes);
    let tracker = stage.attach(&disk.device);
    let file = disk.mount.join("file");
    let check = |what: &str, options: &str, commands: &[&str]| {
        check_disk(&disk, &tracker, what, || xfs_io(&file, options, commands));
    };
    check("buffered", "-t", &["pwrite -S 1 0 3m"]);
    check("O_DIRECT", "-d", &["pwrite -S 2 -b 64k 16k 1m"]);
    check("O_SYNC", "-s", &["pwrite -S 3 -b 4k 100k 40k"]);
    check(
        "mmap",
        "-n",
        &["mmap -rw 0 2m", "mwrite -S 4 5000 300000", "msync -s"],
    );
    check("preallocated", "-n", &["falloc 4m 4m", "pwrite -S 5 5m 1m"]);
    check("zero range", "-n", &["fzero 64k 512k"]);
    check("punched hole", "-n", &["fpunch 1m 512k", "pwrite 1m 4k"]);
    check("truncated", "-n", &["truncate 300001"]);
    check_disk(&disk, &tracker, "metadata", || {
        for number in 0..200 {
            let folder = disk.mount.join(format!("folder{number}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("small"), [7; 100]).unwrap();
        }
    });
    check("something to trim", "-n", &["pwrite -S 6 0 8m"]);
    fs::remove_file(&file).unwrap();
    check_disk(&disk, &tracker, "trimmed", || {
        run("sync", ["-f", disk.mount.to_str().unwrap()]);
        run("fstrim", [&disk.mount]);
    });
}

#[test]
fn every_kind_of_write_to_ext4_is_marked() {
    check_every_kind(Format::Ext4, 64);
}

#[test]
fn every_kind_of_write_to_xfs_is_marked() {
    check_every_kind(Format::Xfs, 320);
}

#[test]
fn raw_writes_discards_and_zeroes_are_marked_exactly() {
    let stage = Stage::new();
    let (device, image) = stage.raw_disk("raw.img", 32);
    let tracker = stage.attach(&device);
    let device = device.to_str().unwrap();
    let check = |what: &str, program: &str, arguments: &[&str], expected: &[u64]| {
        let marked = check_marks(
            &tracker,
            || Content::of(&image),
            what,
            || {
                run(program, arguments.iter().chain(&[device]));
            },
        );
        assert!(marked.iter().eq(expected), "{what}: {marked:?}");
    };
    let chunk = |number: u64| (number * 16384).to_string();
    let discard = ["-o", &chunk(10), "-l", &chunk(3)];
    check("discard", "blkdiscard", &discard, &[10, 11, 12]);
    let zero = ["-z", "-o", &chunk(20), "-l", "4096"];
    check("zeroes", "blkdiscard", &zero, &[20]);
    let words: Vec<u64> = (60..200).collect();
    let long = ["-z", "-o", &chunk(60), "-l", &chunk(140)];
    check("many words", "blkdiscard", &long, &words);
    let marked = check_marks(
        &tracker,
        || Content::of(&image),
        "a flush with data",
        || {
            run(
                "xfs_io",
                ["-s", "-d", "-c", "pwrite -S 1 524288 4096", device],
            );
        },
    );
    assert!(marked.contains(&32), "{marked:?}");
}

#[test]
fn a_partition_has_its_own_chunks_only() {
    let stage = Stage::new();
    let (device, image) = stage.raw_disk("parts.img", 64);
    let name = device.to_str().unwrap();
    // An odd start: no chunk of the partition is one of the disk.
    let (start, length) = (30_003, 60_000);
    run("addpart", [name, "1", "8", "29995"]);
    run(
        "addpart",
        [name, "2", &start.to_string(), &length.to_string()],
    );
    let [first, second] = [1, 2].map(|number| PathBuf::from(format!("{name}p{number}")));
    let mount = stage.bed.folder().join("partition");
    fs::create_dir(&mount).unwrap();
    run("mkfs.ext4", ["-q", second.to_str().unwrap()]);
    run("mount", [&second, &mount]);
    stage.bed.will_unmount(&mount);

    let tracker = stage.attach(&second);
    assert_eq!(tracker.chunks(), (length * 512_u64).div_ceil(16384));
    let part = || Content::of_part(&image, start * 512, length * 512);
    let marked = check_marks(&tracker, part, "a file in a partition", || {
        fs::write(mount.join("file"), vec![1; 3 << 20]).unwrap();
        run("sync", ["-f", mount.to_str().unwrap()]);
    });
    assert!(marked.len() >= 192, "{marked:?}");
    tracker.settle();
    let zero = |offset: u64, length: u64, what: &Path| {
        let [offset, length] = [offset, length].map(|sectors| (sectors * 512).to_string());
        run(
            "blkdiscard",
            [
                "-f",
                "-z",
                "-o",
                &offset,
                "-l",
                &length,
                what.to_str().unwrap(),
            ],
        );
    };
    zero(0, 29_995, &first);
    zero(start + length, 8, &device);
    assert_eq!(chunks(&take(&tracker)), [].into());
    // A write that begins in front of the partition: its part only.
    zero(start - 3, 4, &device);
    assert_eq!(chunks(&take(&tracker)), [0].into());
}

/// Writers at work while a mirror is kept up to date, as the system provider
/// does; at the end the mirror must be exact.
fn check_mirror(format: Format, megabytes: u64) {
    let stage = Stage::new();
    let disk = stage.bed.disk(format, megabytes);
    let tracker = stage.attach(&disk.device);
    let mut mirror = Content::of(&disk.image);
    let done = AtomicBool::new(false);
    // ext4 goes on trimming free blocks while it is frozen.
    let trimming = Mutex::new(());
    thread::scope(|scope| {
        for seed in 1..4 {
            scope.spawn({
                let (disk, trimming, done) = (&disk, &trimming, &done);
                move || write_at_random(disk, seed, trimming, done)
            });
        }
        for round in 0..10 {
            let end = Instant::now() + Duration::from_millis(150);
            while Instant::now() < end {
                mirror.copy(&take(&tracker), tracker.chunk());
                tracker.settle();
                thread::sleep(Duration::from_millis(10));
            }
            let not_trimming = trimming.lock().unwrap();
            disk.freeze();
            mirror.copy(&take(&tracker), tracker.chunk());
            // Nothing may panic while it is frozen.
            let exact = std::panic::catch_unwind(|| {
                mirror.assert_same(tracker.chunk(), &format!("round {round}"));
            });
            disk.thaw();
            drop(not_trimming);
            tracker.settle();
            if exact.is_err() {
                done.store(true, Relaxed);
            }
            exact.unwrap();
        }
        done.store(true, Relaxed);
    });
}

fn write_at_random(disk: &Disk, seed: u64, trimming: &Mutex<()>, done: &AtomicBool) {
    let path = disk.mount.join(format!("writer{seed}"));
    let file: File = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut state = seed;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    while !done.load(Relaxed) {
        let length = 512 << random(10);
        let data = vec![u8::try_from(random(255)).unwrap(); length];
        file.write_all_at(&data, random(6 << 20)).unwrap();
        match random(40) {
            0 => file.set_len(random(6 << 20)).unwrap(),
            1 => drop(fs::write(path.with_extension("other"), &data)),
            2 => drop(fs::remove_file(path.with_extension("other"))),
            3 if seed == 1 => {
                let _trimming = trimming.lock();
                succeeds("fstrim", [&disk.mount]);
            }
            4..8 => file.sync_data().unwrap(),
            _ => {}
        }
    }
}

#[test]
fn a_mirror_of_a_busy_ext4_is_exact() {
    check_mirror(Format::Ext4, 64);
}

#[test]
fn a_mirror_of_a_busy_xfs_is_exact() {
    check_mirror(Format::Xfs, 320);
}

#[test]
fn any_chunk_size_will_do() {
    let stage = Stage::new();
    let (device, image) = stage.raw_disk("sizes.img", 8);
    for size in [ChunkSize::MIN, ChunkSize::MAX] {
        let place = &stage.folder;
        let tracker = umbra_tracker::Tracker::attach(place, number(&device), size).unwrap();
        assert_eq!(tracker.chunks(), (8 << 20) / size.bytes());
        let fill = if size == ChunkSize::MIN { 1 } else { 2 };
        let marked = check_marks(
            &tracker,
            || Content::of(&image),
            "a raw write",
            || {
                let write = format!("pwrite -S {fill} -b 1m 1m 1m");
                run("xfs_io", ["-d", "-c", &write, device.to_str().unwrap()]);
            },
        );
        assert_eq!(marked.len() as u64, (1 << 20) / size.bytes());
    }
}
