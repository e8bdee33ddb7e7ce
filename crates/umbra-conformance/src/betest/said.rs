//! What the test requester prints, and the failures that did not end it.

use super::{BetestOptions, Detail, OnWriterError};
use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};
use umbra_client::{BackupComponents, Retry, WriterStatus};
use umbra_model::{VssError, VssResult};

/// Prints lines and collects failures.
pub(super) struct Said<'a> {
    print: &'a (dyn Fn(&str) + Send + Sync),
    detail: Detail,
    on_writer_error: OnWriterError,
    failures: Mutex<Option<VssError>>,
}

impl<'a> Said<'a> {
    pub(super) fn new(print: &'a (dyn Fn(&str) + Send + Sync), options: &BetestOptions) -> Self {
        Self {
            print,
            detail: options.detail,
            on_writer_error: options.on_writer_error,
            failures: Mutex::default(),
        }
    }

    /// What came of something.
    pub(super) fn result(&self, what: impl Display) {
        (self.print)(&what.to_string());
    }

    /// What is done.
    pub(super) fn detail(&self, what: impl Display) {
        if self.detail == Detail::Everything {
            self.result(what);
        }
    }

    /// A failure after which the rest may go on.
    pub(super) fn failure(&self, failure: VssError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures = Some(match failures.take() {
            Some(first) => first.followed_by(failure),
            None => failure,
        });
    }

    /// Failures of writers, after which the rest goes on or not, as was asked for.
    pub(super) fn writer_failures(
        &self,
        failures: impl IntoIterator<Item = VssError>,
    ) -> VssResult<()> {
        for failure in failures {
            if self.on_writer_error == OnWriterError::Stop {
                return Err(failure);
            }
            self.failure(failure);
        }
        Ok(())
    }

    /// Says how the writers are: those that failed, or every one.
    pub(super) async fn writer_status(&self, session: &BackupComponents) {
        match session.gather_writer_status().await {
            Ok(writers) => writers.iter().for_each(|writer| self.writer(writer)),
            // What was asked about has its own result.
            Err(error) => self.detail(format_args!("the writers' status is not known: {error}")),
        }
    }

    /// Says how a writer is.
    pub(super) fn writer(&self, status: &WriterStatus) {
        let name = format!("writer {} ({})", status.writer.name, status.writer.instance);
        let Some(failure) = &status.failure else {
            self.detail(format_args!("{name}: {}", status.state));
            return;
        };
        let retry = match status.retry() {
            Some(Retry::SameBackup) => "try again",
            Some(Retry::Later) => "try again later",
            Some(Retry::OtherSelection) => "try again with another selection",
            Some(Retry::No) | None => "do not try again",
        };
        self.result(format_args!(
            "{name}: {}, {}, {retry}: {}",
            status.state,
            failure.code(),
            failure.message()
        ));
    }

    /// What all of it came to.
    pub(super) fn verdict(self) -> VssResult<()> {
        let failures = self.failures.into_inner();
        match failures.unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}
