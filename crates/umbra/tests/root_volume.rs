//! `umbra exec --volume /`: a machine whose root file system is itself the
//! volume. The machine is a private mount namespace whose root is a small ext4
//! image on XFS, so that nothing here touches the root of the machine that runs
//! the test.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use umbra_testbed::{Disk, Format, Testbed, run};

/// Enters the small machine and runs its script there.
const ENTER: &str = r#"
set -e
mount --make-rprivate /
cd "$1"
mount --rbind "$2" ".$2"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
pivot_root . old
umount -l /old
exec /bin/bash /script
"#;

/// What happens in it. The copy must show `before`, be read-only, and leave
/// everything else live.
const SCRIPT: &str = r#"
set -e
echo before > /state
cd /etc
umbra --root /umbra exec --no-writers --volume / --live /var/lib -- /bin/bash -c '
    echo "folder $PWD"
    echo "state $(cat /state)"
    echo "elsewhere $(cat "$OUTER")"
    echo live > /tmp/written
    echo live > /var/lib/written
    : < /dev/null && : < /proc/self/status && : < /sys/kernel/uevent_seqnum && echo "pseudo file systems"
    : > /new 2> /dev/null || echo "read-only"
    echo "copy $UMBRA_SHADOW_1_PATH"
    exit 7
' || echo "exit $?"
echo "left $(cat /tmp/written) $(cat /var/lib/written) $(umbra --root /umbra list)"
"#;

/// Copies a program and the libraries that it needs to the same paths below
/// another root.
fn install(program: &Path, root: &Path) {
    let libraries = run("ldd", [program]);
    let needed = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from);
    for file in needed.chain([program.to_owned()]) {
        let target = root.join(file.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

fn small_machine(disk: &Disk, outer: &Path) {
    let root = &disk.mount;
    for folder in [
        "proc", "sys", "dev", "run", "tmp", "etc", "old", "umbra", "var/lib", "bin",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::create_dir_all(root.join(outer.strip_prefix("/").unwrap())).unwrap();
    for program in ["/usr/bin/bash", "/usr/bin/cat", "/usr/bin/umount"] {
        install(Path::new(program), root);
    }
    let umbra = Path::new(env!("CARGO_BIN_EXE_umbra"));
    install(umbra, root);
    symlink(umbra, root.join("bin/umbra")).unwrap();
    for program in ["bash", "cat", "umount"] {
        symlink(
            format!("/usr/bin/{program}"),
            root.join("bin").join(program),
        )
        .unwrap();
    }
    fs::write(root.join("script"), SCRIPT).unwrap();
}

#[test]
fn a_root_volume_is_copied_and_everything_else_stays() {
    let bed = Testbed::new();
    let host = bed.disk(Format::Xfs, 1024);
    let disk = bed.disk_in(&host.mount, Format::Ext4, 640);
    small_machine(&disk, &host.mount);
    let outer = host.mount.join("outer");
    fs::write(&outer, "outside").unwrap();

    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", ENTER, "enter"])
        .args([&disk.mount, &host.mount])
        .env("OUTER", &outer)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let expected = [
        "folder /etc",
        "state before",
        "elsewhere outside",
        "pseudo file systems",
        "read-only",
        "copy /",
        "exit 7",
        "left live live There are no shadow copies.",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{errors}");
    assert!(errors.contains("filesystem consistency"), "{errors}");
    assert!(!disk.is_frozen());
    assert!(!host.mount.join(".umbra").exists());
}
