//! The inner half of `umbra exec`: a process of one thread that enters the
//! private view and becomes the command.
//!
//! A process with threads cannot move into a mount namespace, so the outer half
//! starts this program again. What to show travels in one variable of the
//! environment that the command never sees.

use crate::{failure::Failure, output::tell};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};
use umbra_model::{VssCode, VssError};
use umbra_volume::{
    mount::MountRequest,
    namespace::{ShadowMount, ShadowView, enter},
};

/// The hidden first argument that makes this program the inner half; the
/// command follows.
pub const INSIDE_ARGUMENT: &str = "--umbra-exec-inside";

/// Where the outer half puts [`Specification`], as JSON.
pub(super) const SPECIFICATION: &str = "UMBRA_EXEC_SPECIFICATION";

/// The command was found, and could not be run.
const CANNOT_RUN: u8 = 126;
/// The command was not found.
const NO_COMMAND: u8 = 127;

/// What the outer half tells the inner one. Paths need not be UTF-8.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Specification {
    /// The outer half's process.
    pub(super) parent: i32,
    /// The set.
    pub(super) set: String,
    /// The copies, in the order in which they were asked for.
    pub(super) copies: Vec<SpecifiedCopy>,
    /// What stays live.
    pub(super) live: Vec<OsString>,
}

/// One copy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpecifiedCopy {
    pub(super) id: String,
    pub(super) mount_point: OsString,
    pub(super) file_system: String,
    pub(super) source: OsString,
    pub(super) options: Vec<String>,
    pub(super) device: Option<OsString>,
}

/// The inner half: enters the view and becomes the command. Returns only where
/// that failed, having said why.
pub fn inside_main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(2).collect();
    match prepare() {
        Ok(specification) => become_command(&command, &specification),
        Err(failure) => {
            failure.print("umbra");
            failure.kind().code().into()
        }
    }
}

fn prepare() -> Result<Specification, Failure> {
    let specification: Specification = std::env::var(SPECIFICATION)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| {
            VssError::new(
                VssCode::InvalidArgument,
                format!("{INSIDE_ARGUMENT} is for umbra itself; use `umbra exec`"),
            )
        })?;
    end_with_parent(specification.parent)?;
    let view = ShadowView {
        copies: specification
            .copies
            .iter()
            .map(|copy| ShadowMount {
                mount_point: PathBuf::from(&copy.mount_point),
                request: MountRequest {
                    file_system: copy.file_system.clone(),
                    source: PathBuf::from(&copy.source),
                    options: copy.options.clone(),
                },
            })
            .collect(),
        live: specification.live.iter().map(PathBuf::from).collect(),
    };
    for warning in enter(&view)? {
        tell(warning);
    }
    Ok(specification)
}

/// Whoever ends the outer half without its knowing (SIGKILL) ends the command
/// too: nobody would clean up behind it. SIGTERM, so that a backup program can
/// give back its own locks.
fn end_with_parent(parent: i32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| {
        VssError::new(
            VssCode::Unexpected,
            "cannot ask the system to end the command with umbra",
        )
        .caused_by(error)
    })?;
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) == Some(parent) {
        Ok(())
    } else {
        Err(VssError::new(
            VssCode::Unexpected,
            "umbra ended before its command was started; the command is not run",
        )
        .into())
    }
}

fn become_command(command: &[OsString], specification: &Specification) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        tell("there is no command to run");
        return NO_COMMAND.into();
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove(SPECIFICATION)
        .envs(variables(specification));
    let error = command.exec();
    let code = if error.kind() == io::ErrorKind::NotFound {
        NO_COMMAND
    } else {
        CANNOT_RUN
    };
    tell(format!(
        "cannot run {}: {error}; it is looked for as the command sees the file systems, \
         with the shadow copies in place",
        program.display()
    ));
    code.into()
}

fn variables(specification: &Specification) -> Vec<(String, OsString)> {
    let mut variables = vec![("UMBRA_SET_ID".to_owned(), specification.set.clone().into())];
    for (index, copy) in specification.copies.iter().enumerate() {
        let name = |what| format!("UMBRA_SHADOW_{}_{what}", index + 1);
        variables.push((name("ID"), copy.id.clone().into()));
        variables.push((name("VOLUME"), copy.mount_point.clone()));
        variables.push((name("PATH"), copy.mount_point.clone()));
        if let Some(device) = &copy.device {
            variables.push((name("DEVICE"), device.clone()));
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn variables_are_numbered_from_one_and_paths_survive() {
        let odd = OsString::from_vec(b"/srv/\xff".to_vec());
        let copy = |device: Option<&str>| SpecifiedCopy {
            id: "an-id".into(),
            mount_point: odd.clone(),
            file_system: "ext4".into(),
            source: "/dev/loop1".into(),
            options: Vec::new(),
            device: device.map(OsString::from),
        };
        let sent = Specification {
            parent: 1,
            set: "a-set".into(),
            copies: vec![copy(Some("/dev/loop1")), copy(None)],
            live: Vec::new(),
        };
        let received: Specification =
            serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        let variables = variables(&received);
        let get = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        assert_eq!(get("UMBRA_SET_ID"), Some("a-set".into()));
        assert_eq!(get("UMBRA_SHADOW_1_PATH"), Some(odd.clone()));
        assert_eq!(get("UMBRA_SHADOW_2_VOLUME"), Some(odd));
        assert_eq!(get("UMBRA_SHADOW_1_DEVICE"), Some("/dev/loop1".into()));
        assert_eq!(get("UMBRA_SHADOW_2_DEVICE"), None);
    }
}
