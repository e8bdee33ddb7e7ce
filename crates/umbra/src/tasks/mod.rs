//! What `umbra` does for each of its tasks. None of them knows whether the
//! service is in this process.

mod abort;
mod betest;
mod create;
mod delete;
mod document;
mod expose;
mod express;
mod input;
mod listings;
mod making;
mod selection;
mod test_writer;

pub use making::{NotMade, Wanted, make, session_over, volume_names, writer_selection};

use crate::{
    command_line::{Task, UmbraCommand, print_completions, write_manual},
    exec,
    exit::ExitKind,
    failure::Failure,
    output::{Format, print_text, tell},
    reach::Reached,
    root::Root,
    signals::Endings,
};
use std::process::ExitCode;

/// Does what the command line says.
///
/// # Errors
///
/// Whatever failed; nothing is left half done.
pub fn run(command: UmbraCommand) -> Result<ExitCode, Failure> {
    match &command.task {
        Task::Completions(arguments) => {
            let mut text = Vec::new();
            print_completions(arguments.shell, &mut text);
            print_text(&String::from_utf8_lossy(&text))?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Man(arguments) => {
            write_manual(&arguments.folder)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Document(arguments) => {
            document::document(arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let root = Root::at(&command.root)?;
    if let Task::Exec(arguments) = &command.task {
        exec::check(arguments)?;
    }
    let runtime = crate::start_up::runtime()?;
    let outcome = runtime.block_on(reach_and_do(&root, command.task));
    // A question that nobody answers any more must not keep us.
    runtime.shutdown_background();
    outcome
}

async fn reach_and_do(root: &Root, task: Task) -> Result<ExitCode, Failure> {
    let mut endings = Endings::listen().map_err(|error| {
        Failure::new(
            ExitKind::Unexpected,
            format!("cannot listen for signals: {error}"),
        )
    })?;
    if let Task::TestWriter(arguments) = &task {
        return test_writer::test_writer(arguments, root, &mut endings).await;
    }
    let reached = Reached::open(root).await?;
    let outcome = do_task(task, root, &reached, &mut endings).await;
    tokio::select! {
        () = reached.finish() => outcome,
        ending = endings.next() => {
            tell("ends at once; the next start of Umbra cleans up what is left");
            Ok(ending.exit_code().into())
        }
    }
}

async fn do_task(
    task: Task,
    root: &Root,
    reached: &Reached,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    match task {
        Task::Exec(arguments) => exec::exec(arguments, reached.connection(), endings).await,
        Task::Betest(arguments) => betest::betest(&arguments, reached.connection(), endings).await,
        Task::Create(arguments) => create::create(&arguments, reached.connection(), endings).await,
        other => tokio::select! {
            done = do_short_task(other, root, reached) => done.map(|()| ExitCode::SUCCESS),
            ending = endings.next() => Ok(ending.exit_code().into()),
        },
    }
}

async fn do_short_task(task: Task, root: &Root, reached: &Reached) -> Result<(), Failure> {
    let admin = umbra_client::Admin::new(reached.connection());
    match task {
        Task::Volumes(arguments) => listings::volumes(&admin, Format::of(&arguments)).await,
        Task::Writers(arguments) => {
            let format = Format::of(&arguments.listing);
            match &arguments.name {
                Some(name) if arguments.xml => listings::writer_documents(&admin, name).await,
                name => listings::writers(&admin, name.as_deref(), format).await,
            }
        }
        Task::Providers(arguments) => listings::providers(&admin, Format::of(&arguments)).await,
        Task::List(arguments) => listings::sets(&admin, Format::of(&arguments)).await,
        Task::Show(arguments) => {
            listings::show(&admin, arguments.id, Format::of(&arguments.listing)).await
        }
        Task::Status(arguments) => {
            listings::status(&admin, reached, root, Format::of(&arguments)).await
        }
        Task::Abort => abort::abort(&admin, reached).await,
        Task::Express(arguments) => express::express(&admin, &arguments.task).await,
        Task::Expose(arguments) => expose::expose(&admin, &arguments).await,
        Task::Unexpose(arguments) => expose::unexpose(&admin, arguments.id).await,
        Task::Delete(arguments) => delete::delete(&admin, &arguments).await,
        Task::Exec(_)
        | Task::Create(_)
        | Task::Document(_)
        | Task::TestWriter(_)
        | Task::Betest(_)
        | Task::Completions(_)
        | Task::Man(_) => Ok(()),
    }
}
