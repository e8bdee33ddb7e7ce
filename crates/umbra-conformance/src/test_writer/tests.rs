//! The test writer at its events, without a service.

use super::*;
use crate::configuration::TestWriterConfiguration;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use umbra_documents::{
    AlternateLocationMapping, ChosenComponent, Extra, NewTarget, PartialFile, Term,
    WriterComponents, path_to_text,
};
use umbra_model::{
    BackupType, ComponentType, DeviceNumber, FileRestoreStatus, RestoreType, SessionId, SetId,
    Volume, VolumeId, WriterInstanceId,
};
use umbra_writer::{
    BackupOutcome, BackupState, EventComponents, RestoreEvent, SetEvent, Writer, WriterEvent,
    WriterFailure, WriterFailureKind,
};

/// A test writer, its folder, and what it said.
struct Stage {
    folder: TempDir,
    writer: TestWriter,
    said: Arc<Mutex<Vec<String>>>,
    chosen: EventComponents,
    backup: BackupState,
}

impl Stage {
    /// With `FOLDER` in the configuration for the test's own folder.
    fn new(attributes: &str, elements: &str) -> Self {
        Self::with_method(
            "method=\"RESTORE_IF_CAN_BE_REPLACED\"/>",
            attributes,
            elements,
        )
    }

    fn with_method(method: &str, attributes: &str, elements: &str) -> Self {
        Self::all("high", method, attributes, elements)
    }

    fn verbose(verbosity: &str, attributes: &str, elements: &str) -> Self {
        let method = "method=\"RESTORE_IF_CAN_BE_REPLACED\"/>";
        Self::all(verbosity, method, attributes, elements)
    }

    fn all(verbosity: &str, method: &str, attributes: &str, elements: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "<TestWriter verbosity=\"{verbosity}\" checkIncludes=\"yes\" checkExcludes=\"yes\" \
             {attributes}><RestoreMethod {method}{elements}</TestWriter>"
        )
        .replace("FOLDER", folder.path().to_str().unwrap());
        let configuration = TestWriterConfiguration::read(text.as_bytes()).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let writer = TestWriter::new(configuration, move |line| {
            heard.lock().unwrap().push(line.to_owned());
        });
        writer.subscribed();
        let mut chosen = WriterComponents::new(TEST_WRITER_ID, WriterInstanceId::from_u128(1));
        let one = ChosenComponent::new(None, "data", ComponentType::FileGroup);
        chosen.components.push(one);
        Self {
            folder,
            writer,
            said,
            chosen: EventComponents::new(chosen),
            backup: BackupState {
                components_selected: true,
                partial_files: true,
                ..BackupState::default()
            },
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn is_there(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn event(&self, at: WriterEvent) -> SetEvent {
        SetEvent {
            backup: self.backup,
            chosen: self.chosen.at(at),
            ..SetEvent::new(
                SessionId::from_u128(1),
                SetId::from_u128(2),
                vec![self.volume()],
                vec!["data".to_owned()],
            )
        }
    }

    /// The volume that has the folder.
    fn volume(&self) -> Volume {
        let device = fs::metadata(self.folder.path()).unwrap().dev();
        Volume {
            id: VolumeId::new("volume"),
            mount_point: "/".into(),
            root: "/".into(),
            file_system: "ext4".into(),
            device: "/dev/null".into(),
            number: DeviceNumber {
                major: rustix::fs::major(device),
                minor: rustix::fs::minor(device),
            },
            mount_id: 1,
            subvolume: None,
        }
    }

    /// From PrepareForBackup to PostSnapshot.
    async fn snapshot(&self) -> Result<(), WriterFailure> {
        let writer = &self.writer;
        writer
            .prepare_for_backup(&self.event(WriterEvent::PrepareForBackup))
            .await?;
        writer
            .prepare_for_snapshot(&self.event(WriterEvent::PrepareForSnapshot))
            .await?;
        writer.freeze(&self.event(WriterEvent::Freeze)).await?;
        writer.thaw(&self.event(WriterEvent::Thaw)).await?;
        writer
            .post_snapshot(&self.event(WriterEvent::PostSnapshot))
            .await
    }

    fn restore_event(&self, at: WriterEvent) -> RestoreEvent {
        RestoreEvent {
            session: SessionId::from_u128(3),
            restore_type: RestoreType::ByCopy,
            chosen: self.chosen.at(at),
        }
    }

    /// The events of a restore of the component as a requester changed it.
    async fn restored(&self, change: impl FnOnce(&mut ChosenComponent)) -> Vec<String> {
        let mut document = self.chosen.document().unwrap();
        let component = &mut document.components[0];
        component.selected_for_restore = Some(true);
        component.file_restore_status = Some(Term::Known(FileRestoreStatus::All));
        change(component);
        let chosen = EventComponents::new(document);
        let event = RestoreEvent {
            chosen: chosen.at(WriterEvent::PostRestore),
            ..self.restore_event(WriterEvent::PostRestore)
        };
        self.writer.post_restore(&event).await.unwrap();
        let said = self.said.lock().unwrap();
        let wrong = said.iter().filter(|line| line.starts_with("WRONG: "));
        let wrong: Vec<_> = wrong.cloned().collect();
        assert_eq!(wrong.len(), self.writer.wrongs());
        wrong
    }

    async fn pre_restore(&self) {
        let event = self.restore_event(WriterEvent::PreRestore);
        self.writer.pre_restore(&event).await.unwrap();
    }

    fn said(&self, words: &str) -> bool {
        self.said
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(words))
    }
}

const DATA: &str = "<Component componentName=\"data\"><ComponentFile path=\"FOLDER/data\" \
                    filespec=\"*\" recursive=\"yes\"/></Component>";

fn one_wrong(wrong: &[String], words: &str) {
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].contains(words), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_restored_unharmed_is_right() {
    let stage = Stage::new("deleteFiles=\"yes\"", DATA);
    stage.write("data/a", "one");
    stage.write("data/b/c", "two");
    stage.snapshot().await.unwrap();
    assert!(!stage.is_there("data/a") && !stage.is_there("data/b/c"));
    stage.pre_restore().await;
    stage.write("data/a", "one");
    stage.write("data/b/c", "two");
    assert!(stage.restored(|_| {}).await.is_empty());
    assert!(stage.said("data: 2 of 2 files are restored"));
}

#[tokio::test]
async fn what_is_missing_or_harmed_is_wrong() {
    let stage = Stage::new("deleteFiles=\"yes\"", DATA);
    stage.write("data/a", "one");
    stage.write("data/b", "two");
    stage.write("data/c", "three");
    stage.snapshot().await.unwrap();
    stage.write("data/a", "one");
    stage.write("data/b", "tow");
    let wrong = stage.restored(|_| {}).await;
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    assert!(wrong[0].ends_with("data/b is not as it was backed up"));
    assert!(wrong[1].ends_with("data/c is not restored"));
}

#[tokio::test]
async fn excluded_files_stay_away() {
    let exclude = "<ExcludeFile path=\"FOLDER/data\" filespec=\"*.tmp\" recursive=\"yes\"/>";
    let stage = Stage::new("deleteFiles=\"yes\"", &format!("{exclude}{DATA}"));
    stage.write("data/a", "one");
    stage.write("data/b.tmp", "two");
    stage.snapshot().await.unwrap();
    assert!(!stage.is_there("data/b.tmp"));
    stage.write("data/a", "one");
    stage.write("data/old.tmp", "left");
    stage.pre_restore().await;
    assert!(stage.said("old.tmp is there before the restore"));
    assert!(stage.restored(|_| {}).await.is_empty());
    stage.write("data/b.tmp", "two");
    one_wrong(
        &stage.restored(|_| {}).await,
        "b.tmp is excluded and was restored",
    );
}

#[tokio::test]
async fn a_spit_writer_has_its_files_elsewhere() {
    let spit = "<Component componentName=\"data\"><ComponentFile path=\"FOLDER/data\" \
                filespec=\"*.txt\" recursive=\"yes\" alternatePath=\"FOLDER/data/spit\"/>\
                </Component>";
    let stage = Stage::new("deleteFiles=\"yes\"", spit);
    stage.write("data/a.txt", "one");
    stage.write("data/b/c.txt", "two");
    stage.write("data/d.log", "not ours");
    let prepare = stage.event(WriterEvent::PrepareForSnapshot);
    stage.writer.prepare_for_snapshot(&prepare).await.unwrap();
    assert!(!stage.is_there("data/a.txt"));
    assert!(stage.is_there("data/spit/a.txt") && stage.is_there("data/spit/b/c.txt"));
    let freeze = stage.event(WriterEvent::Freeze);
    stage.writer.freeze(&freeze).await.unwrap();
    let post = stage.event(WriterEvent::PostSnapshot);
    stage.writer.post_snapshot(&post).await.unwrap();
    assert!(!stage.is_there("data/spit/a.txt") && stage.is_there("data/d.log"));
    // Back at home, not where the copies were.
    stage.write("data/spit/a.txt", "one");
    stage.write("data/b/c.txt", "two");
    one_wrong(&stage.restored(|_| {}).await, "data/a.txt is not restored");
}

#[tokio::test]
async fn new_targets_are_looked_at_where_they_are_supported() {
    let check = async |attributes: &str, words: Option<&str>| {
        let stage = Stage::new(attributes, DATA);
        stage.write("data/a", "one");
        stage.snapshot().await.unwrap();
        fs::remove_file(stage.path("data/a")).unwrap();
        stage.write("new/a", "one");
        let wrong = stage
            .restored(|component| {
                component.new_targets.push(NewTarget {
                    path: path_to_text(&stage.path("data")),
                    specification: "*".into(),
                    recursive: Some(true),
                    alternate_path: path_to_text(&stage.path("new")),
                    extra: Extra::default(),
                });
            })
            .await;
        match words {
            None => assert!(wrong.is_empty(), "{wrong:#?}"),
            Some(words) => one_wrong(&wrong, words),
        }
    };
    check("", None).await;
    check("supportsNewTarget=\"no\"", Some("does not support")).await;
}

/// A writer whose files go elsewhere when they are restored.
fn mapped(method: &str) -> Stage {
    let method = format!(
        "method=\"{method}\"><AlternateLocationMapping path=\"FOLDER/data\" filespec=\"*\" \
         recursive=\"yes\" alternatePath=\"FOLDER/other\"/></RestoreMethod>"
    );
    let stage = Stage::with_method(&method, "deleteFiles=\"yes\"", DATA);
    stage.write("data/a", "one");
    stage
}

fn mapping(stage: &Stage, to: &Path) -> AlternateLocationMapping {
    AlternateLocationMapping {
        path: path_to_text(&stage.path("data")),
        specification: "*".into(),
        recursive: Some(true),
        alternate_path: path_to_text(to),
        extra: Extra::default(),
    }
}

#[tokio::test]
async fn alternate_locations_must_be_told() {
    let stage = mapped("RESTORE_TO_ALTERNATE_LOCATION");
    stage.snapshot().await.unwrap();
    stage.write("other/a", "one");
    let wrong = stage
        .restored(|one| {
            let used = mapping(&stage, &stage.path("other"));
            one.alternate_locations.push(used);
        })
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    one_wrong(
        &stage.restored(|_| {}).await,
        "the requester did not say that it was (AddAlternativeLocationMapping)",
    );
}

#[tokio::test]
async fn alternate_locations_are_those_of_the_writer() {
    let stage = mapped("RESTORE_IF_CAN_BE_REPLACED");
    stage.snapshot().await.unwrap();
    stage.write("elsewhere/a", "one");
    let wrong = stage
        .restored(|one| {
            let used = mapping(&stage, &stage.path("elsewhere"));
            one.alternate_locations.push(used);
        })
        .await;
    one_wrong(&wrong, "that the writer does not have");
}

#[tokio::test]
async fn alternate_locations_in_silence_are_found() {
    let stage = mapped("RESTORE_IF_CAN_BE_REPLACED");
    stage.snapshot().await.unwrap();
    stage.write("other/a", "one");
    one_wrong(&stage.restored(|_| {}).await, "did not say so");
}

#[tokio::test]
async fn only_the_parts_of_a_partial_file_count() {
    let partial = "<Component componentName=\"data\"><ComponentFile path=\"FOLDER/data\" \
                   filespec=\"*\"/><PartialFile path=\"FOLDER/data\" filespec=\"p\" \
                   ranges=\"0:2,4:100\"/></Component>";
    let stage = Stage::new("deleteFiles=\"yes\"", partial);
    stage.write("data/a", "one");
    stage.write("data/p", "012345");
    stage.snapshot().await.unwrap();
    // Only deletePartialFiles deletes it.
    assert!(!stage.is_there("data/a") && stage.is_there("data/p"));
    let told: Vec<PartialFile> = stage.chosen.all()[0].get().partial_files;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].ranges.as_deref(), Some("0:2,4:100"));
    stage.write("data/a", "one");
    stage.write("data/p", "01xx45");
    assert!(stage.restored(|_| {}).await.is_empty());
    stage.write("data/p", "01xx46");
    one_wrong(&stage.restored(|_| {}).await, "has other parts");
}

#[tokio::test]
async fn requesters_that_copy_no_parts_are_told_of_none() {
    let partial = "<Component componentName=\"data\"><PartialFile path=\"FOLDER/data\" \
                   filespec=\"p\" ranges=\"0:2\"/></Component>";
    let mut stage = Stage::new("", partial);
    stage.backup.partial_files = false;
    stage.snapshot().await.unwrap();
    assert!(stage.chosen.all()[0].get().partial_files.is_empty());
    assert!(stage.said("copies no parts of files"));
}

#[tokio::test]
async fn differenced_files_that_did_not_change_are_not_expected() {
    let differenced = "<Component componentName=\"data\"><ComponentFile path=\"FOLDER/data\" \
                       filespec=\"*\"/><DifferencedFile path=\"FOLDER/data\" filespec=\"*\" \
                       year=\"2007\" month=\"1\" day=\"22\" hour=\"12\" minute=\"44\" \
                       second=\"17\"/></Component>";
    let mut stage = Stage::new("deleteDifferencedFiles=\"yes\"", differenced);
    stage.backup.backup_type = BackupType::Incremental;
    stage.write("data/old", "one");
    stage.write("data/new", "two");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(stage.path("data/old"))
        .unwrap();
    file.set_modified(long_ago).unwrap();
    stage.snapshot().await.unwrap();
    assert!(stage.said("which this writer does not support"));
    assert!(stage.is_there("data/old") && !stage.is_there("data/new"));
    let told = stage.chosen.all()[0].get().differenced_files;
    assert_eq!(told.len(), 1, "{told:?}");
    fs::remove_file(stage.path("data/old")).unwrap();
    stage.write("data/new", "two");
    assert!(stage.restored(|_| {}).await.is_empty());
}

#[tokio::test]
async fn what_the_requester_says_of_failed_restores_is_believed() {
    let stage = Stage::new("deleteFiles=\"yes\"", DATA);
    stage.write("data/a", "one");
    stage.snapshot().await.unwrap();
    let status = |status| move |one: &mut ChosenComponent| one.file_restore_status = status;
    let none = Some(Term::Known(FileRestoreStatus::None));
    assert!(stage.restored(status(none)).await.is_empty());
    let wrong = stage.restored(status(None)).await;
    assert!(wrong[0].contains("SetFileRestoreStatus"), "{wrong:#?}");
}

#[tokio::test]
async fn every_component_s_success_must_be_told() {
    let stage = Stage::new("", DATA);
    let complete = stage.event(WriterEvent::BackupComplete);
    stage
        .writer
        .backup_complete(&complete, BackupOutcome::Succeeded)
        .await
        .unwrap();
    assert_eq!(stage.writer.wrongs(), 1);
    assert!(stage.said("SetBackupSucceeded"));
}

#[tokio::test]
async fn fails_where_it_is_told_to() {
    for event in [
        "Identify",
        "PrepareForBackup",
        "PrepareForSnapsot",
        "Freeze",
        "Thaw",
        "PostSnapshot",
        "BackupComplete",
        "PreRestore",
        "PostRestore",
    ] {
        let elements = format!("<FailEvent writerEvent=\"{event}\" retryable=\"no\"/>{DATA}");
        let stage = Stage::new("", &elements);
        let failure = match event {
            "Identify" => stage.writer.identify().await.map(drop),
            "BackupComplete" => {
                let event = stage.event(WriterEvent::BackupComplete);
                let outcome = BackupOutcome::Succeeded;
                stage.writer.backup_complete(&event, outcome).await
            }
            "PreRestore" => {
                let event = stage.restore_event(WriterEvent::PreRestore);
                stage.writer.pre_restore(&event).await
            }
            "PostRestore" => {
                let event = stage.restore_event(WriterEvent::PostRestore);
                stage.writer.post_restore(&event).await
            }
            _ => stage.snapshot().await,
        };
        let failure = failure.unwrap_err();
        assert_eq!(failure.kind, WriterFailureKind::NonRetryable, "{event}");
        assert!(stage.said("with VSS_E_WRITERERROR_NONRETRYABLE, as configured"));
    }
}

#[tokio::test]
async fn volumes_that_are_not_in_the_set_are_noticed() {
    let stage = Stage::new("", DATA);
    let event = SetEvent {
        volumes: Vec::new(),
        ..stage.event(WriterEvent::PrepareForSnapshot)
    };
    stage.writer.prepare_for_snapshot(&event).await.unwrap();
    assert_eq!(stage.writer.wrongs(), 1);
    assert!(stage.said("is on no volume of the shadow copy set"));
}

#[tokio::test]
async fn why_it_failed_stands_at_the_components() {
    let fail = "<FailEvent writerEvent=\"PrepareForBackup\" retryable=\"no\"/>";
    let stage = Stage::new("", &format!("{fail}{DATA}"));
    stage.snapshot().await.unwrap_err();
    let message = stage.chosen.all()[0].get().prepare_for_backup_failure;
    assert!(message.unwrap().contains("PrepareForBackup fails"));
}

#[tokio::test]
async fn prints_as_much_as_it_is_told_to() {
    let lines = async |verbosity: &str| {
        let stage = Stage::verbose(verbosity, "", DATA);
        stage.write("data/a", "one");
        stage.snapshot().await.unwrap();
        fs::remove_file(stage.path("data/a")).unwrap();
        stage.restored(|_| {}).await;
        let said = stage.said.lock().unwrap();
        (said.len(), said.last().unwrap().clone())
    };
    let (low, last) = lines("low").await;
    assert!(low == 1 && last.starts_with("WRONG: "), "{last}");
    let (medium, _) = lines("medium").await;
    let (high, _) = lines("high").await;
    // Five events of the set, one of the restore, and what was wrong.
    assert!(medium == 7 && high > medium, "{medium} {high}");
}

#[tokio::test]
async fn subscribing_is_no_identify() {
    let text = "<TestWriter><RestoreMethod method=\"CUSTOM\"/><FailEvent \
                writerEvent=\"Identify\"/></TestWriter>";
    let configuration = TestWriterConfiguration::read(text.as_bytes()).unwrap();
    let writer = TestWriter::new(configuration, |_| {});
    writer.identify().await.unwrap();
    writer.subscribed();
    writer.identify().await.unwrap_err();
}
