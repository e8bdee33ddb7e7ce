//! An error on its way to the user: which exit code, and the lines to print.

use crate::{exit::ExitKind, output::tell_raw};
use std::fmt;
use umbra_model::{VssCode, VssError};

/// An error that ends a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: ExitKind,
    error: VssError,
}

impl Failure {
    /// A failure of the program itself, in one clear sentence.
    pub fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            error: VssError::new(VssCode::Unexpected, message),
        }
    }

    /// An error of the service, but with the exit code of this kind.
    pub fn of_kind(kind: ExitKind, error: VssError) -> Self {
        Self { kind, error }
    }

    /// Why the program ends.
    pub fn kind(&self) -> ExitKind {
        self.kind
    }

    /// Attaches a failure that came after this one, while cleaning up.
    #[must_use]
    pub fn followed_by(self, later: VssError) -> Self {
        Self {
            kind: self.kind,
            error: self.error.followed_by(later),
        }
    }

    /// Prints the sentence, its causes and later failures to standard error.
    pub fn print(&self, program: &str) {
        tell_raw(&text(program, &self.error));
    }
}

impl From<VssError> for Failure {
    fn from(error: VssError) -> Self {
        Self {
            kind: ExitKind::of(error.code()),
            error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// The lines for an error: the sentence, then, indented, its causes, and the
/// failures that came later.
pub fn text(program: &str, error: &VssError) -> String {
    let mut lines = format!("{program}: {}\n", error.message());
    append(&mut lines, error, "  ");
    lines
}

fn append(lines: &mut String, error: &VssError, indent: &str) {
    for cause in error.causes() {
        lines.push_str(&format!("{indent}because: {cause}\n"));
    }
    let deeper = format!("{indent}  ");
    for later in error.later() {
        lines.push_str(&format!("{indent}and then: {}\n", later.message()));
        append(lines, later, &deeper);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_causes_and_later_failures_under_the_sentence() {
        let later = VssError::new(VssCode::Unexpected, "cannot remove the image")
            .caused_by_text("No space left on device");
        let error = VssError::new(VssCode::ProviderVeto, "cannot copy /srv")
            .caused_by_text("Input/output error")
            .followed_by(later);
        assert_eq!(
            text("umbra", &error),
            "umbra: cannot copy /srv\n  because: Input/output error\n  and then: cannot remove \
             the image\n    because: No space left on device\n"
        );
        assert_eq!(Failure::from(error).kind(), ExitKind::ProviderFailed);
    }
}
