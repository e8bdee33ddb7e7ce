//! Calls of VSS that Umbra answers with `VSS_E_NOT_SUPPORTED`: what they would work on
//! is not there.

use super::BackupComponents;
use std::path::Path;
use umbra_model::{SetId, ShadowCopyId, VssCode, VssError, VssResult};

/// Why there is nothing to break, import or resynchronise.
const NO_HARDWARE: &str = "it is for shadow copies of hardware providers, which have a life of \
                           their own as disks; Umbra's providers are software";
/// Why nothing can be reverted yet.
const NO_REVERT: &str = "it needs a provider that can put a volume back, and none can yet; copy the \
                         files back from the shadow copy, exposed or surfaced";

impl BackupComponents {
    /// Would bring transportable shadow copies from another machine to this one
    /// (`ImportSnapshots`, "Importing Transportable Shadow Copied Volumes").
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: no provider makes transportable copies.
    pub fn import_snapshots(&self) -> VssResult<()> {
        not_supported("ImportSnapshots".into(), NO_HARDWARE)
    }

    /// Would make volumes of their own of a set's copies (`BreakSnapshotSet`).
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: for software providers it has no meaning ("Breaking Shadow
    /// Copies"). To keep copies past the session, make them in a persistent context such
    /// as `VSS_CTX_APP_ROLLBACK`.
    pub fn break_snapshot_set(&self, set: SetId) -> VssResult<()> {
        not_supported(format!("BreakSnapshotSet of {set}"), NO_HARDWARE)
    }

    /// Would do so with flags (`IVssBackupComponentsEx2::BreakSnapshotSetEx`,
    /// `_VSS_HARDWARE_OPTIONS`).
    ///
    /// # Errors
    ///
    /// As [`BackupComponents::break_snapshot_set`].
    pub fn break_snapshot_set_ex(&self, set: SetId, flags: u32) -> VssResult<()> {
        let what = format!("BreakSnapshotSetEx of {set} with the flags {flags:#x}");
        not_supported(what, NO_HARDWARE)
    }

    /// Would put a volume back to what a copy shows (`RevertToSnapshot`).
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: no provider can put a volume back yet.
    pub fn revert_to_snapshot(&self, copy: ShadowCopyId) -> VssResult<()> {
        not_supported(format!("RevertToSnapshot to {copy}"), NO_REVERT)
    }

    /// Would say how far that is (`QueryRevertStatus`).
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: no provider can put a volume back yet.
    pub fn query_revert_status(&self, volume: &Path) -> VssResult<()> {
        let what = format!("QueryRevertStatus of {}", volume.display());
        not_supported(what, NO_REVERT)
    }

    /// Would prepare fast recovery of a set
    /// (`IVssBackupComponentsEx2::PreFastRecovery`).
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: it exchanges disks of a storage array.
    pub fn pre_fast_recovery(&self, set: SetId) -> VssResult<()> {
        not_supported(format!("PreFastRecovery of {set}"), NO_HARDWARE)
    }

    /// Would do it (`IVssBackupComponentsEx2::FastRecovery`).
    ///
    /// # Errors
    ///
    /// As [`BackupComponents::pre_fast_recovery`].
    pub fn fast_recovery(&self, set: SetId) -> VssResult<()> {
        not_supported(format!("FastRecovery of {set}"), NO_HARDWARE)
    }

    /// Would add a copy to those that disks are resynchronised from
    /// (`IVssBackupComponentsEx3::AddSnapshotToRecoverySet`).
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED`: it resynchronises disks of a storage array.
    pub fn add_snapshot_to_recovery_set(
        &self,
        copy: ShadowCopyId,
        destination: Option<&Path>,
    ) -> VssResult<()> {
        let to = destination.unwrap_or(Path::new("the volume it was made of"));
        let what = format!("AddSnapshotToRecoverySet of {copy} to {}", to.display());
        not_supported(what, NO_HARDWARE)
    }

    /// Would resynchronise them (`IVssBackupComponentsEx3::RecoverSet`).
    ///
    /// # Errors
    ///
    /// As [`BackupComponents::add_snapshot_to_recovery_set`].
    pub fn recover_set(&self) -> VssResult<()> {
        not_supported("RecoverSet".into(), NO_HARDWARE)
    }
}

fn not_supported(what: String, why: &str) -> VssResult<()> {
    Err(VssError::new(
        VssCode::NotSupported,
        format!("{what} cannot be done: {why}"),
    ))
}
