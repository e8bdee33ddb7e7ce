//! Volumes, writers, providers and the service's state, as they are printed.

use super::{
    Listing,
    table::{Column, table},
};
use serde::Serialize;

/// A mounted file system.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeView {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its type.
    pub file_system: String,
    /// What it is mounted from.
    pub source: String,
    /// The stable name, where it is a volume.
    pub id: Option<String>,
    /// The provider that would copy it, where one can.
    pub provider: Option<String>,
    /// How it would be held: `freeze` or `atomic`.
    pub hold: Option<String>,
    /// Why nothing can copy it, where nothing can.
    pub why_not: Option<String>,
}

/// A provider.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `hardware`, `software` or `system`.
    pub kind: String,
    /// What it needs of a volume.
    pub needs: String,
}

/// A writer.
#[derive(Debug, Clone, Serialize)]
pub struct WriterView {
    /// Its class.
    pub id: String,
    /// Its instance.
    pub instance_id: String,
    /// Its name.
    pub name: String,
    /// How it is doing, such as `VSS_WS_STABLE`.
    pub state: String,
    /// When it is frozen: `front-end`, `back-end` or `system`.
    pub level: String,
    /// Where it runs.
    pub origin: String,
    /// Its last failure, where there was one.
    pub failure: Option<String>,
    /// What it owns.
    pub components: Vec<ComponentView>,
    /// Files that a backup should leave out.
    pub excluded: Vec<FileSetView>,
}

/// A component of a writer.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentView {
    /// Logical path and name.
    pub path: String,
    /// What people see.
    pub caption: Option<String>,
    /// Whether it can be chosen alone.
    pub selectable: bool,
    /// The files it is made of.
    pub files: Vec<FileSetView>,
}

/// Files by folder and specification.
#[derive(Debug, Clone, Serialize)]
pub struct FileSetView {
    /// The folder.
    pub path: String,
    /// Which names in it.
    pub specification: String,
    /// Whether the folders below count too.
    pub recursive: bool,
}

/// How the service is.
#[derive(Debug, Clone, Serialize)]
pub struct StatusView {
    /// Whether umbrad runs; if not, `umbra` does its work itself.
    pub running: bool,
    /// The service's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub socket: String,
    /// Open sessions.
    pub sessions: Vec<SessionView>,
    /// How many writers are connected on the socket.
    pub connected_writers: u32,
    /// Volumes that Umbra holds frozen now.
    pub frozen: Vec<String>,
    /// What the last start had to clean up or could not find.
    pub reconciled: Vec<String>,
}

/// A requester's session.
#[derive(Debug, Clone, Serialize)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// The requester's name.
    pub requester: String,
    /// The requester's user.
    pub uid: u32,
    /// The requester's process.
    pub pid: i32,
    /// The state it is in.
    pub state: String,
    /// Its set, where it has one.
    pub set_id: Option<String>,
}

impl Listing for Vec<VolumeView> {
    fn text(&self, width: u16) -> String {
        if self.is_empty() {
            return "There are no volumes.\n".into();
        }
        let rows = self
            .iter()
            .map(|volume| {
                vec![
                    volume.mount_point.clone(),
                    volume.file_system.clone(),
                    volume.source.clone(),
                    volume.provider.clone().unwrap_or_else(|| "none".into()),
                ]
            })
            .collect();
        let columns = [
            Column::Broken("VOLUME"),
            Column::Whole("TYPE"),
            Column::Broken("DEVICE"),
            Column::Whole("PROVIDER"),
        ];
        let mut text = table(&columns, rows, width);
        let reasons: Vec<_> = self
            .iter()
            .filter_map(|volume| Some(vec![volume.mount_point.clone(), volume.why_not.clone()?]))
            .collect();
        if !reasons.is_empty() {
            let columns = [
                Column::Broken("VOLUME"),
                Column::Broken("WHY NONE CAN COPY IT"),
            ];
            text.push('\n');
            text.push_str(&table(&columns, reasons, width));
        }
        text
    }
}

impl Listing for Vec<ProviderView> {
    fn text(&self, width: u16) -> String {
        let rows = self
            .iter()
            .map(|provider| {
                vec![
                    provider.name.clone(),
                    provider.kind.clone(),
                    provider.version.clone(),
                    provider.needs.clone(),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("PROVIDER"),
            Column::Whole("KIND"),
            Column::Whole("VERSION"),
            Column::Broken("NEEDS"),
        ];
        table(&columns, rows, width)
    }
}

impl Listing for Vec<WriterView> {
    fn text(&self, width: u16) -> String {
        if self.is_empty() {
            return "There are no writers.\n".into();
        }
        let rows = self
            .iter()
            .map(|writer| {
                vec![
                    writer.name.clone(),
                    writer.state.clone(),
                    writer.components.len().to_string(),
                    writer.origin.clone(),
                ]
            })
            .collect();
        let columns = [
            Column::Broken("WRITER"),
            Column::Broken("STATE"),
            Column::Whole("COMPONENTS"),
            Column::Broken("RUNS"),
        ];
        let mut text = table(&columns, rows, width);
        for writer in self {
            if let Some(failure) = &writer.failure {
                text.push_str(&format!("{}: {failure}\n", writer.name));
            }
        }
        text
    }
}

impl Listing for WriterView {
    fn text(&self, width: u16) -> String {
        let mut rows = vec![
            vec!["writer".to_owned(), self.name.clone()],
            vec!["class".to_owned(), self.id.clone()],
            vec!["instance".to_owned(), self.instance_id.clone()],
            vec!["state".to_owned(), self.state.clone()],
            vec!["level".to_owned(), self.level.clone()],
            vec!["runs".to_owned(), self.origin.clone()],
        ];
        if let Some(failure) = &self.failure {
            rows.push(vec!["failure".to_owned(), failure.clone()]);
        }
        let columns = [Column::Whole("PROPERTY"), Column::Broken("VALUE")];
        let mut text = table(&columns, rows, width);
        // A path that is longer than the line stays whole: people copy it.
        for component in &self.components {
            text.push_str(&format!("\ncomponent {}\n", component.path));
            for files in &component.files {
                text.push_str(&format!("  {}\n", files.line()));
            }
        }
        if !self.excluded.is_empty() {
            text.push_str("\nnot to be backed up\n");
            for files in &self.excluded {
                text.push_str(&format!("  {}\n", files.line()));
            }
        }
        text
    }
}

impl FileSetView {
    fn line(&self) -> String {
        let below = if self.recursive { " and below" } else { "" };
        format!(
            "{}/{}{below}",
            self.path.trim_end_matches('/'),
            self.specification
        )
    }
}

impl Listing for StatusView {
    fn text(&self, width: u16) -> String {
        let mut text = if self.running {
            format!(
                "umbrad {} runs as process {}.\nSocket: {}\n",
                self.version, self.pid, self.socket
            )
        } else {
            "umbrad does not run; umbra does its work itself.\n".into()
        };
        text.push_str(&match self.frozen.as_slice() {
            [] => "Umbra holds nothing frozen.\n".into(),
            frozen => format!("Frozen by Umbra: {}\n", frozen.join(", ")),
        });
        text.push_str(&format!(
            "Writers connected on the socket: {}\n",
            self.connected_writers
        ));
        if self.sessions.is_empty() {
            text.push_str("There are no sessions.\n");
        } else {
            let rows = self
                .sessions
                .iter()
                .map(|session| {
                    vec![
                        session.id.clone(),
                        session.state.clone(),
                        format!(
                            "{} (uid {}, pid {})",
                            session.requester, session.uid, session.pid
                        ),
                    ]
                })
                .collect();
            let columns = [
                Column::Whole("SESSION"),
                Column::Whole("STATE"),
                Column::Broken("REQUESTER"),
            ];
            text.push('\n');
            text.push_str(&table(&columns, rows, width));
        }
        if !self.reconciled.is_empty() {
            text.push_str("\nThe last start found:\n");
            for line in &self.reconciled {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_width(text: &str) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line:?} in\n{text}");
        }
    }

    fn names(value: &impl Serialize) -> Vec<String> {
        let json = serde_json::to_value(value).unwrap();
        json.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn volumes_say_why_none_can_copy_them() {
        let volume = VolumeView {
            mount_point: "/var/lib/some/very/long/path/to/a/mounted/file/system".into(),
            file_system: "ext4".into(),
            source: "/dev/mapper/group-volume".into(),
            id: None,
            provider: None,
            hold: None,
            why_not: Some("its device is no loop device on a file system with reflinks".into()),
        };
        let text = vec![volume.clone()].text(80);
        check_width(&text);
        assert!(text.contains("none\n"), "{text}");
        assert!(text.contains("loop device"), "{text}");
        for name in [
            "mount_point",
            "file_system",
            "source",
            "provider",
            "why_not",
        ] {
            assert!(names(&volume).iter().any(|key| key == name), "{name}");
        }
    }

    #[test]
    fn writers_show_their_components() {
        let writer = WriterView {
            id: "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d".into(),
            instance_id: "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4e".into(),
            name: "PostgreSQL Writer".into(),
            state: "VSS_WS_WAITING_FOR_POST_SNAPSHOT".into(),
            level: "back-end".into(),
            origin: "uid 4294967295, pid 4194304".into(),
            failure: None,
            components: vec![ComponentView {
                path: "clusters\\15/main".into(),
                caption: None,
                selectable: true,
                files: vec![FileSetView {
                    path: "/var/lib/postgresql/15/main".into(),
                    specification: "*".into(),
                    recursive: true,
                }],
            }],
            excluded: Vec::new(),
        };
        check_width(&vec![writer.clone()].text(80));
        let text = writer.text(80);
        check_width(&text);
        assert!(
            text.contains("/var/lib/postgresql/15/main/* and below"),
            "{text}"
        );
    }

    #[test]
    fn status_tells_whether_anything_is_frozen() {
        let mut status = StatusView {
            running: true,
            version: "0.1.0".into(),
            pid: 4_194_304,
            socket: "/run/umbra/umbra.sock".into(),
            sessions: vec![SessionView {
                id: "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d".into(),
                requester: "umbra exec".into(),
                uid: 0,
                pid: 4_194_303,
                state: "PreparingForBackup".into(),
                set_id: None,
            }],
            connected_writers: 3,
            frozen: Vec::new(),
            reconciled: Vec::new(),
        };
        check_width(&status.text(80));
        assert!(status.text(80).contains("nothing frozen"));
        status.frozen.push("/srv".into());
        assert!(status.text(80).contains("Frozen by Umbra: /srv"));
    }
}
