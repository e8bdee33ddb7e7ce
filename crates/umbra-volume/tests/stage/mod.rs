//! What the hold's tests have in common: the volumes of the machine, and a
//! writer that shows whether a file system stands still.

#![allow(dead_code, reason = "not every test program uses all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test cannot go on without it"
)]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use umbra_model::{HoldMethod, VssResult};
use umbra_volume::{
    Commit, GuardianCommand, HoldLimits, HoldReport, HoldVolume, LinuxVolumes, PreparedHold,
    Volumes,
};

pub fn machine() -> LinuxVolumes {
    LinuxVolumes::new(GuardianCommand {
        program: env!("CARGO_BIN_EXE_umbra-guardian").into(),
        args: Vec::new(),
    })
}

pub fn limits(deadline_ms: u64, stall_ms: u64) -> HoldLimits {
    HoldLimits {
        deadline: Duration::from_millis(deadline_ms),
        stall: Duration::from_millis(stall_ms),
    }
}

/// Patient enough for a busy machine.
pub fn patient() -> HoldLimits {
    limits(20_000, 10_000)
}

pub fn frozen(mount: &Path) -> HoldVolume {
    held(mount, HoldMethod::Freeze)
}

pub fn atomic(mount: &Path) -> HoldVolume {
    held(mount, HoldMethod::Atomic)
}

fn held(mount: &Path, method: HoldMethod) -> HoldVolume {
    HoldVolume {
        volume: machine().resolve(mount).unwrap(),
        method,
    }
}

pub fn prepare(volumes: &[HoldVolume], limits: HoldLimits) -> Box<dyn PreparedHold> {
    machine().prepare_hold(volumes.to_vec(), limits).unwrap()
}

pub fn hold(
    volumes: &[HoldVolume],
    limits: HoldLimits,
    commits: Vec<Commit<'_>>,
) -> VssResult<HoldReport> {
    let mut hold = prepare(volumes, limits);
    hold.rehearse()?;
    hold.run(commits)
}

pub fn commit<'a>(act: impl FnOnce() + Send + 'a) -> Commit<'a> {
    Box::new(move || {
        act();
        Ok(())
    })
}

/// Appends and flushes without pause, and counts.
pub struct Writer {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn on(folder: &Path) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let file = folder.join("written");
        let (counted, stopped) = (Arc::clone(&count), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(SeqCst) {
                fs::write(&file, counted.load(SeqCst).to_string()).unwrap();
                fs::File::open(&file).unwrap().sync_all().unwrap();
                counted.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let writer = Self {
            count,
            stop,
            thread: Some(thread),
        };
        writer.assert_moves();
        writer
    }

    pub fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    /// It gets on.
    #[track_caller]
    pub fn assert_moves(&self) {
        let before = self.count();
        assert!(
            within(Duration::from_secs(20), || self.count() > before + 2),
            "writes stand still"
        );
    }

    /// It is blocked. A write that was already counted up to the file system may
    /// still come through.
    #[track_caller]
    pub fn assert_stands_still(&self) {
        let before = self.count();
        thread::sleep(Duration::from_millis(60));
        let after = self.count();
        assert!(
            after <= before + 1,
            "{} writes went through",
            after - before
        );
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether something comes true in time.
pub fn within(limit: Duration, mut come_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if come_true() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The children of this process that are alive or not yet waited for.
pub fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let status = fs::read_to_string(entry.path().join("stat")).ok()?;
            let after_name = &status[status.rfind(')')? + 2..];
            (after_name.split(' ').nth(1)? == own)
                .then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

/// The guardian of the one hold that this process has prepared.
pub fn guardian() -> i32 {
    children()
        .into_iter()
        .find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("umbra-guardian"))
        })
        .expect("a guardian")
        .parse()
        .unwrap()
}
