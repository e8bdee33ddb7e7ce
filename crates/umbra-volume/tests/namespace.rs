//! The private view, entered by a process of its own: the example `enter_view`,
//! since a test's process has threads.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use umbra_testbed::{Disk, Format, Testbed, run};

fn enter_view() -> PathBuf {
    let program = std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/enter_view");
    assert!(
        program.exists(),
        "{program:?} is missing; `cargo build -p umbra-volume --examples` builds it"
    );
    program
}

/// A command in a view.
struct View {
    command: Command,
}

impl View {
    fn new() -> Self {
        let mut command = Command::new(enter_view());
        command.current_dir("/");
        Self { command }
    }

    fn copy(mut self, at: &Path, copy: &Disk, file_system: &str, options: &str) -> Self {
        self.command.arg("--copy").arg(at).arg(file_system);
        self.command.arg(&copy.device).arg(options);
        self
    }

    fn live(mut self, path: &Path) -> Self {
        self.command.arg("--live").arg(path);
        self
    }

    fn in_folder(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    fn run(mut self, script: &str, args: &[&Path]) -> Output {
        self.command.args(["--", "/bin/bash", "-c", script, "bash"]);
        let output = self.command.args(args).output().unwrap();
        println!(
            "{}--- {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// What a script prints, which must succeed and bring no warning.
    fn prints(self, script: &str, args: &[&Path]) -> String {
        let output = self.run(script, args);
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn write(path: impl AsRef<Path>, text: &str) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A file system that stands for the copy of another: it says so in `which`,
/// and nobody has it mounted.
fn copy_of(bed: &Testbed, fill: impl FnOnce(&Path)) -> Disk {
    let disk = bed.disk(Format::Ext4, 64);
    write(disk.mount.join("which"), "copy");
    fill(&disk.mount);
    run("umount", [&disk.mount]);
    disk.await_release();
    disk
}

fn volume(bed: &Testbed) -> Disk {
    let disk = bed.disk(Format::Ext4, 64);
    write(disk.mount.join("which"), "live");
    disk
}

/// Mounts a new small file system below another.
fn mount_below(bed: &Testbed, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    run(
        "mount",
        [
            OsStr::new("-t"),
            OsStr::new("tmpfs"),
            OsStr::new("child"),
            folder.as_os_str(),
        ],
    );
    bed.will_unmount(folder);
    write(folder.join("which"), "child");
}

#[test]
fn a_copy_is_at_the_usual_path_and_only_for_the_command() {
    let bed = Testbed::new();
    let live = volume(&bed);
    let copy = copy_of(&bed, |_| ());
    // Nothing of the view may get out through a shared mount.
    run(
        "mount",
        [OsStr::new("--make-shared"), live.mount.as_os_str()],
    );
    let mounts =
        String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo").unwrap()).into_owned();
    let script = r#"cat "$1/which"; touch "$1/x" 2>/dev/null || echo " read-only";
                    findmnt -n -o OPTIONS --target "$1" | tail -n 1
                    mount -t tmpfs view "$1""#;
    let printed = View::new()
        .copy(&live.mount, &copy, "ext4", "noload")
        .prints(script, &[&live.mount]);
    let (said, options) = printed.split_once('\n').unwrap();
    assert_eq!(said, "copy read-only");
    assert!(options.starts_with("ro,nosuid,nodev"), "{options}");
    assert_eq!(
        std::fs::read_to_string(live.mount.join("which")).unwrap(),
        "live"
    );
    let after =
        String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo").unwrap()).into_owned();
    let here = |table: &str| {
        table
            .lines()
            .filter(|line| line.contains(bed.folder().to_str().unwrap()))
            .count()
    };
    assert_eq!(here(&after), here(&mounts));
}

#[test]
fn mounts_below_a_copy_and_live_paths_stay() {
    let bed = Testbed::new();
    let live = volume(&bed);
    let child = live.mount.join("a b/child");
    mount_below(&bed, &child);
    mount_below(&bed, &child.join("inner"));
    write(live.mount.join("cache/of/tool"), "live cache");
    write(live.mount.join("single"), "live file");
    let copy = copy_of(&bed, |folder| {
        std::fs::create_dir_all(folder.join("a b/child")).unwrap();
        std::fs::create_dir_all(folder.join("cache")).unwrap();
        write(folder.join("single"), "copied file");
    });
    let script = r#"cd "$1"; cat which "a b/child/which" "a b/child/inner/which" cache/of/tool single
                    echo from the view > cache/new; echo changed > single
                    touch "a b/x" 2>/dev/null || echo " read-only""#;
    let printed = View::new()
        .copy(&live.mount, &copy, "ext4", "noload")
        .live(&live.mount.join("cache"))
        .live(&live.mount.join("single"))
        .prints(script, &[&live.mount]);
    assert_eq!(printed, "copychildchildlive cachelive file read-only\n");
    let read = |name: &str| std::fs::read_to_string(live.mount.join(name)).unwrap();
    assert_eq!(read("cache/new"), "from the view\n");
    assert_eq!(read("single"), "changed\n");
}

#[test]
fn copies_below_copies_and_hidden_mounts() {
    let bed = Testbed::new();
    let outer = volume(&bed);
    let inner = volume(&bed);
    let inside = outer.mount.join("inside");
    std::fs::create_dir(&inside).unwrap();
    run(
        "mount",
        [
            OsStr::new("--bind"),
            inner.mount.as_os_str(),
            inside.as_os_str(),
        ],
    );
    bed.will_unmount(&inside);
    // One mount hides another, and the first hides a third.
    let twice = outer.mount.join("twice");
    mount_below(&bed, &twice.join("hidden"));
    mount_below(&bed, &twice);
    write(twice.join("which"), "first");
    mount_below(&bed, &twice);
    write(twice.join("which"), "second");
    let outer_copy = copy_of(&bed, |folder| {
        std::fs::create_dir(folder.join("inside")).unwrap();
        std::fs::create_dir(folder.join("twice")).unwrap();
    });
    let inner_copy = copy_of(&bed, |folder| write(folder.join("which"), "inner copy"));
    // In the wrong order, too. The inner volume's other mount stays live.
    let printed = View::new()
        .copy(&inside, &inner_copy, "ext4", "noload")
        .copy(&outer.mount, &outer_copy, "ext4", "noload")
        .prints(
            r#"cat "$1/which" "$2/which" "$3/which" "$4/which"; ls "$4""#,
            &[&outer.mount, &inside, &inner.mount, &twice],
        );
    assert_eq!(printed, "copyinner copylivesecondwhich\n");
}

#[test]
fn what_the_copy_has_no_place_for_is_said() {
    let bed = Testbed::new();
    let live = volume(&bed);
    mount_below(&bed, &live.mount.join("late"));
    write(live.mount.join("new/file"), "live");
    let copy = copy_of(&bed, |folder| {
        // A link in a copy leads no mount astray.
        std::os::unix::fs::symlink(bed.folder(), folder.join("new")).unwrap();
    });
    let view = || View::new().copy(&live.mount, &copy, "ext4", "noload");
    let output = view().run("cat \"$1/which\"", &[&live.mount]);
    assert!(output.status.success());
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("late is not visible"), "{warning}");
    assert_eq!(warning.lines().count(), 1);

    let refused = |view: View, words: &str| {
        let output = view.run("echo ran", &[]);
        assert_eq!(output.status.code(), Some(125));
        assert!(output.stdout.is_empty());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(words), "{error}");
    };
    refused(view().live(&live.mount.join("new")), "has nothing like it");
    refused(view().live(&live.mount.join("nowhere")), "is not there");
    refused(view().live(&live.mount), "both a shadow copy and live");
    refused(
        View::new().copy(&bed.folder().join("nowhere"), &copy, "ext4", ""),
        "there is no",
    );
    refused(
        View::new().copy(&live.mount, &copy, "ext4", "no-such-option"),
        "the kernel says: ext4: Unknown parameter 'no-such-option'",
    );
}

#[test]
fn the_working_directory_is_found_again() {
    let bed = Testbed::new();
    let live = volume(&bed);
    let both = live.mount.join("in/both");
    let only_live = live.mount.join("in/live");
    write(both.join("which"), "live");
    write(only_live.join("which"), "live");
    let copy = copy_of(&bed, |folder| write(folder.join("in/both/which"), "copy"));
    let view = || View::new().copy(&live.mount, &copy, "ext4", "noload");
    let printed = view().in_folder(&both).prints("pwd; cat which", &[]);
    assert_eq!(printed, format!("{}\ncopy", both.display()));
    let output = view().in_folder(&only_live).run("pwd", &[]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/\n");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("using / instead")
    );
}

/// A copy of `/` in the view: an unrelated file system with a shell in it.
#[test]
fn the_root_can_be_a_copy() {
    let bed = Testbed::new();
    let copy = copy_of(&bed, |folder| {
        for program in [
            "bash", "cat", "ls", "id", "touch", "findmnt", "mkdir", "head", "stat",
        ] {
            let path = run(
                "sh",
                ["-c", &format!("readlink -f $(command -v {program})")],
            );
            let libraries = run("ldd", [path.trim()]);
            let libraries = libraries
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
                .map(|library| std::fs::canonicalize(library).map(|real| (library, real)));
            let mut wanted = vec![(path.trim().to_owned(), PathBuf::from(path.trim()))];
            wanted.extend(libraries.map(|found| {
                let (library, real) = found.unwrap();
                (library.to_owned(), real)
            }));
            for (name, real) in wanted {
                let at = folder.join(name.trim_start_matches('/'));
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                std::fs::copy(real, at).unwrap();
            }
        }
        let missing = !folder.join("bin/bash").exists();
        if missing {
            std::os::unix::fs::symlink("usr/bin", folder.join("bin")).unwrap();
        }
        for name in ["proc", "sys", "dev", "run", "tmp"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        // The way to the testbed's folder, for what is mounted there.
        std::fs::create_dir_all(folder.join(bed.folder().strip_prefix("/").unwrap())).unwrap();
    });
    let other = volume(&bed);
    let place = other.mount.strip_prefix("/").unwrap().to_owned();
    run("mount", [&copy.device, &copy.mount]);
    std::fs::create_dir_all(copy.mount.join(&place)).unwrap();
    run("umount", [&copy.mount]);
    copy.await_release();

    let in_tmp = tempfile::tempdir_in("/tmp").unwrap();
    write(in_tmp.path().join("which"), "live tmp\n");
    let in_run = tempfile::tempdir_in("/run").unwrap();
    write(in_run.path().join("which"), "live run\n");
    let script = r#"
        cat /which; echo
        touch /x 2>/dev/null || echo read-only
        cat "$1/which"; echo
        cat "$2/which" "$3/which"
        echo written > "$2/new" || exit 1
        [ "$(cat /proc/self/comm)" = cat ] && echo proc
        [ -d /sys/block ] && echo sys
        head -c 4 /dev/zero > /dev/null && [ -c /dev/null ] && echo dev
        [ -e /etc/passwd ] || echo no live etc
        findmnt -n -o FSTYPE,OPTIONS / | head -n 1
        findmnt -n -o TARGET | cat > "$2/mounts"
        pwd
    "#;
    let output = View::new()
        .copy(Path::new("/"), &copy, "ext4", "noload")
        .in_folder(in_tmp.path())
        .run(script, &[&other.mount, in_tmp.path(), in_run.path()]);
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let expected = [
        "copy",
        "read-only",
        "live",
        "live tmp",
        "live run",
        "proc",
        "sys",
        "dev",
        "no live etc",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert!(
        lines[expected.len()].contains("ro,nosuid,nodev"),
        "{printed}"
    );
    assert_eq!(lines.last(), Some(&in_tmp.path().to_str().unwrap()));
    let read = |name: &str| std::fs::read_to_string(in_tmp.path().join(name)).unwrap();
    assert_eq!(read("new"), "written\n");
    // The old root is out of the view: one root, and nothing of it below.
    assert_eq!(
        read("mounts").lines().filter(|line| *line == "/").count(),
        1
    );
}
