//! The command as a child of this process.

use super::inside::{INSIDE_ARGUMENT, SPECIFICATION, Specification};
use crate::{
    exit::ExitKind,
    failure::Failure,
    signals::{Ending, in_foreground},
};
use rustix::process::{Pid, kill_process};
use std::{ffi::OsString, os::unix::process::ExitStatusExt};
use tokio::process::{Child, Command};

/// The command, running.
pub(super) struct RunningCommand {
    child: Child,
}

/// Starts the inner half, which becomes the command.
///
/// To be called on the thread that lives as long as the program: the command
/// gets SIGTERM when its parent's thread ends.
pub(super) fn start(
    specification: &Specification,
    command: &[OsString],
) -> Result<RunningCommand, Failure> {
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(
            ExitKind::Unexpected,
            format!("cannot start the process that becomes the command: {error}"),
        )
    };
    let specification = serde_json::to_string(specification).map_err(|error| cannot(&error))?;
    Command::new("/proc/self/exe")
        .arg(INSIDE_ARGUMENT)
        .args(command)
        .env(SPECIFICATION, specification)
        .spawn()
        .map(|child| RunningCommand { child })
        .map_err(|error| cannot(&error))
}

impl RunningCommand {
    /// Waits for the command's end: its exit code, or 128 and the signal that
    /// killed it. Safe to cancel.
    pub(super) async fn ended(&mut self) -> Result<u8, Failure> {
        let status = self.child.wait().await.map_err(|error| {
            Failure::new(
                ExitKind::Unexpected,
                format!("cannot wait for the command: {error}"),
            )
        })?;
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => i32::from(ExitKind::Unexpected.code()),
        };
        Ok(u8::try_from(code & 0xff).unwrap_or(ExitKind::Unexpected.code()))
    }

    /// Hands a signal on. What comes from the keyboard of a terminal whose
    /// foreground we are has reached the command already.
    pub(super) fn pass_on(&self, ending: Ending) {
        if ending.comes_from_keyboard() && in_foreground() {
            return;
        }
        let pid = self
            .child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It fails only where the command has ended by itself meanwhile.
            let _ = kill_process(pid, ending.signal());
        }
    }
}
