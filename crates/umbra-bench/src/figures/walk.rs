//! One pass over a million-file tree: which files belong to a component, against
//! `find`.

use crate::{
    machine::peak_memory,
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use umbra_backup::{Volume, Wanted, component_files};
use umbra_documents::{
    BackupRequest, Component, FileRules, FileSet, PathStyle, Recursion, WriterIdentity,
    WriterMetadata,
};
use umbra_model::{BackupType, WriterId, WriterInstanceId};
use umbra_testbed::{Format, Testbed};

const ROUNDS: usize = 9;
const FOLDERS: usize = 10_000;
const FILES_EACH: usize = 100;
/// What the writer says its volume is called.
const MOUNT_POINT: &str = "/srv";

/// What is asked of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// One file set with everything.
    Everything,
    /// A tenth of the tree, to see whether memory grows with the number of files.
    Tenth,
    /// Twenty thousand exact names, as a System Writer has, three patterns and two
    /// exclusions.
    ManyRules,
}

impl Question {
    fn rules(self) -> Result<FileRules> {
        let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
        let mut metadata = WriterMetadata::new(WriterIdentity::new(id, instance, "Walk"));
        let files = match self {
            Self::Everything => vec![FileSet::tree(MOUNT_POINT)],
            Self::Tenth => vec![FileSet::tree(format!("{MOUNT_POINT}/0"))],
            Self::ManyRules => {
                metadata.excluded = vec![
                    FileSet::new(MOUNT_POINT, "*.tmp", Recursion::Tree),
                    FileSet::tree(format!("{MOUNT_POINT}/9/9")),
                ];
                let names = (0..20_000).map(|number| {
                    let folder = format!("{MOUNT_POINT}/{}/{}", number % 10, number % 100);
                    FileSet::files(folder, format!("name{number}"))
                });
                let patterns = ["*.dat", "*.log", "file?*"];
                let patterns =
                    patterns.map(|pattern| FileSet::new(MOUNT_POINT, pattern, Recursion::Tree));
                names.chain(patterns).collect()
            }
        };
        let component = Component {
            files,
            ..Component::file_group("walk")
        };
        let request = BackupRequest::new(BackupType::Full);
        let style = PathStyle::Linux;
        Ok(FileRules::for_backup(
            &metadata,
            &[&component],
            None,
            &request,
            style,
        )?)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Everything => "**Umbra**, one file set",
            Self::Tenth => "**Umbra**, one file set, a tenth of the tree",
            Self::ManyRules => "**Umbra**, 20,003 file sets, 2 exclusions",
        }
    }
}

/// Walks in this process, which was started for it, and says what it took: files and
/// KiB of memory, before and at most.
///
/// # Errors
///
/// Whatever failed.
pub fn walk(root: &Path, question: Question) -> Result<()> {
    let rules = question.rules()?;
    let before = peak_memory("self")?;
    let volume = Volume::shadow_copy(root, MOUNT_POINT)?;
    let mut count = 0_u64;
    for file in component_files(&volume, &rules, Wanted::All)? {
        file?;
        count += 1;
    }
    println!("{count} {before} {}", peak_memory("self")?);
    Ok(())
}

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub fn measure() -> Result<()> {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 24 * 1024);
    make_tree(&disk.mount)?;
    let questions = Question::value_variants();
    let mut find = Sample::default();
    let mut samples = vec![Sample::default(); questions.len()];
    let mut said = vec![Walked::default(); questions.len()];
    // The first round fills the kernel's caches and does not count.
    for round in 0..=ROUNDS {
        let found = timed(Command::new("find").arg(&disk.mount).arg("-xdev"))?.0;
        if round > 0 {
            find.add(found);
        }
        for ((question, sample), said) in questions.iter().zip(&mut samples).zip(&mut said) {
            let (took, walked) = walked(&disk.mount, *question)?;
            if round > 0 {
                sample.add(took);
            }
            *said = walked;
        }
    }
    let mut table = Table::new([
        "walk, ms",
        "files and folders",
        "median",
        "p90",
        "to `find`",
        "memory, MiB: rules",
        "peak",
    ]);
    table.row([
        "`find -xdev`".to_owned(),
        (FOLDERS * FILES_EACH + FOLDERS + 111 + 1).to_string(),
        milliseconds(find.median()),
        milliseconds(find.quantile(0.9)),
        ratio(1.0),
        "–".to_owned(),
        "–".to_owned(),
    ]);
    let mebibytes = |kibibytes: u64| format!("{:.1}", kibibytes as f64 / 1024.0);
    for ((question, sample), said) in questions.iter().zip(&samples).zip(&said) {
        table.row([
            question.name().to_owned(),
            said.count.to_string(),
            milliseconds(sample.median()),
            milliseconds(sample.quantile(0.9)),
            ratio(sample.ratio_to(&find)),
            mebibytes(said.before),
            mebibytes(said.peak),
        ]);
    }
    println!(
        "### One pass over a million files\n\n{FOLDERS} folders with {FILES_EACH} files each on \
         ext4, in the kernel's caches, {ROUNDS} rounds, each walk a process of its own:\n\n{table}"
    );
    Ok(())
}

/// Ten, a hundred, ten thousand folders, the last with files in them.
fn make_tree(root: &Path) -> Result<()> {
    for number in 0..FOLDERS {
        let folder: PathBuf = root.join(format!("{}/{}/{number}", number % 10, number / 10 % 10));
        fs::create_dir_all(&folder)?;
        for file in 0..FILES_EACH {
            let kind = ["dat", "log", "tmp", "txt"][file % 4];
            File::create(folder.join(format!("file{file}.{kind}")))?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Default)]
struct Walked {
    count: u64,
    before: u64,
    peak: u64,
}

fn walked(root: &Path, question: Question) -> Result<(Duration, Walked)> {
    let question = question
        .to_possible_value()
        .context("a question without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("walk-tree").arg(root).arg(question.get_name());
    let (took, said) = timed(&mut command)?;
    let numbers: Vec<u64> = said
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [count, before, peak] = numbers[..] else {
        bail!("the walk said {said:?}");
    };
    Ok((
        took,
        Walked {
            count,
            before,
            peak,
        },
    ))
}

/// Runs it to its end; what it printed last.
fn timed(command: &mut Command) -> Result<(Duration, String)> {
    let begun = Instant::now();
    let is_find = command.get_program() == "find";
    // What `find` prints goes where nobody reads it, as the walks print nothing.
    command.stdout(if is_find {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    let output = command.output().context("cannot start a walk")?;
    let took = begun.elapsed();
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok((took, String::from_utf8(output.stdout)?))
}
