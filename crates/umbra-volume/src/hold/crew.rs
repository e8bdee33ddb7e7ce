//! The threads of a hold: one for each volume, waiting before the first freeze
//! for what to do, and the pulse that shows the guardian signs of life.

use super::{
    plan::{Plan, Step},
    report::Moments,
    shared::Phase,
    volume::{HeldVolume, Ledger, panicked},
};
use crate::Commit;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, Scope, Thread},
    time::Duration,
};
use umbra_model::{VssCode, VssError, VssResult};

/// All of it is in memory while the hold lasts, so no more than is needed.
const STACK: usize = 1024 * 1024;
const PULSE_STACK: usize = 128 * 1024;
const PULSE: Duration = Duration::from_millis(20);

/// What a thread is told to do with its volume.
#[derive(Debug, Clone, Copy)]
enum Task {
    Freeze,
    Commit,
    Thaw,
}

/// The threads, and the one who tells them.
pub(super) struct Crew<'a> {
    volumes: &'a [HeldVolume],
    moments: &'a [Mutex<Moments>],
    ledger: &'a Ledger<'a>,
    tell: Vec<SyncSender<Task>>,
    done: Receiver<()>,
}

impl<'a> Crew<'a> {
    /// Starts a thread for each volume. They end with this value.
    pub fn muster<'scope, 'env, 'commit: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        volumes: &'a [HeldVolume],
        commits: Vec<Commit<'commit>>,
        moments: &'a [Mutex<Moments>],
        ledger: &'a Ledger<'a>,
    ) -> VssResult<Self>
    where
        'a: 'scope,
    {
        let (tell_done, done) = sync_channel(volumes.len());
        let tell = volumes
            .iter()
            .zip(moments)
            .zip(commits)
            .map(|((volume, moments), commit)| {
                let (tell, told) = sync_channel(1);
                let tell_done = tell_done.clone();
                let mut commit = Some(commit);
                let work = move || {
                    for task in told {
                        match task {
                            Task::Freeze => volume.freeze(moments, ledger),
                            Task::Thaw => volume.thaw(moments, ledger),
                            Task::Commit => {
                                if let Some(commit) = commit.take() {
                                    volume.commit(commit, moments, ledger);
                                }
                            }
                        }
                        // Whoever does not listen any more has ended the hold.
                        let _ = tell_done.send(());
                    }
                };
                spawn(scope, "umbra-hold", STACK, work)?;
                Ok(tell)
            })
            .collect::<VssResult<_>>()?;
        Ok(Self {
            volumes,
            moments,
            ledger,
            tell,
            done,
        })
    }

    /// Where a test can stop the program right before the first freeze.
    pub fn at_hold_before(&self) -> VssResult<()> {
        fail::fail_point!("hold::before", |_| Err(injected("before the hold")));
        Ok(())
    }

    /// Freezes and commits as planned, until something fails.
    pub fn hold(&self, plan: &Plan) {
        self.guarded("the hold", || {
            self.follow(&plan.until_frozen);
            at_frozen()?;
            self.follow(&plan.last_commits);
            at_committed()
        });
    }

    /// Thaws what was frozen, outermost first, whatever came before.
    pub fn release(&self, plan: &Plan) {
        for (position, group) in plan.thaw.iter().enumerate() {
            self.all(group, Task::Thaw);
            if position == 0 {
                self.guarded("the release", at_releasing);
            }
        }
        for (volume, moments) in self.volumes.iter().zip(self.moments) {
            volume.await_thaw(moments, self.ledger);
        }
        self.ledger.finish(Phase::Done);
    }

    fn follow(&self, steps: &[Step]) {
        for step in steps {
            if !self.ledger.is_good() {
                return;
            }
            match step {
                Step::Freeze(group) => self.all(group, Task::Freeze),
                Step::Commit(group) => self.all(group, Task::Commit),
            }
        }
    }

    /// Has these threads do the same, and waits for all of them.
    fn all(&self, group: &[usize], task: Task) {
        let told = group
            .iter()
            .filter(|volume| self.tell[**volume].send(task).is_ok())
            .count();
        for _ in 0..told {
            if self.done.recv().is_err() {
                return;
            }
        }
    }

    fn guarded(&self, what: &str, act: impl FnOnce() -> VssResult<()>) {
        match catch_unwind(AssertUnwindSafe(act)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.ledger.fail(error),
            Err(panic) => self.ledger.fail(panicked(what, panic.as_ref())),
        }
    }
}

fn at_frozen() -> VssResult<()> {
    fail::fail_point!("hold::frozen", |_| Err(injected("while all is frozen")));
    Ok(())
}

fn at_committed() -> VssResult<()> {
    fail::fail_point!("hold::committed", |_| Err(injected("after the commits")));
    Ok(())
}

fn at_releasing() -> VssResult<()> {
    fail::fail_point!("hold::releasing", |_| Err(injected("after the first thaw")));
    Ok(())
}

#[cfg(feature = "failpoints")]
fn injected(place: &str) -> VssError {
    VssError::new(
        VssCode::Unexpected,
        format!("the hold failed {place}, because a test asked for it"),
    )
}

/// The thread that shows the guardian signs of life, and does the guardian's
/// work where that died. It ends with this value.
pub(super) struct Pulse {
    stop: Arc<AtomicBool>,
    thread: Thread,
}

impl Pulse {
    pub fn start<'scope, 'a: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        volumes: &'a [HeldVolume],
        ledger: &'a Ledger<'a>,
    ) -> VssResult<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = spawn(scope, "umbra-pulse", PULSE_STACK, move || {
            while !told.load(SeqCst) {
                ledger.board.heartbeat.fetch_add(1, SeqCst);
                if ledger.end_unguarded() {
                    thaw_all(volumes, ledger);
                }
                thread::park_timeout(PULSE);
            }
        })?;
        Ok(Self { stop, thread })
    }
}

fn thaw_all(volumes: &[HeldVolume], ledger: &Ledger<'_>) {
    let mut order: Vec<_> = volumes
        .iter()
        .filter(|volume| volume.slot.is_some())
        .collect();
    order.sort_unstable_by_key(|volume| volume.slot);
    for volume in order {
        volume.thaw(&Mutex::default(), ledger);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.thread.unpark();
    }
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    stack: usize,
    work: impl FnOnce() + Send + 'scope,
) -> VssResult<Thread> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn_scoped(scope, work)
        .map(|handle| handle.thread().clone())
        .map_err(|error| {
            VssError::new(
                VssCode::Unexpected,
                "cannot start the threads of the hold; is the limit of processes reached?",
            )
            .caused_by(error)
        })
}
