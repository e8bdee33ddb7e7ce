//! `umbra exec` on real file systems.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use rustix::process::Signal;
use std::{ffi::OsStr, fs, path::Path};
use support::{Bench, Running, eventually};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The arguments of `umbra exec` over volumes, up to the command.
fn exec<'a>(volumes: &[&'a Path], rest: &[&'a str]) -> Vec<&'a OsStr> {
    let mut arguments = vec![OsStr::new("exec")];
    for volume in volumes {
        arguments.extend([OsStr::new("--volume"), volume.as_os_str()]);
    }
    arguments.extend(rest.iter().copied().map(OsStr::new));
    arguments
}

#[test]
fn the_command_sees_the_instant_while_the_volumes_go_on() {
    let bench = Bench::new();
    let before = bench.traces();
    let (ext4, btrfs) = (&bench.ext4.mount, &bench.btrfs.mount);
    for volume in [ext4, btrfs] {
        fs::write(volume.join("file"), "then").unwrap();
    }
    let script = format!(
        "echo ready; read _; cat {0}/file {1}/file; \
         touch {0}/new 2>/dev/null && echo written; touch {1}/new 2>/dev/null && echo written; \
         grep -c . /proc/self/status >/dev/null && echo proc",
        text(ext4),
        text(btrfs)
    );
    let mut command = bench
        .umbra
        .command(exec(&[ext4, btrfs], &["--", "sh", "-c", &script]));
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    assert_eq!(running.line(), "ready");
    for volume in [ext4, btrfs] {
        fs::write(volume.join("file"), "now").unwrap();
    }
    running.say("go\n");
    let outcome = running.end();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stdout, "thenthenproc\n", "{outcome:?}");
    assert_eq!(fs::read_to_string(ext4.join("file")).unwrap(), "now");

    let line = outcome.stderr.lines().next().unwrap();
    for word in [
        "umbra: set ",
        text(ext4),
        " consistency (",
        "held ",
        "skew ",
    ] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    bench.assert_nothing_left(&before);
}

#[test]
fn the_environment_names_set_and_copies_in_the_order_asked() {
    let bench = Bench::new();
    let (ext4, btrfs) = (&bench.ext4.mount, &bench.btrfs.mount);
    let outcome = bench.umbra.run(exec(
        &[btrfs, ext4],
        &[
            "--no-writers",
            "--",
            "sh",
            "-c",
            "env | grep ^UMBRA_ | sort",
        ],
    ));
    assert!(outcome.status.success(), "{outcome:?}");
    let value = |name: &str| {
        let prefix = format!("{name}=");
        outcome
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    };
    assert_eq!(value("UMBRA_SHADOW_1_VOLUME"), Some(text(btrfs)));
    assert_eq!(value("UMBRA_SHADOW_1_PATH"), Some(text(btrfs)));
    assert_eq!(value("UMBRA_SHADOW_1_DEVICE"), None);
    assert_eq!(value("UMBRA_SHADOW_2_PATH"), Some(text(ext4)));
    let device = value("UMBRA_SHADOW_2_DEVICE").unwrap();
    assert!(device.starts_with("/dev/loop"), "{device}");
    assert_ne!(Path::new(device), bench.ext4.device);
    for id in ["UMBRA_SET_ID", "UMBRA_SHADOW_1_ID", "UMBRA_SHADOW_2_ID"] {
        assert_eq!(value(id).map(str::len), Some(36), "{id} in {outcome:?}");
    }
    assert_eq!(value("UMBRA_EXEC_SPECIFICATION"), None);
}

#[test]
fn the_exit_code_is_the_command_s() {
    let bench = Bench::new();
    let before = bench.traces();
    let check = |command: &[&str], code, words: &str| {
        let mut rest = vec!["--"];
        rest.extend(command);
        let outcome = bench.umbra.run(exec(&[&bench.ext4.mount], &rest));
        assert_eq!(
            outcome.status.code(),
            Some(code),
            "{command:?}: {outcome:?}"
        );
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    };
    check(&["true"], 0, "umbra: set ");
    check(&["sh", "-c", "exit 7"], 7, "umbra: set ");
    check(&["sh", "-c", "kill -KILL $$"], 137, "umbra: set ");
    check(&["no-such-command"], 127, "cannot run no-such-command");
    check(&["/etc/passwd"], 126, "cannot run /etc/passwd");
    bench.assert_nothing_left(&before);
}

#[test]
fn live_paths_stay_live_and_writable() {
    let bench = Bench::new();
    let ext4 = &bench.ext4.mount;
    fs::create_dir(ext4.join("repository")).unwrap();
    fs::write(ext4.join("data"), "").unwrap();
    let live = ext4.join("repository");
    let script = format!(
        "echo saved > {}/pack && ! touch {}/data2 2>/dev/null",
        text(&live),
        text(ext4)
    );
    bench.umbra.ok(exec(
        &[ext4],
        &["--live", text(&live), "--", "sh", "-c", &script],
    ));
    assert_eq!(fs::read_to_string(live.join("pack")).unwrap(), "saved\n");
    assert!(!ext4.join("data2").exists());

    let missing = ext4.join("missing");
    bench.umbra.fails(
        exec(&[ext4], &["--live", text(&missing), "--", "true"]),
        101,
        &["missing", "existing path"],
    );
    bench.umbra.fails(
        exec(&[ext4], &["--live", text(ext4), "--", "true"]),
        2,
        &["both a shadow copy and live"],
    );
}

#[test]
fn the_working_directory_is_in_the_copy() {
    let bench = Bench::new();
    let ext4 = &bench.ext4.mount;
    fs::write(ext4.join("file"), "").unwrap();
    let mut command = bench.umbra.command(exec(
        &[Path::new(".")],
        &[
            "--",
            "sh",
            "-c",
            "ls file && ! touch file 2>/dev/null && pwd",
        ],
    ));
    command.current_dir(ext4);
    let outcome = Running::start(command).end();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stdout, format!("file\n{}\n", text(ext4)));
}

#[test]
fn signals_end_the_command_and_everything_is_cleaned_up() {
    let bench = Bench::new();
    let before = bench.traces();
    for daemon in [false, true] {
        let _daemon = daemon.then(|| bench.umbra.daemon());
        // Without a terminal nothing but Umbra hands SIGINT on.
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
            let mut command = bench.umbra.command(exec(
                &[&bench.ext4.mount, &bench.btrfs.mount],
                &["--", "sh", "-c", "echo ready; exec sleep 1000"],
            ));
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut running = Running::start(command);
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            let outcome = running.end();
            assert_eq!(outcome.status.code(), Some(code), "{outcome:?}");
            bench.assert_nothing_left(&before);
        }
    }
}

#[test]
fn a_killed_umbra_takes_the_command_along_and_the_service_cleans_up() {
    let bench = Bench::new();
    let before = bench.traces();
    for daemon in [false, true] {
        let _daemon = daemon.then(|| bench.umbra.daemon());
        let mut running = Running::start(bench.umbra.command(exec(
            &[&bench.ext4.mount, &bench.btrfs.mount],
            &["--", "sh", "-c", "echo $$; exec sleep 1000"],
        )));
        let command = running.line();
        running.signal(Signal::KILL);
        // Standard output stays open as long as the command lives.
        let outcome = running.end();
        assert_eq!(outcome.status.code(), None, "{outcome:?}");
        eventually("the command's end", || {
            !Path::new("/proc").join(&command).exists()
        });
        bench.assert_nothing_left(&before);
    }
}

#[test]
fn a_service_that_goes_away_fails_the_backup() {
    let bench = Bench::new();
    let before = bench.traces();
    let daemon = bench.umbra.daemon();
    let mut command = bench.umbra.command(exec(
        &[&bench.ext4.mount],
        &["--", "sh", "-c", "echo ready; read _"],
    ));
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    assert_eq!(running.line(), "ready");
    daemon.kill();
    let error = running.error_until("counts as failed");
    assert!(error.contains("goes on"), "{error}");
    running.say("done\n");
    let outcome = running.end();
    assert_eq!(outcome.status.code(), Some(110), "{outcome:?}");
    bench.assert_nothing_left(&before);
}

#[test]
fn signals_while_the_set_is_made_leave_nothing_of_it() {
    let bench = Bench::new();
    let path = bench.ext4.mount.join("notes.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE notes (text)").unwrap();
    bench.umbra.write(
        "etc/umbra/writers.d/sqlite.toml",
        &format!(
            "lock_wait_seconds = 45\n[[database]]\npath = \"{}\"\n",
            path.display()
        ),
    );
    let before = bench.traces();
    // Its writer waits for this at Freeze.
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    for daemon in [false, true] {
        let _daemon = daemon.then(|| bench.umbra.daemon());
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let command = bench
                .umbra
                .command(exec(&[&bench.ext4.mount], &["--", "echo", "ran"]));
            let mut running = Running::start(command);
            eventually("something of the set", || bench.traces() != before);
            running.signal(signal);
            let outcome = running.end();
            assert_eq!(outcome.status.code(), Some(code), "{outcome:?}");
            assert_eq!(outcome.stdout, "", "{outcome:?}");
            assert!(outcome.stderr.contains("was not run"), "{outcome:?}");
            bench.assert_nothing_left(&before);
        }
    }
}
