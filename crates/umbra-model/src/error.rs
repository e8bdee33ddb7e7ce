//! The one error of the boundary between crates.

use crate::VssCode;
use std::{error::Error, fmt};

/// The result of anything that can fail with a [`VssError`].
pub type VssResult<T> = Result<T, VssError>;

/// What failed, in the words of VSS and in a sentence.
///
/// The message says what was tried, on what, why it failed and what to do. The
/// causes lead from there down to the system call. An error met while undoing
/// never replaces the first one: it is attached as a later failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VssError {
    code: VssCode,
    message: String,
    causes: Vec<String>,
    later: Vec<VssError>,
}

impl VssError {
    /// An error with a code of the VSS table and one clear sentence.
    pub fn new(code: VssCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            later: Vec::new(),
        }
    }

    /// Adds an error, with everything that it names as its source, as the cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Error) -> Self {
        self.causes.push(cause.to_string());
        let mut source = cause.source();
        while let Some(next) = source {
            self.causes.push(next.to_string());
            source = next.source();
        }
        self
    }

    /// Adds one line to the chain of causes, for errors that come as text (from
    /// another process).
    #[must_use]
    pub fn caused_by_text(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Attaches a failure that came after this one, while undoing.
    #[must_use]
    pub fn followed_by(mut self, later: VssError) -> Self {
        self.later.push(later);
        self
    }

    /// The code of the VSS table.
    pub fn code(&self) -> VssCode {
        self.code
    }

    /// What was tried, on what, why it failed, and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The chain of causes, nearest first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// Failures that came later, while undoing, in the order they came.
    pub fn later(&self) -> &[VssError] {
        &self.later
    }
}

impl fmt::Display for VssError {
    /// One line: message, causes, code. Later failures are not in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        write!(f, " ({})", self.code)
    }
}

impl Error for VssError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_message_causes_and_code_in_one_line() {
        let error = VssError::new(VssCode::Unexpected, "cannot read the catalog")
            .caused_by(std::io::Error::other("disk on fire"));
        assert_eq!(
            error.to_string(),
            "cannot read the catalog: disk on fire (VSS_E_UNEXPECTED)"
        );
    }

    #[test]
    fn keeps_the_first_error_first() {
        let first = VssError::new(VssCode::ProviderVeto, "commit failed");
        let undo = VssError::new(VssCode::Unexpected, "cannot remove the image");
        let both = first.clone().followed_by(undo.clone());
        assert_eq!(both.code(), VssCode::ProviderVeto);
        assert_eq!(both.later(), [undo]);
        assert_eq!(both.to_string(), first.to_string());
    }
}
