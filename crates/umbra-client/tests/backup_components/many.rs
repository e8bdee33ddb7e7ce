//! Many writers with a hundred components each: the document is larger than other
//! messages may be, and nothing is quadratic.

use crate::{
    archive::open,
    parts::{Served, VOLUME, within},
};
use async_trait::async_trait;
use std::sync::Arc;
use umbra_client::BackupState;
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::{BackupType, WriterId, WriterInstanceId};
use umbra_writer::{Writer, WriterFailure};

/// How many; a thousand take ten seconds without optimisation.
const WRITERS: u32 = 200;
const EACH: u32 = 100;

struct Owner(WriterMetadata);

#[async_trait]
impl Writer for Owner {
    fn identity(&self) -> &WriterIdentity {
        &self.0.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_twenty_thousand_components() {
    let served = Served::start().await;
    let mut registered = Vec::new();
    for number in 0..WRITERS {
        let identity = WriterIdentity::new(
            WriterId::from_u128(u128::from(number) + 1),
            WriterInstanceId::random(),
            format!("Owner {number}"),
        );
        let component = |number: u32| Component {
            logical_path: Some("databases".into()),
            files: vec![FileSet::files(VOLUME, number.to_string())],
            ..Component::file_group(number.to_string())
        };
        let metadata = WriterMetadata {
            components: (0..EACH).map(component).collect(),
            ..WriterMetadata::new(identity)
        };
        let owner = Arc::new(Owner(metadata));
        registered.push(served.service.register_writer(owner, "the test".into()));
    }
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    let state = BackupState::of_components(BackupType::Full);
    backup.set_backup_state(state).unwrap();
    backup.gather_writer_metadata().await.unwrap();
    let added = backup.add_everything().unwrap();
    assert_eq!(added.len(), (WRITERS * EACH) as usize);
    for one in &added {
        let one = backup.component(one).unwrap();
        one.set_backup_options("quick").unwrap();
    }
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    within(backup.prepare_for_backup()).await.unwrap();
    let set = within(backup.do_snapshot_set()).await.unwrap();
    assert_eq!(set.writers.len(), WRITERS as usize);
    let xml = backup.save_as_xml().await.unwrap();
    let document = backup.document();
    within(backup.close()).await.unwrap();
    let restore = open(&served).await;
    let xml = xml.as_bytes();
    restore.initialize_for_restore(xml).await.unwrap();
    assert_eq!(restore.document(), document);
    within(restore.close()).await.unwrap();
}
