//! What is done to one volume of a hold, and the ledger of what went wrong.

use super::{
    freeze,
    guardian::Guardian,
    report::Moments,
    shared::{Ice, Phase, SharedBoard, nanoseconds, now},
};
use crate::{Commit, HoldLimits};
use rustix::io::Errno;
use std::{
    any::Any,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use umbra_model::{HoldMethod, VssCode, VssError, VssResult};

/// One volume, open and pinned.
#[derive(Debug)]
pub(super) struct HeldVolume {
    /// Its mount point, for messages.
    pub name: String,
    pub method: HoldMethod,
    /// Its place on the board, where it is to be frozen.
    pub slot: Option<usize>,
    /// Its root folder. While it is open, an unmount cannot put another file
    /// system in its place.
    pub folder: File,
}

/// The state of one hold: the board, and every failure in the order they came.
pub(super) struct Ledger<'a> {
    pub board: &'a SharedBoard,
    pub guardian: Option<&'a Guardian>,
    limits: HoldLimits,
    failures: Mutex<Vec<VssError>>,
    end_is_noted: AtomicBool,
}

/// How long the service waits for the guardian to act at the deadline before it
/// acts itself.
const GRACE: u64 = 250_000_000;
/// For how long a thaw that fails is tried again before it is left to the guardian.
const THAW_LIMIT: Duration = Duration::from_secs(10);
const THAW_PAUSE: Duration = Duration::from_millis(10);

impl<'a> Ledger<'a> {
    pub fn new(board: &'a SharedBoard, guardian: Option<&'a Guardian>, limits: HoldLimits) -> Self {
        Self {
            board,
            guardian,
            limits,
            // Room for a few, so that nothing is allocated for them in the hold.
            failures: Mutex::new(Vec::with_capacity(16)),
            end_is_noted: AtomicBool::new(false),
        }
    }

    /// The hold begins; the deadline counts from here.
    pub fn begin(&self) -> Instant {
        let begun = Instant::now();
        let deadline = now().saturating_add(nanoseconds(self.limits.deadline));
        self.board.deadline.store(deadline, SeqCst);
        self.board.advance(Phase::Armed, Phase::Holding);
        begun
    }

    /// The last commit is made, or none will be: from here on it does not matter
    /// when file systems are thawed. If the hold was ended before, the commits
    /// are worth nothing.
    pub fn stop_believing(&self) {
        if !self.board.advance(Phase::Holding, Phase::Releasing) {
            self.note_if_ended();
        }
    }

    /// Everything is thawed: `to` is the next phase.
    pub fn finish(&self, to: Phase) {
        if !self.board.advance(Phase::Releasing, to) {
            self.note_if_ended();
        }
    }

    /// Whether commits made now would be believed.
    pub fn is_holding(&self) -> bool {
        self.board.phase() == Phase::Holding
    }

    /// Whether nothing has failed so far.
    pub fn is_good(&self) -> bool {
        self.note_if_ended();
        lock(&self.failures).is_empty()
    }

    /// Adds a failure.
    pub fn fail(&self, error: VssError) {
        self.note_if_ended();
        lock(&self.failures).push(error);
    }

    /// The first failure, with the later ones attached.
    pub fn verdict(&self) -> VssResult<()> {
        self.note_if_ended();
        let mut failures = std::mem::take(&mut *lock(&self.failures)).into_iter();
        match failures.next() {
            None => Ok(()),
            Some(first) => Err(failures.fold(first, VssError::followed_by)),
        }
    }

    /// For the service's own watch: ends a hold whose guardian died, or did
    /// nothing at the deadline. Whether this call ended it.
    pub fn end_unguarded(&self) -> bool {
        let Some(guardian) = self.guardian else {
            return false;
        };
        let overdue = now() >= self.board.deadline.load(SeqCst).saturating_add(GRACE);
        (overdue || guardian.is_gone()) && self.board.advance(Phase::Holding, Phase::EndedByService)
    }

    /// An end by one of the watchers is a failure like others; it is noted when
    /// it is first seen, so that it stands before what it caused.
    fn note_if_ended(&self) {
        let message = match self.board.phase() {
            Phase::EndedByGuardian if now() >= self.board.deadline.load(SeqCst) => format!(
                "the hold took longer than {} s and was ended; nothing of it is kept. Try again \
                 when the machine is less busy",
                self.limits.deadline.as_secs_f32()
            ),
            Phase::EndedByGuardian => format!(
                "the service stood still for {} s inside the hold, so the guardian ended it; \
                 nothing of it is kept. Try again",
                self.limits.stall.as_secs_f32()
            ),
            Phase::EndedByService => "the guardian of the hold died or did not act, so the hold \
                                      was ended; nothing of it is kept. Try again"
                .to_owned(),
            _ => return,
        };
        if !self.end_is_noted.swap(true, SeqCst) {
            lock(&self.failures).push(VssError::new(VssCode::HoldWritesTimeout, message));
        }
    }
}

impl HeldVolume {
    /// Writes what is dirty, outside the hold.
    pub fn flush(&self) -> VssResult<()> {
        freeze::flush(&self.folder).map_err(|error| {
            VssError::new(
                VssCode::FlushWritesTimeout,
                format!("cannot flush the volume {} before holding it", self.name),
            )
            .caused_by(error)
        })
    }

    /// Freezes, unless the hold was ended.
    pub fn freeze(&self, moments: &Mutex<Moments>, ledger: &Ledger<'_>) {
        let board = ledger.board;
        let Some(slot) = self.slot else { return };
        if !board.change_ice(slot, Ice::Untouched, Ice::Freezing) {
            return;
        }
        if !ledger.is_holding() {
            board.change_ice(slot, Ice::Freezing, Ice::Untouched);
            return;
        }
        lock(moments).freeze_started = Some(Instant::now());
        match freeze::freeze(&self.folder) {
            Ok(()) => {
                lock(moments).frozen = Some(Instant::now());
                // Otherwise the guardian ended the hold and has thawed it.
                board.change_ice(slot, Ice::Freezing, Ice::Frozen);
                if !ledger.is_holding() {
                    self.thaw(moments, ledger);
                }
            }
            Err(error) => {
                let ours = if error == Errno::BUSY {
                    Ice::NotOurs
                } else {
                    Ice::Untouched
                };
                board.change_ice(slot, Ice::Freezing, ours);
                ledger.fail(self.cannot_freeze(error));
            }
        }
    }

    /// Thaws, if this hold froze it and nobody else is thawing it. Where the
    /// kernel refuses, [`HeldVolume::await_thaw`] tries again.
    pub fn thaw(&self, moments: &Mutex<Moments>, ledger: &Ledger<'_>) {
        let board = ledger.board;
        let Some(slot) = self.slot else { return };
        if !board.change_ice(slot, Ice::Frozen, Ice::Thawing) {
            return;
        }
        lock(moments).thaw_started.get_or_insert_with(Instant::now);
        match freeze::thaw(&self.folder) {
            Ok(()) => {}
            Err(error) if freeze::was_not_frozen(error) => {
                // No news where the guardian was quicker.
                if board.phase() == Phase::Releasing {
                    ledger.fail(self.was_thawed());
                }
            }
            Err(_) => {
                board.change_ice(slot, Ice::Thawing, Ice::Frozen);
                return;
            }
        }
        lock(moments).released = Some(Instant::now());
        board.set_ice(slot, Ice::Released);
    }

    /// Waits until this hold has it frozen no more: the guardian may be thawing
    /// it, or the kernel may have refused at first.
    pub fn await_thaw(&self, moments: &Mutex<Moments>, ledger: &Ledger<'_>) {
        let Some(slot) = self.slot else { return };
        let board = ledger.board;
        let end = Instant::now() + THAW_LIMIT;
        while Instant::now() < end {
            match board.ice(slot) {
                Ice::Untouched | Ice::Released | Ice::NotOurs => return,
                Ice::Frozen => self.thaw(moments, ledger),
                Ice::Freezing | Ice::Thawing => {
                    if ledger.guardian.is_some_and(Guardian::is_gone) {
                        board.set_ice(slot, Ice::Frozen);
                    }
                }
            }
            if board.ice(slot) != Ice::Released {
                std::thread::sleep(THAW_PAUSE);
            }
        }
        // The guardian goes on trying when this process lets go of the hold.
        ledger.fail(VssError::new(
            VssCode::Unexpected,
            format!(
                "cannot thaw the volume {0}; look at the kernel's log and run: fsfreeze -u {0}",
                self.name
            ),
        ));
    }

    /// Makes the copy.
    pub fn commit(&self, commit: Commit<'_>, moments: &Mutex<Moments>, ledger: &Ledger<'_>) {
        lock(moments).commit_started = Some(Instant::now());
        let result = catch_unwind(AssertUnwindSafe(commit));
        lock(moments).commit_ended = Some(Instant::now());
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ledger.fail(error),
            Err(panic) => ledger.fail(panicked(
                &format!("the copy of the volume {}", self.name),
                panic.as_ref(),
            )),
        }
    }

    /// Freezes and thaws it alone.
    pub fn rehearse(&self, ledger: &Ledger<'_>) {
        let moments = Mutex::default();
        ledger.begin();
        self.freeze(&moments, ledger);
        ledger.stop_believing();
        self.thaw(&moments, ledger);
        self.await_thaw(&moments, ledger);
        if let Some(slot) = self.slot {
            ledger.board.change_ice(slot, Ice::Released, Ice::Untouched);
        }
        ledger.finish(Phase::Armed);
    }

    fn was_thawed(&self) -> VssError {
        VssError::new(
            VssCode::HoldWritesTimeout,
            format!(
                "another program thawed the volume {} inside the hold, so its copy may be torn; \
                 find out which and try again",
                self.name
            ),
        )
    }

    fn cannot_freeze(&self, error: Errno) -> VssError {
        let name = &self.name;
        let (code, message) = match error {
            Errno::BUSY => (
                VssCode::VolumeInUse,
                format!(
                    "the volume {name} is frozen already, by another program; thaw it (fsfreeze \
                     -u {name}) and try again"
                ),
            ),
            Errno::OPNOTSUPP => (
                VssCode::VolumeNotSupported,
                format!("the volume {name} cannot be frozen: its file system does not support it"),
            ),
            Errno::PERM => (
                VssCode::AccessDenied,
                format!("the volume {name} cannot be frozen; run as root (CAP_SYS_ADMIN)"),
            ),
            _ => (
                VssCode::FlushWritesTimeout,
                format!("the volume {name} cannot be frozen; look at the kernel's log"),
            ),
        };
        VssError::new(code, message).caused_by(std::io::Error::from(error))
    }
}

/// What a panic comes to: a failure, so that everything is still thawed.
pub(super) fn panicked(what: &str, panic: &(dyn Any + Send)) -> VssError {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = VssError::new(
        VssCode::Unexpected,
        format!("{what} ended in a fault of the program; please report it"),
    );
    match said {
        Some(said) => error.caused_by_text(said),
        None => error,
    }
}

/// A lock is poisoned only by a panic that has been dealt with.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
