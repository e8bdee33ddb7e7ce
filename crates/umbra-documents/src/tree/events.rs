//! Which events a writer gets as a result of what was selected.

use umbra_model::SubscribeMask;

/// An event of the life of a writer ("Writers"), but Identify, which comes at any
/// time and to every writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterEvent {
    /// `CVssWriter::OnPrepareBackup`.
    PrepareForBackup,
    /// `CVssWriter::OnPrepareSnapshot`.
    PrepareForSnapshot,
    /// `CVssWriter::OnFreeze`.
    Freeze,
    /// `CVssWriter::OnThaw`.
    Thaw,
    /// `CVssWriter::OnPostSnapshot`.
    PostSnapshot,
    /// `CVssWriter::OnBackupComplete`.
    BackupComplete,
    /// `CVssWriter::OnBackupShutdown`.
    BackupShutdown,
    /// `CVssWriter::OnPreRestore`.
    PreRestore,
    /// `CVssWriter::OnPostRestore`.
    PostRestore,
}

impl WriterEvent {
    /// The events of a backup, in their order.
    pub const BACKUP: [Self; 7] = [
        Self::PrepareForBackup,
        Self::PrepareForSnapshot,
        Self::Freeze,
        Self::Thaw,
        Self::PostSnapshot,
        Self::BackupComplete,
        Self::BackupShutdown,
    ];
    /// The events of a restore, in their order.
    pub const RESTORE: [Self; 2] = [Self::PreRestore, Self::PostRestore];

    /// The name in the VSS reference.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrepareForBackup => "PrepareForBackup",
            Self::PrepareForSnapshot => "PrepareForSnapshot",
            Self::Freeze => "Freeze",
            Self::Thaw => "Thaw",
            Self::PostSnapshot => "PostSnapshot",
            Self::BackupComplete => "BackupComplete",
            Self::BackupShutdown => "BackupShutdown",
            Self::PreRestore => "PreRestore",
            Self::PostRestore => "PostRestore",
        }
    }

    /// Whether a writer gets the event that subscribed so (`CVssWriter::Subscribe`).
    /// PrepareForSnapshot, Freeze and Thaw come in any case.
    pub fn is_subscribed(self, mask: SubscribeMask) -> bool {
        match self {
            Self::PrepareForSnapshot | Self::Freeze | Self::Thaw => true,
            Self::PostSnapshot => mask.contains(SubscribeMask::POST_SNAPSHOT_FLAG),
            Self::PrepareForBackup | Self::BackupComplete | Self::BackupShutdown => {
                mask.contains(SubscribeMask::BACKUP_EVENTS_FLAG)
            }
            Self::PreRestore | Self::PostRestore => {
                mask.contains(SubscribeMask::RESTORE_EVENTS_FLAG)
            }
        }
    }

    /// Those of these events that a writer gets.
    pub(super) fn of(events: &[Self], takes_part: bool, mask: SubscribeMask) -> Vec<Self> {
        let events = events.iter().copied();
        events
            .filter(|event| takes_part && event.is_subscribed(mask))
            .collect()
    }
}
