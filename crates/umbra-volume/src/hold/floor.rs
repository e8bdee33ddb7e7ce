//! The floor of a hold: the kernel's own calls and nothing around them.

use super::freeze;
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// How long the parts of a bare hold took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BareHold {
    /// `FIFREEZE`.
    pub freeze: Duration,
    /// The provider's call.
    pub copy: Duration,
    /// `FITHAW`.
    pub thaw: Duration,
    /// From before the first to after the last.
    pub held: Duration,
}

/// Freezes a file system, copies, thaws it: what a hold cannot be shorter than.
/// The benchmark measures holds against it.
///
/// **No guardian watches it.** A process that is killed inside leaves the file
/// system frozen, so this is for file systems made for the purpose, with
/// something outside that thaws them.
///
/// # Errors
///
/// The system's, after thawing what was frozen.
pub fn bare_hold(folder: impl AsFd, copy: impl FnOnce() -> io::Result<()>) -> io::Result<BareHold> {
    let begun = Instant::now();
    freeze::freeze(&folder)?;
    let frozen = Instant::now();
    let held = Frozen(folder.as_fd());
    copy()?;
    let copied = Instant::now();
    held.thaw()?;
    let thawed = Instant::now();
    Ok(BareHold {
        freeze: frozen - begun,
        copy: copied - frozen,
        thaw: thawed - copied,
        held: thawed - begun,
    })
}

/// Thawed when it is dropped, also by a panic.
struct Frozen<'a>(BorrowedFd<'a>);

impl Frozen<'_> {
    fn thaw(self) -> io::Result<()> {
        let result = freeze::thaw(self.0);
        std::mem::forget(self);
        Ok(result?)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // The copy's own error is the one to report.
        let _ = freeze::thaw(self.0);
    }
}
