//! The kernel's switch for expedited RCU grace periods, which Umbra uses while
//! it freezes.

use anyhow::{Context, Result};
use std::fs;
use umbra_testbed::Testbed;

const CONTROL: &str = "/sys/kernel/rcu_expedited";

/// Whether somebody has the kernel expedite RCU grace periods now.
///
/// # Errors
///
/// The kernel has no such switch.
pub fn are_expedited() -> Result<bool> {
    let state = fs::read_to_string(CONTROL).with_context(|| format!("cannot read {CONTROL}"))?;
    Ok(state.trim() != "0")
}

/// While it lives, the kernel expedites RCU grace periods.
pub struct Expedited {
    before: String,
}

impl Expedited {
    /// Expedites.
    ///
    /// # Errors
    ///
    /// The kernel has no such switch.
    pub fn new() -> Result<Self> {
        let before =
            fs::read_to_string(CONTROL).with_context(|| format!("cannot read {CONTROL}"))?;
        fs::write(CONTROL, "1").with_context(|| format!("cannot write {CONTROL}"))?;
        Ok(Self { before })
    }
}

impl Drop for Expedited {
    fn drop(&mut self) {
        if let Err(error) = fs::write(CONTROL, self.before.trim()) {
            eprintln!(
                "cannot restore {CONTROL} to {}: {error}",
                self.before.trim()
            );
        }
    }
}

/// Has the testbed's clean-up restore the switch, should this process be killed
/// while it is on.
///
/// # Errors
///
/// The kernel has no such switch.
pub fn restore_at_the_end(bed: &Testbed) -> Result<()> {
    let before = fs::read_to_string(CONTROL).with_context(|| format!("cannot read {CONTROL}"))?;
    bed.undo(&format!("echo {} >{CONTROL}", before.trim()));
    Ok(())
}
