//! The page.

use crate::{
    facts::Kind,
    reference::{Answered, Outcome, Reference, Section},
};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# The VSS reference, and what answers it in Umbra

<!-- Written by `make reference` from docs/vss-reference.toml. Do not edit. -->

Every interface method, class member, enumeration, structure, function, constant and
result code of VSS, with the item of Umbra that answers it and the test that shows
it; or why it has no meaning on Linux. The names are those of the Windows headers.
What a call does is on its page in Microsoft's documentation; where Umbra differs,
the doc comment of the item says so.

People keep `docs/vss-reference.toml`; `make reference` writes this page from it. A
test holds the page against the names of VSS and against the code: a name without an
answer, an item or a test that does not exist, and a test that does not use its item
fail it.
";

const CHAPTERS: [(&str, &[Kind]); 6] = [
    ("Interfaces", &[Kind::Interface]),
    ("The classes of a writer", &[Kind::Class]),
    ("Enumerations", &[Kind::Enumeration]),
    ("Structures", &[Kind::Structure]),
    (
        "Functions and constants",
        &[Kind::Functions, Kind::Constants, Kind::Types, Kind::Exports],
    ),
    ("Result codes", &[Kind::Codes]),
];

impl Reference {
    /// The page, in Markdown.
    pub fn page(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        self.figures(&mut page);
        for (title, kinds) in CHAPTERS {
            let _ = write!(page, "\n## {title}\n");
            for section in &self.sections {
                if kinds.contains(&section.kind) {
                    write_section(&mut page, section);
                }
            }
        }
        page
    }

    /// How many names there are, and how many have an answer.
    fn figures(&self, page: &mut String) {
        page.push_str(
            "\n| | names | answered | answered with `VSS_E_NOT_SUPPORTED` | no meaning on Linux |\n\
             | --- | ---: | ---: | ---: | ---: |\n",
        );
        let mut all = Figures::default();
        for (title, kinds) in CHAPTERS {
            let mut these = Figures::default();
            for section in &self.sections {
                if kinds.contains(&section.kind) {
                    these.add(section);
                }
            }
            these.write(title, page);
            all.answered += these.answered;
            all.unsupported += these.unsupported;
            all.none += these.none;
        }
        all.write("**together**", page);
    }
}

#[derive(Default)]
struct Figures {
    answered: usize,
    unsupported: usize,
    none: usize,
}

impl Figures {
    /// Counts the names of a section. An enumeration and a structure are a name
    /// themselves.
    fn add(&mut self, section: &Section) {
        let counts_itself = matches!(section.kind, Kind::Enumeration | Kind::Structure);
        let itself = usize::from(counts_itself);
        if matches!(section.whole, Some(Outcome::None(_))) {
            self.none += itself + section.parts.len();
            return;
        }
        self.answered += itself;
        for row in &section.rows {
            match row.outcome {
                Outcome::None(_) => self.none += 1,
                Outcome::Answered(_) if row.unsupported.is_some() => self.unsupported += 1,
                Outcome::Answered(_) => self.answered += 1,
            }
        }
    }

    fn write(&self, title: &str, page: &mut String) {
        let Self {
            answered,
            unsupported,
            none,
        } = self;
        let names = answered + unsupported + none;
        let _ = writeln!(
            page,
            "| {title} | {names} | {answered} | {unsupported} | {none} |"
        );
    }
}

fn write_section(page: &mut String, section: &Section) {
    let _ = write!(page, "\n### {}\n\n", section.name);
    let mut lines = Vec::new();
    if !section.origin.is_empty() {
        lines.push(format!("From {}.", section.origin));
    }
    match &section.whole {
        Some(Outcome::None(sentence)) => lines.push(format!("No meaning on Linux. {sentence}")),
        Some(Outcome::Answered(answered)) if answered.test.is_empty() => {
            lines.push(format!("{}.", item(answered)));
        }
        Some(Outcome::Answered(answered)) => {
            lines.push(format!("{}, shown by {}.", item(answered), test(answered)));
        }
        None => {}
    }
    lines.extend(section.note.clone());
    if !lines.is_empty() {
        let _ = writeln!(page, "{}\n", lines.join(" "));
    }
    if !section.rows.is_empty() {
        write_table(page, section);
    } else if !section.parts.is_empty() {
        let names: Vec<_> = section
            .parts
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let what = if section.kind == Kind::Structure {
            "Its fields"
        } else {
            "All of it"
        };
        let _ = writeln!(page, "{what}: {}.", names.join(", "));
    }
}

/// The values of an enumeration share its test.
fn write_table(page: &mut String, section: &Section) {
    let same_test = matches!(section.kind, Kind::Enumeration | Kind::Codes);
    page.push_str(if same_test {
        "| VSS | Umbra |\n| --- | --- |\n"
    } else {
        "| VSS | Umbra | shown by |\n| --- | --- | --- |\n"
    });
    for row in &section.rows {
        let unsupported = row.unsupported.iter();
        let note: String = unsupported
            .map(|why| format!("answers `VSS_E_NOT_SUPPORTED`: {why}"))
            .chain(row.note.clone())
            .map(|note| format!("; {note}"))
            .collect();
        let _ = match &row.outcome {
            Outcome::None(sentence) if same_test => {
                writeln!(page, "| `{}` | {sentence} |", row.name)
            }
            Outcome::None(sentence) => writeln!(page, "| `{}` | {sentence} | – |", row.name),
            Outcome::Answered(answered) if same_test => {
                writeln!(page, "| `{}` | {}{note} |", row.name, item(answered))
            }
            Outcome::Answered(answered) => writeln!(
                page,
                "| `{}` | {}{note} | {} |",
                row.name,
                item(answered),
                test(answered)
            ),
        };
    }
}

fn item(answered: &Answered) -> String {
    format!("[`{}`](../{})", answered.item, answered.file.display())
}

fn test(answered: &Answered) -> String {
    let (file, name) = answered
        .test
        .split_once("::")
        .unwrap_or((&answered.test, ""));
    format!("[`{name}`](../{file})")
}
