//! How a writer says that it failed.

use umbra_model::{VssCode, VssError};

/// Which kind of failure (`CVssWriter::SetWriterFailure`, and what the service
/// itself sees of a writer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterFailureKind {
    /// The copy does not hold what the writer needs: another selection would.
    InconsistentSnapshot,
    /// Memory or disk ran out; the same set may work later.
    OutOfResources,
    /// The writer, or the service waiting for it, ran out of time.
    Timeout,
    /// The same set may work at once.
    Retryable,
    /// The same set will fail again.
    NonRetryable,
    /// The writer went away, or did not answer as the contract says.
    NotResponding,
}

impl WriterFailureKind {
    /// The code in the VSS table.
    pub fn code(self) -> VssCode {
        match self {
            Self::InconsistentSnapshot => VssCode::WriterErrorInconsistentSnapshot,
            Self::OutOfResources => VssCode::WriterErrorOutOfResources,
            Self::Timeout => VssCode::WriterErrorTimeout,
            Self::Retryable => VssCode::WriterErrorRetryable,
            Self::NonRetryable => VssCode::WriterErrorNonRetryable,
            Self::NotResponding => VssCode::WriterNotResponding,
        }
    }

    /// Whether trying the same set again can help.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::OutOfResources | Self::Timeout | Self::Retryable)
    }
}

/// A writer's veto, with the reason in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriterFailure {
    /// Which kind.
    pub kind: WriterFailureKind,
    /// Why, in a sentence that a user can act on.
    pub message: String,
    /// The writer's own code for it (`CVssWriterEx2::SetWriterFailureEx`).
    pub application_code: Option<u32>,
}

impl WriterFailure {
    /// A failure of this kind.
    pub fn new(kind: WriterFailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            application_code: None,
        }
    }

    /// The same with the writer's own code
    /// (`CVssWriterEx2::SetWriterFailureEx`).
    #[must_use]
    pub fn with_application_code(self, code: u32) -> Self {
        Self {
            application_code: Some(code),
            ..self
        }
    }

    /// The error that a requester gets for it.
    pub fn into_error(self, writer: &str, event: &str) -> VssError {
        VssError::new(
            self.kind.code(),
            format!("the writer {writer:?} failed at {event}: {}", self.message),
        )
    }
}
