//! The XML of configuration files: small, strict, and every complaint has a line
//! and a column.

use roxmltree::{Attribute, Document, Node, ParsingOptions};
use std::{
    cell::RefCell,
    path::{Component as PathPart, Path, PathBuf},
};
use umbra_documents::{AlternateLocation, DocumentTerm, FileSet, Recursion, text_to_path};

/// The largest configuration file, as for BETest: 1 MB.
pub const MAX_CONFIGURATION_BYTES: usize = 1 << 20;
/// The most elements, attributes' owners and texts in one.
const MAX_NODES: u32 = 20_000;

/// What is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It is too large.
    #[error("the file has {0} bytes; 1048576 are allowed")]
    TooLarge(usize),
    /// It is no text.
    #[error("the file is not UTF-8 text")]
    NoText,
    /// Something at one place.
    #[error("line {line}, column {column}: {problem}")]
    At {
        /// The line, from 1.
        line: u32,
        /// The column, from 1, in characters.
        column: u32,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

pub(super) type Parsed<T> = Result<T, ConfigurationError>;

/// Reads a file as text.
pub(super) fn text(bytes: &[u8]) -> Parsed<&str> {
    if bytes.len() > MAX_CONFIGURATION_BYTES {
        return Err(ConfigurationError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ConfigurationError::NoText)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// An error at a place in a text.
pub(super) fn place_of(text: &str, offset: usize, problem: &str) -> ConfigurationError {
    let before = &text[..offset];
    let line = before.rsplit('\n').next().unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    ConfigurationError::At {
        line: number(before.matches('\n').count() + 1),
        column: number(line.chars().count() + 1),
        problem: problem.to_owned(),
    }
}

/// Reads a file as XML without document types.
pub(super) fn document(text: &str) -> Parsed<Document<'_>> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let place = error.pos();
        ConfigurationError::At {
            line: place.row,
            column: place.col,
            problem: without_place(&error.to_string()).to_owned(),
        }
    })
}

/// The sentence of roxmltree without its own ` at 1:2`, which ours repeats.
fn without_place(sentence: &str) -> &str {
    sentence
        .rsplit_once(" at ")
        .filter(|(_, place)| place.bytes().all(|one| one.is_ascii_digit() || one == b':'))
        .map_or(sentence, |(problem, _)| problem)
}

/// An element whose attributes are asked for by name. What nobody asked for is
/// unknown, which [`Element::done`] tells.
pub(super) struct Element<'a, 'input> {
    node: Node<'a, 'input>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a, 'input> Element<'a, 'input> {
    /// The root, which must have this name.
    pub(super) fn root(document: &'a Document<'input>, name: &str) -> Parsed<Self> {
        let root = Self::of(document.root_element());
        if root.name() == name {
            Ok(root)
        } else {
            Err(root.wrong(format!(
                "the root element is {}; it must be {name}",
                root.name()
            )))
        }
    }

    fn of(node: Node<'a, 'input>) -> Self {
        Self {
            node,
            asked: RefCell::default(),
        }
    }

    pub(super) fn name(&self) -> &'a str {
        self.node.tag_name().name()
    }

    /// The elements inside.
    pub(super) fn children(&self) -> Parsed<Vec<Self>> {
        let text = self.node.children().find(|child| {
            child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())
        });
        if let Some(text) = text {
            let problem = format!("{} has text in it, which means nothing", self.name());
            return Err(self.at(text.range().start, problem));
        }
        let elements = self.node.children().filter(Node::is_element);
        Ok(elements.map(Self::of).collect())
    }

    /// An error at this element.
    pub(super) fn wrong(&self, problem: impl Into<String>) -> ConfigurationError {
        self.at(self.node.range().start, problem)
    }

    /// An error for an element that does not belong here.
    pub(super) fn unexpected(&self, parent: &str, known: &[&str]) -> ConfigurationError {
        self.wrong(format!(
            "{} is unknown in {parent}; known are {}",
            self.name(),
            known.join(", ")
        ))
    }

    fn at(&self, offset: usize, problem: impl Into<String>) -> ConfigurationError {
        let place = self.node.document().text_pos_at(offset);
        ConfigurationError::At {
            line: place.row,
            column: place.col,
            problem: problem.into(),
        }
    }

    fn attribute(&self, name: &'static str) -> Option<Attribute<'a, 'input>> {
        self.asked.borrow_mut().push(name);
        let mut attributes = self.node.attributes();
        attributes.find(|attribute| attribute.name() == name)
    }

    fn misfit(&self, attribute: &Attribute<'_, '_>, expected: &str) -> ConfigurationError {
        self.at(
            attribute.range().start,
            format!(
                "{}={:?} of {} must be {expected}",
                attribute.name(),
                attribute.value(),
                self.name()
            ),
        )
    }

    /// An attribute's text.
    pub(super) fn optional(&self, name: &'static str) -> Option<&'a str> {
        self.attribute(name).map(|attribute| attribute.value())
    }

    /// An attribute's text, where the attribute must be there.
    pub(super) fn required(&self, name: &'static str) -> Parsed<&'a str> {
        self.optional(name)
            .ok_or_else(|| self.wrong(format!("{} needs the attribute {name}", self.name())))
    }

    /// An attribute of which a function makes a value.
    pub(super) fn optional_as<T>(
        &self,
        name: &'static str,
        expected: &str,
        convert: impl FnOnce(&str) -> Option<T>,
    ) -> Parsed<Option<T>> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(None);
        };
        match convert(attribute.value()) {
            Some(value) => Ok(Some(value)),
            None => Err(self.misfit(&attribute, expected)),
        }
    }

    /// An attribute that must be there, of which a function makes a value.
    pub(super) fn required_as<T>(
        &self,
        name: &'static str,
        expected: &str,
        convert: impl FnOnce(&str) -> Option<T>,
    ) -> Parsed<T> {
        self.optional_as(name, expected, convert)?
            .ok_or_else(|| self.wrong(format!("{} needs the attribute {name}", self.name())))
    }

    /// A word of the documents.
    pub(super) fn word<T: DocumentTerm>(&self, name: &'static str) -> Parsed<Option<T>> {
        let expected = format!("one of {}", T::WORDS.join(", "));
        self.optional_as(name, &expected, T::from_word)
    }

    /// `yes` or `no`.
    pub(super) fn yes(&self, name: &'static str) -> Parsed<Option<bool>> {
        self.optional_as(name, "yes or no", |value| {
            let is = |word: &str| value.eq_ignore_ascii_case(word);
            (is("yes") || is("no")).then(|| is("yes"))
        })
    }

    /// The attributes path, filespec and recursive.
    pub(super) fn file_set(&self) -> Parsed<FileSet> {
        let path = self.required_as("path", ABSOLUTE, absolute)?;
        let expected = "a name, which may have * and ?";
        let specification = self.required_as("filespec", expected, |name| {
            (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
        })?;
        let recursion = Recursion::from(self.yes("recursive")?.unwrap_or(false));
        Ok(FileSet::new(path, specification, recursion))
    }

    /// A file set and the attribute alternatePath.
    pub(super) fn alternate_location(&self) -> Parsed<AlternateLocation> {
        Ok(AlternateLocation {
            files: self.file_set()?,
            destination: self.required_as("alternatePath", ABSOLUTE, absolute)?,
        })
    }

    /// Refuses attributes that nobody asked for.
    pub(super) fn done(&self) -> Parsed<()> {
        let asked = self.asked.borrow();
        let unknown = self
            .node
            .attributes()
            .find(|attribute| !asked.contains(&attribute.name()));
        match unknown {
            None => Ok(()),
            Some(unknown) => Err(self.at(
                unknown.range().start,
                format!(
                    "the attribute {} of {} is unknown; known are {}",
                    unknown.name(),
                    self.name(),
                    asked.join(", ")
                ),
            )),
        }
    }
}

pub(super) const ABSOLUTE: &str = "an absolute path without \"..\"";

pub(super) fn absolute(text: &str) -> Option<PathBuf> {
    let path = text_to_path(text);
    let up = |path: &Path| {
        path.components()
            .any(|part| matches!(part, PathPart::ParentDir))
    };
    (path.is_absolute() && !up(&path)).then_some(path)
}
