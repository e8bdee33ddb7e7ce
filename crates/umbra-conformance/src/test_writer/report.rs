//! What the test writer prints.

use crate::configuration::Verbosity;
use std::{
    fmt::Display,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Prints by verbosity and counts what was wrong.
pub(super) struct Report {
    verbosity: Verbosity,
    print: Box<dyn Fn(&str) + Send + Sync>,
    wrong: AtomicUsize,
}

impl Report {
    pub(super) fn new(verbosity: Verbosity, print: Box<dyn Fn(&str) + Send + Sync>) -> Self {
        Self {
            verbosity,
            print,
            wrong: AtomicUsize::new(0),
        }
    }

    /// What a requester, or the service, did wrong.
    pub(super) fn wrong(&self, what: impl Display) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        (self.print)(&format!("WRONG: {what}"));
    }

    /// A failure that the writer was told to have.
    pub(super) fn planned_failure(&self, what: impl Display) {
        (self.print)(&what.to_string());
    }

    /// A failure of the writer itself.
    pub(super) fn failure(&self, what: impl Display) {
        (self.print)(&format!("FAILED: {what}"));
    }

    /// Which event came, and what there is to say of it.
    pub(super) fn event(&self, what: impl Display) {
        self.at(Verbosity::Medium, what);
    }

    /// What the writer does.
    pub(super) fn detail(&self, what: impl Display) {
        self.at(Verbosity::High, format_args!("  {what}"));
    }

    /// How much was wrong so far.
    pub(super) fn count(&self) -> usize {
        self.wrong.load(Ordering::Relaxed)
    }

    fn at(&self, verbosity: Verbosity, what: impl Display) {
        if self.verbosity >= verbosity {
            (self.print)(&what.to_string());
        }
    }
}
