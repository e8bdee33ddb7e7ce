//! Writers and components as people name them.

use super::{ComponentAt, SelectionError, WriterTrees};

/// What a person named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Designation {
    /// A writer as a whole, by its place in the list.
    Writer(usize),
    /// One component.
    Component(ComponentAt),
}

impl WriterTrees {
    /// What a person means by `WRITER` or `WRITER:LOGICAL\PATH\NAME`, with the
    /// writer by its name in either case, class id or instance id, as in "VShadow
    /// Tool Examples". A separator before the logical path may be there or not.
    ///
    /// # Errors
    ///
    /// [`SelectionError::UnknownName`], [`SelectionError::UnknownComponent`] and
    /// [`SelectionError::SeveralInstances`].
    pub fn designated(&self, text: &str) -> Result<Designation, SelectionError> {
        if let Some(writer) = self.single(text, |_| true)? {
            return Ok(Designation::Writer(writer));
        }
        // A name may have a colon in it, so the first is not always the one.
        let mut unknown = None;
        for (colon, _) in text.match_indices(':') {
            let (name, path) = (&text[..colon], &text[colon + 1..]);
            let tree = |writer: usize| self.writers()[writer].tree();
            let owner = self.single(name, |writer| tree(writer).find_full(path).is_some())?;
            if let Some(writer) = owner
                && let Some(component) = tree(writer).find_full(path)
            {
                return Ok(Designation::Component(ComponentAt { writer, component }));
            }
            if let Some(writer) = self.named(name).next() {
                unknown = Some(SelectionError::UnknownComponent {
                    writer: self.writers()[writer].name().to_owned(),
                    component: path.to_owned(),
                });
            }
        }
        Err(unknown.unwrap_or_else(|| SelectionError::UnknownName {
            text: text.to_owned(),
        }))
    }

    /// The one writer of this name or id that is fit, if there is any.
    fn single(
        &self,
        name: &str,
        is_fit: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, SelectionError> {
        let mut found = self.named(name).filter(|writer| is_fit(*writer));
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            (_, Some(writer)) => Err(SelectionError::SeveralInstances {
                writer: self.writers()[writer].name().to_owned(),
            }),
        }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let (class, instance) = (name.parse().ok(), name.parse().ok());
        let name = name.to_lowercase();
        let writers = self.writers().iter().enumerate();
        writers
            .filter(move |(_, writer)| {
                let identity = &writer.metadata().identity;
                Some(identity.id) == class
                    || Some(identity.instance) == instance
                    || identity.name.to_lowercase() == name
            })
            .map(|(index, _)| index)
    }
}
