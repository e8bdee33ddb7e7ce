//! In which order the volumes of a set are frozen, committed and thawed. Pure.
//!
//! A provider may write to the file system under its volume (a copy of the loop
//! file, for example). So a volume is frozen and committed before the ones that
//! lie under it are frozen, and thawed after them.

use std::collections::BTreeSet;
use umbra_model::HoldMethod;

/// A volume as the plan sees it; named by its place in the list.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub method: HoldMethod,
    /// The volumes of the set that lie under it, directly or further down.
    pub under: BTreeSet<usize>,
}

/// One step of the hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Freeze these, all at once.
    Freeze(Vec<usize>),
    /// Commit these, all at once.
    Commit(Vec<usize>),
}

/// The order of one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Up to the last freeze.
    pub until_frozen: Vec<Step>,
    /// The commits that are left once every file system stands still.
    pub last_commits: Vec<Step>,
    /// Which to thaw, outermost first; those of one group all at once.
    pub thaw: Vec<Vec<usize>>,
}

impl Plan {
    pub fn new(parts: &[Part]) -> Self {
        let levels: Vec<_> = (0..parts.len()).map(|part| level(parts, part)).collect();
        let deepest = levels.iter().copied().max().unwrap_or(0);
        let at = |wanted: usize, method: HoldMethod| -> Vec<usize> {
            (0..parts.len())
                .filter(|part| levels[*part] == wanted && parts[*part].method == method)
                .collect()
        };

        // An atomic copy cannot be made any more once what lies under it is
        // frozen; any other one is made as late as can be.
        let mut atomic: Vec<usize> = (0..=deepest)
            .flat_map(|level| at(level, HoldMethod::Atomic))
            .collect();
        let mut steps = Vec::new();
        let mut thaw = Vec::new();
        for level in 0..=deepest {
            let frozen = at(level, HoldMethod::Freeze);
            if frozen.is_empty() {
                continue;
            }
            let (now, later): (Vec<_>, Vec<_>) = atomic.iter().partition(|part| {
                frozen
                    .iter()
                    .any(|lower| parts[**part].under.contains(lower))
            });
            atomic = later;
            // One after the other: back to back.
            steps.extend(now.into_iter().map(|part| Step::Commit(vec![part])));
            steps.push(Step::Freeze(frozen.clone()));
            steps.push(Step::Commit(frozen.clone()));
            thaw.insert(0, frozen);
        }
        let last_freeze = steps
            .iter()
            .rposition(|step| matches!(step, Step::Freeze(_)))
            .map_or(0, |position| position + 1);
        let mut last_commits = steps.split_off(last_freeze);
        last_commits.extend(atomic.into_iter().map(|part| Step::Commit(vec![part])));
        Self {
            until_frozen: steps,
            last_commits,
            thaw,
        }
    }
}

/// How many volumes of the set are stacked on this one, at most: 0 for one that
/// carries none.
fn level(parts: &[Part], part: usize) -> usize {
    (0..parts.len())
        // A ring of volumes cannot be; the second condition keeps a mistake in
        // finding it out from becoming an endless descent.
        .filter(|upper| parts[*upper].under.contains(&part) && !parts[part].under.contains(upper))
        .map(|upper| 1 + level(parts, upper))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts are written `f` (frozen) or `a` (atomic), each with the numbers of
    /// those under it; the plan as `F01 C01 | C2 / 01`: the last commits after
    /// the bar, the thaw groups after the slash.
    #[track_caller]
    fn check(parts: &[(char, &[usize])], expected: &str) {
        let parts: Vec<_> = parts
            .iter()
            .map(|(method, under)| Part {
                method: match method {
                    'f' => HoldMethod::Freeze,
                    _ => HoldMethod::Atomic,
                },
                under: under.iter().copied().collect(),
            })
            .collect();
        let digits = |group: &[usize]| group.iter().map(ToString::to_string).collect::<String>();
        let words = |steps: &[Step]| -> Vec<String> {
            steps
                .iter()
                .map(|step| match step {
                    Step::Freeze(group) => format!("F{}", digits(group)),
                    Step::Commit(group) => format!("C{}", digits(group)),
                })
                .collect()
        };
        let plan = Plan::new(&parts);
        let thaw: Vec<_> = plan.thaw.iter().map(|group| digits(group)).collect();
        let shown = [
            words(&plan.until_frozen),
            vec!["|".to_owned()],
            words(&plan.last_commits),
            vec!["/".to_owned()],
            thaw,
        ]
        .concat()
        .join(" ");
        assert_eq!(shown, expected);
    }

    #[test]
    fn volumes_side_by_side_go_all_at_once() {
        check(&[], "| /");
        check(&[('f', &[])], "F0 | C0 / 0");
        check(&[('f', &[]), ('f', &[])], "F01 | C01 / 01");
    }

    #[test]
    fn the_inner_one_is_committed_before_the_outer_one_is_frozen() {
        check(&[('f', &[1]), ('f', &[])], "F0 C0 F1 | C1 / 1 0");
        check(&[('f', &[]), ('f', &[0])], "F1 C1 F0 | C0 / 0 1");
        check(
            &[('f', &[1, 2]), ('f', &[2]), ('f', &[]), ('f', &[])],
            "F03 C03 F1 C1 F2 | C2 / 2 1 03",
        );
    }

    #[test]
    fn atomic_ones_come_last_and_back_to_back() {
        check(&[('a', &[])], "| C0 /");
        check(&[('a', &[]), ('a', &[])], "| C0 C1 /");
        check(&[('a', &[]), ('f', &[]), ('a', &[])], "F1 | C1 C0 C2 / 1");
    }

    #[test]
    fn an_atomic_one_on_a_frozen_one_is_committed_before_that_is_frozen() {
        check(&[('a', &[1]), ('f', &[])], "C0 F1 | C1 / 1");
        check(
            &[('a', &[1]), ('f', &[]), ('f', &[])],
            "F2 C2 C0 F1 | C1 / 1 2",
        );
        // On one that is reached only through another atomic one, too.
        check(
            &[('a', &[1, 2]), ('a', &[2]), ('f', &[])],
            "C0 C1 F2 | C2 / 2",
        );
    }

    #[test]
    fn a_frozen_one_on_an_atomic_one_is_in_the_atomic_copy_as_it_stands() {
        check(&[('a', &[]), ('f', &[0])], "F1 | C1 C0 / 1");
    }

    #[test]
    fn a_ring_ends() {
        check(&[('f', &[1]), ('f', &[0])], "F01 | C01 / 01");
    }
}
