//! What is wrong with a document, and where.

use umbra_model::{VssCode, VssError};

/// One thing wrong at one place. The place is a byte of the decoded text; line
/// and column are counted only when somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    offset: usize,
    problem: String,
}

impl Fault {
    pub(crate) fn at(offset: usize, problem: impl Into<String>) -> Self {
        Self {
            offset,
            problem: problem.into(),
        }
    }

    /// The error of the boundary, for a fault in this text.
    pub(crate) fn in_text(self, text: &str) -> VssError {
        let mut end = self.offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let last = before.rfind('\n').map_or(before, |at| &before[at + 1..]);
        invalid(line, last.chars().count() + 1, &self.problem)
    }
}

/// The error for a document that is wrong at this line and column, from 1.
pub(crate) fn invalid(line: usize, column: usize, problem: &str) -> VssError {
    VssError::new(
        VssCode::InvalidXmlDocument,
        format!("the document is not valid at line {line}, column {column}: {problem}"),
    )
}
