//! `umbra exec`: a set, a command that sees it, and cleaning up.
//!
//! Invariant: nothing here prints to standard output: it is the command's.
//! Invariant: however the command or this program ends, the copies are deleted
//! and writers are told whether the backup succeeded.

mod child;
mod inside;

pub use inside::{INSIDE_ARGUMENT, inside_main};

use crate::{
    command_line::ExecArguments,
    exit::ExitKind,
    failure::{Failure, text},
    output::{ProgressLine, result_line, tell, tell_raw},
    reach::is_root,
    signals::Endings,
    tasks::{NotMade, Wanted, make, session_over, volume_names, writer_selection},
};
use inside::{Specification, SpecifiedCopy};
use std::process::ExitCode;
use umbra_client::{BackupOutcome, Connection, Requester};
use umbra_model::{Context, ShadowCopySet, VssCode, VssError, VssResult};

/// Checks all that can be checked before anything is done.
///
/// # Errors
///
/// No privilege, a volume that is named twice, a live path that is not there or
/// is itself a volume of the set.
pub fn check(arguments: &ExecArguments) -> Result<(), Failure> {
    if !is_root() {
        return Err(Failure::new(
            ExitKind::NoPrivilege,
            "umbra exec mounts shadow copies for the command, and only root may mount; run it \
             with sudo",
        ));
    }
    let volumes = volume_names(&arguments.volume)?;
    for path in &arguments.live {
        let real = path.canonicalize().map_err(|error| {
            Failure::new(
                ExitKind::NotFound,
                format!(
                    "cannot keep {} live: {error}; name an existing path",
                    path.display()
                ),
            )
        })?;
        if volumes.contains(&real) {
            return Err(Failure::new(
                ExitKind::Usage,
                format!(
                    "{} is to be both a shadow copy and live; leave one of the two out",
                    path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Makes the set, runs the command on it, cleans up, and says how the command
/// ended.
///
/// # Errors
///
/// The command was not run, and why; or the service went away under it.
pub async fn exec(
    arguments: ExecArguments,
    connection: &Connection,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    let wanted = Wanted {
        name: "umbra exec",
        context: if arguments.writers.no_writers {
            Context::FileShareBackup
        } else {
            Context::Backup
        },
        volumes: volume_names(&arguments.volume)?,
        writers: writer_selection(&arguments.writers),
    };
    let (requester, set) = match make(connection, &wanted, endings).await {
        Ok(made) => made,
        Err(NotMade::Failed(failure)) => return Err(failure),
        Err(NotMade::Ended(ending)) => {
            tell(
                "ended while the set was being made; nothing of it is kept and the command \
                 was not run",
            );
            return Ok(ending.exit_code().into());
        }
    };
    tell(result_line(&set));

    let run = run_on(&requester, &set, &arguments, endings).await;
    let outcome = match &run {
        Ok(ended) if ended.code == 0 && !ended.service_lost => BackupOutcome::Succeeded,
        _ => BackupOutcome::Failed,
    };
    let cleaned = clean_up(requester, outcome, endings).await;
    let ended = match run {
        Ok(ended) => ended,
        Err(failure) => {
            return Err(match cleaned {
                Err(error) => failure.followed_by(error),
                Ok(()) => failure,
            });
        }
    };
    if ended.service_lost && ended.code == 0 {
        return Err(Failure::new(
            ExitKind::Unreachable,
            "the Umbra service went away while the command ran: what the command read may not be \
             the shadow copies, so this backup counts as failed; see `systemctl status umbrad`",
        ));
    }
    // The command has the exit code; what else failed is still said.
    match cleaned {
        // It was said when it happened.
        Err(_) if ended.service_lost => {}
        Err(error) if ExitKind::of(error.code()) == ExitKind::Unreachable => tell(
            "the Umbra service went away after the command ended, before everything was cleaned \
             up; it goes on with that when it starts again, see `systemctl status umbrad`",
        ),
        Err(error) => tell_raw(&text("umbra", &error)),
        Ok(()) => {}
    }
    Ok(ended.code.into())
}

/// How the command ended.
struct Ended {
    code: u8,
    service_lost: bool,
}

async fn run_on(
    requester: &Requester,
    set: &ShadowCopySet,
    arguments: &ExecArguments,
    endings: &mut Endings,
) -> Result<Ended, Failure> {
    let mut copies = Vec::with_capacity(set.copies.len());
    for copy in &set.copies {
        let surfaced = requester.surface(copy.id).await?;
        copies.push(SpecifiedCopy {
            id: copy.id.to_string(),
            mount_point: copy.volume.mount_point.clone().into(),
            file_system: surfaced.mount.file_system,
            source: surfaced.mount.source.into(),
            options: surfaced.mount.options,
            device: surfaced.device.map(Into::into),
        });
    }
    let specification = Specification {
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        set: set.id.to_string(),
        copies,
        live: arguments
            .live
            .iter()
            .map(|path| path.clone().into())
            .collect(),
    };
    let mut command = child::start(&specification, &arguments.command)?;
    let mut service_lost = false;
    let code = loop {
        tokio::select! {
            code = command.ended() => break code?,
            ending = endings.next() => command.pass_on(ending),
            () = session_over(requester), if !service_lost => {
                service_lost = true;
                tell("the Umbra service went away; the command goes on, but the shadow \
                     copies may be gone, and this backup counts as failed");
            }
        }
    };
    Ok(Ended { code, service_lost })
}

/// Tells the writers how the backup ended and deletes the copies.
async fn clean_up(
    requester: Requester,
    outcome: BackupOutcome,
    endings: &mut Endings,
) -> VssResult<()> {
    let line = ProgressLine::start("cleaning up");
    let mut progress = requester.progress();
    let cleaning = async {
        let completed = requester.backup_complete(outcome).await;
        let closed = requester.close().await;
        match (completed, closed) {
            (Err(first), Err(later)) => Err(first.followed_by(later)),
            (completed, closed) => completed.and(closed),
        }
    };
    tokio::pin!(cleaning);
    let mut asked = false;
    loop {
        tokio::select! {
            done = &mut cleaning => return done,
            Ok(progress) = progress.recv() => line.tell(progress.message),
            _ = endings.next() => {
                if asked {
                    return Err(VssError::new(
                        VssCode::Unexpected,
                        "cleaning up was cut short; the next start of Umbra cleans up what is left",
                    ));
                }
                asked = true;
                tell("cleaning up; the same again ends umbra at once");
            }
        }
    }
}
