//! Two processes in a ring write numbers in turn, each to its own volume: A
//! writes n and syncs it, then B writes n and syncs it, then A n + 1, and so on.
//! Copies that show one instant therefore have as many numbers of A as of B, or
//! one more; a later number never stands without the earlier one.

use crate::{
    copies::Taker,
    support::{Running, Umbra, eventually},
};
use std::{
    fs,
    io::{Write, pipe},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use umbra_model::Consistency;
use umbra_testbed::{Disk, Format, Testbed, run};

const SETS: usize = 200;

/// Sets of two volumes that cannot be held; there is less to find out.
const UNHELD_SETS: usize = 20;

/// How often two copies are made one after the other without a hold until they
/// contradict each other. The first pair nearly always does.
const UNHELD_TRIES: usize = 50;

/// Waits for its turn, writes the next number, syncs it, passes the turn on. It
/// ends when its neighbour or the test does.
const WRITER: &str = r#"
import itertools, os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
for number in itertools.count(1):
    if not os.read(0, 1):
        break
    os.write(file, b"%08d\n" % number)
    os.fsync(file)
    os.write(1, b".")
"#;

/// The length of one number in the file.
const RECORD: u64 = 9;

/// The two processes. They end when it is dropped.
struct Ring {
    files: [PathBuf; 2],
    _processes: [Running; 2],
}

impl Ring {
    fn on(volumes: [&Path; 2]) -> Self {
        let files = volumes.map(|volume| volume.join("numbers"));
        let (a_reads, mut b_writes) = pipe().unwrap();
        let (b_reads, a_writes) = pipe().unwrap();
        let turn = b_writes.try_clone().unwrap();
        b_writes.write_all(b".").unwrap();
        drop(b_writes);
        let processes = [
            start(&files[0], a_reads.into(), a_writes.into()),
            start(&files[1], b_reads.into(), turn.into()),
        ];
        Self {
            files,
            _processes: processes,
        }
    }

    /// Waits until both files have more numbers than so many.
    fn until_beyond(&self, number: u64) {
        for file in &self.files {
            eventually("more numbers", || {
                fs::metadata(file).is_ok_and(|data| data.len() / RECORD > number)
            });
        }
    }
}

fn start(file: &Path, turn: Stdio, pass_on: Stdio) -> Running {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "python3", "-c", WRITER])
        .arg(file)
        .stdin(turn)
        .stdout(pass_on);
    Running::start(command)
}

/// The last of the numbers in a volume's file, or in its copy's: all from 1 on
/// must be there.
fn last_number(volume: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(volume.join("numbers"))
        .map_err(|error| format!("{}: {error}", volume.display()))?;
    let mut last = 0;
    for line in text.split_terminator('\n') {
        if line != format!("{:08}", last + 1) {
            return Err(format!("{line:?} comes after {last}"));
        }
        last += 1;
    }
    Ok(last)
}

/// Whether two copies can show one instant; the number it was at.
fn one_instant(a: &Path, b: &Path) -> Result<u64, String> {
    let (a, b) = (last_number(a)?, last_number(b)?);
    if b <= a && a <= b + 1 {
        Ok(b)
    } else {
        Err(format!("A was at {a} while B was at {b}"))
    }
}

/// Two volumes that can be copied, and what they lie on.
fn two_volumes(bed: &Testbed) -> [Disk; 2] {
    let xfs = bed.disk(Format::Xfs, 400);
    let btrfs = bed.disk(Format::Btrfs, 800);
    [
        bed.disk_in(&xfs.mount, Format::Ext4, 64),
        bed.disk_in(&btrfs.mount, Format::Xfs, 320),
    ]
}

/// Takes sets of two volumes under the writers; the numbers go on from set to
/// set, and no set has a later one without the earlier one.
fn always_one_instant(bed: &Testbed, volumes: [&Path; 2]) {
    let taker = Taker::new(bed, &Umbra::in_folder(bed.folder()));
    let ring = Ring::on(volumes);
    let mut last = 0;
    for set in 0..SETS {
        ring.until_beyond(last);
        // Both orders of the volumes in the set.
        let swapped = set % 2 == 1;
        let [a, b] = volumes;
        let order = if swapped { [b, a] } else { [a, b] };
        let number = taker.with_set(order, |set, [first, second]| {
            assert_eq!(set.consistency.level, Consistency::Filesystem, "{set:?}");
            assert!(set.times.skew.is_zero(), "{set:?}");
            let (a, b) = if swapped {
                (second, first)
            } else {
                (first, second)
            };
            one_instant(a, b).unwrap_or_else(|violation| panic!("{violation}: {set:?}"))
        });
        assert!(
            number >= last,
            "set {set} went back from {last} to {number}"
        );
        assert!(number > 0, "set {set} has no numbers");
        last = number;
    }
    // The writers were really at it: a number or more for each set.
    assert!(last >= SETS as u64, "only {last} numbers in {SETS} sets");
}

#[test]
fn two_held_volumes_show_one_instant() {
    let bed = Testbed::new();
    let [ext4, xfs] = two_volumes(&bed);
    always_one_instant(&bed, [&ext4.mount, &xfs.mount]);
}

#[test]
fn one_volume_that_cannot_be_held_shows_the_instant_of_the_others() {
    let bed = Testbed::new();
    let btrfs = bed.disk(Format::Btrfs, 128);
    let [ext4, _] = two_volumes(&bed);
    always_one_instant(&bed, [&btrfs.mount, &ext4.mount]);
}

#[test]
fn two_volumes_that_cannot_be_held_claim_no_more_than_they_are() {
    let bed = Testbed::new();
    let disks = [0, 1].map(|_| bed.disk(Format::Btrfs, 128));
    let volumes = [disks[0].mount.as_path(), disks[1].mount.as_path()];
    let taker = Taker::new(&bed, &Umbra::in_folder(bed.folder()));
    let ring = Ring::on(volumes);
    let mut last = 0;
    for _ in 0..UNHELD_SETS {
        ring.until_beyond(last);
        taker.with_set(volumes, |set, copies| {
            let verdict = &set.consistency;
            assert_eq!(verdict.level, Consistency::Crash, "{set:?}");
            assert!(!set.times.skew.is_zero(), "{set:?}");
            for word in [volumes[0].to_str().unwrap(), "cannot be held", "apart"] {
                assert!(verdict.reason.contains(word), "no {word:?} in {set:?}");
            }
            // Each is still whole by itself.
            for copy in copies {
                last = last_number(copy).unwrap();
            }
        });
    }
}

/// The control: the same writers and the same check, and copies that a script
/// makes without holding anything. If the check found nothing there, the tests
/// above would prove nothing.
#[test]
fn without_a_hold_the_copies_contradict_each_other() {
    let bed = Testbed::new();
    let [ext4, xfs] = two_volumes(&bed);
    let ring = Ring::on([&ext4.mount, &xfs.mount]);
    let places = ["a", "b"].map(|name| bed.folder().join(name));
    for place in &places {
        fs::create_dir(place).unwrap();
        bed.will_unmount(place);
    }
    let mut last = 10;
    for _ in 0..UNHELD_TRIES {
        ring.until_beyond(last);
        let copies = [&ext4, &xfs].map(|disk| {
            let copy = disk.image.with_extension("copy");
            run(
                "cp",
                [
                    "--reflink=always".as_ref(),
                    disk.image.as_os_str(),
                    copy.as_os_str(),
                ],
            );
            copy
        });
        for (copy, (place, options)) in copies
            .iter()
            .zip(places.iter().zip(["loop", "loop,nouuid"]))
        {
            run(
                "mount",
                [
                    "-o".as_ref(),
                    options.as_ref(),
                    copy.as_os_str(),
                    place.as_os_str(),
                ],
            );
        }
        let found = one_instant(&places[0], &places[1]);
        for place in &places {
            run("umount", [place]);
        }
        match found {
            Ok(number) => last = number,
            Err(violation) => return eprintln!("as it should be: {violation}"),
        }
    }
    panic!("{UNHELD_TRIES} pairs of copies made without a hold, and none contradicts itself");
}

#[test]
fn the_check_finds_each_kind_of_violation() {
    let folders = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let check = |a: &str, b: &str| {
        for (folder, text) in folders.iter().zip([a, b]) {
            fs::write(folder.path().join("numbers"), text).unwrap();
        }
        one_instant(folders[0].path(), folders[1].path())
    };
    let (one, two) = ("00000001\n", "00000001\n00000002\n");
    assert_eq!(check(one, one), Ok(1));
    assert_eq!(check(two, one), Ok(1));
    // B cannot have its second number before A has, nor A its third before B
    // has its second.
    assert_eq!(check(one, two), Err("A was at 1 while B was at 2".into()));
    assert!(check(&format!("{two}00000003\n"), one).is_err());
    assert!(check("00000001\n00000003\n", two).is_err(), "a gap");
    assert!(
        check("00000001\n\0\0\0\0\0\0\0\0\n", one).is_err(),
        "a hole"
    );
}
