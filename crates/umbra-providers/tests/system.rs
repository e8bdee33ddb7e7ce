//! The system provider on real devices. Every copy is compared byte by byte with
//! a second reading of the device in the same hold.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod disorder;
mod lifecycle;

use disorder::{Disorder, Trim};
use lifecycle::*;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use umbra_model::{HoldMethod, ShadowCopy, ShadowCopyId, Volume, VssCode, VssResult};
use umbra_provider::{PendingShadowCopy, Presence, Provider, Support};
use umbra_providers::{SystemFolders, SystemProvider};
use umbra_testbed::{Disk, Format, Testbed, run};
use umbra_tracker::{Tracker, TrackerFolder};
use umbra_volume::{Extent, FreeSpace, free_space};

/// A volume, storage on another disk, and the provider between them.
struct Stage {
    disk: Disk,
    store: Disk,
    run: PathBuf,
    volume: Volume,
    provider: SystemProvider,
    // Last: it undoes the others.
    bed: Testbed,
}

/// What a frozen device held: an image of all of it, and what of it was free.
struct Instance {
    image: PathBuf,
    free: Vec<Extent>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        fs::remove_file(&self.image).unwrap();
    }
}

impl Stage {
    fn new(format: Format, megabytes: u64, storage: Format, storage_megabytes: u64) -> Self {
        let bed = Testbed::new();
        let disk = bed.disk(format, megabytes);
        let store = bed.disk(storage, storage_megabytes);
        let run = bed.folder().join("run");
        fs::create_dir(&run).unwrap();
        let pins = run.join("bpf");
        bed.undo(&format!("umount -l '{}' 2>/dev/null", pins.display()));
        let provider = SystemProvider::new(SystemFolders {
            storage: store.mount.join("a/storage"),
            run: run.clone(),
        });
        let volume = volume(&disk.mount);
        Self {
            disk,
            store,
            run,
            volume,
            provider,
            bed,
        }
    }

    fn ext4() -> Self {
        Self::new(Format::Ext4, 128, Format::Xfs, 600)
    }

    /// The folder with the volume's mirror and copies.
    fn folder(&self) -> PathBuf {
        self.store
            .mount
            .join("a/storage")
            .join(self.volume.id.as_str())
    }

    fn kept(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The device as it is now, which must be frozen, and what of it is free.
    fn look(&self) -> Instance {
        let number = rustix::fs::stat(&self.disk.device).unwrap().st_rdev;
        let device = umbra_model::DeviceNumber {
            major: rustix::fs::major(number),
            minor: rustix::fs::minor(number),
        };
        let folder = File::open(&self.disk.mount).unwrap();
        let FreeSpace::Known(free) = free_space(&folder, device).unwrap() else {
            panic!("the file system does not say what is free");
        };
        // Not through the same code: another program, past the cache.
        let name = format!("second-{}.img", ShadowCopyId::random());
        let image = self.bed.folder().join(name);
        let (from, to) = (
            format!("if={}", self.disk.device.display()),
            format!("of={}", image.display()),
        );
        run(
            "dd",
            [
                &from,
                &to,
                "bs=1M",
                "iflag=direct",
                "conv=sparse",
                "status=none",
            ],
        );
        Instance { image, free }
    }

    fn planned(&self) -> (ShadowCopy, Box<dyn PendingShadowCopy>) {
        let copy = planned(&self.provider, &self.volume).unwrap();
        let pending = begin(&self.provider, &copy).unwrap();
        (copy, pending)
    }

    /// Makes a copy in a real freeze, and looks at the device in it.
    fn make(&self) -> (ShadowCopy, Instance) {
        self.try_make().unwrap()
    }

    fn try_make(&self) -> VssResult<(ShadowCopy, Instance)> {
        let copy = planned(&self.provider, &self.volume)?;
        let mut pending = begin(&self.provider, &copy)?;
        let attempt = (|| {
            let begun = Instant::now();
            pending.end_prepare()?;
            pending.pre_commit()?;
            let prepared = begun.elapsed();
            let (committed, took, instance) = self.hold(pending.as_mut());
            committed?;
            pending.post_commit()?;
            eprintln!("prepared in {prepared:?}, commit took {took:?}");
            Ok((copy, instance))
        })();
        if attempt.is_err() {
            pending.abort()?;
        }
        attempt
    }

    fn hold(&self, pending: &mut dyn PendingShadowCopy) -> (VssResult<()>, Duration, Instance) {
        self.disk.freeze();
        let begun = Instant::now();
        let committed = pending.commit();
        let took = begun.elapsed();
        let instance = self.look();
        self.disk.thaw();
        (committed, took, instance)
    }

    fn image(&self, copy: &ShadowCopy) -> PathBuf {
        self.folder().join(format!("{}.img", copy.id))
    }

    /// That a copy is the device as it was, byte by byte, but for what is free
    /// or was free when the mirror was made: what the file system has not
    /// written since has no meaning.
    fn check_exact(&self, copy: &ShadowCopy, instance: &Instance, never_copied: &[Extent]) {
        let content = fs::read(self.image(copy)).unwrap();
        let mut wanted = fs::read(&instance.image).unwrap();
        assert_eq!(content.len(), wanted.len());
        for free in instance.free.iter().chain(never_copied) {
            let free = free.offset as usize..free.end() as usize;
            wanted[free.clone()].copy_from_slice(&content[free]);
        }
        if content != wanted {
            let first = (0..wanted.len()).find(|byte| content[*byte] != wanted[*byte]);
            panic!("the copy differs from the device, first at {first:?}");
        }
    }

    /// That the files in a copy are those on the device as it was.
    fn check_files(&self, copy: &ShadowCopy, instance: &Instance) {
        let mount = self.bed.folder().join("second");
        fs::create_dir_all(&mount).unwrap();
        let options = match self.volume.file_system.as_str() {
            "xfs" => "loop,ro,norecovery,nouuid",
            _ => "loop,ro,noload",
        };
        let (image, at) = (instance.image.to_str().unwrap(), mount.to_str().unwrap());
        run("mount", ["-o", options, image, at]);
        self.bed.will_unmount(&mount);
        let wanted = contents(&mount);
        run("umount", [at]);
        let shown = show(&self.bed, &self.provider, copy);
        assert!(contents(&shown.path) == wanted, "the files differ");
    }

    /// That the checking program finds nothing wrong with a copy.
    fn check_whole(&self, copy: &ShadowCopy) {
        let surface = self.provider.surface(copy).unwrap();
        let device = surface.device.as_ref().unwrap().to_str().unwrap();
        if self.volume.file_system == "ext4" {
            run("e2fsck", ["-fn", device]);
            return;
        }
        // A frozen XFS has its free-space counter in the log only, so the log is
        // replayed first, on a copy of the copy.
        let image = self.bed.folder().join("replayed.img");
        let mount = self.bed.folder().join("replayed");
        let (image, mount) = (image.to_str().unwrap(), mount.to_str().unwrap());
        run("cp", ["--sparse=always", device, image]);
        run("mkdir", ["-p", mount]);
        run("mount", ["-o", "loop,nouuid", image, mount]);
        run("umount", [mount]);
        run("xfs_repair", ["-n", image]);
    }

    fn check(&self, copy: &ShadowCopy, instance: &Instance) {
        self.check_files(copy, instance);
        self.check_whole(copy);
    }

    /// That the next copy is right, whatever happened before.
    fn check_next(&self) {
        fill(&self.disk.mount);
        disturb(&self.disk.mount);
        let (copy, instance) = self.make();
        self.check(&copy, &instance);
        self.provider.delete(&copy).unwrap();
        assert_eq!(self.kept(), ["mirror.img", "mirror.state"]);
    }
}

fn check_end_to_end(format: Format, megabytes: u64, storage: Format) {
    let stage = Stage::new(format, megabytes, storage, 700);
    let (disk, provider) = (&stage.disk, &stage.provider);
    assert_eq!(
        provider.is_volume_supported(&stage.volume),
        Support::Supported(HoldMethod::Freeze)
    );
    fill(&disk.mount);
    let expected = contents(&disk.mount);
    let (copy, instance) = stage.make();
    disturb(&disk.mount);
    stage.check(&copy, &instance);
    assert_eq!(provider.presence(&copy), Presence::Present);
    let shown = show(&stage.bed, provider, &copy);
    let (mut seen, mut wanted) = (contents(&shown.path), expected);
    for lost_and_found in [&mut seen, &mut wanted] {
        lost_and_found.remove(Path::new("lost+found"));
    }
    assert!(seen == wanted, "the copy differs: {:?}", seen.keys());
    let refused = fs::write(shown.path.join("x"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    drop(shown);

    // A second one, of the second state; the first stays as it is.
    let (second, later) = stage.make();
    stage.check(&second, &later);
    stage.check_files(&copy, &instance);
    provider.delete(&copy).unwrap();
    assert_eq!(provider.presence(&copy), Presence::Missing);
    assert_eq!(provider.presence(&second), Presence::Present);
    stage.check_files(&second, &later);
    provider.delete(&copy).unwrap();
    assert_fails(provider.surface(&copy), VssCode::ObjectNotFound, "is gone");
    provider.delete(&second).unwrap();
    assert_eq!(stage.kept(), ["mirror.img", "mirror.state"]);
}

#[test]
fn ext4_with_storage_on_xfs() {
    check_end_to_end(Format::Ext4, 128, Format::Xfs);
}

#[test]
fn xfs_with_storage_on_xfs() {
    check_end_to_end(Format::Xfs, 320, Format::Xfs);
}

#[test]
fn ext4_with_storage_on_btrfs() {
    check_end_to_end(Format::Ext4, 128, Format::Btrfs);
}

/// Fills the volume to the last block, makes a copy, empties it. From then on the
/// mirror has been written everywhere, so that every byte can be compared. What
/// was free even so.
fn fill_up(stage: &Stage) -> Vec<Extent> {
    let filler = stage.disk.mount.join("filler");
    let fill = "for size in 1M 64K 4K; do dd if=/dev/zero bs=$size status=none | tr '\\0' x; done \
                > $1 2> /dev/null; sync -f $1";
    run("sh", ["-c", fill, "sh", filler.to_str().unwrap()]);
    let (copy, instance) = stage.make();
    stage.provider.delete(&copy).unwrap();
    fs::remove_file(filler).unwrap();
    let free: u64 = instance.free.iter().map(|free| free.length).sum();
    // XFS keeps some for itself.
    assert!(free < 32 << 20, "{free} bytes are still free");
    instance.free.clone()
}

/// Copies one after the other while several writers do all that they can. Nothing
/// is discarded, so that the whole device must be the same.
fn check_every_byte(format: Format, megabytes: u64, copies: usize) {
    let stage = Stage::new(format, megabytes, Format::Xfs, 2000);
    let never_copied = fill_up(&stage);
    let disorder = Disorder::in_folder(&stage.disk.mount, Trim::Never);
    for _ in 0..copies {
        let (copy, instance) = stage.make();
        stage.check_exact(&copy, &instance, &never_copied);
        stage.provider.delete(&copy).unwrap();
    }
    disorder.end();
}

#[test]
fn copies_of_a_busy_ext4_are_the_device_byte_by_byte() {
    check_every_byte(Format::Ext4, 128, 12);
}

#[test]
fn copies_of_a_busy_xfs_are_the_device_byte_by_byte() {
    check_every_byte(Format::Xfs, 320, 6);
}

/// The same with free space discarded all the time: every copy has the right
/// files and is whole.
fn check_consistent(format: Format, megabytes: u64, copies: usize) {
    let stage = Stage::new(format, megabytes, Format::Xfs, 2000);
    let disorder = Disorder::in_folder(&stage.disk.mount, Trim::Often);
    for _ in 0..copies {
        let (copy, instance) = stage.make();
        stage.check(&copy, &instance);
        stage.provider.delete(&copy).unwrap();
    }
    disorder.end();
}

#[test]
fn copies_of_a_busy_ext4_are_whole() {
    check_consistent(Format::Ext4, 128, 6);
}

#[test]
fn copies_of_a_busy_xfs_are_whole() {
    check_consistent(Format::Xfs, 320, 4);
}

#[test]
fn who_is_killed_between_taking_and_settling_forgets_nothing() {
    let stage = Stage::ext4();
    fill(&stage.disk.mount);
    stage.check_next();
    for steps in 1..=3 {
        fs::write(stage.disk.mount.join("late"), vec![steps; 3 << 20]).unwrap();
        let (copy, mut pending) = stage.planned();
        pending.end_prepare().unwrap();
        if steps > 1 {
            fill(&stage.disk.mount);
            pending.pre_commit().unwrap();
        }
        if steps > 2 {
            fs::write(stage.disk.mount.join("later"), vec![steps; 1 << 20]).unwrap();
            stage.hold(pending.as_mut()).0.unwrap();
        }
        // Neither finished nor aborted. The service deletes it at its next start.
        drop(pending);
        stage.provider.delete(&copy).unwrap();
        stage.check_next();
    }
}

/// Ended after the mirror is written, and after it is split: the marks are still
/// there, or what they stand for is in the mirror.
#[cfg(feature = "failpoints")]
#[test]
fn who_is_killed_while_splitting_forgets_nothing() {
    let stage = Stage::ext4();
    let scenario = fail::FailScenario::setup();
    fill(&stage.disk.mount);
    stage.check_next();
    for point in ["system::mirrored", "system::split"] {
        fail::cfg(point, "return").unwrap();
        let (copy, mut pending) = stage.planned();
        pending.end_prepare().unwrap();
        fs::write(stage.disk.mount.join("late"), vec![5; 3 << 20]).unwrap();
        pending.pre_commit().unwrap();
        fs::write(stage.disk.mount.join("later"), vec![6; 3 << 20]).unwrap();
        stage.hold(pending.as_mut()).0.unwrap();
        assert_fails(pending.post_commit(), VssCode::ProviderVeto, point);
        drop(pending);
        fail::remove(point);
        stage.provider.delete(&copy).unwrap();
        fs::remove_file(stage.disk.mount.join("later")).unwrap();
        stage.check_next();
    }
    scenario.teardown();
}

#[test]
fn abort_leaves_nothing_but_the_mirror() {
    let stage = Stage::ext4();
    fill(&stage.disk.mount);
    for end in 0..=STEPS.len() {
        let (copy, mut pending) = stage.planned();
        for (_, step) in &STEPS[..end] {
            step(pending.as_mut()).unwrap();
        }
        assert_eq!(stage.provider.presence(&copy), Presence::Present);
        pending.abort().unwrap();
        pending.abort().unwrap();
        assert_eq!(stage.provider.presence(&copy), Presence::Missing);
        let kept = stage.kept();
        let is_mirror = |name: &String| name == "mirror.img" || name == "mirror.state";
        assert!(kept.iter().all(is_mirror), "{kept:?} after {end} steps");
    }
    stage.check_next();
}

/// As after a reboot: nobody knows what was written meanwhile.
#[test]
fn a_gap_in_tracking_and_a_lost_mirror_are_made_good() {
    let stage = Stage::ext4();
    fill(&stage.disk.mount);
    stage.check_next();
    let mirror = stage.folder().join("mirror.img");
    let forget = |what: &str| match what {
        "tracker" => {
            let place = TrackerFolder::of_run_folder(&stage.run).unwrap();
            Tracker::remove(&place, stage.volume.number).unwrap();
        }
        "mirror" => fs::remove_file(&mirror).unwrap(),
        "state" => fs::write(stage.folder().join("mirror.state"), "?").unwrap(),
        other => panic!("{other}"),
    };
    for what in ["tracker", "mirror", "state"] {
        forget(what);
        fs::write(stage.disk.mount.join(what), vec![8; 5 << 20]).unwrap();
        run("sync", ["-f", stage.disk.mount.to_str().unwrap()]);
        stage.check_next();
    }
}

#[test]
fn more_than_fits_is_refused_and_discarded_space_is_not_counted() {
    let stage = Stage::new(Format::Ext4, 256, Format::Xfs, 700);
    fill(&stage.disk.mount);
    stage.check_next();
    let late = stage.disk.mount.join("late");
    let begun = |then: &dyn Fn()| {
        let (copy, mut pending) = stage.planned();
        pending.end_prepare().unwrap();
        pending.pre_commit().unwrap();
        then();
        let (committed, _, instance) = stage.hold(pending.as_mut());
        (copy, pending, committed, instance)
    };
    let (_, mut pending, committed, _) = begun(&|| fs::write(&late, vec![1; 60 << 20]).unwrap());
    assert_fails(committed, VssCode::FlushWritesTimeout, "memory reserved");
    pending.abort().unwrap();
    drop(pending);
    stage.check_next();

    fs::remove_file(&late).unwrap();
    let (copy, mut pending, committed, instance) = begun(&|| {
        run("fstrim", [&stage.disk.mount]);
    });
    committed.unwrap();
    pending.post_commit().unwrap();
    stage.check(&copy, &instance);
}

#[test]
fn a_full_storage_is_said_and_leaves_nothing() {
    let stage = Stage::new(Format::Ext4, 128, Format::Xfs, 320);
    fill(&stage.disk.mount);
    fs::write(stage.disk.mount.join("large"), vec![3; 40 << 20]).unwrap();
    let filler = stage.store.mount.join("filler");
    fs::create_dir(&filler).unwrap();
    let fill = "cd $1 && for size in 64M 8M 1M 64K 4K; do i=0; \
                while fallocate -l $size $size.$i; do i=$((i+1)); done; done; sync -f .";
    let fill = || run("sh", ["-c", fill, "sh", filler.to_str().unwrap()]);
    fill();
    // At the first copy, then at one that has its mirror.
    let mut older: Option<ShadowCopy> = None;
    for _ in 0..2 {
        assert_fails(
            stage.try_make().map(|_| ()),
            VssCode::InsufficientStorage,
            "free some space",
        );
        let images = stage
            .kept()
            .into_iter()
            .filter(|name| !name.starts_with("mirror."));
        assert_eq!(images.count(), usize::from(older.is_some()));
        run("sh", ["-c", "rm $1/*", "sh", filler.to_str().unwrap()]);
        if let Some(older) = older.take() {
            stage.provider.delete(&older).unwrap();
        }
        stage.check_next();
        // It shares its blocks with the mirror, which then has to find others.
        older = Some(stage.make().0);
        fs::write(stage.disk.mount.join("large"), vec![4; 40 << 20]).unwrap();
        fill();
    }
}

#[test]
fn one_copy_at_a_time() {
    let stage = Stage::ext4();
    let (_, mut first) = stage.planned();
    let copy = planned(&stage.provider, &stage.volume).unwrap();
    assert_fails(
        begin(&stage.provider, &copy),
        VssCode::SnapshotSetInProgress,
        "in use for another",
    );
    assert_eq!(stage.provider.presence(&copy), Presence::Missing);
    first.abort().unwrap();
    drop(first);
    stage.check_next();
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_reason() {
    let stage = Stage::ext4();
    let check = |storage: &Path, volume: &Volume, words: &str| {
        let provider = SystemProvider::new(SystemFolders {
            storage: storage.to_owned(),
            run: stage.run.clone(),
        });
        match provider.is_volume_supported(volume) {
            Support::Unsupported(why) => assert!(why.contains(words), "{why}"),
            Support::Supported(_) => panic!("supported, but {words}"),
        }
        let code = VssCode::VolumeNotSupportedByProvider;
        assert_fails(planned(&provider, volume), code, words);
    };
    let on_store = stage.store.mount.join("x");
    let btrfs = stage.bed.disk(Format::Btrfs, 128);
    check(&on_store, &volume(&btrfs.mount), "it is btrfs");
    let neither = "neither on XFS nor on btrfs";
    check(stage.bed.folder(), &stage.volume, neither);
    check(Path::new("relative"), &stage.volume, "no absolute path");
    check(
        &on_store,
        &volume(&stage.store.mount),
        "on the volume itself",
    );
    let inner = stage.bed.disk_in(&stage.store.mount, Format::Xfs, 320);
    check(
        &inner.mount.join("x/y"),
        &volume(&stage.store.mount),
        "on the volume itself",
    );
}
