//! The reference: every name with its answer, checked.

use crate::{
    facts::{self, Group, Kind},
    map::{self, Entry, GroupEntry, Map},
    sources::Sources,
    tests_of::Tests,
};
use std::path::{Path, PathBuf};

/// What a name of the reference comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An item of Umbra.
    Answered(Answered),
    /// It has no meaning on Linux: the sentence that says why.
    None(String),
}

/// An item with its test.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) item: String,
    /// The file that defines it, relative to the repository.
    pub(crate) file: PathBuf,
    /// `FILE::TEST`.
    pub(crate) test: String,
}

/// One name with its answer.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// Why the answer is `VSS_E_NOT_SUPPORTED`, where it is.
    pub(crate) unsupported: Option<String>,
    pub(crate) note: Option<String>,
}

/// A group of names with their answers.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) note: Option<String>,
    /// What answers the whole, where something does.
    pub(crate) whole: Option<Outcome>,
    /// The names in it; where the whole has no meaning, these have none either.
    pub(crate) parts: Vec<String>,
    /// The answers, in the order of the names.
    pub(crate) rows: Vec<Row>,
}

/// The map held against the reference and the code.
#[derive(Debug)]
pub struct Reference {
    pub(crate) sections: Vec<Section>,
    /// Names of the VSS reference that the map does not answer.
    pub missing: Vec<String>,
    /// Answers that point nowhere, or at something that is not what they say.
    pub wrong: Vec<String>,
}

impl Reference {
    /// Reads everything and checks it.
    ///
    /// # Errors
    ///
    /// A file that is missing or cannot be read.
    pub fn read(repository: &Path) -> Result<Self, String> {
        let facts = facts::read(&repository.join("../shared/facts/vss-abi.json"))?;
        let map = map::read(&repository.join("docs/vss-reference.toml"))?;
        let sources = Sources::read(repository).map_err(|error| format!("crates: {error}"))?;
        let mut check = Check {
            repository,
            sources,
            tests: Tests::default(),
            missing: Vec::new(),
            wrong: Vec::new(),
        };
        check.unknown_groups(&facts, &map);
        let sections = facts
            .into_iter()
            .map(|group| match map.get(&group.name) {
                Some(entry) => check.section(group, entry),
                None => check.section(group, &GroupEntry::default()),
            })
            .collect();
        Ok(Self {
            sections,
            missing: check.missing,
            wrong: check.wrong,
        })
    }
}

struct Check<'a> {
    repository: &'a Path,
    sources: Sources,
    tests: Tests,
    missing: Vec<String>,
    wrong: Vec<String>,
}

impl Check<'_> {
    fn unknown_groups(&mut self, facts: &[Group], map: &Map) {
        for name in map.keys() {
            if !facts.iter().any(|group| group.name == *name) {
                self.wrong.push(format!("{name} is not in the reference"));
            }
        }
    }

    fn section(&mut self, group: Group, entry: &GroupEntry) -> Section {
        for name in entry.parts.keys() {
            if !group.parts.contains(name) {
                let whole = &group.name;
                self.wrong
                    .push(format!("{whole} has no {name} in the reference"));
            }
        }
        let whole = self.whole(&group, entry);
        let mut rows = Vec::new();
        let has_meaning = entry.none.is_none();
        // The fields of a structure may be left to the item that answers it.
        let lists_parts = group.kind != Kind::Structure || !entry.parts.is_empty();
        if has_meaning && lists_parts {
            rows = group
                .parts
                .iter()
                .filter_map(|part| self.row(&group, entry, part))
                .collect();
        }
        Section {
            kind: group.kind,
            name: group.name,
            origin: group.origin,
            note: entry.note.clone(),
            whole,
            parts: group.parts,
            rows,
        }
    }

    fn whole(&mut self, group: &Group, entry: &GroupEntry) -> Option<Outcome> {
        if let Some(sentence) = &entry.none {
            if entry.item.is_some() || !entry.parts.is_empty() {
                self.wrong
                    .push(format!("{}: has answers and has none", group.name));
            }
            return Some(self.sentence(&group.name, sentence));
        }
        let needs_item = matches!(group.kind, Kind::Enumeration | Kind::Structure);
        match &entry.item {
            Some(item) => {
                // An interface is shown by the tests of its methods.
                let test = needs_item.then_some(entry.test.as_ref()).flatten();
                if needs_item && test.is_none() {
                    self.wrong
                        .push(format!("{}: {item} has no test", group.name));
                    return None;
                }
                let shown = entry.shown_as.as_deref();
                self.answered(&group.name, item, test, shown)
            }
            None => {
                let answers = |part| entry.parts.contains_key(part);
                let by_parts = !entry.parts.is_empty() && group.parts.iter().all(answers);
                if needs_item && !by_parts {
                    self.missing.push(group.name.clone());
                }
                None
            }
        }
    }

    fn row(&mut self, group: &Group, entry: &GroupEntry, part: &str) -> Option<Row> {
        let name = format!("{}::{part}", group.name);
        let Some(answer) = entry.parts.get(part) else {
            let outcome = self.labelled(entry, part);
            if outcome.is_none() && (entry.item.is_some() || group.kind != Kind::Enumeration) {
                self.missing.push(name);
            }
            return outcome.map(|outcome| Row {
                name: part.to_owned(),
                outcome,
                unsupported: None,
                note: None,
            });
        };
        let answer = answer.entry();
        let outcome = self.outcome(&name, entry, &answer)?;
        Some(Row {
            name: part.to_owned(),
            outcome,
            unsupported: answer.unsupported,
            note: answer.note,
        })
    }

    fn outcome(&mut self, name: &str, group: &GroupEntry, answer: &Entry) -> Option<Outcome> {
        match (&answer.item, &answer.none) {
            (Some(item), None) => {
                let Some(test) = answer.test.as_ref().or(group.test.as_ref()) else {
                    self.wrong.push(format!("{name}: {item} has no test"));
                    return None;
                };
                self.answered(name, item, Some(test), answer.shown_as.as_deref())
            }
            (None, Some(sentence)) => Some(self.sentence(name, sentence)),
            (Some(_), Some(_)) => {
                self.wrong
                    .push(format!("{name}: has an answer and has none"));
                None
            }
            (None, None) => {
                self.missing.push(name.to_owned());
                None
            }
        }
    }

    fn sentence(&mut self, name: &str, sentence: &str) -> Outcome {
        let is_one = sentence.len() > 20 && sentence.ends_with('.');
        if !is_one {
            self.wrong
                .push(format!("{name}: {sentence:?} is no sentence"));
        }
        Outcome::None(sentence.to_owned())
    }

    fn answered(
        &mut self,
        name: &str,
        item: &str,
        test: Option<&String>,
        shown: Option<&str>,
    ) -> Option<Outcome> {
        let file = match self.sources.resolve(item) {
            Ok(file) => file.to_owned(),
            Err(problem) => {
                self.wrong.push(format!("{name}: {problem}"));
                return None;
            }
        };
        if let Some(test) = test {
            let last = item.rsplit("::").next().unwrap_or(item);
            let shown = shown.unwrap_or(last);
            if let Err(problem) = self.tests.check(self.repository, test, shown) {
                self.wrong.push(format!("{name}: {problem}"));
            }
        }
        Some(Outcome::Answered(Answered {
            item: item.to_owned(),
            file,
            test: test.cloned().unwrap_or_default(),
        }))
    }

    /// A value that the item of its enumeration has under its name.
    fn labelled(&mut self, group: &GroupEntry, part: &str) -> Option<Outcome> {
        let (item, test) = (group.item.as_ref()?, group.test.as_ref()?);
        let value = self.sources.labelled(item, part)?;
        Some(Outcome::Answered(Answered {
            item: format!("{item}::{value}"),
            file: self.sources.resolve(item).ok()?.to_owned(),
            test: test.clone(),
        }))
    }
}
