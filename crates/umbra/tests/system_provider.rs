//! `umbra` on a plain ext4 volume, of which nothing but the system provider can
//! make copies.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use std::fs;
use support::Umbra;
#[cfg(feature = "failpoints")]
use support::{Daemon, Running, eventually};
use umbra_testbed::{Disk, Format, Testbed};

struct Machine {
    /// ext4, its image on the machine's own file system, which has no reflinks.
    plain: Disk,
    /// XFS, with the shadow copy storage.
    store: Disk,
    umbra: Umbra,
    // Last: it undoes the others.
    _bed: Testbed,
}

impl Machine {
    fn new() -> Self {
        let bed = Testbed::new();
        let plain = bed.disk(Format::Ext4, 128);
        let store = bed.disk(Format::Xfs, 400);
        let umbra = Umbra::in_folder(bed.folder());
        let pins = umbra.root().join("run/umbra/bpf");
        bed.undo(&format!("umount -l '{}' 2>/dev/null", pins.display()));
        let storage = store.mount.join("storage");
        umbra.write(
            "etc/umbra/umbra.toml",
            &format!("[storage]\npath = \"{}\"\n", storage.display()),
        );
        Self {
            plain,
            store,
            umbra,
            _bed: bed,
        }
    }

    /// The names of the images of copies.
    fn images(&self) -> Vec<String> {
        let volumes = fs::read_dir(self.store.mount.join("storage")).unwrap();
        volumes
            .flat_map(|volume| fs::read_dir(volume.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("mirror."))
            .collect()
    }
}

#[test]
fn a_command_sees_the_instant_again_and_again() {
    let machine = Machine::new();
    let mount = machine.plain.mount.to_str().unwrap();
    let file = machine.plain.mount.join("file");
    for round in 0..3 {
        fs::write(&file, format!("state {round}")).unwrap();
        let script = format!(
            "cat {0}/file; touch {0}/new 2> /dev/null && echo written",
            mount
        );
        let outcome = machine.umbra.run([
            "exec",
            "--volume",
            mount,
            "--",
            "sh",
            "-c",
            &format!("{script}; true"),
        ]);
        assert!(outcome.status.success(), "{outcome:?}");
        assert_eq!(outcome.stdout, format!("state {round}"), "{outcome:?}");
        assert_eq!(machine.images(), [] as [&str; 0]);
    }
    assert!(!machine.plain.is_frozen());
}

#[test]
fn copies_of_a_service_are_kept_and_deleted() {
    let machine = Machine::new();
    let mount = machine.plain.mount.to_str().unwrap();
    fs::write(machine.plain.mount.join("file"), "first").unwrap();
    let daemon = machine.umbra.daemon();
    let create = || machine.umbra.json(["create", "--json", mount]);
    let first = create();
    let copy = &first["shadow_copies"][0];
    assert_eq!(copy["provider"], "system", "{first:#}");
    // Killed: tracking goes on, and the next service goes on with it.
    daemon.kill();
    fs::write(machine.plain.mount.join("file"), "second").unwrap();
    let _daemon = machine.umbra.daemon();
    let second = create();
    assert_eq!(machine.images().len(), 2);
    for (set, content) in [(&first, "first"), (&second, "second")] {
        let id = set["shadow_copies"][0]["id"].as_str().unwrap();
        let at = machine.umbra.root().join(content);
        fs::create_dir(&at).unwrap();
        let at = at.to_str().unwrap();
        machine.umbra.ok(["expose", id, at]);
        assert_eq!(fs::read_to_string(format!("{at}/file")).unwrap(), content);
        machine.umbra.ok(["unexpose", id]);
        machine.umbra.ok(["delete", id]);
    }
    assert_eq!(machine.images(), [] as [&str; 0]);
}

/// Killed at points on the way of a copy: nothing of it is left, and the next one
/// is right.
#[cfg(feature = "failpoints")]
#[test]
fn a_killed_service_leaves_no_copy_and_the_next_is_right() {
    let machine = Machine::new();
    let mount = machine.plain.mount.to_str().unwrap();
    let file = machine.plain.mount.join("file");
    for (number, point) in [
        "provider::commit",
        "system::mirrored",
        "system::split",
        "provider::post_final_commit",
    ]
    .into_iter()
    .enumerate()
    {
        let mut command = machine.umbra.daemon_command();
        command.env("FAILPOINTS", format!("{point}=pause"));
        let daemon = Daemon::start(&machine.umbra, command);
        fs::write(&file, format!("lost {number}")).unwrap();
        let create = Running::start(machine.umbra.command(["create", mount]));
        eventually("the copy in the making", || {
            machine.store.mount.join("storage").exists() && !machine.images().is_empty()
        });
        // It is somewhere before the point, or at it.
        std::thread::sleep(std::time::Duration::from_millis(700));
        daemon.kill();
        assert!(!create.end().status.success(), "{point}");
        eventually("the guardian's thaw", || !machine.plain.is_frozen());

        fs::write(&file, format!("right {number}")).unwrap();
        let daemon = machine.umbra.daemon();
        assert_eq!(machine.images(), [] as [&str; 0], "{point}");
        let script = format!("cat {mount}/file");
        let arguments = ["exec", "--volume", mount, "--", "sh", "-c", &script];
        assert_eq!(machine.umbra.ok(arguments), format!("right {number}"));
        daemon.stop();
    }
}
