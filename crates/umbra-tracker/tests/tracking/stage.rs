//! A testbed with a bpffs, and the comparison that no write may escape.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};
use umbra_model::DeviceNumber;
use umbra_testbed::{Disk, Testbed, run};
use umbra_tracker::{ChunkRange, ChunkSize, Tracker, TrackerFolder};

pub struct Stage {
    pub bed: Testbed,
    pub folder: TrackerFolder,
}

impl Stage {
    pub fn new() -> Self {
        let bed = Testbed::new();
        let folder = TrackerFolder::of_run_folder(&bed.folder().join("run")).unwrap();
        bed.undo(&format!("umount {}", folder.path().display()));
        Self { bed, folder }
    }

    pub fn attach(&self, device: &Path) -> Tracker {
        Tracker::attach(&self.folder, number(device), ChunkSize::DEFAULT).unwrap()
    }

    /// A loop device on an image full of something that is not zero.
    pub fn raw_disk(&self, name: &str, megabytes: usize) -> (PathBuf, PathBuf) {
        let image = self.bed.folder().join(name);
        fs::write(&image, vec![0xa5; megabytes << 20]).unwrap();
        let device = run("losetup", ["-f", "-P", "--show", image.to_str().unwrap()]);
        let device = PathBuf::from(device.trim());
        self.bed.undo(&format!("losetup -d {}", device.display()));
        (device, image)
    }
}

pub fn number(device: &Path) -> DeviceNumber {
    let number = fs::metadata(device).unwrap().rdev();
    DeviceNumber {
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
    }
}

pub fn take(tracker: &Tracker) -> Vec<ChunkRange> {
    let mut ranges = Vec::new();
    tracker.take_into(&mut ranges).unwrap();
    ranges
}

pub fn chunks(ranges: &[ChunkRange]) -> BTreeSet<u64> {
    ranges
        .iter()
        .flat_map(|range| range.first..range.end())
        .collect()
}

/// What a loop device's volume has just now. The image is read rather than the
/// device, whose cache may be ahead of it.
pub struct Content {
    image: PathBuf,
    start: u64,
    bytes: Vec<u8>,
}

impl Content {
    /// Of `length` bytes from `start`.
    pub fn of_part(image: &Path, start: u64, length: u64) -> Self {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        let file = File::open(image).unwrap();
        file.read_exact_at(&mut bytes, start).unwrap();
        Self {
            image: image.to_owned(),
            start,
            bytes,
        }
    }

    pub fn of(image: &Path) -> Self {
        Self::of_part(image, 0, fs::metadata(image).unwrap().len())
    }

    fn again(&self) -> Self {
        Self::of_part(&self.image, self.start, self.bytes.len() as u64)
    }

    /// The chunks that differ.
    fn difference(&self, other: &Self, chunk: ChunkSize) -> BTreeSet<u64> {
        let size = usize::try_from(chunk.bytes()).unwrap();
        let pairs = self.bytes.chunks(size).zip(other.bytes.chunks(size));
        (0..)
            .zip(pairs)
            .filter(|(_, (mine, others))| mine != others)
            .map(|(at, _)| at)
            .collect()
    }

    /// Brings these chunks up to date, as a mirror does.
    pub fn copy(&mut self, ranges: &[ChunkRange], chunk: ChunkSize) {
        let file = File::open(&self.image).unwrap();
        let end = self.bytes.len();
        for range in ranges {
            let [from, to] = [range.first, range.end()]
                .map(|at| usize::try_from(at * chunk.bytes()).unwrap().min(end));
            file.read_exact_at(&mut self.bytes[from..to], self.start + from as u64)
                .unwrap();
        }
    }

    pub fn assert_same(&self, chunk: ChunkSize, what: &str) {
        let differing = self.difference(&self.again(), chunk);
        assert!(differing.is_empty(), "{what}: {differing:?} were missed");
    }
}

/// Does some work and demands that it changed something, and that whatever it
/// changed is marked. Gives the marks.
#[track_caller]
pub fn check_marks(
    tracker: &Tracker,
    before: impl FnOnce() -> Content,
    what: &str,
    work: impl FnOnce(),
) -> BTreeSet<u64> {
    run("sync", [] as [&str; 0]);
    take(tracker);
    tracker.settle();
    let before = before();
    work();
    let after = before.again();
    // After the comparison, since a file system may write by itself meanwhile.
    let marked = chunks(&take(tracker));
    let changed = before.difference(&after, tracker.chunk());
    assert!(!changed.is_empty(), "{what} changed nothing");
    let missed: Vec<_> = changed.difference(&marked).collect();
    assert!(missed.is_empty(), "{what}: {missed:?} were missed");
    marked
}

/// The same for a mounted disk.
#[track_caller]
pub fn check_disk(disk: &Disk, tracker: &Tracker, what: &str, work: impl FnOnce()) {
    let sync = || run("sync", ["-f", disk.mount.to_str().unwrap()]);
    check_marks(
        tracker,
        || Content::of(&disk.image),
        what,
        || {
            work();
            sync();
        },
    );
}
