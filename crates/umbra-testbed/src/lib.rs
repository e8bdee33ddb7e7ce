//! Real file systems on loop devices, for tests and benchmarks.
//!
//! Everything that a [`Testbed`] makes is undone by a shell of its own, outside
//! the test's process: it thaws, unmounts and detaches when the testbed is
//! dropped, when the test's process dies in any way, and in any case after four
//! minutes. So no test can leave the machine frozen.
//!
//! Needs root and the mkfs programs; says what is missing and fails, never skips.
//!
//! Invariant: only what a testbed made is thawed, unmounted or detached.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

/// `O_EXCL` of Linux, which on a block device asks for it to be in no other use.
const O_EXCL: i32 = 0o200;

/// Reads one clean-up command a line; at the end of its input, or after four
/// minutes, runs them, last first, after thawing everything.
const JANITOR: &str = r#"
trap '' INT TERM HUP
undo=; thaw=
while IFS= read -r -t 240 line; do
    case $line in
        thaw\ *) thaw="$thaw fsfreeze -u ${line#thaw };" ;;
        *) undo="$line; $undo" ;;
    esac
done
eval "$thaw" 2>/dev/null
eval "$undo"
"#;

/// A folder with volumes in it, and the shell that will undo them.
pub struct Testbed {
    folder: PathBuf,
    janitor: Mutex<Child>,
    made: AtomicU32,
}

/// A file system in an image on a loop device, mounted.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its loop device.
    pub device: PathBuf,
    /// The image under it.
    pub image: PathBuf,
}

/// The file systems a testbed can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ext4 with a journal.
    Ext4,
    /// XFS with reflinks.
    Xfs,
    /// btrfs on one device.
    Btrfs,
    /// FAT, which Umbra does not support; not every kernel can mount it.
    Vfat,
}

impl Testbed {
    /// An empty testbed in a new folder.
    ///
    /// # Panics
    ///
    /// Without root; tests that use it cannot run then, and say so.
    #[allow(
        clippy::new_without_default,
        reason = "it does far more than a default"
    )]
    pub fn new() -> Self {
        let uid = run("id", ["-u"]);
        assert_eq!(
            uid.trim(),
            "0",
            "this test makes loop devices and needs root"
        );
        let parent = std::env::var_os("UMBRA_TESTBED").unwrap_or_else(|| "/var/tmp".into());
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        let folder = tempfile::Builder::new()
            .prefix("umbra-testbed-")
            .tempdir_in(parent)
            .expect("a folder for the testbed")
            .keep();
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        let janitor = Command::new("setsid")
            .args(["bash", "-c", JANITOR])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .expect("setsid and bash for the clean-up");
        let bed = Self {
            folder,
            janitor: Mutex::new(janitor),
            made: AtomicU32::new(0),
        };
        bed.undo(&format!("rm -rf --one-file-system {}", quoted(&bed.folder)));
        bed
    }

    /// The testbed's own folder, on the machine's file system.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new file system of this size, its image in the testbed's folder.
    pub fn disk(&self, format: Format, megabytes: u64) -> Disk {
        self.disk_in(&self.folder.clone(), format, megabytes)
    }

    /// A new file system whose image lies in a given folder, for example on
    /// another disk of the testbed.
    pub fn disk_in(&self, folder: &Path, format: Format, megabytes: u64) -> Disk {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let image = folder.join(format!("disk{number}.img"));
        run(
            "truncate",
            [
                OsStr::new("-s"),
                OsStr::new(&format!("{megabytes}M")),
                image.as_os_str(),
            ],
        );
        self.disk_on(&image, format)
    }

    /// A new file system on an existing image.
    pub fn disk_on(&self, image: &Path, format: Format) -> Disk {
        let mkfs: &[&str] = match format {
            Format::Ext4 => &["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1"],
            Format::Xfs => &["mkfs.xfs", "-q", "-f"],
            Format::Btrfs => &["mkfs.btrfs", "-q", "-f"],
            Format::Vfat => &["mkfs.vfat"],
        };
        run(
            mkfs[0],
            mkfs[1..].iter().map(OsStr::new).chain([image.as_os_str()]),
        );
        let device = run(
            "losetup",
            [OsStr::new("-f"), OsStr::new("--show"), image.as_os_str()],
        );
        let device = PathBuf::from(device.trim());
        self.undo(&format!("losetup -d {}", quoted(&device)));
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mount = self.folder.join(format!("mnt{number}"));
        run("mkdir", [mount.as_os_str()]);
        run("mount", [device.as_os_str(), mount.as_os_str()]);
        self.will_unmount(&mount);
        Disk {
            mount,
            device,
            image: image.to_owned(),
        }
    }

    /// Has a mount thawed and unmounted at the end.
    pub fn will_unmount(&self, mount: &Path) {
        self.tell(&format!("thaw {}", quoted(mount)));
        self.undo(&format!(
            "umount -R {0} 2>/dev/null || umount -R -l {0} 2>/dev/null",
            quoted(mount)
        ));
    }

    /// Has a shell command run at the end, before those registered earlier.
    pub fn undo(&self, command: &str) {
        assert!(!command.starts_with("thaw "), "use will_unmount");
        self.tell(command);
    }

    fn tell(&self, line: &str) {
        #[allow(clippy::unwrap_used, reason = "a poisoned lock means a failed test")]
        let mut janitor = self.janitor.lock().unwrap();
        #[allow(clippy::expect_used, reason = "stdin is piped and taken only in drop")]
        let stdin = janitor.stdin.as_mut().expect("the clean-up's input");
        #[allow(
            clippy::expect_used,
            reason = "a test must not go on without its clean-up"
        )]
        writeln!(stdin, "{line}").expect("the clean-up is alive");
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if let Ok(janitor) = self.janitor.get_mut() {
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

impl Disk {
    /// Freezes the file system as a stranger would, with `fsfreeze`.
    pub fn freeze(&self) {
        run("fsfreeze", [OsStr::new("-f"), self.mount.as_os_str()]);
    }

    /// Thaws it again.
    pub fn thaw(&self) {
        run("fsfreeze", [OsStr::new("-u"), self.mount.as_os_str()]);
    }

    /// Whether the file system is frozen: asks by freezing it, and thaws it
    /// again if it was not.
    pub fn is_frozen(&self) -> bool {
        let frozen = !succeeds("fsfreeze", [OsStr::new("-f"), self.mount.as_os_str()]);
        if !frozen {
            self.thaw();
        }
        frozen
    }

    /// Waits until the kernel has let go of the file system after an unmount. A
    /// private mount namespace of another test may have it mounted for as long
    /// as it lives, and meanwhile it cannot be mounted in another way.
    ///
    /// # Panics
    ///
    /// When that takes more than a minute.
    pub fn await_release(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        // Exclusive to the file system while it is mounted anywhere.
        let is_free = || {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .custom_flags(O_EXCL)
                .open(&self.device)
                .is_ok()
        };
        while !is_free() {
            assert!(
                Instant::now() < end,
                "{:?} stays mounted somewhere",
                self.device
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Unmounts the file system, lazily where it is busy.
    pub fn unmount(&self) {
        run("umount", [OsStr::new("-l"), self.mount.as_os_str()]);
    }
}

/// Runs a program and returns what it printed.
///
/// # Panics
///
/// Where it cannot be started or fails, with what it said.
pub fn run<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> String {
    let args: Vec<_> = args
        .into_iter()
        .map(|arg| arg.as_ref().to_owned())
        .collect();
    let output = Command::new(program)
        .args(&args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {args:?} failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program, without its output, and says whether it succeeded.
///
/// # Panics
///
/// Where it cannot be started.
pub fn succeeds<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("this test needs the program {program}: {error}"))
        .success()
}

fn quoted(path: &Path) -> String {
    let text = path
        .to_str()
        .unwrap_or_else(|| panic!("{path:?} is not UTF-8"));
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_nothing_behind() {
        let bed = Testbed::new();
        let disk = bed.disk(Format::Ext4, 32);
        assert!(!disk.is_frozen());
        disk.freeze();
        assert!(disk.is_frozen());
        let folder = bed.folder().to_owned();
        drop(bed);
        assert!(!folder.exists(), "{folder:?} is still there");
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
        let mounts = String::from_utf8_lossy(&mounts);
        assert!(!mounts.contains(disk.mount.to_str().unwrap()));
        let loops = run("losetup", ["-l", "-n", "-O", "BACK-FILE"]);
        assert!(!loops.contains(disk.image.to_str().unwrap()));
    }
}
