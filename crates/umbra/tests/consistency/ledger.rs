//! What a program under load was told is durable, and when.

use crate::support::eventually;
use std::{fs, path::PathBuf};
use umbra_model::Instant;

/// A file of lines `number nanoseconds-since-1970`, one for each commit 1, 2, 3, …
/// that was acknowledged.
pub struct Ledger {
    pub file: PathBuf,
}

impl Ledger {
    /// The highest number that was acknowledged before an instant.
    pub fn promised(&self, instant: Instant) -> u64 {
        self.lines()
            .filter(|(_, acknowledged)| *acknowledged < instant.0)
            .map(|(number, _)| number)
            .last()
            .unwrap_or(0)
    }

    /// Waits until there are more commits than so many.
    pub fn until_beyond(&self, number: u64) {
        eventually("more commits", || {
            self.lines().last().is_some_and(|(last, _)| last > number)
        });
    }

    fn lines(&self) -> impl Iterator<Item = (u64, u64)> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may still be in the writing.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines: Vec<_> = text[..whole]
            .lines()
            .map(|line| {
                let (number, time) = line.split_once(' ').unwrap();
                (number.parse().unwrap(), time.parse().unwrap())
            })
            .collect();
        lines.into_iter()
    }
}

/// What a copy must have: all rows from 1 to the highest, and none missing that
/// was promised.
#[track_caller]
pub fn assert_kept(promised: u64, highest: u64, rows: u64) {
    assert_eq!(rows, highest, "the copy has gaps");
    assert!(
        highest >= promised,
        "{promised} commits were acknowledged before the instant, the copy has {highest}"
    );
}

#[test]
fn a_ledger_counts_what_came_before_the_instant() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "1 100\n2 200\n3 300\n4 4").unwrap();
    let ledger = Ledger {
        file: file.path().to_owned(),
    };
    assert_eq!(ledger.promised(Instant(100)), 0);
    assert_eq!(ledger.promised(Instant(250)), 2);
    assert_eq!(ledger.promised(Instant(900)), 3);
}
