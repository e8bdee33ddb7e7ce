//! Each kind of bad input gets one clear sentence, an exit code of its own, and
//! changes nothing.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use rustix::process::geteuid;
use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::Path,
    thread,
};
use support::{Bench, Running, Umbra};
use umbra_client::{Address, Connection, Requester};
use umbra_testbed::{Format, run};

const UNKNOWN: &str = "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_no_volume_is_not_found() {
    let bench = Bench::new();
    let before = bench.traces();
    let folder = bench.ext4.mount.join("folder");
    fs::create_dir(&folder).unwrap();
    for task in ["create", "exec"] {
        let check = |name: &str, words: &[&str]| match task {
            "create" => bench.umbra.fails(["create", name], 101, words),
            _ => bench
                .umbra
                .fails(["exec", "--volume", name, "--", "true"], 101, words),
        };
        check("/no/such/path", &["/no/such/path"]);
        check(text(&folder), &[text(&folder), text(&bench.ext4.mount)]);
        check("no-such-id", &["no-such-id"]);
    }
    fs::remove_dir(&folder).unwrap();
    bench.assert_nothing_left(&before);
}

#[test]
fn unsupported_file_systems_are_named_as_such() {
    let bench = Bench::new();
    let before = bench.traces();
    let check = |path: &Path, words: &[&str]| {
        let mut expected = vec![text(path)];
        expected.extend(words);
        bench.umbra.fails(["create", text(path)], 102, &expected);
        bench.umbra.fails(
            ["exec", "--volume", text(path), "--", "true"],
            102,
            &expected,
        );
    };
    // Some kernels have no FAT at all; then nobody can have such a volume.
    let _ = std::process::Command::new("modprobe").arg("vfat").output();
    if fs::read_to_string("/proc/filesystems")
        .unwrap()
        .contains("vfat")
    {
        let vfat = bench.bed.disk(Format::Vfat, 16);
        check(&vfat.mount, &["vfat"]);
    }
    check(Path::new("/proc"), &["proc"]);

    let mount = |kind: &str, options: &str| {
        let folder = bench.bed.folder().join(kind);
        fs::create_dir(&folder).unwrap();
        run("mount", ["-t", kind, "-o", options, kind, text(&folder)]);
        bench.bed.will_unmount(&folder);
        folder
    };
    check(&mount("tmpfs", "size=1m"), &["tmpfs"]);
    let part = |name: &str| {
        let folder = bench.ext4.mount.join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let (lower, upper, work) = (part("lower"), part("upper"), part("work"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        text(&lower),
        text(&upper),
        text(&work)
    );
    check(&mount("overlay", &options), &["overlay"]);
    // XFS on a loop device whose image lies on a file system without reflinks.
    let on_ext4 = bench.bed.disk_in(&bench.ext4.mount, Format::Ext4, 16);
    check(&on_ext4.mount, &["reflink"]);

    let mut before = before;
    before.extend(bench.traces());
    bench.assert_nothing_left(&before);
}

#[test]
fn what_has_the_wrong_name_is_a_wrong_command_line_or_not_found() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let volume = text(&bench.ext4.mount);
    umbra.fails(["exec", "--", "true"], 2, &["--volume"]);
    umbra.fails(["exec", "--volume", volume], 2, &["COMMAND"]);
    umbra.fails(["create", volume, volume], 2, &["twice"]);
    let device = text(&bench.ext4.device);
    umbra.fails(["create", volume, device], 2, &[]);
    umbra.fails(["show", "no-id"], 2, &["GUID"]);
    umbra.fails(
        ["create", volume, "--writer", "No Such Writer"],
        101,
        &["No Such Writer"],
    );
    umbra.fails(["writers", "No Such Writer"], 101, &["No Such Writer"]);
    umbra.fails(["show", UNKNOWN], 101, &[UNKNOWN]);
    umbra.fails(["delete", UNKNOWN], 101, &[UNKNOWN]);
    umbra.fails(["delete", "--set", UNKNOWN], 101, &[UNKNOWN]);
    umbra.fails(["unexpose", UNKNOWN], 101, &[UNKNOWN]);
    umbra.fails(["expose", UNKNOWN, "/mnt"], 101, &[UNKNOWN]);
    umbra.fails(["--root", "/no/such/root", "list"], 101, &["/no/such/root"]);
    let nothing = umbra.json(["list", "--json"]);
    assert_eq!(nothing.as_array().map(Vec::len), Some(0));
}

#[test]
fn a_folder_that_will_not_do_exposes_nothing() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let set = umbra.json(["create", "--json", text(&bench.ext4.mount)]);
    let id = set["shadow_copies"][0]["id"].as_str().unwrap();
    let before = bench.traces();
    let full = bench.bed.folder().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "").unwrap();
    umbra.fails(["expose", id, text(&full)], 104, &["not empty"]);
    umbra.fails(["expose", id, text(&full.join("file"))], 2, &["folder"]);
    umbra.fails(["expose", id, text(&full.join("none"))], 101, &["none"]);
    umbra.fails(
        ["expose", id, text(&bench.xfs.mount)],
        104,
        &["mounted there"],
    );
    assert_eq!(bench.traces(), before);
    umbra.ok(["delete", "--all"]);
}

#[test]
fn a_volume_that_someone_else_froze_is_busy() {
    let bench = Bench::new();
    let before = bench.traces();
    bench.ext4.freeze();
    let failure = bench.umbra.run(["create", text(&bench.ext4.mount)]);
    assert!(bench.ext4.is_frozen(), "{failure:?}");
    bench.ext4.thaw();
    assert_eq!(failure.status.code(), Some(104), "{failure:?}");
    assert!(
        failure.stderr.contains(text(&bench.ext4.mount)),
        "{failure:?}"
    );
    bench.assert_nothing_left(&before);
}

#[test]
fn whoever_waits_too_long_for_another_set_is_told_so() {
    let bench = Bench::new();
    let before = bench.traces();
    bench.umbra.write(
        "etc/umbra/umbra.toml",
        "[limits]\nwait_for_set = \"300ms\"\n",
    );
    let _daemon = bench.umbra.daemon();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _other = runtime.block_on(async {
        let address = Address::Path(bench.umbra.socket());
        let connection = Connection::open(&address).await.unwrap();
        let other = Requester::open(&connection, "another program")
            .await
            .unwrap();
        other.gather_writer_metadata().await.unwrap();
        other.start_snapshot_set().await.unwrap();
        other
    });
    let volume = text(&bench.ext4.mount);
    bench
        .umbra
        .fails(["create", volume], 104, &["another program"]);
    bench.assert_nothing_left(&before);
}

#[test]
fn without_privilege_nothing_is_done() {
    assert!(geteuid().is_root(), "this test gives up root and needs it");
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let as_nobody = |arguments: &[&str]| {
        let mut command = umbra.command(arguments);
        command.uid(65534).gid(65534);
        // Others may not look into the testbed's folder.
        command.current_dir("/");
        Running::start(command).end()
    };
    let folder = bench.bed.folder();
    run("chmod", ["755", text(folder)]);
    let check = |arguments: &[&str], words: &str| {
        let outcome = as_nobody(arguments);
        assert_eq!(outcome.status.code(), Some(103), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    };
    let volume = text(&bench.ext4.mount);
    check(&["create", volume], "sudo");
    check(&["exec", "--volume", volume, "--", "true"], "sudo");
    let _daemon = umbra.daemon();
    check(&["create", volume], "umbra-backup");
    check(&["list"], "umbra-backup");

    let mut daemon = umbra.daemon_command();
    daemon.uid(65534).gid(65534).current_dir("/");
    let outcome = Running::start(daemon).end();
    assert_eq!(outcome.status.code(), Some(103), "{outcome:?}");
}

#[test]
fn a_malformed_configuration_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    let check = |words: &[&str]| {
        let said = umbra.fails(["list"], 108, words);
        assert_eq!(said.lines().count(), 1, "{said}");
        let daemon = Running::start(umbra.daemon_command()).end();
        assert_eq!(daemon.status.code(), Some(108), "{daemon:?}");
    };
    umbra.write("etc/umbra/umbra.toml", "[limits]\nhold = 3\n");
    check(&["umbra.toml", "line 2", "duration"]);
    umbra.write(
        "etc/umbra/umbra.toml",
        "[access]\nwriters = [\"no-such-user\"]\n",
    );
    check(&["umbra.toml", "no-such-user"]);
    umbra.write("etc/umbra/umbra.toml", "");
    umbra.write("etc/umbra/writers.d/sqlite.toml", "nonsense = true\n");
    check(&["sqlite.toml", "nonsense"]);
    assert!(!umbra.root().join("var").exists(), "something was written");
}

#[test]
fn peers_that_send_garbage_disturb_nobody() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let daemon = umbra.daemon();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100_000], b""] {
        let mut stream = UnixStream::connect(umbra.socket()).unwrap();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        umbra.ok(["list"]);
    }
    assert!(daemon.stop().status.success());
}

#[test]
fn a_service_that_sends_garbage_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    fs::create_dir_all(umbra.socket().parent().unwrap()).unwrap();
    let listener = UnixListener::bind(umbra.socket()).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    umbra.fails(["list"], 110, &["service"]);
}
