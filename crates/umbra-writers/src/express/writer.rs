//! The writers themselves. None of them does anything at any event.

use crate::restore;
use async_trait::async_trait;
use std::path::Path;
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{
    Consistency, SubscribeMask, UsageType, WriterId, WriterInstanceId, WriterRestore,
};
use umbra_writer::{Subscription, Writer, WriterFailure};

/// The class of the VSS Metadata Store Writer ("In-Box VSS Writers").
pub const METADATA_STORE_WRITER_ID: WriterId =
    WriterId::from_u128(0x75df_b225_e2e4_4d39_9ac9_ffaf_f65d_df06);

/// A writer that is only what it says. Its files are copied as the instant of the
/// set finds them.
pub(super) struct SilentWriter {
    metadata: WriterMetadata,
}

impl SilentWriter {
    /// The writer with this metadata.
    pub(super) fn new(metadata: WriterMetadata) -> Self {
        Self { metadata }
    }

    /// The VSS Metadata Store Writer: the documents of the express writers in this
    /// folder.
    pub(super) fn metadata_store(instance: WriterInstanceId, folder: &Path) -> Self {
        let identity = WriterIdentity {
            usage: UsageType::SystemService,
            version: crate::version::of_umbra(),
            ..WriterIdentity::new(
                METADATA_STORE_WRITER_ID,
                instance,
                "VSS Metadata Store Writer",
            )
        };
        Self::new(WriterMetadata {
            components: vec![Component {
                caption: Some("Express writers' documents".into()),
                files: vec![FileSet::files(folder, "*.xml")],
                ..Component::file_group("WriterMetadataStore")
            }],
            // They are read anew at each gathering, so they can be replaced at any time.
            restore: Some(restore::in_place(WriterRestore::Never)),
            ..WriterMetadata::new(identity)
        })
    }
}

#[async_trait]
impl Writer for SilentWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }

    fn subscription(&self) -> Subscription {
        Subscription {
            events: SubscribeMask::default(),
            freeze_to_thaw: None,
        }
    }

    fn vouches_for(&self) -> Consistency {
        Consistency::Filesystem
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.metadata.clone())
    }
}
