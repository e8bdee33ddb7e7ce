//! The command line of `umbra betest`, in the look of Linux and as BETest has it.

use clap::{ArgGroup, Args, ValueEnum};
use std::{ffi::OsString, path::PathBuf};
use umbra_model::BackupType;

/// `umbra betest`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("operation").required(true).multiple(true))]
pub struct BetestArguments {
    /// Make shadow copies and back up from them (/B)
    #[arg(long, short = 'B', group = "operation")]
    pub backup: bool,
    /// Restore; after the backup, where both are asked for (/R)
    #[arg(long, short = 'R', group = "operation", requires = "save_document")]
    pub restore: bool,
    /// Make shadow copies and back up nothing (/Snapshot)
    #[arg(long, group = "operation", conflicts_with_all = ["backup", "restore"])]
    pub snapshot: bool,
    /// Send BackupComplete and nothing before it; out of order, which the service
    /// says (/BC)
    #[arg(
        long,
        group = "operation",
        conflicts_with_all = ["backup", "restore", "snapshot", "no_backup_complete"]
    )]
    pub backup_complete_only: bool,
    /// The file of the Backup Components Document: written by a backup, read by a
    /// restore (/S)
    #[arg(long, short = 'S', value_name = "FILE")]
    pub save_document: Option<PathBuf>,
    /// The folder that the backup is in; without it no files are copied (/D)
    #[arg(long, short = 'D', value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The components, in an XML file; all of them without one (/X)
    #[arg(long, short = 'X', value_name = "FILE", conflicts_with = "components")]
    pub config: Option<PathBuf>,
    /// The components, in a file of the older form (/C)
    #[arg(long, short = 'C', value_name = "FILE")]
    pub components: Option<PathBuf>,
    /// What kind of backup (/T)
    #[arg(
        long = "type",
        short = 'T',
        value_name = "TYPE",
        ignore_case = true,
        default_value = "full"
    )]
    pub backup_type: BackupKind,
    /// The document of the backup that an incremental or differential one builds on
    /// (/Pre)
    #[arg(long, value_name = "FILE")]
    pub previous: Option<PathBuf>,
    /// Restored data wins over that of other machines (/Auth)
    #[arg(long, requires = "restore")]
    pub auth: bool,
    /// The backup includes a state that the system can start with (/O)
    #[arg(long, short = 'O')]
    pub bootable: bool,
    /// The shadow copies stay (/P)
    #[arg(long, short = 'P')]
    pub persistent: bool,
    /// The shadow copies are for application rollback; they stay (/Rollback)
    #[arg(long)]
    pub rollback: bool,
    /// Leave BackupComplete out (/NBC)
    #[arg(long)]
    pub no_backup_complete: bool,
    /// Stop when the first writer fails (/StopError)
    #[arg(long)]
    pub stop_on_error: bool,
    /// Say everything (/V)
    #[arg(long, short = 'v')]
    pub verbose: bool,
}

/// The types of backup that BETest knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackupKind {
    /// Everything.
    Full,
    /// Log files.
    Log,
    /// Everything, as if no backup had been made.
    Copy,
    /// What changed since the last backup.
    Incremental,
    /// What changed since the last full backup.
    Differential,
}

impl From<BackupKind> for BackupType {
    fn from(kind: BackupKind) -> Self {
        match kind {
            BackupKind::Full => Self::Full,
            BackupKind::Log => Self::Log,
            BackupKind::Copy => Self::Copy,
            BackupKind::Incremental => Self::Incremental,
            BackupKind::Differential => Self::Differential,
        }
    }
}

/// The options as BETest writes them, ours, and whether a value follows.
const SPELLINGS: [(&str, &str, bool); 17] = [
    ("/Auth", "--auth", false),
    ("/B", "--backup", false),
    ("/BC", "--backup-complete-only", false),
    ("/C", "--components", true),
    ("/D", "--directory", true),
    ("/NBC", "--no-backup-complete", false),
    ("/O", "--bootable", false),
    ("/P", "--persistent", false),
    ("/Pre", "--previous", true),
    ("/R", "--restore", false),
    ("/Rollback", "--rollback", false),
    ("/S", "--save-document", true),
    ("/Snapshot", "--snapshot", false),
    ("/StopError", "--stop-on-error", false),
    ("/T", "--type", true),
    ("/V", "--verbose", false),
    ("/X", "--config", true),
];

/// A command line in which the options of `umbra betest` may be spelled as BETest
/// spells them. Values, which may be such paths, stay as they are.
pub fn with_betest_spelling(line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut ours = Vec::new();
    let mut line = line.into_iter();
    let mut is_betest = false;
    while let Some(word) = line.next() {
        let spelled = word.to_str().and_then(|word| {
            let mut spellings = SPELLINGS.iter();
            spellings.find(|(theirs, ours, _)| theirs.eq_ignore_ascii_case(word) || *ours == word)
        });
        match spelled.filter(|_| is_betest) {
            Some((_, option, has_value)) => {
                ours.push(OsString::from(option));
                if *has_value {
                    ours.extend(line.next());
                }
            }
            None => {
                is_betest |= word == "betest";
                ours.push(word);
            }
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_understood() {
        let check = |line: &str, expected: &str| {
            let words = line.split(' ').map(OsString::from);
            let ours: Vec<_> = with_betest_spelling(words)
                .into_iter()
                .map(|word| word.into_string().unwrap())
                .collect();
            assert_eq!(ours.join(" "), expected);
        };
        check(
            "umbra betest /B /S a.xml /D /d /x b.xml /t FULL",
            "umbra betest --backup --save-document a.xml --directory /d --config b.xml --type FULL",
        );
        check(
            "umbra betest --restore --save-document /s",
            "umbra betest --restore --save-document /s",
        );
        check("umbra create /b", "umbra create /b");
    }
}
