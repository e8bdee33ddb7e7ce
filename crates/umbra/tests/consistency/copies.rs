//! Sets taken through `umbrad`, their copies exposed as long as they are looked at.

use crate::support::{Daemon, Umbra};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::runtime::Runtime;
use umbra_client::{Address, Admin, BackupOutcome, Connection, Requester, Selection};
use umbra_model::{Context, ShadowCopySet, VssResult};
use umbra_testbed::Testbed;

/// A requester of persistent sets with writers, and the service it asks.
pub struct Taker {
    runtime: Runtime,
    connection: Connection,
    places: PathBuf,
    _daemon: Daemon,
}

impl Taker {
    pub fn new(bed: &Testbed, umbra: &Umbra) -> Self {
        let daemon = umbra.daemon();
        let runtime = Runtime::new().unwrap();
        let address = Address::Path(umbra.socket());
        let connection = runtime.block_on(Connection::open(&address)).unwrap();
        let places = bed.folder().join("exposed");
        for number in 0..2 {
            let place = places.join(number.to_string());
            fs::create_dir_all(&place).unwrap();
            bed.will_unmount(&place);
        }
        Self {
            runtime,
            connection,
            places,
            _daemon: daemon,
        }
    }

    /// Takes a set of two volumes, hands it and its exposed copies over, in the
    /// order of the volumes, and deletes it.
    pub fn with_set<T>(
        &self,
        volumes: [&Path; 2],
        look: impl FnOnce(&ShadowCopySet, [&Path; 2]) -> T,
    ) -> T {
        let set = self.runtime.block_on(self.take(volumes)).unwrap();
        let places = [0, 1].map(|number| self.places.join(number.to_string()));
        let admin = Admin::new(&self.connection);
        for (copy, place) in set.copies.iter().zip(&places) {
            self.runtime.block_on(admin.expose(copy.id, place)).unwrap();
        }
        let seen = look(&set, [&places[0], &places[1]]);
        // Deleting takes away where they are exposed, too.
        let whole = Selection::Set(set.id);
        let deleted = self.runtime.block_on(admin.delete(&whole)).unwrap();
        assert_eq!(deleted.len(), 2);
        seen
    }

    async fn take(&self, volumes: [&Path; 2]) -> VssResult<ShadowCopySet> {
        let session = Requester::open(&self.connection, "consistency").await?;
        session.set_context(Context::AppRollback).await?;
        session.gather_writer_metadata().await?;
        session.start_snapshot_set().await?;
        for volume in volumes {
            session.add_to_snapshot_set(volume).await?;
        }
        session.prepare_for_backup().await?;
        let set = session.do_snapshot_set().await?;
        session.backup_complete(BackupOutcome::Succeeded).await?;
        session.close().await?;
        Ok(set)
    }
}
