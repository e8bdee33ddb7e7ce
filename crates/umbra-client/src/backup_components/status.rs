//! How the writers are ("Determining Writer Status", "Writer Errors and Vetoes").

use super::{BackupComponents, VssAsync, order::Call};
use crate::WriterReport;
use umbra_documents::WriterIdentity;
use umbra_model::{VssCode, VssError, WriterState};

/// How a writer is (`GetWriterStatus`, `GetWriterStatusEx`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterStatus {
    /// Who it is.
    pub writer: WriterIdentity,
    /// Where it stands, or at what it failed.
    pub state: WriterState,
    /// Why it failed, with a `VSS_E_WRITERERROR_...` code and what it said.
    pub failure: Option<VssError>,
    /// The writer's own code for it; what it said of it is the error's message
    /// (`IVssBackupComponentsEx3::GetWriterStatusEx`).
    pub application_code: Option<u32>,
}

/// Whether it helps to try again after a writer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes, the same backup.
    SameBackup,
    /// Yes, the same backup, but not at once: something ran out or took too long.
    Later,
    /// Only with other components or volumes: the copy did not hold what the writer
    /// needs.
    OtherSelection,
    /// Not before somebody has put right what failed.
    No,
}

impl WriterStatus {
    /// Whether the writer failed.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether it helps to try again; none where the writer has not failed.
    pub fn retry(&self) -> Option<Retry> {
        self.failure.as_ref().map(|failure| match failure.code() {
            VssCode::WriterErrorRetryable => Retry::SameBackup,
            VssCode::WriterErrorTimeout
            | VssCode::WriterErrorOutOfResources
            | VssCode::WriterStatusNotAvailable => Retry::Later,
            VssCode::WriterErrorInconsistentSnapshot => Retry::OtherSelection,
            _ => Retry::No,
        })
    }
}

impl From<WriterReport> for WriterStatus {
    fn from(report: WriterReport) -> Self {
        Self {
            writer: report.metadata.identity,
            state: report.state,
            failure: report.failure,
            application_code: report.application_code,
        }
    }
}

impl BackupComponents {
    /// How the writers are that take part (`GatherWriterStatus`, `GetWriterStatus`).
    /// After PrepareForBackup, DoSnapshotSet, BackupComplete, PreRestore and
    /// PostRestore it says how that went; at other times it may speak of something
    /// older.
    pub fn gather_writer_status(&self) -> VssAsync<Vec<WriterStatus>> {
        let call = self.call(Call::GatherWriterStatus);
        self.run(
            call,
            |session| async move { session.requester.gather_writer_status().await },
            |state, reports| {
                let taking_part = |report: &WriterReport| {
                    report.state != WriterState::FailedAtIdentify
                        && state.filter.lets_through(&report.metadata.identity)
                };
                let reports = reports?.into_iter().filter(taking_part);
                Ok(reports.map(WriterStatus::from).collect())
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbra_model::{WriterId, WriterInstanceId};

    fn status(code: Option<VssCode>) -> WriterStatus {
        let id = WriterId::from_u128(1);
        WriterStatus {
            writer: WriterIdentity::new(id, WriterInstanceId::from_u128(2), "writer"),
            state: WriterState::FailedAtFreeze,
            failure: code.map(|code| VssError::new(code, "no")),
            application_code: None,
        }
    }

    /// "Writer Errors and Vetoes".
    #[test]
    fn says_whether_it_helps_to_try_again() {
        assert_eq!(status(None).retry(), None);
        for (code, retry) in [
            (VssCode::WriterErrorRetryable, Retry::SameBackup),
            (VssCode::WriterErrorTimeout, Retry::Later),
            (VssCode::WriterErrorOutOfResources, Retry::Later),
            (VssCode::WriterStatusNotAvailable, Retry::Later),
            (
                VssCode::WriterErrorInconsistentSnapshot,
                Retry::OtherSelection,
            ),
            (VssCode::WriterErrorNonRetryable, Retry::No),
            (VssCode::WriterNotResponding, Retry::No),
        ] {
            let status = status(Some(code));
            assert!(status.has_failed());
            assert_eq!(status.retry(), Some(retry), "{code}");
        }
    }
}
