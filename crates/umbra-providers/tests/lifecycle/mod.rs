//! What the tests of every provider need: volumes of a testbed's disks, copies
//! made step by step, and a look at what is left behind.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use umbra_model::{SetId, ShadowCopy, ShadowCopyId, Volume, VssCode, VssResult};
use umbra_provider::{PendingShadowCopy, Provider, Surface};
use umbra_testbed::{Testbed, run};
use umbra_volume::{
    GuardianCommand, LinuxVolumes, Volumes,
    mount::{DetachedMount, MountRequest, unmount},
};

/// The volume at a mount point, as the service finds it.
pub fn volume(mount_point: &Path) -> Volume {
    // The guardian is for holds, which these tests do without.
    let guardian = GuardianCommand {
        program: PathBuf::from("/bin/false"),
        args: Vec::new(),
    };
    LinuxVolumes::new(guardian).resolve(mount_point).unwrap()
}

/// A copy that is about to be made.
pub fn planned(provider: &dyn Provider, volume: &Volume) -> VssResult<ShadowCopy> {
    let id = ShadowCopyId::random();
    Ok(ShadowCopy {
        id,
        set: SetId::random(),
        volume: volume.clone(),
        provider: provider.properties().id,
        location: provider.location(id, volume)?,
        exposed: None,
    })
}

/// Starts to make a planned copy.
pub fn begin(provider: &dyn Provider, copy: &ShadowCopy) -> VssResult<Box<dyn PendingShadowCopy>> {
    provider.begin_prepare(copy.id, &copy.volume, &copy.location)
}

/// The steps after the beginning, each with its name.
pub type Step = fn(&mut dyn PendingShadowCopy) -> VssResult<()>;
pub const STEPS: [(&str, Step); 6] = [
    ("end_prepare", |pending| pending.end_prepare()),
    ("pre_commit", |pending| pending.pre_commit()),
    ("commit", |pending| pending.commit()),
    ("post_commit", |pending| pending.post_commit()),
    ("pre_final_commit", |pending| pending.pre_final_commit()),
    ("post_final_commit", |pending| pending.post_final_commit()),
];

/// Makes a copy; the commit is called between `hold` and `release`.
pub fn make(
    provider: &dyn Provider,
    volume: &Volume,
    hold: impl FnOnce(),
    release: impl FnOnce(),
) -> VssResult<ShadowCopy> {
    let copy = planned(provider, volume)?;
    let mut pending = begin(provider, &copy)?;
    let attempt = (|| {
        pending.end_prepare()?;
        pending.pre_commit()?;
        hold();
        let committed = pending.commit();
        release();
        committed?;
        pending.post_commit()?;
        pending.pre_final_commit()?;
        pending.post_final_commit()
    })();
    match attempt {
        Ok(()) => Ok(copy),
        Err(error) => {
            pending.abort().unwrap();
            Err(error)
        }
    }
}

/// A surfaced copy, mounted until this is dropped.
pub struct Shown {
    pub path: PathBuf,
    pub surface: Surface,
}

impl Drop for Shown {
    fn drop(&mut self) {
        unmount(&self.path).unwrap();
    }
}

/// Mounts a copy.
pub fn show(bed: &Testbed, provider: &dyn Provider, copy: &ShadowCopy) -> Shown {
    let surface = provider.surface(copy).unwrap();
    let path = bed.folder().join(format!("shown-{}", copy.id));
    if !path.exists() {
        std::fs::create_dir(&path).unwrap();
        bed.will_unmount(&path);
    }
    let mount = DetachedMount::of(&MountRequest {
        file_system: surface.mount.file_system.clone(),
        source: surface.mount.source.clone(),
        options: surface.mount.options.clone(),
    })
    .unwrap();
    mount.attach(&path).unwrap();
    Shown { path, surface }
}

/// Every file below a folder with its content, every folder with nothing.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                collect(top, &path, found);
            } else {
                found.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

/// Puts files of several sizes into a volume.
pub fn fill(folder: &Path) {
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    for (name, length) in [("empty", 0), ("small", 100), ("deep/er/large", 3_000_000)] {
        let content: Vec<u8> = (0..length).map(|byte: u32| (byte % 251) as u8).collect();
        std::fs::write(folder.join(name), content).unwrap();
    }
}

/// Changes, adds and removes files.
pub fn disturb(folder: &Path) {
    std::fs::write(folder.join("small"), "changed").unwrap();
    std::fs::write(folder.join("deep/er/large"), "short now").unwrap();
    std::fs::write(folder.join("new"), "new").unwrap();
    std::fs::remove_file(folder.join("empty")).unwrap();
    run("sync", ["-f", folder.to_str().unwrap()]);
}

/// The open descriptors, mounts, and loop devices with `.umbra` in their file's
/// path below a folder.
pub fn in_use(bed: &Testbed) -> (usize, usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let folder = bed.folder().to_str().unwrap();
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
    let mounts = String::from_utf8_lossy(&mounts);
    let mounts = mounts.lines().filter(|line| line.contains(folder)).count();
    let loops = run("losetup", ["-l", "-n", "-O", "BACK-FILE"]);
    let loops = loops
        .lines()
        .filter(|file| file.contains(folder) && file.contains(".umbra"))
        .count();
    (descriptors, mounts, loops)
}

/// Waits until as much is in use as before: the kernel lets go of a loop device
/// a moment after its last user.
pub fn assert_in_use(bed: &Testbed, expected: (usize, usize, usize)) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while in_use(bed) != expected && std::time::Instant::now() < limit {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(in_use(bed), expected, "(descriptors, mounts, loop devices)");
}

/// That a result is an error with this code, whose text contains these words.
pub fn assert_fails<T>(result: VssResult<T>, code: VssCode, words: &str) {
    match result {
        Ok(_) => panic!("succeeded, where {code} was expected"),
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
