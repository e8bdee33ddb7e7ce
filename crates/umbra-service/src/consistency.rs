//! Which consistency a set has, and why not a higher one.

use crate::taking_part::Assessment;
use std::{path::PathBuf, time::Duration};
use umbra_model::{Consistency, ConsistencyVerdict};

/// The verdict on a set that was made without any error.
///
/// `unheld` are the volumes that could not be held, by mount point.
pub(crate) fn verdict(
    skew: Duration,
    unheld: &[PathBuf],
    assessment: &Assessment,
) -> ConsistencyVerdict {
    if !skew.is_zero() {
        let names: Vec<_> = unheld
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return ConsistencyVerdict {
            level: Consistency::Crash,
            reason: format!(
                "the volumes {} cannot be held and were copied {:.1} ms apart",
                join(&names),
                skew.as_secs_f64() * 1e3
            ),
        };
    }
    let doubts = assessment.doubts();
    if doubts.is_empty() {
        ConsistencyVerdict {
            level: Consistency::Application,
            reason: vouched_for(assessment),
        }
    } else {
        ConsistencyVerdict {
            level: Consistency::Filesystem,
            reason: doubts.join("; "),
        }
    }
}

/// Who vouches, and whose files are there as they happened to be.
fn vouched_for(assessment: &Assessment) -> String {
    let vouched = format!("vouched for by {}", join(&assessment.vouching));
    if assessment.naming.is_empty() {
        return vouched;
    }
    let naming = join(&assessment.naming);
    format!("{vouched}; the files of {naming} are as the instant found them")
}

/// `A`, `A and B`, `A, B and C`.
pub(crate) fn join<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taking_part::{Absence, Partial};

    #[test]
    fn never_claims_more_than_it_has() {
        let check = |skew_us: u64, assessment: &Assessment, level: Consistency, reason: &str| {
            let unheld = ["/a".into(), "/b".into()];
            let found = verdict(Duration::from_micros(skew_us), &unheld, assessment);
            assert_eq!((found.level, found.reason.as_str()), (level, reason));
        };
        let vouching = Assessment {
            vouching: vec!["PostgreSQL Writer".into(), "SQLite Writer".into()],
            ..Assessment::without(Absence::NoData)
        };
        check(
            0,
            &vouching,
            Consistency::Application,
            "vouched for by PostgreSQL Writer and SQLite Writer",
        );
        check(
            2100,
            &vouching,
            Consistency::Crash,
            "the volumes /a and /b cannot be held and were copied 2.1 ms apart",
        );
        check(
            0,
            &Assessment {
                naming: vec!["Wiki".into(), "Notes".into()],
                ..vouching.clone()
            },
            Consistency::Application,
            "vouched for by PostgreSQL Writer and SQLite Writer; the files of Wiki and Notes \
             are as the instant found them",
        );
        check(
            0,
            &Assessment {
                naming: vec!["Wiki".into()],
                ..Assessment::without(Absence::NoData)
            },
            Consistency::Filesystem,
            "Wiki only says where the data is and does nothing to it",
        );
        for (absence, reason) in [
            (Absence::Context, "the context is one without writers"),
            (Absence::NoneSelected, "no writer was selected"),
            (Absence::NoData, "no writer has data on these volumes"),
        ] {
            check(
                0,
                &Assessment::without(absence),
                Consistency::Filesystem,
                reason,
            );
        }
        check(
            0,
            &Assessment {
                left_out: vec!["SQLite Writer".into()],
                ..vouching.clone()
            },
            Consistency::Filesystem,
            "SQLite Writer has data on these volumes and was left out",
        );
        check(
            0,
            &Assessment {
                left_out: vec!["SQLite Writer".into()],
                ..Assessment::without(Absence::NoneSelected)
            },
            Consistency::Filesystem,
            "no writer was selected; SQLite Writer has data on these volumes and was left out",
        );
        check(
            0,
            &Assessment {
                unidentified: vec!["Odd Writer".into()],
                ..vouching.clone()
            },
            Consistency::Filesystem,
            "Odd Writer could not say what it owns, which may be on these volumes",
        );
        check(
            0,
            &Assessment {
                partial: vec![Partial {
                    writer: "PostgreSQL Writer".into(),
                    component: "main".into(),
                    path: "/wal/15".into(),
                    lies_on: "the volume /wal".into(),
                }],
                ..vouching
            },
            Consistency::Filesystem,
            "PostgreSQL Writer does not vouch for \"main\": its path /wal/15 lies on \
             the volume /wal, which is not in the set",
        );
    }
}
