//! Failing as the configuration says ("Failing Events").

use crate::configuration::{FailEvent, FailureKind};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};
use umbra_writer::{WriterEvent, WriterFailure, WriterFailureKind};

/// How often each event has failed.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<WriterEvent, u32>);

impl Failures {
    /// The failure that is due at an event, which then has happened.
    pub(super) fn due(
        &mut self,
        configured: &[FailEvent],
        event: WriterEvent,
    ) -> Option<WriterFailure> {
        let failure = configured.iter().find(|failure| failure.event == event)?;
        let happened = self.0.entry(event).or_default();
        if failure.times.is_some_and(|times| *happened >= times) {
            return None;
        }
        *happened = happened.saturating_add(1);
        let message = match failure.times {
            Some(times) => format!(
                "its configuration says that {event} fails {times} times; this is number {happened}"
            ),
            None => format!("its configuration says that {event} fails"),
        };
        Some(WriterFailure::new(kind(failure.kind), message))
    }
}

/// A retryable failure is a random one of those that there are.
fn kind(kind: FailureKind) -> WriterFailureKind {
    const RETRYABLE: [WriterFailureKind; 3] = [
        WriterFailureKind::OutOfResources,
        WriterFailureKind::Timeout,
        WriterFailureKind::Retryable,
    ];
    match kind {
        FailureKind::NonRetryable => WriterFailureKind::NonRetryable,
        FailureKind::Retryable => {
            let number = RandomState::new().hash_one(0) % RETRYABLE.len() as u64;
            RETRYABLE[number as usize]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(kind: FailureKind, times: Option<u32>) -> [FailEvent; 1] {
        [FailEvent {
            event: WriterEvent::Freeze,
            kind,
            times,
        }]
    }

    #[test]
    fn fails_as_often_as_it_is_told_to() {
        let configured = failing(FailureKind::Retryable, Some(2));
        let mut failures = Failures::default();
        assert!(failures.due(&configured, WriterEvent::Thaw).is_none());
        for _ in 0..2 {
            let failure = failures.due(&configured, WriterEvent::Freeze).unwrap();
            assert!(failure.kind.is_retryable());
        }
        assert!(failures.due(&configured, WriterEvent::Freeze).is_none());
    }

    #[test]
    fn fails_always_where_no_number_is_given() {
        let configured = failing(FailureKind::NonRetryable, None);
        let mut failures = Failures::default();
        for _ in 0..5 {
            let failure = failures.due(&configured, WriterEvent::Freeze).unwrap();
            assert_eq!(failure.kind, WriterFailureKind::NonRetryable);
        }
    }

    #[test]
    fn every_retryable_code_has_its_turn() {
        let kinds: std::collections::HashSet<_> =
            (0..200).map(|_| kind(FailureKind::Retryable)).collect();
        assert_eq!(kinds.len(), 3);
    }
}
