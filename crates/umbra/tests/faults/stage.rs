//! Volumes, a service with fail points on, and what must be true after a fault.

use crate::support::{Bench, Daemon, Outcome, PATIENCE, Running, eventually};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use umbra_testbed::{Disk, Format};

/// How soon every volume must be writable after a fault.
pub const THAWED: Duration = Duration::from_secs(1);

/// How long a file system writes nothing before it counts as frozen.
const STILL: Duration = Duration::from_millis(300);

/// Two ext4 images on XFS, which can be held, and a btrfs, which cannot.
pub struct Stage {
    pub bench: Bench,
    /// The second ext4.
    pub second: Disk,
    before: BTreeSet<String>,
}

impl Stage {
    pub fn new() -> Self {
        let bench = Bench::new();
        let second = bench.bed.disk_in(&bench.xfs.mount, Format::Ext4, 32);
        let before = bench.traces();
        Self {
            bench,
            second,
            before,
        }
    }

    /// The same, with what was made meanwhile counted as there before.
    pub fn starting_now(self) -> Self {
        let before = self.bench.traces();
        Self { before, ..self }
    }

    /// The volumes of a set.
    pub fn volumes(&self) -> [&Path; 3] {
        [
            &self.bench.ext4.mount,
            &self.second.mount,
            &self.bench.btrfs.mount,
        ]
    }

    /// The same, for others to keep.
    pub fn owned_volumes(&self) -> Vec<PathBuf> {
        self.volumes().map(Path::to_owned).to_vec()
    }

    pub fn daemon(&self) -> Daemon {
        self.bench.umbra.daemon()
    }

    /// `umbrad` with these fail points on.
    pub fn daemon_with(&self, fail_points: &str) -> Daemon {
        let mut command = self.bench.umbra.daemon_command();
        command.env("FAILPOINTS", fail_points);
        Daemon::start(&self.bench.umbra, command)
    }

    /// Sets limits of the service.
    pub fn limits(&self, limits: &str) {
        let text = format!("[limits]\n{limits}\n");
        self.bench.umbra.write("etc/umbra/umbra.toml", &text);
    }

    /// `umbra exec` of a shell script over all volumes, ready to run.
    pub fn exec_command(&self, script: &str) -> Command {
        exec_over(&self.bench, &self.volumes(), script)
    }

    /// The same, running.
    pub fn exec(&self, script: &str) -> Running {
        Running::start(self.exec_command(script))
    }

    /// A set can be made and its copies read.
    pub fn assert_works(&self) {
        let outcome = self.exec("true").end();
        assert!(outcome.status.success(), "the next set: {outcome:?}");
    }

    /// Waits until the one session of the service is in this state.
    pub fn until_state(&self, state: &str) {
        eventually(&format!("the state {state}"), || {
            self.states().iter().any(|one| one == state)
        });
    }

    /// Waits until the service has no session.
    pub fn until_no_session(&self) {
        eventually("no session", || self.states().is_empty());
    }

    /// The states of the service's sessions.
    pub fn states(&self) -> Vec<String> {
        let status = self.bench.umbra.json(["status", "--json"]);
        let sessions = status["sessions"].as_array().unwrap();
        let states = sessions.iter().map(|session| session["state"].as_str());
        states.map(|state| state.unwrap().to_owned()).collect()
    }

    /// Every volume can be written, soon after `since`.
    pub fn assert_thawed(&self, since: Instant) {
        let volumes: Vec<_> = self
            .volumes()
            .into_iter()
            .chain([self.bench.xfs.mount.as_path()])
            .map(Path::to_owned)
            .collect();
        let writes: Vec<_> = volumes
            .into_iter()
            .map(|volume| thread::spawn(move || write_to(&volume)))
            .collect();
        while !writes.iter().all(|write| write.is_finished()) {
            assert!(since.elapsed() < PATIENCE, "a volume stays frozen");
            thread::sleep(Duration::from_millis(2));
        }
        let took = since.elapsed();
        assert!(took <= THAWED, "frozen for {took:?} after the fault");
    }

    /// Nothing is frozen. Not to be called while a set is made: the service and
    /// this both look by freezing.
    pub fn assert_not_frozen(&self) {
        for disk in [&self.bench.ext4, &self.second, &self.bench.xfs] {
            assert!(!disk.is_frozen(), "{:?} is frozen", disk.mount);
        }
    }

    /// Nothing is frozen, and nothing is left but what was there before.
    pub fn assert_clean(&self, daemon: Option<&mut Daemon>) {
        self.assert_thawed(Instant::now());
        self.assert_not_frozen();
        self.bench.assert_nothing_left(&self.before);
        let services = usize::from(daemon.is_some());
        let daemon = daemon.map(|daemon| daemon.pid().as_raw_nonzero().get());
        let mut left = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            left.clear();
            let strangers = self.processes();
            left.extend(
                strangers
                    .into_iter()
                    .filter(|(pid, _)| Some(*pid) != daemon)
                    .map(|(pid, what)| format!("process {pid} {what}")),
            );
            let locks = files(&self.bench.umbra.root().join("run/umbra"));
            let owners: Vec<_> = locks
                .iter()
                .filter(|name| name.contains("owner-"))
                .cloned()
                .collect();
            if owners.len() > services {
                left.extend(owners);
            }
            let state = files(&self.bench.umbra.root().join("var/lib/umbra"));
            left.extend(state.into_iter().filter(|name| {
                !name.ends_with("catalog.redb")
                    && !name.ends_with("catalog.lock")
                    && !name.ends_with("lost+found")
            }));
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes that have to do with this stage, by what they inherited or
    /// have open.
    fn processes(&self) -> Vec<(i32, String)> {
        let folder = self.bench.bed.folder().to_str().unwrap();
        let this = i32::try_from(std::process::id()).unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // A process may end while it is looked at.
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let inherited = String::from_utf8_lossy(&environment).contains(folder);
            if pid != this && !line.is_empty() && (inherited || has_open(&entry.path(), folder)) {
                found.push((pid, line));
            }
        }
        found
    }
}

fn has_open(process: &Path, folder: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.to_string_lossy().starts_with(folder))
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn write_to(volume: &Path) {
    let file = volume.join("written-after-the-fault");
    fs::write(&file, "x").unwrap();
    fs::remove_file(&file).unwrap();
}

/// `umbra exec` of a shell script over these volumes, ready to run.
pub fn exec_over(bench: &Bench, volumes: &[&Path], script: &str) -> Command {
    let mut arguments = vec![OsStr::new("exec")];
    for volume in volumes {
        arguments.extend([OsStr::new("--volume"), volume.as_os_str()]);
    }
    arguments.extend(["--", "sh", "-c", script].map(OsStr::new));
    bench.umbra.command(arguments)
}

/// A program failed with this exit code and one clear sentence that has these
/// words in it.
#[track_caller]
pub fn assert_failed(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.status.code(), Some(code), "{outcome:?}");
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    let said = &outcome.stderr;
    assert!(said.starts_with("umbra: "), "{outcome:?}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

/// Writes to a volume all the time, and so knows whether it is frozen.
pub struct Pen {
    wrote: Arc<Mutex<Instant>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Pen {
    pub fn on(volume: &Path) -> Self {
        let wrote = Arc::new(Mutex::new(Instant::now()));
        let stop = Arc::new(AtomicBool::new(false));
        let file: PathBuf = volume.join("pen");
        let (clock, told) = (wrote.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                fs::write(&file, "x").unwrap();
                *clock.lock().unwrap() = Instant::now();
                thread::sleep(Duration::from_millis(5));
            }
            fs::remove_file(&file).unwrap();
        });
        Self {
            wrote,
            stop,
            thread: Some(thread),
        }
    }

    /// Waits until the volume stands still.
    pub fn until_still(&self) {
        eventually("the volume is frozen", || {
            self.wrote.lock().unwrap().elapsed() > STILL
        });
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
