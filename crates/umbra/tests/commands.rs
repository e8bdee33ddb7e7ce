//! Every task but `exec`, with umbrad and without.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use serde_json::Value;
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};
use support::{Bench, Running, Umbra};
use umbra_testbed::run;

fn texts(paths: &[&Path]) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect()
}

fn field(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name:?} in {value:#}"))
        .to_owned()
}

/// Does the same with the service inside `umbra` and with umbrad.
fn either_way(test: impl Fn(&Bench)) {
    let bench = Bench::new();
    let before = bench.traces();
    test(&bench);
    bench.assert_nothing_left(&before);
    let daemon = bench.umbra.daemon();
    test(&bench);
    bench.assert_nothing_left(&before);
    let stopped = daemon.stop();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!bench.umbra.socket().exists(), "the socket is still there");
}

fn create(umbra: &Umbra, volumes: &[&Path]) -> Value {
    let mut arguments: Vec<&OsStr> = vec!["create".as_ref(), "--json".as_ref()];
    arguments.extend(volumes.iter().map(|path| path.as_os_str()));
    umbra.json(arguments)
}

#[test]
fn a_set_is_created_listed_shown_and_deleted() {
    either_way(|bench| {
        let umbra = &bench.umbra;
        let (ext4, btrfs) = (bench.ext4.mount.as_path(), bench.btrfs.mount.as_path());
        let set = create(umbra, &[ext4, btrfs]);
        assert_eq!(set["consistency"], "filesystem", "{set:#}");
        for name in ["frozen_ms", "held_ms", "skew_ms", "duration_ms"] {
            assert!(set[name].is_number(), "{name} in {set:#}");
        }
        assert!(field(&set, "created").ends_with('Z'), "{set:#}");
        let copies = set["shadow_copies"].as_array().unwrap();
        let volumes: Vec<_> = copies.iter().map(|copy| field(copy, "volume")).collect();
        assert_eq!(volumes, texts(&[ext4, btrfs]));
        let providers: Vec<_> = copies.iter().map(|copy| field(copy, "provider")).collect();
        assert_eq!(providers, ["reflink", "btrfs"]);

        assert_eq!(
            umbra.json(["list", "--json"]),
            Value::Array(vec![set.clone()])
        );
        assert_eq!(umbra.json(["show", "--json", &field(&set, "id")]), set);
        let copy = field(&copies[0], "id");
        assert_eq!(umbra.json(["show", "--json", &copy]), copies[0]);
        for listing in [umbra.ok(["list"]), umbra.ok(["show", &field(&set, "id")])] {
            assert!(listing.contains(&copy), "{listing}");
            for line in listing.lines() {
                assert!(line.chars().count() <= 80, "{line:?} in\n{listing}");
            }
        }

        assert_eq!(umbra.ok(["delete", &copy]), format!("{copy}\n"));
        let left = umbra.json(["show", "--json", &field(&set, "id")]);
        assert_eq!(left["shadow_copies"].as_array().unwrap().len(), 1);
        umbra.ok(["delete", "--set", &field(&set, "id")]);
    });
}

#[test]
fn a_mount_point_need_not_be_text() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let odd = bench.bed.folder().join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    run(
        "mount",
        [
            OsStr::new("--move"),
            bench.btrfs.mount.as_os_str(),
            odd.as_os_str(),
        ],
    );
    let folder = bench.bed.folder().display();
    bench.bed.undo(&format!("umount -l '{folder}'/odd*"));
    fs::write(odd.join("file"), "of this instant").unwrap();

    let set = create(umbra, &[&odd]);
    let listing = umbra.ok(["list"]);
    assert!(listing.contains(&field(&set, "id")), "{listing}");
    umbra.ok(["delete", "--set", &field(&set, "id")]);
    let read = ["exec", "--volume"].map(OsStr::new);
    let cat = ["--", "cat"].map(OsStr::new);
    let file = odd.join("file");
    let command = [&read[..], &[odd.as_os_str()], &cat, &[file.as_os_str()]].concat();
    assert_eq!(umbra.ok(command), "of this instant");
}

#[test]
fn a_copy_is_exposed_at_a_folder_and_no_longer() {
    either_way(|bench| {
        let umbra = &bench.umbra;
        for disk in [&bench.ext4, &bench.btrfs] {
            fs::write(disk.mount.join("file"), "then").unwrap();
            let set = create(umbra, &[&disk.mount]);
            fs::write(disk.mount.join("file"), "now").unwrap();
            let id = field(&set["shadow_copies"][0], "id");
            let place = bench.bed.folder().join("exposed");
            fs::create_dir_all(&place).unwrap();
            bench.bed.will_unmount(&place);
            let place_text = place.to_str().unwrap();

            assert_eq!(umbra.ok(["expose", &id, place_text]), "");
            assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "then");
            assert!(fs::write(place.join("file"), "changed").is_err());
            let shown = umbra.json(["show", "--json", &id]);
            assert_eq!(shown["path"], place_text);
            let has_device = disk.device != bench.btrfs.device;
            assert_eq!(shown["device"].is_string(), has_device, "{shown:#}");

            let open = fs::File::open(place.join("file")).unwrap();
            umbra.fails(["unexpose", &id], 104, &[place_text, "uses it"]);
            drop(open);
            umbra.ok(["unexpose", &id]);
            assert!(!place.join("file").exists());
            assert_eq!(umbra.json(["show", "--json", &id])["path"], Value::Null);

            // An exposed copy that is deleted is unmounted first.
            umbra.ok(["expose", &id, place_text]);
            umbra.ok(["delete", &id]);
            assert!(!place.join("file").exists());
        }
    });
}

#[test]
fn deleting_more_than_one_copy_wants_a_yes() {
    either_way(|bench| {
        let umbra = &bench.umbra;
        let (ext4, btrfs) = (bench.ext4.mount.as_path(), bench.btrfs.mount.as_path());
        let oldest = create(umbra, &[ext4]);
        let pair = create(umbra, &[ext4, btrfs]);
        umbra.fails(["delete", "--all"], 111, &["3 shadow copies", "--yes"]);
        umbra.fails(
            ["delete", "--set", &field(&pair, "id")],
            111,
            &["2 shadow copies"],
        );
        assert_eq!(umbra.json(["list", "--json"]).as_array().unwrap().len(), 2);

        let deleted = umbra.ok(["delete", "--oldest", ext4.to_str().unwrap()]);
        let id = field(&oldest["shadow_copies"][0], "id");
        assert_eq!(deleted, format!("{id}\n"));
        let deleted = umbra.ok(["delete", "--all", "--yes"]);
        assert_eq!(deleted.lines().count(), 2);
        assert_eq!(umbra.ok(["delete", "--all", "--yes"]), "");
    });
}

#[test]
fn volumes_say_which_provider_would_copy_them() {
    either_way(|bench| {
        let volumes = bench.umbra.json(["volumes", "--json"]);
        let find = |disk: &umbra_testbed::Disk| {
            let wanted = disk.mount.to_str().unwrap();
            let all = volumes.as_array().unwrap();
            all.iter()
                .find(|volume| volume["mount_point"] == wanted)
                .unwrap_or_else(|| panic!("no {wanted} in {volumes:#}"))
        };
        assert_eq!(find(&bench.ext4)["provider"], "reflink");
        assert_eq!(find(&bench.ext4)["hold"], "freeze");
        assert_eq!(find(&bench.btrfs)["provider"], "btrfs");
        assert_eq!(find(&bench.btrfs)["hold"], "atomic");
        assert_eq!(find(&bench.ext4)["file_system"], "ext4");
        assert!(find(&bench.ext4)["id"].is_string());
        assert!(bench.umbra.ok(["volumes"]).contains("PROVIDER"));
    });
}

#[test]
fn the_service_says_what_it_is() {
    either_way(|bench| {
        let umbra = &bench.umbra;
        let providers = umbra.json(["providers", "--json"]);
        let names: Vec<_> = providers
            .as_array()
            .unwrap()
            .iter()
            .map(|one| field(one, "name"))
            .collect();
        assert_eq!(names, ["btrfs", "reflink", "system"]);
        assert_eq!(umbra.json(["writers", "--json"]), Value::Array(Vec::new()));
        let status = umbra.json(["status", "--json"]);
        assert_eq!(status["running"], umbra.socket().exists());
        assert_eq!(status["frozen"], Value::Array(Vec::new()));
        assert_eq!(status["sessions"], Value::Array(Vec::new()));
        for listing in ["volumes", "writers", "providers", "list", "status"] {
            for line in umbra.ok([listing]).lines() {
                assert!(line.chars().count() <= 80, "{listing}: {line}");
            }
        }
    });
}

#[test]
fn status_shows_the_sessions_of_others() {
    let bench = Bench::new();
    let _daemon = bench.umbra.daemon();
    let mut exec = bench.umbra.command([
        "exec",
        "--volume",
        bench.ext4.mount.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        "echo ready; read _",
    ]);
    exec.stdin(std::process::Stdio::piped());
    let mut exec = Running::start(exec);
    assert_eq!(exec.line(), "ready");
    let status = bench.umbra.json(["status", "--json"]);
    let session = &status["sessions"][0];
    assert_eq!(session["requester"], "umbra exec", "{status:#}");
    assert_eq!(session["pid"], exec.pid().as_raw_nonzero().get());
    assert_eq!(session["set_id"].as_str().map(str::len), Some(36));
    exec.say("done\n");
    assert!(exec.end().status.success());
}

#[test]
fn a_second_umbrad_does_not_start() {
    let bench = Bench::new();
    let daemon = bench.umbra.daemon();
    let second = Running::start(bench.umbra.daemon_command()).end();
    assert_eq!(second.status.code(), Some(104), "{second:?}");
    assert!(second.stderr.contains("umbrad: "), "{second:?}");
    assert_eq!(bench.umbra.json(["status", "--json"])["running"], true);
    assert!(daemon.stop().status.success());
}

#[test]
fn what_umbrad_made_umbra_sees_without_it() {
    let bench = Bench::new();
    let before = bench.traces();
    let daemon = bench.umbra.daemon();
    let set = create(&bench.umbra, &[&bench.ext4.mount]);
    daemon.kill();
    assert_eq!(
        bench.umbra.json(["list", "--json"]),
        Value::Array(vec![set])
    );
    bench.umbra.ok(["delete", "--all"]);
    bench.assert_nothing_left(&before);
}

#[test]
fn completions_and_manual_come_from_the_same_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            umbra.ok(["completions", shell]).contains("exclude-writer"),
            "{shell}"
        );
    }
    let manual = folder.path().join("man");
    umbra.ok(["man", manual.to_str().unwrap()]);
    let page = fs::read_to_string(manual.join("umbra-exec.1")).unwrap();
    assert!(page.contains("UMBRA_SET_ID"), "{page}");
}

#[test]
fn a_writer_vouches_or_fails_the_set() {
    let bench = Bench::new();
    let before = bench.traces();
    let umbra = &bench.umbra;
    let volume = bench.ext4.mount.to_str().unwrap();
    let path = bench.ext4.mount.join("notes.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text)")
        .unwrap();
    umbra.write(
        "etc/umbra/writers.d/sqlite.toml",
        &format!(
            "lock_wait_seconds = 1\n[[database]]\npath = \"{}\"\n",
            path.display()
        ),
    );
    let writers = umbra.json(["writers", "--json"]);
    let name = field(&writers[0], "name");
    assert!(field(&writers[0], "state").starts_with("VSS_WS_"));
    let shown = umbra.ok(["writers", &name.to_uppercase()]);
    assert!(shown.contains("notes.db"), "{shown}");
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );

    let create = |more: &[&str]| {
        let mut arguments = vec!["create", "--json", volume];
        arguments.extend(more);
        umbra.json(arguments)
    };
    let set = create(&[]);
    assert_eq!(set["consistency"], "application", "{set:#}");
    assert_eq!(set["context"], "VSS_CTX_APP_ROLLBACK");
    assert_eq!(field(&set["writers"][0], "name"), name);
    assert!(set["frozen_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(create(&["--writer", &name])["consistency"], "application");
    for without in [&["--no-writers"][..], &["--exclude-writer", &name]] {
        assert_eq!(create(without)["consistency"], "filesystem", "{without:?}");
    }
    umbra.ok(["delete", "--all", "--yes"]);

    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    umbra.fails(["create", volume], 105, &[&name]);
    bench.assert_nothing_left(&before);
}
