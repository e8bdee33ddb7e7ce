//! The programs under test, on volumes of a testbed and with a root of their
//! own, so that they never touch the system's.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test file uses its part, and a test ends at what it does not expect"
)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use umbra_testbed::{Disk, Format, Testbed, run};

/// The longest that anything may take on a noisy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Three volumes: XFS, an ext4 image on it, and btrfs.
pub struct Bench {
    /// Undoes everything at the end.
    pub bed: Testbed,
    /// XFS; holds the ext4 image. Nothing under it can copy it.
    pub xfs: Disk,
    /// ext4; the reflink provider copies it.
    pub ext4: Disk,
    /// btrfs; the btrfs provider copies it.
    pub btrfs: Disk,
    /// The programs.
    pub umbra: Umbra,
}

impl Bench {
    /// New volumes and a new root.
    pub fn new() -> Self {
        let bed = Testbed::new();
        let xfs = bed.disk(Format::Xfs, 400);
        let ext4 = bed.disk_in(&xfs.mount, Format::Ext4, 64);
        let btrfs = bed.disk(Format::Btrfs, 128);
        let umbra = Umbra::in_folder(bed.folder());
        Self {
            bed,
            xfs,
            ext4,
            btrfs,
            umbra,
        }
    }

    /// What there is of mounts, loop devices, subvolumes and storage folders.
    pub fn traces(&self) -> BTreeSet<String> {
        let folder = self.bed.folder().to_str().unwrap();
        let mut traces = BTreeSet::new();
        let mounts = fs::read("/proc/self/mountinfo").unwrap();
        let mounts = String::from_utf8_lossy(&mounts);
        for line in mounts.lines().filter(|line| line.contains(folder)) {
            let fields: Vec<_> = line.split(' ').collect();
            traces.insert(format!("mount {} at {}", fields[3], fields[4]));
        }
        let loops = run("losetup", ["-l", "-n", "-O", "NAME,BACK-FILE"]);
        for line in loops.lines().filter(|line| line.contains(folder)) {
            // Its columns are as wide as all loop devices of the machine need.
            let fields: Vec<_> = line.split_whitespace().collect();
            traces.insert(format!("loop {}", fields.join(" ")));
        }
        for disk in [&self.xfs, &self.ext4, &self.btrfs] {
            for entry in fs::read_dir(&disk.mount).unwrap() {
                let path = entry.unwrap().path();
                if path
                    .file_name()
                    .is_some_and(|name| name.to_str().unwrap().contains("umbra"))
                {
                    traces.insert(format!("storage {}", path.display()));
                }
            }
        }
        let subvolumes = run(
            "btrfs",
            [
                "subvolume".as_ref(),
                "list".as_ref(),
                self.btrfs.mount.as_os_str(),
            ],
        );
        traces.extend(subvolumes.lines().map(|line| format!("subvolume {line}")));
        traces
    }

    /// Waits until there is nothing more than there was. What a killed service
    /// left, the next one has removed as soon as it answers.
    pub fn assert_nothing_left(&self, before: &BTreeSet<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sets = self.umbra.json(["list", "--json"]);
            let now = self.traces();
            let left: Vec<_> = now.difference(before).collect();
            if left.is_empty() && sets == Value::Array(Vec::new()) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: {left:#?} and sets {sets:#}"
            );
            thread::sleep(Duration::from_millis(100));
        }
        for disk in [&self.xfs, &self.ext4] {
            assert!(!disk.is_frozen(), "{:?} is frozen", disk.mount);
        }
    }
}

/// The programs, with a root of their own.
#[derive(Debug, Clone)]
pub struct Umbra {
    root: PathBuf,
}

/// What a program came to.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Umbra {
    /// With a root in this folder. Databases of the machine take no part.
    pub fn in_folder(folder: &Path) -> Self {
        let umbra = Self {
            root: folder.join("root"),
        };
        umbra.write("etc/umbra/writers.d/postgresql.toml", "discover = false\n");
        umbra
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn socket(&self) -> PathBuf {
        self.root.join("run/umbra/umbra.sock")
    }

    /// Writes a file below the root.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `umbra` with these arguments, ready to run.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.program(env!("CARGO_BIN_EXE_umbra"), arguments)
    }

    /// `umbrad`, ready to run.
    pub fn daemon_command(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_umbrad"), [] as [&str; 0])
    }

    fn program<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("UMBRA_ROOT", &self.root)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `umbra` to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        Running::start(self.command(arguments)).end()
    }

    /// Runs `umbra`, which must succeed; what it printed.
    pub fn ok<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let outcome = self.run(arguments);
        assert!(outcome.status.success(), "{outcome:?}");
        outcome.stdout
    }

    /// Runs `umbra`, which must succeed and print JSON.
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs `umbra`, which must fail with this exit code and one clear sentence
    /// that has these words in it; prints nothing to standard output.
    pub fn fails<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        code: i32,
        words: &[&str],
    ) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.status.code(), Some(code), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
        let first = outcome.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("umbra: ") || code == 2, "{outcome:?}");
        for word in words {
            assert!(outcome.stderr.contains(word), "no {word:?} in {outcome:?}");
        }
        outcome.stderr
    }

    /// `umbrad`, once it serves.
    pub fn daemon(&self) -> Daemon {
        Daemon::start(self, self.daemon_command())
    }
}

/// A program that runs. Killed when it is dropped.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child: Some(child) }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub fn pid(&mut self) -> Pid {
        Pid::from_child(self.child())
    }

    pub fn signal(&mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Its standard output, for somebody else to read.
    pub fn take_output(&mut self) -> std::process::ChildStdout {
        self.child().stdout.take().unwrap()
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child().try_wait().unwrap()
    }

    /// Writes to standard input, which the command must have had piped.
    pub fn say(&mut self, text: &str) {
        let stdin = self.child().stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Reads standard error until it has said this.
    pub fn error_until(&mut self, words: &str) -> String {
        read_until(self.child().stderr.as_mut().unwrap(), words)
    }

    /// Reads standard output until it has said this.
    pub fn output_until(&mut self, words: &str) -> String {
        read_until(self.child().stdout.as_mut().unwrap(), words)
    }

    /// Reads standard output up to the end of a line.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let out = self.child().stdout.as_mut().unwrap();
        let mut byte = [0];
        while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits for the end; panics, and kills it, when that takes too long.
    pub fn end(mut self) -> Outcome {
        let mut child = self.child.take().unwrap();
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!(
                    "did not end; it said {:?} and {:?}",
                    stdout.join().unwrap(),
                    stderr.join().unwrap()
                );
            }
            thread::sleep(Duration::from_millis(5));
        };
        Outcome {
            status,
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    }
}

fn read_until(stream: &mut impl Read, words: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    loop {
        let text = String::from_utf8_lossy(&said);
        if text.contains(words) {
            return text.into_owned();
        }
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "no {words:?} in {text}");
        said.extend(byte);
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut text).unwrap();
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A service that serves.
pub struct Daemon {
    running: Running,
}

impl Daemon {
    /// Starts the command and waits until it serves.
    pub fn start(umbra: &Umbra, mut command: Command) -> Self {
        // Nobody reads its log until the end, and it must not mind.
        command.stdout(Stdio::null());
        let mut running = Running::start(command);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = running.child().try_wait().unwrap() {
                panic!("umbrad ended ({status}): {:?}", running.end());
            }
            // Not before it listens: `umbra` would be a service of its own, and do
            // what this one has to do at its start.
            if UnixStream::connect(umbra.socket()).is_ok()
                && umbra.json(["status", "--json"])["running"] == Value::Bool(true)
            {
                return Self { running };
            }
            assert!(Instant::now() < deadline, "umbrad does not serve");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&mut self) -> Pid {
        self.running.pid()
    }

    pub fn signal(&mut self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Stops it cleanly.
    pub fn stop(mut self) -> Outcome {
        self.signal(Signal::TERM);
        self.running.end()
    }

    /// Kills it.
    pub fn kill(mut self) -> Outcome {
        self.signal(Signal::KILL);
        self.running.end()
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
