//! Freeze and Thaw of writers by level ("Writer Freeze Levels").

use crate::{
    messages::{Message, Patience, first, tell},
    set::Participant,
    writers::Writers,
};
use umbra_documents::FreezeLevel;
use umbra_model::VssResult;

/// Front end, back end, system: a front end stops before what it writes to.
const LEVELS: [FreezeLevel; 3] = [
    FreezeLevel::FrontEnd,
    FreezeLevel::BackEnd,
    FreezeLevel::System,
];

/// Freezes the writers, level by level, those of one level at the same time.
///
/// # Errors
///
/// The first failure. Later levels are then not told.
pub(crate) async fn freeze(
    registry: &Writers,
    participants: &mut [Participant],
    patience: Patience<'_>,
) -> VssResult<()> {
    for level in LEVELS {
        let those = participants.iter_mut().filter(|one| one.level == level);
        first(tell(registry, those, Message::Freeze, patience).await)?;
    }
    Ok(())
}

/// Thaws the writers in the opposite order. Every writer is told, whatever the
/// others answer.
///
/// # Errors
///
/// The first failure with the others attached.
pub(crate) async fn thaw(
    registry: &Writers,
    participants: &mut [Participant],
    patience: Patience<'_>,
) -> VssResult<()> {
    let mut failures = Vec::new();
    for level in LEVELS.into_iter().rev() {
        let those = participants.iter_mut().filter(|one| one.level == level);
        failures.extend(tell(registry, those, Message::Thaw, patience).await);
    }
    first(failures)
}
