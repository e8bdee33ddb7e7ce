//! Which writers get events at all ("Overview of Backup Initialization").

use std::collections::HashSet;
use umbra_documents::WriterIdentity;
use umbra_model::{WriterId, WriterInstanceId};

/// What was enabled and disabled before GatherWriterMetadata.
#[derive(Debug, Default)]
pub(super) struct WriterFilter {
    /// Only these classes, once one was enabled; every class before that.
    enabled: HashSet<WriterId>,
    disabled: HashSet<WriterId>,
    disabled_instances: HashSet<WriterInstanceId>,
}

impl WriterFilter {
    pub(super) fn enable_classes(&mut self, classes: &[WriterId]) {
        for class in classes {
            self.enabled.insert(*class);
            self.disabled.remove(class);
        }
    }

    pub(super) fn disable_classes(&mut self, classes: &[WriterId]) {
        for class in classes {
            self.disabled.insert(*class);
        }
    }

    pub(super) fn disable_instances(&mut self, instances: &[WriterInstanceId]) {
        self.disabled_instances.extend(instances);
    }

    /// Whether a writer gets events.
    pub(super) fn lets_through(&self, writer: &WriterIdentity) -> bool {
        let is_enabled = self.enabled.is_empty() || self.enabled.contains(&writer.id);
        is_enabled
            && !self.disabled.contains(&writer.id)
            && !self.disabled_instances.contains(&writer.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enabled_takes_part_less_what_is_disabled() {
        let class = WriterId::from_u128;
        let instance = WriterInstanceId::from_u128;
        let writer = |id, number| WriterIdentity::new(class(id), instance(number), "writer");
        let mut filter = WriterFilter::default();
        assert!(filter.lets_through(&writer(1, 11)), "all at first");
        filter.disable_classes(&[class(1)]);
        assert!(!filter.lets_through(&writer(1, 11)));
        assert!(filter.lets_through(&writer(2, 21)));
        filter.enable_classes(&[class(1), class(2)]);
        assert!(filter.lets_through(&writer(1, 11)), "the last word counts");
        assert!(
            !filter.lets_through(&writer(3, 31)),
            "others are not enabled"
        );
        filter.disable_instances(&[instance(21)]);
        assert!(!filter.lets_through(&writer(2, 21)));
        assert!(filter.lets_through(&writer(2, 22)));
        filter.disable_classes(&[class(1)]);
        assert!(!filter.lets_through(&writer(1, 11)));
    }
}
