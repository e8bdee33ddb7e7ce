//! The components of one writer as a tree.

use super::logical_path::{SEPARATOR, canonical_path, is_above};
use crate::Component;
use serde::Serialize;
use std::collections::HashMap;

/// What a requester may do with a component: the four types of component of
/// "Working with Selectability for Backup".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Not selectable, nor is anything above it: a requester must add it when it
    /// adds any component of the writer.
    Required,
    /// Selectable, and nothing above it is: a requester may add it.
    Selectable,
    /// Not selectable, but something above it is: it comes with that and not
    /// otherwise.
    Subcomponent,
    /// Selectable, and so is something above it: it comes with that, or a
    /// requester may add it by itself.
    SelectableSubcomponent,
}

impl Standing {
    /// Whether a requester may choose to add the component or not.
    pub fn is_selectable(self) -> bool {
        matches!(self, Self::Selectable | Self::SelectableSubcomponent)
    }

    /// Whether a requester adds the component at all (`AddComponent`).
    pub fn may_be_added(self) -> bool {
        self != Self::Subcomponent
    }
}

/// The components of one writer, by their logical paths.
///
/// A component is named by its place in the list that the tree was made from. An
/// element of a logical path need not be a component itself: what stands in
/// `writerData\QueryLogs` stands below `writerData` although nothing is called
/// `QueryLogs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentTree {
    nodes: Vec<Node>,
    /// By canonical full path.
    places: HashMap<Box<str>, usize>,
    /// The components, each directly before what stands below it.
    order: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    parent: Option<usize>,
    standing: Standing,
    /// Where in the order it stands, and where what stands below it ends.
    position: usize,
    end: usize,
}

impl ComponentTree {
    /// The tree of these components. Where two have the same place, which
    /// [`crate::WriterMetadata::validate`] refuses, the first is found there.
    pub fn new(components: &[Component]) -> Self {
        let full_paths: Vec<String> = components
            .iter()
            .map(|component| canonical_path(&component.full_path()).into_owned())
            .collect();
        let mut places = HashMap::with_capacity(components.len());
        for (index, path) in full_paths.iter().enumerate() {
            places.entry(path.clone().into_boxed_str()).or_insert(index);
        }
        let parents = parents(&full_paths);
        let mut children = vec![Vec::new(); components.len()];
        let mut roots = Vec::new();
        for (index, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) => children[*parent].push(index),
                None => roots.push(index),
            }
        }
        let mut nodes: Vec<Node> = parents
            .into_iter()
            .map(|parent| Node {
                parent,
                standing: Standing::Required,
                position: 0,
                end: 0,
            })
            .collect();
        let mut order = Vec::with_capacity(components.len());
        // What is left to visit; a component comes back when all below it is done.
        let mut visits: Vec<Visit> = roots.into_iter().rev().map(Visit::Enter).collect();
        while let Some(visit) = visits.pop() {
            match visit {
                Visit::Enter(index) => {
                    let above = nodes[index].parent.map(|parent| nodes[parent].standing);
                    let selectable = components[index].selectable.is_yes();
                    nodes[index].standing = match (selectable, above) {
                        (true, None | Some(Standing::Required)) => Standing::Selectable,
                        (true, Some(_)) => Standing::SelectableSubcomponent,
                        (false, None | Some(Standing::Required)) => Standing::Required,
                        (false, Some(_)) => Standing::Subcomponent,
                    };
                    nodes[index].position = order.len();
                    order.push(index);
                    visits.push(Visit::Leave(index));
                    visits.extend(children[index].iter().rev().copied().map(Visit::Enter));
                }
                Visit::Leave(index) => nodes[index].end = order.len(),
            }
        }
        Self {
            nodes,
            places,
            order,
        }
    }

    /// How many components there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The component at a logical path with a name.
    pub fn find(&self, logical_path: Option<&str>, name: &str) -> Option<usize> {
        self.find_full(&crate::full_path(logical_path, name))
    }

    /// The component at a full path: a logical path and a name, joined.
    pub fn find_full(&self, path: &str) -> Option<usize> {
        self.places.get(canonical_path(path).as_ref()).copied()
    }

    /// What a requester may do with a component.
    ///
    /// # Panics
    ///
    /// There is no such component; so do the other methods that take one.
    pub fn standing(&self, component: usize) -> Standing {
        self.nodes[component].standing
    }

    /// The component directly above.
    pub fn parent(&self, component: usize) -> Option<usize> {
        self.nodes[component].parent
    }

    /// The components above, nearest first.
    pub fn ancestors(&self, component: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.parent(component), |above| self.parent(*above))
    }

    /// The selectable components above, nearest first: those that the component
    /// comes with.
    pub fn selectable_ancestors(&self, component: usize) -> impl Iterator<Item = usize> + '_ {
        self.ancestors(component)
            .filter(|above| self.standing(*above).is_selectable())
    }

    /// Everything below a component, at any depth; each before what is below it.
    pub fn below(&self, component: usize) -> &[usize] {
        let node = &self.nodes[component];
        &self.order[node.position + 1..node.end]
    }

    /// Whether one component stands above another, at any height.
    pub fn is_above(&self, upper: usize, lower: usize) -> bool {
        let (upper, lower) = (&self.nodes[upper], &self.nodes[lower]);
        upper.position < lower.position && lower.position < upper.end
    }

    /// Whether a component defines a component set: it is selectable and others
    /// stand below it.
    pub fn defines_set(&self, component: usize) -> bool {
        self.standing(component).is_selectable() && !self.below(component).is_empty()
    }

    /// Everything that comes with a component when a requester adds it: the
    /// members of the component set that it defines, and nothing where it defines
    /// none.
    pub fn subcomponents(&self, component: usize) -> &[usize] {
        if self.standing(component).is_selectable() {
            self.below(component)
        } else {
            &[]
        }
    }

    /// The components that must be added when any of the writer is.
    pub fn required(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|component| self.standing(*component) == Standing::Required)
    }
}

/// For each of these paths, the nearest above it. The time depends on the length of
/// the paths only, however many elements they have.
fn parents(paths: &[String]) -> Vec<Option<usize>> {
    // Element by element, so that each is directly before what stands below it; of
    // two with the same path the first is the one that others stand below.
    let mut sorted: Vec<usize> = (0..paths.len()).collect();
    sorted.sort_by(|a, b| {
        let (one, other) = (paths[*a].split(SEPARATOR), paths[*b].split(SEPARATOR));
        one.cmp(other).then(b.cmp(a))
    });
    let mut parents = vec![None; paths.len()];
    let mut above: Vec<usize> = Vec::new();
    for index in sorted {
        while above
            .pop_if(|upper| !is_above(&paths[*upper], &paths[index]))
            .is_some()
        {}
        parents[index] = above.last().copied();
        above.push(index);
    }
    parents
}

#[derive(Clone, Copy)]
enum Visit {
    Enter(usize),
    Leave(usize),
}
