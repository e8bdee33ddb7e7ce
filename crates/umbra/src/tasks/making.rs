//! Making a set, from the session to the durable copies: what `exec` and
//! `create` have in common.

use crate::{
    command_line::WriterArguments,
    exit::ExitKind,
    failure::Failure,
    output::ProgressLine,
    signals::{Ending, Endings},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, time::timeout};
use umbra_client::{Connection, Requester, WriterSelection};
use umbra_model::{Context, ShadowCopySet, VssCode};

/// How long after the end of a session its last answer may come.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a set is made of, and how.
pub struct Wanted {
    /// The requester's name, for others who have to wait.
    pub name: &'static str,
    /// What the set is for.
    pub context: Context,
    /// The volumes, in order.
    pub volumes: Vec<PathBuf>,
    /// Which writers take part.
    pub writers: WriterSelection,
}

/// Why there is no set. Nothing of it is left either way.
pub enum NotMade {
    /// It failed.
    Failed(Failure),
    /// Somebody asked this program to end.
    Ended(Ending),
}

impl From<Failure> for NotMade {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Which writers were asked for.
pub fn writer_selection(arguments: &WriterArguments) -> WriterSelection {
    if arguments.no_writers {
        WriterSelection::None
    } else if !arguments.writer.is_empty() {
        WriterSelection::Only(arguments.writer.clone())
    } else if !arguments.exclude_writer.is_empty() {
        WriterSelection::Except(arguments.exclude_writer.clone())
    } else {
        WriterSelection::All
    }
}

/// The volumes as they were asked for, with paths made absolute; volume ids and
/// names of nothing stay as they are, for the service to judge.
///
/// # Errors
///
/// A volume was named twice.
pub fn volume_names(asked: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut names: Vec<PathBuf> = Vec::new();
    for name in asked {
        let absolute = name.canonicalize().unwrap_or_else(|_| name.clone());
        if names.contains(&absolute) {
            return Err(named_twice(name));
        }
        names.push(absolute);
    }
    Ok(names)
}

fn named_twice(volume: &Path) -> Failure {
    Failure::new(
        ExitKind::Usage,
        format!(
            "the volume {} is named twice; name each volume once",
            volume.display()
        ),
    )
}

/// Makes the set. The session stays open.
///
/// # Errors
///
/// As [`NotMade`]; the session has been closed then.
pub async fn make(
    connection: &Connection,
    wanted: &Wanted,
    endings: &mut Endings,
) -> Result<(Requester, ShadowCopySet), NotMade> {
    let line = ProgressLine::start("opening a session");
    let requester = Requester::open(connection, wanted.name)
        .await
        .map_err(Failure::from)?;
    let not_made = match made(&requester, wanted, &line, endings).await {
        Ok(set) => return Ok((requester, set)),
        Err(not_made) => not_made,
    };
    line.tell("cleaning up");
    let closed = tokio::select! {
        closed = requester.close() => closed,
        again = endings.next() => return Err(NotMade::Ended(again)),
    };
    Err(match (not_made, closed) {
        // The reason for the failure is also why the session cannot be closed.
        (NotMade::Failed(failure), Err(error)) if failure.kind() != ExitKind::Unreachable => {
            NotMade::Failed(failure.followed_by(error))
        }
        (not_made, _) => not_made,
    })
}

async fn made(
    requester: &Requester,
    wanted: &Wanted,
    line: &ProgressLine,
    endings: &mut Endings,
) -> Result<ShadowCopySet, NotMade> {
    let steps = steps(requester, wanted, line);
    tokio::pin!(steps);
    let outcome = tokio::select! {
        biased;
        ending = endings.next() => return Err(NotMade::Ended(ending)),
        outcome = &mut steps => outcome,
        () = show_progress(requester, line) => {
            // A service that stops ends the session and then says why.
            timeout(LAST_WORDS, steps).await.unwrap_or_else(|_| Err(gone()))
        }
    };
    outcome.map_err(|failure| {
        NotMade::Failed(match failure.kind() {
            // The call may notice before the session's stream does.
            ExitKind::Unreachable => gone(),
            _ => failure,
        })
    })
}

async fn steps(
    requester: &Requester,
    wanted: &Wanted,
    line: &ProgressLine,
) -> Result<ShadowCopySet, Failure> {
    requester.set_context(wanted.context).await?;
    if wanted.context.has_writers() {
        line.tell("asking writers what they own");
        requester.gather_writer_metadata().await?;
        requester.select_writers(&wanted.writers).await?;
    }
    line.tell("waiting for other sets to be made");
    requester.start_snapshot_set().await?;
    for volume in &wanted.volumes {
        line.tell(format!("adding {}", volume.display()));
        requester
            .add_to_snapshot_set(volume)
            .await
            .map_err(|error| match error.code() {
                VssCode::ObjectAlreadyExists => Failure::of_kind(ExitKind::Usage, error),
                _ => error.into(),
            })?;
    }
    requester.prepare_for_backup().await?;
    Ok(requester.do_snapshot_set().await?)
}

/// Waits until the session is over at the service's end, as when it goes away.
/// Safe to cancel.
pub async fn session_over(requester: &Requester) {
    let mut progress = requester.progress();
    while !matches!(progress.recv().await, Err(RecvError::Closed)) {}
}

/// Shows what the service does until the session is over at its end.
async fn show_progress(requester: &Requester, line: &ProgressLine) {
    let mut progress = requester.progress();
    loop {
        match progress.recv().await {
            Ok(progress) => line.tell(progress.message),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn gone() -> Failure {
    Failure::new(
        ExitKind::Unreachable,
        "the Umbra service went away while the set was being made: a half-made set is removed \
         when the service starts again, `umbra list` shows whether this one was finished; see \
         `systemctl status umbrad`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_named_twice_is_found_before_anything() {
        let names =
            |asked: &[&str]| volume_names(&asked.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(
            names(&["/proc/", "some-id/subvol=256"]).unwrap(),
            [PathBuf::from("/proc"), "some-id/subvol=256".into()]
        );
        let twice = names(&["/proc", "/sys", "/proc/../proc/"]).unwrap_err();
        assert_eq!(twice.kind(), ExitKind::Usage);
        assert!(names(&["same", "same"]).is_err());
    }

    #[test]
    fn writers_are_selected_as_asked() {
        let check = |arguments: WriterArguments, expected| {
            assert_eq!(writer_selection(&arguments), expected);
        };
        let names = || vec!["a".to_owned()];
        check(WriterArguments::default(), WriterSelection::All);
        check(
            WriterArguments {
                writer: names(),
                ..Default::default()
            },
            WriterSelection::Only(names()),
        );
        check(
            WriterArguments {
                exclude_writer: names(),
                ..Default::default()
            },
            WriterSelection::Except(names()),
        );
        check(
            WriterArguments {
                no_writers: true,
                ..Default::default()
            },
            WriterSelection::None,
        );
    }
}
