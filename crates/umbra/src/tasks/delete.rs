//! `umbra delete`.

use crate::{
    command_line::DeleteArguments,
    exit::ExitKind,
    failure::Failure,
    output::{ProgressLine, tell, tell_raw},
};
use std::io::{BufRead, IsTerminal};
use umbra_client::{Admin, Selection};

/// Deletes what was selected, having asked where that is more than one copy.
pub(super) async fn delete(admin: &Admin, arguments: &DeleteArguments) -> Result<(), Failure> {
    let selected = admin.select_for_deletion(&selection(arguments)).await?;
    if selected.is_empty() {
        tell("there are no shadow copies to delete");
        return Ok(());
    }
    if selected.len() > 1 && !arguments.yes {
        agree(selected.len()).await?;
    }
    let line = ProgressLine::start(format!("deleting {} shadow copies", selected.len()));
    // By id: only what was agreed to, whatever was made meanwhile.
    let deleted = admin.delete(&Selection::Copies(selected)).await;
    line.finish();
    for id in deleted? {
        crate::output::print_text(&format!("{id}\n"))?;
    }
    Ok(())
}

fn selection(arguments: &DeleteArguments) -> Selection {
    if let Some(set) = arguments.set {
        Selection::Set(set)
    } else if let Some(volume) = &arguments.oldest {
        Selection::OldestOf(volume.canonicalize().unwrap_or_else(|_| volume.clone()))
    } else if arguments.all {
        Selection::All
    } else {
        Selection::Copies(arguments.ids.clone())
    }
}

/// Asks on the terminal.
async fn agree(copies: usize) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            ExitKind::Refused,
            format!(
                "this would delete {copies} shadow copies and nobody can be asked here; say --yes \
                 to delete them"
            ),
        ));
    }
    // A thread, so that Ctrl-C ends the question.
    let answer = tokio::task::spawn_blocking(move || {
        tell_raw(&format!("Delete {copies} shadow copies? [y/N] "));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        std::io::Result::Ok(answer)
    });
    let agreed = match answer.await {
        Ok(Ok(answer)) => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        _ => false,
    };
    if agreed {
        Ok(())
    } else {
        Err(Failure::new(
            ExitKind::Refused,
            "nothing was deleted, since nobody agreed",
        ))
    }
}
