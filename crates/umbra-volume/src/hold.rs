//! The hold: the few milliseconds in which every file system of a set stands
//! still while providers make their copies.
//!
//! Read top to bottom: [`prepare`] opens, locks and starts everything; `rehearse`
//! freezes each file system once, alone; `run` holds them all. The order of
//! things is in `plan`, what one thread does to one volume in `volume`, the
//! threads in `crew`. The `guardian` and the service share a `shared` board.
//!
//! Invariant: a file system is frozen only while the guardian watches it; the
//! benchmark's [`bare_hold`] alone does without.
//! Invariant: between the first freeze and the last thaw nothing here opens a
//! file, starts a process or thread, or logs.
//! Invariant: a commit is believed only if the service, and not the guardian,
//! ended the hold, before the first thaw.

mod crew;
mod floor;
mod freeze;
mod grace_periods;
mod guardian;
mod guardian_process;
mod memory_lock;
mod plan;
mod report;
mod shared;
mod volume;

pub use floor::{BareHold, bare_hold};
pub use guardian::{GUARDIAN_ARGUMENT, GuardianCommand};
pub use guardian_process::guardian_main;

use crate::{
    Commit, HoldLimits, HoldReport, HoldVolume, PreparedHold, discovery,
    mount_table::{self, Mount},
    stacking,
};
use crew::Crew;
pub use grace_periods::GracePeriodPolicy;
use grace_periods::GracePeriods;
use guardian::Guardian;
use memory_lock::MemoryLock;
use plan::{Part, Plan};
use shared::{MOST_VOLUMES, Phase, SharedBoard, nanoseconds};
use std::{
    collections::BTreeSet,
    os::fd::AsFd,
    sync::{Mutex, atomic::Ordering::SeqCst},
    thread,
};
use umbra_model::{DeviceNumber, HoldMethod, VssCode, VssError, VssResult};
use volume::{HeldVolume, Ledger};

/// A hold that is ready.
pub(crate) struct LinuxHold {
    /// In the order in which they were given.
    volumes: Vec<HeldVolume>,
    plan: Plan,
    limits: HoldLimits,
    board: SharedBoard,
    /// None where nothing is to be frozen.
    guardian: Option<Guardian>,
    grace_periods: GracePeriods,
    _memory: Option<MemoryLock>,
}

/// Opens and pins each file system, finds out the order, starts the guardian,
/// locks memory.
pub(crate) fn prepare(
    volumes: Vec<HoldVolume>,
    limits: HoldLimits,
    guardian: &GuardianCommand,
    policy: GracePeriodPolicy,
    mounts: &[Mount],
) -> VssResult<LinuxHold> {
    if volumes.len() > MOST_VOLUMES {
        return Err(VssError::new(
            VssCode::MaximumNumberOfVolumesReached,
            format!(
                "cannot hold {} volumes: a set may have {MOST_VOLUMES} at most",
                volumes.len()
            ),
        ));
    }
    let plan = Plan::new(&parts(&volumes, mounts)?);
    let slots: Vec<usize> = plan.thaw.iter().flatten().copied().collect();
    let volumes = volumes
        .into_iter()
        .enumerate()
        .map(|(index, held)| {
            let folder = discovery::open_again(&held.volume).map_err(|why| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "cannot hold the volume {}: {why}; mount it and try again",
                        held.volume.mount_point.display()
                    ),
                )
            })?;
            Ok(HeldVolume {
                name: held.volume.mount_point.display().to_string(),
                method: held.method,
                slot: slots.iter().position(|at| *at == index),
                folder,
            })
        })
        .collect::<VssResult<Vec<_>>>()?;

    let board = SharedBoard::new().map_err(|error| {
        VssError::new(
            VssCode::Unexpected,
            "cannot make the memory that is shared with the guardian",
        )
        .caused_by(error)
    })?;
    board.stall.store(nanoseconds(limits.stall), SeqCst);
    board.deadline.store(u64::MAX, SeqCst);
    let (guardian, memory) = if slots.is_empty() {
        (None, None)
    } else {
        let folders: Vec<_> = slots.iter().map(|at| volumes[*at].folder.as_fd()).collect();
        let guardian = Guardian::start(guardian, &board, &folders)?;
        (Some(guardian), Some(MemoryLock::take()?))
    };
    Ok(LinuxHold {
        volumes,
        plan,
        limits,
        board,
        guardian,
        grace_periods: GracePeriods::open(policy),
        _memory: memory,
    })
}

/// The volumes as the plan sees them.
fn parts(volumes: &[HoldVolume], mounts: &[Mount]) -> VssResult<Vec<Part>> {
    let numbers: Vec<DeviceNumber> = volumes
        .iter()
        .map(|held| {
            mount_table::with_id(mounts, held.volume.mount_id)
                .map_or(held.volume.number, |mount| mount.number)
        })
        .collect();
    let mut frozen = BTreeSet::new();
    for (held, number) in volumes.iter().zip(&numbers) {
        if held.method == HoldMethod::Freeze && !frozen.insert(number) {
            return Err(VssError::new(
                VssCode::ObjectAlreadyExists,
                format!(
                    "cannot hold the volume {} twice in one set; name it once",
                    held.volume.mount_point.display()
                ),
            ));
        }
    }
    Ok(volumes
        .iter()
        .map(|held| {
            let under = stacking::under(&held.volume, mounts);
            Part {
                method: held.method,
                under: (0..volumes.len())
                    .filter(|other| under.contains(&numbers[*other]))
                    .collect(),
            }
        })
        .collect())
}

impl LinuxHold {
    /// Has the guardian watch, right before file systems are frozen.
    fn arm(&self) -> VssResult<()> {
        if !self.board.advance(Phase::Ready, Phase::Armed) {
            return Err(VssError::new(
                VssCode::BadState,
                "cannot hold the volumes: this hold was used already; prepare another one",
            ));
        }
        self.guardian.as_ref().map_or(Ok(()), Guardian::arm)
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::new(&self.board, self.guardian.as_ref(), self.limits)
    }
}

impl PreparedHold for LinuxHold {
    fn rehearse(&mut self) -> VssResult<()> {
        self.arm()?;
        let ledger = self.ledger();
        thread::scope(|scope| {
            let _pulse = crew::Pulse::start(scope, &self.volumes, &ledger)?;
            let _expedited = self.grace_periods.expedite(&self.board);
            // Outermost first: flushing a file system above one that somebody
            // has frozen would wait for that somebody.
            let frozen = self.plan.thaw.iter().flatten();
            let atomic = (0..self.volumes.len())
                .filter(|index| self.volumes[*index].method == HoldMethod::Atomic);
            for volume in frozen.copied().chain(atomic) {
                let volume = &self.volumes[volume];
                volume.flush()?;
                if volume.method == HoldMethod::Freeze {
                    volume.rehearse(&ledger);
                    ledger.verdict()?;
                }
            }
            Ok(())
        })?;
        self.board.advance(Phase::Armed, Phase::Ready);
        Ok(())
    }

    fn run(&mut self, commits: Vec<Commit<'_>>) -> VssResult<HoldReport> {
        if commits.len() != self.volumes.len() {
            return Err(VssError::new(
                VssCode::InvalidArgument,
                format!(
                    "cannot hold {} volumes with {} commits",
                    self.volumes.len(),
                    commits.len()
                ),
            ));
        }
        // What is dirty now need not be written while everything stands still.
        for volume in &self.volumes {
            volume.flush()?;
        }
        self.arm()?;
        let ledger = self.ledger();
        let moments: Vec<_> = self.volumes.iter().map(|_| Mutex::default()).collect();
        let begun = thread::scope(|scope| {
            let _pulse = crew::Pulse::start(scope, &self.volumes, &ledger)?;
            let crew = Crew::muster(scope, &self.volumes, commits, &moments, &ledger)?;
            let _expedited = self.grace_periods.expedite(&self.board);
            crew.at_hold_before()?;

            let begun = ledger.begin();
            crew.hold(&self.plan);
            ledger.stop_believing();
            crew.release(&self.plan);
            Ok(begun)
        })?;
        ledger.verdict()?;
        let volumes: Vec<_> = self
            .volumes
            .iter()
            .zip(&moments)
            .map(|(volume, moments)| (volume.method, *volume::lock(moments)))
            .collect();
        Ok(report::report(begun, &volumes))
    }
}

impl Drop for LinuxHold {
    fn drop(&mut self) {
        if let Some(guardian) = &mut self.guardian {
            guardian.dismiss(&self.board);
        }
    }
}
