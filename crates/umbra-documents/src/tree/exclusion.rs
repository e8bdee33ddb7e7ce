//! What cannot be in a backup since something else cannot.

use super::{
    ComponentAt, LeftOut, Standing, WriterTrees,
    dependencies::{Target, target},
};
use std::collections::HashMap;

/// Which components are left out, by writer and component.
pub(super) type LeftOutOf = Vec<Vec<Option<LeftOut>>>;

/// Spreads what is left out of itself over all that cannot do without it:
///
/// - a component set is a unit ("Selectability and Working with Component
///   Properties"): without one of its members it cannot be added;
/// - what comes only with something cannot come without it;
/// - a writer cannot be in a backup without all that is required of it ("Definition
///   of Components by Writers");
/// - a component cannot be in a backup without what it depends on ("Dependencies
///   between Components Managed by Different Writers", the second of the two ways
///   that it allows).
pub(super) fn spread(writers: &WriterTrees, left_out: LeftOutOf) -> LeftOutOf {
    let mut todo = Vec::new();
    for (writer, components) in left_out.iter().enumerate() {
        for (component, reason) in components.iter().enumerate() {
            if reason.is_some() {
                todo.push(ComponentAt { writer, component });
            }
        }
    }
    if todo.is_empty() {
        return left_out;
    }
    // Nearest to the top of the list first: its reasons are told first.
    todo.reverse();
    let mut spreading = Spreading {
        writers,
        left_out,
        todo,
        ways_in: HashMap::new(),
        dependents: dependents(writers),
    };
    while let Some(at) = spreading.todo.pop() {
        spreading.follow(at);
    }
    spreading.left_out
}

struct Spreading<'a> {
    writers: &'a WriterTrees,
    left_out: LeftOutOf,
    /// Components what follows from which has not been looked at.
    todo: Vec<ComponentAt>,
    /// For each component of a writer, how many selectable ones above it can still
    /// be added.
    ways_in: HashMap<usize, Vec<usize>>,
    dependents: HashMap<ComponentAt, Vec<ComponentAt>>,
}

impl Spreading<'_> {
    fn leave_out(&mut self, at: ComponentAt, reason: impl FnOnce() -> LeftOut) {
        let place = &mut self.left_out[at.writer][at.component];
        if place.is_none() {
            *place = Some(reason());
            self.todo.push(at);
        }
    }

    fn follow(&mut self, at: ComponentAt) {
        let writer = &self.writers.writers()[at.writer];
        let tree = writer.tree();
        let same_writer = |component| ComponentAt {
            writer: at.writer,
            component,
        };
        let path = || writer.path(at.component);
        for above in tree.selectable_ancestors(at.component) {
            self.leave_out(same_writer(above), || LeftOut::SubcomponentLeftOut {
                subcomponent: path(),
            });
        }
        if tree.standing(at.component) == Standing::Required {
            for other in 0..tree.len() {
                self.leave_out(same_writer(other), || LeftOut::RequiredLeftOut {
                    required: path(),
                });
            }
        }
        for below in tree.subcomponents(at.component) {
            let ways_in = self.ways_in.entry(at.writer).or_insert_with(|| {
                let ways = |component| tree.selectable_ancestors(component).count();
                (0..tree.len()).map(ways).collect()
            });
            ways_in[*below] -= 1;
            if ways_in[*below] == 0 && tree.standing(*below) == Standing::Subcomponent {
                self.leave_out(same_writer(*below), || LeftOut::AncestorLeftOut {
                    ancestor: path(),
                });
            }
        }
        for dependent in self.dependents.remove(&at).unwrap_or_default() {
            self.leave_out(dependent, || LeftOut::DependencyLeftOut {
                writer: writer.name().to_owned(),
                component: path(),
            });
        }
    }
}

/// Which components depend on each.
fn dependents(writers: &WriterTrees) -> HashMap<ComponentAt, Vec<ComponentAt>> {
    let mut dependents: HashMap<_, Vec<_>> = HashMap::new();
    for (writer, known) in writers.writers().iter().enumerate() {
        for (component, one) in known.metadata().components.iter().enumerate() {
            for dependency in &one.dependencies {
                if let Target::Here(on) = target(writers, dependency) {
                    let at = ComponentAt { writer, component };
                    dependents.entry(on).or_default().push(at);
                }
            }
        }
    }
    dependents
}
