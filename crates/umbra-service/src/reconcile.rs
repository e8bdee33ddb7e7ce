//! Bringing the catalog and the providers together after a crash.
//!
//! Invariant: records of a service that lives are never touched, nor those of
//! this service that a session looks after.

use crate::{
    catalog::{Phase, Record, Release},
    owner::remove_dead_locks,
    service::ServiceInner,
};
use umbra_model::{ShadowCopy, VssResult};
use umbra_provider::Presence;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only what must not be there: half-made sets and auto-release copies
    /// without an owner. Cheap enough to do before each set.
    Leftovers,
    /// And whether the copies that should be there are.
    Everything,
}

/// Blocks. Gives back a line for each thing that was done or found.
///
/// # Errors
///
/// The catalog cannot be read. What cannot be removed is no error: it is kept,
/// and said.
pub(crate) fn reconcile(service: &ServiceInner, depth: Depth) -> VssResult<Vec<String>> {
    let mut lines = Vec::new();
    for record in service.catalog.read()? {
        if is_looked_after(service, &record) {
            continue;
        }
        match (&record.phase, record.release) {
            (Phase::Intent(..), _) => lines.push(remove_half_made(service, &record)),
            (Phase::Finished(_), Release::WithSession) => {
                lines.push(release(service, &record));
            }
            (Phase::Finished(_), Release::OnRequest) if depth == Depth::Everything => {
                for copy in record.copies() {
                    let found =
                        look_for(service, copy).or_else(|| look_for_exposure(service, copy));
                    lines.extend(found);
                }
            }
            (Phase::Finished(_), Release::OnRequest) => {}
        }
    }
    if depth == Depth::Everything {
        remove_dead_locks(&service.directory.runtime);
    }
    Ok(lines)
}

fn is_looked_after(service: &ServiceInner, record: &Record) -> bool {
    if record.owner == service.owner.id {
        service.active.contains(record.set_id())
    } else {
        record.owner.is_alive(&service.directory.runtime)
    }
}

fn remove_half_made(service: &ServiceInner, record: &Record) -> String {
    let set = record.set_id();
    let removed = record
        .copies()
        .iter()
        .try_for_each(|copy| service.provider(copy.provider)?.delete(copy))
        .and_then(|()| service.catalog.remove(set));
    match removed {
        Ok(()) => format!("removed the shadow copy set {set}, which was half made"),
        Err(error) => {
            format!("cannot remove the half-made shadow copy set {set}, will try again: {error}")
        }
    }
}

fn release(service: &ServiceInner, record: &Record) -> String {
    let set = record.set_id();
    let released = record
        .copies()
        .iter()
        .try_for_each(|copy| service.delete_copy_blocking(copy));
    match released {
        Ok(()) => format!("deleted the shadow copy set {set}, whose session has ended"),
        Err(error) => format!(
            "cannot delete the shadow copy set {set}, whose session has ended, \
             will try again: {error}"
        ),
    }
}

fn look_for(service: &ServiceInner, copy: &ShadowCopy) -> Option<String> {
    let (id, volume) = (copy.id, copy.volume.mount_point.display());
    let provider = match service.provider(copy.provider) {
        Ok(provider) => provider,
        Err(error) => return Some(format!("cannot look for the shadow copy {id}: {error}")),
    };
    match provider.presence(copy) {
        Presence::Present => None,
        Presence::Unreachable(why) => Some(format!(
            "the shadow copy {id} of {volume} cannot be reached now: {why}"
        )),
        // Deleting what is gone tidies what is left of it around the catalog.
        Presence::Missing => Some(match service.delete_copy_blocking(copy) {
            Ok(()) => format!(
                "the shadow copy {id} of {volume} is lost: its storage has it no more; \
                 it was taken out of the catalog"
            ),
            Err(error) => format!(
                "the shadow copy {id} of {volume} is lost, and cannot be taken out of the \
                 catalog: {error}"
            ),
        }),
    }
}

fn look_for_exposure(service: &ServiceInner, copy: &ShadowCopy) -> Option<String> {
    let dir = copy.exposed.as_ref()?;
    if service.mounter.is_mounted(dir) {
        return None;
    }
    let (id, dir) = (copy.id, dir.display());
    Some(match service.write_exposed(copy, None) {
        Ok(()) => format!("the shadow copy {id} is not exposed at {dir} any more"),
        Err(error) => format!("cannot write that the shadow copy {id} is not exposed: {error}"),
    })
}
