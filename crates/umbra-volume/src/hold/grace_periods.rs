//! Shorter waits inside the kernel.
//!
//! To stop writers the kernel waits for RCU grace periods: one after writes are
//! already barred, for page faults, and one for the file system's own threads.
//! On a quiet machine each takes ten milliseconds and more, and that is nearly
//! all of a plain freeze. The kernel can be asked to hurry them along
//! (`/sys/kernel/rcu_expedited`, see its `Documentation/RCU`), at the price of a
//! few interrupts on every processor. Umbra asks while it freezes, and no longer;
//! where those interrupts matter, on real-time machines, not at all.

use super::shared::Board;
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    sync::atomic::Ordering::SeqCst,
};

const CONTROL: &str = "/sys/kernel/rcu_expedited";

/// Whether the kernel hurries while file systems are frozen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GracePeriodPolicy {
    /// It does: holds are as short as they can be.
    #[default]
    Expedite,
    /// It does as it always does: no processor is interrupted for a hold.
    LeaveAlone,
}

/// The kernel's switch, where there is one that this process may use.
#[derive(Debug)]
pub(super) struct GracePeriods(Option<File>);

impl GracePeriods {
    /// Opens the switch; later nothing needs to be opened.
    pub fn open(policy: GracePeriodPolicy) -> Self {
        Self(match policy {
            GracePeriodPolicy::Expedite => {
                OpenOptions::new().read(true).write(true).open(CONTROL).ok()
            }
            GracePeriodPolicy::LeaveAlone => None,
        })
    }

    /// Has the kernel hurry until the value returned is dropped; unless somebody
    /// else has it hurry already, whose business it then stays.
    pub fn expedite<'a>(&'a self, board: &'a Board) -> Expedited<'a> {
        let mut state = [0];
        if let Some(control) = &self.0
            && control.read_at(&mut state, 0).is_ok()
            && state == *b"0"
        {
            // On the board first, so that the guardian undoes it in any case.
            board.expedited.store(1, SeqCst);
            // Where the kernel refuses, the hold takes longer; it works.
            let _ = control.write_at(b"1", 0);
        }
        Expedited {
            grace_periods: self,
            board,
        }
    }

    /// Undoes what the board says was done.
    pub fn restore(&self, board: &Board) {
        if let Some(control) = &self.0
            && board.expedited.load(SeqCst) == 1
        {
            // Nothing depends on it but a few interrupts.
            let _ = control.write_at(b"0", 0);
            board.expedited.store(0, SeqCst);
        }
    }
}

/// While it lives, the kernel hurries.
pub(super) struct Expedited<'a> {
    grace_periods: &'a GracePeriods,
    board: &'a Board,
}

impl Drop for Expedited<'_> {
    fn drop(&mut self) {
        self.grace_periods.restore(self.board);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::shared::SharedBoard;

    #[test]
    fn a_kernel_that_is_left_alone_is_asked_nothing() {
        let board = SharedBoard::new().unwrap();
        let grace_periods = GracePeriods::open(GracePeriodPolicy::LeaveAlone);
        let _expedited = grace_periods.expedite(&board);
        assert_eq!(board.expedited.load(SeqCst), 0);
    }
}
