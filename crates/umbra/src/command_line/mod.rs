//! The definitions of both command lines: help, completions and man pages come
//! from here and from nowhere else.

mod betest;
mod express;
mod manual;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};
use umbra_model::{SetId, ShadowCopyId};

pub use betest::{BackupKind, BetestArguments, with_betest_spelling};
pub use express::{ExpressArguments, ExpressTask};
pub use manual::write_manual;

/// The command `umbra`.
#[derive(Debug, Parser)]
#[command(
    name = "umbra",
    version,
    about = "Volume shadow copies: copy volumes while programs go on writing to them",
    long_about = "Makes shadow copies of volumes: all volumes of a set at the same instant, \
                  while programs go on writing, with applications that vouch for their data.\n\n\
                  Talks to the service umbrad; where none runs, does its work itself (as root).",
    after_long_help = crate::exit::help(),
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct UmbraCommand {
    /// Where configuration (etc/umbra), state (var/lib/umbra) and socket
    /// (run/umbra) are
    #[arg(
        long,
        global = true,
        env = "UMBRA_ROOT",
        value_name = "DIR",
        default_value = "/"
    )]
    pub root: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// The service `umbrad`.
#[derive(Debug, Parser)]
#[command(
    name = "umbrad",
    version,
    about = "The service that makes shadow copies for umbra and for backup programs",
    long_about = "Serves requesters and writers on the socket run/umbra/umbra.sock (or the one \
                  that systemd hands over) and on an abstract socket. Runs in the foreground and \
                  logs to standard error. SIGTERM and SIGINT stop it cleanly; a second one at \
                  once.\n\nIt must run in the mount namespace of the host: there it finds, \
                  freezes and exposes volumes.",
    after_long_help = crate::exit::help()
)]
pub struct UmbradCommand {
    /// Where configuration (etc/umbra), state (var/lib/umbra) and socket
    /// (run/umbra) are
    #[arg(long, env = "UMBRA_ROOT", value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

const EXEC: &str = "Takes one shadow copy set of the volumes and runs a command in a private mount \
    namespace in which each of these volumes appears at its usual path, read-only, \
    as it was at that instant. Everything else is as outside. The copies are \
    deleted when the command ends; if it fails, writers are told that the backup \
    failed.\n\nThe command finds UMBRA_SET_ID in its environment and, for the \
    volumes in the order given (N from 1), UMBRA_SHADOW_<N>_ID, \
    UMBRA_SHADOW_<N>_VOLUME, UMBRA_SHADOW_<N>_PATH and, where the copy has a \
    device of its own, UMBRA_SHADOW_<N>_DEVICE.\n\nThe exit code is the \
    command's, 128 and the number of the signal that killed it, 126 where it \
    cannot be run and 127 where it is not found. The codes of umbra itself apply \
    when the command was not run, and where the service went away under it.";

const EXEC_EXAMPLE: &str = "Example:\n  umbra exec --volume /srv --volume /var/lib/postgresql -- \\\n    \
    restic backup /srv /var/lib/postgresql";

const DOCUMENT: &str = "Reads Writer Metadata Documents and Backup Components Documents, as Windows \
    or Umbra wrote them (UTF-8 or UTF-16), and prints what they say. What Umbra does not know in \
    them is kept.\n\nWith --select, prints what a selection means instead: which components a backup \
    includes and which it leaves out and why, and what they need of other writers. The files are the \
    Writer Metadata Documents of all writers. Selected are the components named; else those of a \
    Backup Components Document among the files, for the restore where any is selected for it; else \
    everything. Of the writers of named components, what is required comes too.\n\nNeeds no service \
    and no privilege.";

const DOCUMENT_EXAMPLE: &str = "Examples:\n  umbra document WM5.xml\n  umbra document --check *.xml\n  \
    umbra document WM*.xml --select 'SqlServerWriter' 'Registry Writer:\\Registry'\n  \
    umbra writers 'PostgreSQL Writer' --xml | umbra document /dev/stdin";

const TEST_WRITER: &str = "Connects to umbrad as a writer that owns what a configuration file \
    says, in the format of the VSS Test Writer, with paths of this machine. It says which events \
    come, fails those that it is to fail, and checks after a restore that the requester has put \
    back what it should, where it should.\n\nRuns until Ctrl-C, SIGTERM or the end of umbrad. \
    What a requester did wrong is printed in lines that begin with WRONG.";

const TEST_WRITER_EXAMPLE: &str = "Example:\n  umbra test-writer vswriter.xml";

const BETEST: &str = "Backs up and restores the components that a file selects, with the options of \
    Microsoft's BETest, in the look of Linux or as they are spelled there (/B, /S FILE). Says how \
    writers are that fail.\n\nA backup copies files out of shadow copies into a folder: below \
    `files` under their paths, with the writers' metadata in `writers`. A restore puts them back \
    where writers and the configuration want them.";

const BETEST_EXAMPLE: &str = "Example:\n  umbra betest --backup -S backup.xml -D /backup -X betest.xml\n  \
    umbra betest --restore -S backup.xml -D /backup -X betest.xml";

/// What `umbra` can do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Run a command that sees shadow copies instead of the live volumes
    #[command(long_about = EXEC, after_help = EXEC_EXAMPLE)]
    Exec(ExecArguments),
    /// List volumes and the provider that would copy each
    Volumes(ListingArguments),
    /// List writers, or show one with its components
    Writers(WritersArguments),
    /// List providers
    Providers(ListingArguments),
    /// Make a persistent shadow copy set
    Create(CreateArguments),
    /// List shadow copy sets
    List(ListingArguments),
    /// Show a shadow copy or a set
    Show(ShowArguments),
    /// Mount a shadow copy at an empty folder, read-only
    Expose(ExposeArguments),
    /// Unmount an exposed shadow copy
    Unexpose(UnexposeArguments),
    /// Delete shadow copies
    Delete(DeleteArguments),
    /// Show the service, its sessions and what is frozen
    Status(ListingArguments),
    /// Give up every shadow copy set that is being made (root only)
    Abort,
    /// List, register or unregister writers without a process
    #[command(long_about = express::ABOUT, after_help = express::EXAMPLE)]
    Express(ExpressArguments),
    /// Print, check or rewrite VSS documents
    #[command(long_about = DOCUMENT, after_help = DOCUMENT_EXAMPLE)]
    Document(DocumentArguments),
    /// Be a writer that does what a configuration file says and checks requesters
    #[command(long_about = TEST_WRITER, after_help = TEST_WRITER_EXAMPLE)]
    TestWriter(TestWriterArguments),
    /// Be a requester that backs up and restores what a file selects
    #[command(long_about = BETEST, after_help = BETEST_EXAMPLE)]
    Betest(Box<BetestArguments>),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Write the man pages of umbra and umbrad into a folder
    #[command(hide = true)]
    Man(ManArguments),
}

/// How a listing is printed.
#[derive(Debug, Args)]
pub struct ListingArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which writers take part.
#[derive(Debug, Default, Args)]
pub struct WriterArguments {
    /// Only this writer takes part: its name, class id or instance id
    /// (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["exclude_writer", "no_writers"])]
    pub writer: Vec<String>,
    /// This writer takes no part (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "no_writers")]
    pub exclude_writer: Vec<String>,
    /// No writer takes part; the copies are at most file-system consistent
    #[arg(long)]
    pub no_writers: bool,
}

/// `umbra exec`.
#[derive(Debug, Args)]
pub struct ExecArguments {
    /// A volume to copy: mount point, block device or volume id (repeatable)
    #[arg(long, short, value_name = "VOLUME", required = true)]
    pub volume: Vec<PathBuf>,
    /// A path inside a copied volume that stays live and writable (repeatable)
    #[arg(long, value_name = "PATH")]
    pub live: Vec<PathBuf>,
    /// Which writers take part.
    #[command(flatten)]
    pub writers: WriterArguments,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `umbra writers`.
#[derive(Debug, Args)]
pub struct WritersArguments {
    /// Show this writer with its components: its name, class id or instance id
    pub name: Option<String>,
    /// Print its Writer Metadata Document
    #[arg(long, requires = "name", conflicts_with = "json")]
    pub xml: bool,
    /// How to print.
    #[command(flatten)]
    pub listing: ListingArguments,
}

/// `umbra create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Volumes to copy: mount points, block devices or volume ids; every volume
    /// that a provider can copy where none is given
    #[arg(value_name = "VOLUME")]
    pub volumes: Vec<PathBuf>,
    /// Which writers take part.
    #[command(flatten)]
    pub writers: WriterArguments,
    /// How to print.
    #[command(flatten)]
    pub listing: ListingArguments,
}

/// `umbra show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The id of a shadow copy or of a set
    #[arg(value_name = "ID")]
    pub id: ShadowCopyId,
    /// How to print.
    #[command(flatten)]
    pub listing: ListingArguments,
}

/// `umbra expose`.
#[derive(Debug, Args)]
pub struct ExposeArguments {
    /// The id of a shadow copy
    #[arg(value_name = "ID")]
    pub id: ShadowCopyId,
    /// An existing, empty folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `umbra unexpose`.
#[derive(Debug, Args)]
pub struct UnexposeArguments {
    /// The id of a shadow copy
    #[arg(value_name = "ID")]
    pub id: ShadowCopyId,
}

/// `umbra delete`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("selection").required(true))]
pub struct DeleteArguments {
    /// Ids of shadow copies
    #[arg(value_name = "ID", group = "selection")]
    pub ids: Vec<ShadowCopyId>,
    /// Every copy of this set
    #[arg(long, value_name = "ID", group = "selection")]
    pub set: Option<SetId>,
    /// The oldest copy of this volume
    #[arg(long, value_name = "VOLUME", group = "selection")]
    pub oldest: Option<PathBuf>,
    /// Every copy
    #[arg(long, group = "selection")]
    pub all: bool,
    /// Delete more than one copy without asking
    #[arg(long, short)]
    pub yes: bool,
}

/// `umbra document`.
#[derive(Debug, Args)]
pub struct DocumentArguments {
    /// The documents
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Say of each whether it is valid, and what in it Umbra does not know
    #[arg(long, conflicts_with_all = ["rewrite", "json"])]
    pub check: bool,
    /// Print each in the canonical form
    #[arg(long, conflicts_with = "json")]
    pub rewrite: bool,
    /// Print what a backup or restore of these components includes, leaves out
    /// and why: WRITER or WRITER:LOGICAL\PATH\NAME, the writer by name, class id
    /// or instance id. Stands behind the files
    #[arg(long, num_args = 0.., value_name = "COMPONENT", conflicts_with_all = ["check", "rewrite"])]
    pub select: Option<Vec<String>>,
    /// How to print.
    #[command(flatten)]
    pub listing: ListingArguments,
}

/// `umbra test-writer`.
#[derive(Debug, Args)]
pub struct TestWriterArguments {
    /// What it owns and does
    #[arg(value_name = "CONFIG.xml")]
    pub configuration: PathBuf,
}

/// `umbra completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `umbra man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// The folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Prints the completions of `umbra` for a shell.
pub fn print_completions(shell: clap_complete::Shell, out: &mut dyn std::io::Write) {
    clap_complete::generate(shell, &mut UmbraCommand::command(), "umbra", out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn parse(line: &[&str]) -> Result<UmbraCommand, clap::Error> {
        UmbraCommand::try_parse_from(std::iter::once("umbra").chain(line.iter().copied()))
    }

    #[test]
    fn definitions_hold_together() {
        UmbraCommand::command().debug_assert();
        UmbradCommand::command().debug_assert();
    }

    #[test]
    fn root_may_stand_anywhere() {
        for line in [["--root", "/r", "list"], ["list", "--root", "/r"]] {
            assert_eq!(parse(&line).unwrap().root, PathBuf::from("/r"));
        }
    }

    #[test]
    fn exec_needs_a_volume_and_a_command() {
        let check = |line: &[&str], expected| {
            assert_eq!(parse(line).unwrap_err().kind(), expected, "{line:?}");
        };
        check(&["exec", "--", "true"], ErrorKind::MissingRequiredArgument);
        check(
            &["exec", "--volume", "/srv"],
            ErrorKind::MissingRequiredArgument,
        );
        check(
            &[
                "exec",
                "-v",
                "/srv",
                "--writer",
                "a",
                "--no-writers",
                "--",
                "true",
            ],
            ErrorKind::ArgumentConflict,
        );
    }

    #[test]
    fn exec_hands_the_rest_to_the_command() {
        let line = [
            "exec", "-v", "/a", "-v", "/b", "--live", "/a/x", "--", "tar", "--json",
        ];
        let Task::Exec(exec) = parse(&line).unwrap().task else {
            panic!("another task");
        };
        assert_eq!(exec.volume, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(exec.live, [PathBuf::from("/a/x")]);
        assert_eq!(exec.command, ["tar", "--json"]);
    }

    #[test]
    fn delete_takes_one_kind_of_selection() {
        let id = "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d";
        assert!(parse(&["delete"]).is_err());
        assert!(parse(&["delete", "--all", id]).is_err());
        assert!(parse(&["delete", "--all", "--set", id]).is_err());
        assert!(parse(&["delete", "not-an-id"]).is_err());
        assert!(parse(&["delete", id, id, "--yes"]).is_ok());
        assert!(parse(&["delete", "--oldest", "/srv"]).is_ok());
    }

    #[test]
    fn completions_know_every_task() {
        let mut out = Vec::new();
        print_completions(clap_complete::Shell::Bash, &mut out);
        let text = String::from_utf8(out).unwrap();
        for task in [
            "exec",
            "volumes",
            "expose",
            "--exclude-writer",
            "unregister",
        ] {
            assert!(text.contains(task), "{task}");
        }
    }
}
