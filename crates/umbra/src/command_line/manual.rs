//! Man pages from the definitions of the command line.

use super::{UmbraCommand, UmbradCommand};
use crate::{exit::ExitKind, failure::Failure};
use clap::CommandFactory;
use clap_mangen::Man;
use std::{io, io::Write, path::Path};

/// Writes `umbra.1`, a page for each task (`umbra-exec.1`, …,
/// `umbra-express-list.1`, …) and `umbrad.8`.
///
/// # Errors
///
/// The folder cannot be made or written to.
pub fn write_manual(folder: &Path) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut umbra = UmbraCommand::command();
        umbra.build();
        pages(folder, "umbra", &umbra)?;
        page(folder, "umbrad", "8", &UmbradCommand::command())
    };
    write().map_err(|error| {
        Failure::new(
            ExitKind::Unexpected,
            format!(
                "cannot write the man pages to {}: {error}",
                folder.display()
            ),
        )
    })
}

/// The page of a command and those of its tasks.
fn pages(folder: &Path, name: &str, command: &clap::Command) -> io::Result<()> {
    page(
        folder,
        name,
        "1",
        &command.clone().display_name(name.to_owned()),
    )?;
    let mut tasks = command.get_subcommands().filter(|task| !task.is_hide_set());
    tasks.try_for_each(|task| pages(folder, &format!("{name}-{}", task.get_name()), task))
}

fn page(folder: &Path, name: &str, section: &str, command: &clap::Command) -> io::Result<()> {
    // The exit codes have a section of their own in a man page.
    let command = command.clone().after_long_help(None::<&str>);
    let man = Man::new(command.clone())
        .title(name)
        .section(section)
        .source(concat!("umbra ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_extra_section(&mut text)?;
    exit_section(&mut text)?;
    std::fs::write(folder.join(format!("{name}.{section}")), text)
}

fn exit_section(text: &mut Vec<u8>) -> io::Result<()> {
    writeln!(text, ".SH \"EXIT STATUS\"")?;
    for kind in ExitKind::ALL {
        writeln!(text, ".TP\n{}\n{}", kind.code(), kind.meaning())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_page_with_the_exit_codes() {
        let folder = tempfile::tempdir().unwrap();
        write_manual(folder.path()).unwrap();
        for name in [
            "umbra.1",
            "umbra-exec.1",
            "umbra-delete.1",
            "umbra-express.1",
            "umbra-express-list.1",
            "umbrad.8",
        ] {
            let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(page.contains("EXIT STATUS"), "{name}");
            assert!(page.contains("\n101\n"), "{name}");
        }
        assert!(!folder.path().join("umbra-man.1").exists());
    }
}
