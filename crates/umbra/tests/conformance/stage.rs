//! A volume, a service, test writers and the test requester.

use crate::support::{Daemon, Outcome, Running, Umbra, eventually};
use rustix::process::Signal;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};
use umbra_testbed::{Disk, Format, Testbed};

/// The class of test writers.
pub const CLASS: &str = "5affb034-969f-4919-8875-88f830d0ef89";

/// One volume with a folder `data`, and `umbrad`.
pub struct Stage {
    pub umbra: Umbra,
    pub disk: Disk,
    pub daemon: Daemon,
    // Last: the volumes go when nothing uses them any more.
    pub bed: Testbed,
}

/// A test writer that runs. Killed when it is dropped.
pub struct TestWriter {
    running: Option<Running>,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stage {
    /// A btrfs volume, which is quick to make and to copy.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with fail points of the service.
    pub fn with(fail_points: &str) -> Self {
        let bed = Testbed::new();
        let disk = bed.disk(Format::Btrfs, 128);
        Self::on(bed, disk, fail_points)
    }

    /// An ext4 volume on a file on XFS, which is frozen and cloned.
    pub fn on_ext4() -> Self {
        let bed = Testbed::new();
        let below = bed.disk(Format::Xfs, 400);
        let disk = bed.disk_in(&below.mount, Format::Ext4, 64);
        Self::on(bed, disk, "")
    }

    fn on(bed: Testbed, disk: Disk, fail_points: &str) -> Self {
        let umbra = Umbra::in_folder(bed.folder());
        fs::create_dir(disk.mount.join("data")).unwrap();
        let mut command = umbra.daemon_command();
        command.env("FAILPOINTS", fail_points);
        let daemon = Daemon::start(&umbra, command);
        Self {
            umbra,
            disk,
            daemon,
            bed,
        }
    }

    /// A path on the volume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.disk.mount.join(name)
    }

    /// Writes a file on the volume, with its folders.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn is_there(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Deletes everything in `data`.
    pub fn lose_data(&self) {
        fs::remove_dir_all(self.path("data")).unwrap();
        fs::create_dir(self.path("data")).unwrap();
    }

    /// Text with `VOLUME` for the volume's mount point.
    fn filled(&self, text: &str) -> String {
        text.replace("VOLUME", self.disk.mount.to_str().unwrap())
    }

    /// A file outside the volume.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.bed.folder().join(name);
        fs::write(&path, self.filled(text)).unwrap();
        path
    }

    /// A place outside the volume.
    pub fn outside(&self, name: &str) -> String {
        self.bed.folder().join(name).to_str().unwrap().to_owned()
    }

    /// A test writer of these attributes and elements, which checks everything; its
    /// files are replaced on restore.
    pub fn writer(&self, attributes: &str, elements: &str) -> TestWriter {
        self.writer_with(REPLACE, attributes, elements)
    }

    /// The same with another restore method.
    pub fn writer_with(&self, method: &str, attributes: &str, elements: &str) -> TestWriter {
        let file = self.configuration(method, attributes, elements);
        TestWriter::start(self.test_writer(&file))
    }

    /// The same as [`Self::writer`], in a time zone.
    pub fn writer_in(&self, zone: &str, attributes: &str, elements: &str) -> TestWriter {
        let file = self.configuration(REPLACE, attributes, elements);
        let mut command = self.test_writer(&file);
        command.env("TZ", zone);
        TestWriter::start(command)
    }

    /// `umbra test-writer` with a configuration file.
    pub fn test_writer(&self, configuration: &Path) -> Command {
        let file = configuration.to_str().unwrap();
        self.umbra.command(["test-writer", file])
    }

    /// The configuration of a test writer that checks everything and says everything.
    pub fn configuration(&self, method: &str, attributes: &str, elements: &str) -> PathBuf {
        let text = format!(
            "<TestWriter usage=\"USER_DATA\" verbosity=\"high\" checkIncludes=\"yes\" \
             checkExcludes=\"yes\" {attributes}>{method}{elements}</TestWriter>"
        );
        self.file("vswriter.xml", &text)
    }

    /// `umbra betest` with these arguments, and the components in a file.
    pub fn betest(&self, components: &str, arguments: &[&str]) -> Outcome {
        let file = self.selection(components);
        let mut line = vec!["betest", "--config", file.to_str().unwrap()];
        line.extend(arguments);
        self.umbra.run(line)
    }

    /// A file that selects these components.
    pub fn selection(&self, components: &str) -> PathBuf {
        let text = format!("<BETest><Writer writerid=\"{CLASS}\">{components}</Writer></BETest>");
        self.file("betest.xml", &text)
    }

    /// A backup to `backup`, with its document in `backup.xml`.
    pub fn backup(&self, components: &str, arguments: &[&str]) -> Outcome {
        self.backup_to("backup", components, arguments)
    }

    /// A backup to a folder of this name, with its document beside it.
    pub fn backup_to(&self, name: &str, components: &str, arguments: &[&str]) -> Outcome {
        self.run_betest("--backup", name, components, arguments)
    }

    /// The restore of such a backup.
    pub fn restore(&self, components: &str, arguments: &[&str]) -> Outcome {
        self.restore_from("backup", components, arguments)
    }

    /// The restore of a backup of this name.
    pub fn restore_from(&self, name: &str, components: &str, arguments: &[&str]) -> Outcome {
        self.run_betest("--restore", name, components, arguments)
    }

    fn run_betest(&self, task: &str, name: &str, components: &str, arguments: &[&str]) -> Outcome {
        let (folder, document) = (self.outside(name), self.outside(&format!("{name}.xml")));
        let mut line = vec![task, "-S", &document, "-D", &folder];
        line.extend(arguments);
        self.betest(components, &line)
    }

    /// The Backup Components Document of a backup.
    pub fn document(&self, name: &str) -> String {
        fs::read_to_string(self.outside(&format!("{name}.xml"))).unwrap()
    }

    /// Whether a backup has a file of the volume.
    pub fn has(&self, backup: &str, file: &str) -> bool {
        self.in_backup(backup, file).exists()
    }

    /// Where a backup keeps a file of the volume.
    pub fn in_backup(&self, backup: &str, file: &str) -> PathBuf {
        let files = self.bed.folder().join(backup).join("files");
        files.join(self.path(file).strip_prefix("/").unwrap())
    }

    /// The shadow copy sets that there are.
    pub fn sets(&self) -> usize {
        let sets = self.umbra.json(["list", "--json"]);
        sets.as_array().unwrap().len()
    }
}

impl TestWriter {
    /// Starts it and waits until the service knows it.
    fn start(command: Command) -> Self {
        let mut running = Running::start(command);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let mut lines = BufReader::new(running.take_output()).lines();
        let reader = std::thread::spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                heard.lock().unwrap().push(line);
            }
        });
        let mut writer = Self {
            running: Some(running),
            said,
            reader: Some(reader),
        };
        eventually("the service knows the test writer", || {
            let running = writer.running.as_mut().unwrap();
            if let Some(status) = running.has_ended() {
                let end = writer.running.take().unwrap().end();
                panic!("the test writer ended ({status}): {end:?}");
            }
            writer.has_said("the service knows this writer")
        });
        writer
    }

    /// Whether it has said these words so far. What it says at the end of a call may
    /// come a moment later than the end of the call.
    pub fn has_said(&self, words: &str) -> bool {
        let said = self.said.lock().unwrap();
        said.iter().any(|line| line.contains(words))
    }

    pub fn signal(&mut self, signal: Signal) {
        self.running.as_mut().unwrap().signal(signal);
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
    }

    /// Ends it with Ctrl-C, whatever it found.
    pub fn ends(mut self) -> Transcript {
        let mut running = self.running.take().unwrap();
        running.signal(Signal::INT);
        let outcome = running.end();
        self.reader.take().unwrap().join().unwrap();
        let lines = self.said.lock().unwrap().clone();
        Transcript {
            code: outcome.status.code(),
            lines,
        }
    }

    /// Ends it; nothing may have been wrong.
    pub fn finds_nothing_wrong(self) -> Transcript {
        let end = self.ends();
        let wrong = end
            .lines
            .iter()
            .any(|line| line.starts_with("WRONG") || line.starts_with("FAILED"));
        assert!(end.code == Some(0) && !wrong, "{end:#?}");
        end
    }

    /// Ends it; it must have found this wrong.
    pub fn finds_wrong(self, words: &str) {
        let end = self.ends();
        let found = end
            .lines
            .iter()
            .any(|line| line.starts_with("WRONG: ") && line.contains(words));
        assert!(end.code == Some(113) && found, "{end:#?}");
    }
}

/// All that a test writer said, and its exit code.
#[derive(Debug)]
pub struct Transcript {
    code: Option<i32>,
    lines: Vec<String>,
}

impl Transcript {
    /// Whether it has said these words.
    pub fn has(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }

    /// How often an event came.
    pub fn times(&self, event: &str) -> usize {
        self.lines.iter().filter(|line| *line == event).count()
    }

    /// The events that came, in their order.
    pub fn events(&self) -> Vec<&str> {
        let is_event =
            |line: &&str| line.starts_with(char::is_uppercase) && !line.contains([' ', ':']);
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(is_event).collect()
    }
}

/// The outcome of a command that must have succeeded.
#[track_caller]
pub fn succeeds(outcome: Outcome) -> String {
    assert!(outcome.status.success(), "{outcome:#?}");
    outcome.stdout
}

/// What a command said that must have failed with this exit code, with these words
/// in what it printed.
#[track_caller]
pub fn fails(outcome: Outcome, code: i32, words: &[&str]) -> String {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.status.code(), Some(code), "{outcome:#?}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    said
}

/// A component that selects the name alone.
pub fn component(name: &str) -> String {
    format!("<Component componentName=\"{name}\"/>")
}

/// A writer's component `TestFiles` of everything in `data`.
pub const DATA: &str = "<Component componentType=\"filegroup\" componentName=\"TestFiles\">\
    <ComponentFile path=\"VOLUME/data\" filespec=\"*\" recursive=\"yes\"/></Component>";

/// The restore method of the page's sample.
pub const REPLACE: &str = "<RestoreMethod method=\"RESTORE_IF_CAN_BE_REPLACED\" \
    writerRestore=\"always\" rebootRequired=\"no\"/>";
