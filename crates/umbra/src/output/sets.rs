//! Shadow copy sets, as they are printed.

use super::{
    Listing,
    table::{Column, table},
    text::{list, milliseconds, moment, path_text, plain, rfc3339, span},
};
use serde::Serialize;
use std::{collections::HashMap, os::unix::ffi::OsStrExt, path::Path};
use umbra_model::{Context, ProviderId, ShadowCopy, ShadowCopySet};

/// A set, with the names that programs may rely on.
#[derive(Debug, Clone, Serialize)]
pub struct SetView {
    /// Its id.
    pub id: String,
    /// The instant its copies show, RFC 3339.
    pub created: String,
    /// The context it was made in, such as `VSS_CTX_APP_ROLLBACK`.
    pub context: String,
    /// `application`, `filesystem` or `crash`.
    pub consistency: String,
    /// Why not more, or who vouches.
    pub reason: String,
    /// How long writers were frozen, milliseconds.
    pub frozen_ms: f64,
    /// How long file systems were held, milliseconds.
    pub held_ms: f64,
    /// The largest difference between the instants of two copies, milliseconds.
    pub skew_ms: f64,
    /// How long it took to make the set, milliseconds.
    pub duration_ms: f64,
    /// Who vouches.
    pub writers: Vec<VouchingWriterView>,
    /// Its copies.
    pub shadow_copies: Vec<ShadowCopyView>,
    #[serde(skip)]
    lines: Lines,
}

/// A writer's part in a set.
#[derive(Debug, Clone, Serialize)]
pub struct VouchingWriterView {
    /// The writer's class.
    pub id: String,
    /// The writer's instance.
    pub instance_id: String,
    /// Its name.
    pub name: String,
    /// The components it vouches for.
    pub components: Vec<String>,
}

/// A copy, with the names that programs may rely on.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowCopyView {
    /// Its id.
    pub id: String,
    /// The set it belongs to.
    pub set_id: String,
    /// Where its volume was mounted.
    pub volume: String,
    /// The stable name of its volume.
    pub volume_id: String,
    /// The device that its volume was mounted from.
    pub volume_device: String,
    /// The type of its file system.
    pub file_system: String,
    /// The copy's own block device, while it has one.
    pub device: Option<String>,
    /// Where it is exposed, while it is.
    pub path: Option<String>,
    /// Who keeps it, by name.
    pub provider: String,
    /// Who keeps it.
    pub provider_id: String,
}

/// What people read instead of milliseconds and RFC 3339.
#[derive(Debug, Clone)]
struct Lines {
    moment: String,
    verdict: String,
}

impl SetView {
    /// A set, with the names of its providers.
    pub fn new(set: &ShadowCopySet, providers: &HashMap<ProviderId, String>) -> Self {
        Self {
            id: set.id.to_string(),
            created: rfc3339(set.instant),
            context: Context::from_value(set.context)
                .map_or_else(|_| format!("{:#x}", set.context), |known| known.to_string()),
            consistency: set.consistency.level.to_string(),
            reason: plain(&set.consistency.reason),
            frozen_ms: milliseconds(set.times.frozen),
            held_ms: milliseconds(set.times.held),
            skew_ms: milliseconds(set.times.skew),
            duration_ms: milliseconds(set.times.created),
            writers: set
                .writers
                .iter()
                .map(|writer| VouchingWriterView {
                    id: writer.writer.to_string(),
                    instance_id: writer.instance.to_string(),
                    name: plain(&writer.name),
                    components: writer.components.iter().map(|name| plain(name)).collect(),
                })
                .collect(),
            shadow_copies: set
                .copies
                .iter()
                .map(|copy| ShadowCopyView::new(copy, providers))
                .collect(),
            lines: Lines {
                moment: moment(set.instant),
                verdict: verdict(set),
            },
        }
    }

    fn copies_table(&self, width: u16) -> String {
        let rows = self
            .shadow_copies
            .iter()
            .map(|copy| {
                vec![
                    copy.id.clone(),
                    copy.volume.clone(),
                    copy.provider.clone(),
                    copy.path.clone().unwrap_or_else(|| "-".into()),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("SHADOW COPY"),
            Column::Broken("VOLUME"),
            Column::Whole("PROVIDER"),
            Column::Broken("EXPOSED AT"),
        ];
        table(&columns, rows, width)
    }
}

impl ShadowCopyView {
    /// A copy, with the names of the providers.
    pub fn new(copy: &ShadowCopy, providers: &HashMap<ProviderId, String>) -> Self {
        let provider_id = copy.provider.to_string();
        Self {
            id: copy.id.to_string(),
            set_id: copy.set.to_string(),
            volume: path_text(&copy.volume.mount_point),
            volume_id: copy.volume.id.to_string(),
            volume_device: path_text(&copy.volume.device),
            file_system: copy.volume.file_system.clone(),
            device: copy.exposed.as_deref().and_then(mounted_device),
            path: copy.exposed.as_deref().map(path_text),
            provider: providers
                .get(&copy.provider)
                .cloned()
                .unwrap_or_else(|| provider_id.clone()),
            provider_id,
        }
    }
}

/// The device that a whole file system is mounted from at a place; a subvolume
/// has none of its own.
fn mounted_device(place: &Path) -> Option<String> {
    // Bytes: one path that is no UTF-8 must not hide the others.
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    let wanted = escaped(place);
    table.rsplit(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, at) = (fields.nth(3)?, fields.next()?);
        let source = fields.skip_while(|field| *field != b"-").nth(2)?;
        (at == wanted && root == b"/").then(|| String::from_utf8_lossy(source).into_owned())
    })
}

/// A path as the kernel writes it in mount tables.
fn escaped(path: &Path) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend(format!("\\{byte:03o}").bytes()),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

/// The line that says what a set came to, for `umbra: …` on standard error.
pub fn result_line(set: &ShadowCopySet) -> String {
    let volumes: Vec<String> = set
        .copies
        .iter()
        .map(|copy| path_text(&copy.volume.mount_point))
        .collect();
    format!("set {} of {}: {}", set.id, list(&volumes), verdict(set))
}

fn verdict(set: &ShadowCopySet) -> String {
    let frozen = match set.times.frozen {
        zero if zero.is_zero() => "no writer frozen".into(),
        frozen => format!("writers frozen {}", span(frozen)),
    };
    let held = match set.times.held {
        zero if zero.is_zero() => "no file system held".into(),
        held => format!("file systems held {}", span(held)),
    };
    format!(
        "{} consistency ({}); {frozen}, {held}, skew {}",
        set.consistency.level,
        plain(&set.consistency.reason),
        span(set.times.skew)
    )
}

impl Listing for SetView {
    fn text(&self, width: u16) -> String {
        let mut text = format!("set {}  {}\n", self.id, self.lines.moment);
        text.push_str(&wrapped(&self.lines.verdict, width));
        text.push_str(&self.copies_table(width));
        for copy in &self.shadow_copies {
            if let Some(device) = &copy.device {
                text.push_str(&format!("{} is {device}\n", copy.id));
            }
        }
        text
    }
}

impl Listing for Vec<SetView> {
    fn text(&self, width: u16) -> String {
        if self.is_empty() {
            return "There are no shadow copies.\n".into();
        }
        let blocks: Vec<String> = self
            .iter()
            .map(|set| {
                format!(
                    "set {}  {}  {}\n{}",
                    set.id,
                    set.lines.moment,
                    set.consistency,
                    set.copies_table(width)
                )
            })
            .collect();
        blocks.join("\n")
    }
}

impl Listing for ShadowCopyView {
    fn text(&self, width: u16) -> String {
        let none = || "-".to_owned();
        let rows = [
            ("shadow copy", self.id.clone()),
            ("set", self.set_id.clone()),
            ("volume", self.volume.clone()),
            ("volume id", self.volume_id.clone()),
            ("volume device", self.volume_device.clone()),
            ("file system", self.file_system.clone()),
            ("provider", self.provider.clone()),
            ("exposed at", self.path.clone().unwrap_or_else(none)),
            ("device", self.device.clone().unwrap_or_else(none)),
        ];
        let rows = rows
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        let columns = [Column::Whole("PROPERTY"), Column::Broken("VALUE")];
        table(&columns, rows, width)
    }
}

/// Text broken at blanks, so that no line is longer than `width` columns.
fn wrapped(text: &str, width: u16) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer > usize::from(width) {
            lines.push_str(&line);
            lines.push('\n');
            line = word.into();
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines + &line + "\n"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;
    use umbra_model::{
        Consistency, ConsistencyVerdict, DeviceNumber, Instant, ProviderLocation, SetId, SetTimes,
        ShadowCopyId, Volume, VolumeId, WriterId, WriterInstanceId, WriterOutcome,
    };

    pub fn set() -> ShadowCopySet {
        let id = SetId::from_u128(0x2e94_ae3f_4d24_4a8c_b3c8_8a0b_1b2f_3c4d);
        let copy = |number: u128, mount: &str| ShadowCopy {
            id: ShadowCopyId::from_u128(0xaaaa_bbbb_cccc_4ddd_8eee_ffff_0000_0000 + number),
            set: id,
            volume: Volume {
                id: VolumeId::new("0b7c3e58-8d1e-4c6e-9a5b-0d7d4f5e6a7b"),
                mount_point: mount.into(),
                root: "/".into(),
                file_system: "ext4".into(),
                device: "/dev/loop7".into(),
                number: DeviceNumber { major: 7, minor: 7 },
                mount_id: 99,
                subvolume: None,
            },
            provider: ProviderId::from_u128(7),
            location: ProviderLocation("anything".into()),
            exposed: None,
        };
        ShadowCopySet {
            id,
            instant: Instant(1_795_363_203_250_000_000),
            context: Context::AppRollback.value(),
            copies: vec![
                copy(1, "/srv"),
                copy(
                    2,
                    "/var/lib/postgresql/15/main/with/a/path/that/does/not/fit",
                ),
            ],
            consistency: ConsistencyVerdict {
                level: Consistency::Application,
                reason: "PostgreSQL Writer vouches for 15/main".into(),
            },
            times: SetTimes {
                frozen: Duration::from_micros(12_083),
                held: Duration::from_micros(4_212),
                skew: Duration::ZERO,
                created: Duration::from_millis(250),
            },
            writers: vec![WriterOutcome {
                writer: WriterId::from_u128(1),
                instance: WriterInstanceId::from_u128(2),
                name: "PostgreSQL Writer".into(),
                components: vec!["15\\main".into()],
            }],
        }
    }

    fn providers() -> HashMap<ProviderId, String> {
        HashMap::from([(ProviderId::from_u128(7), "reflink".into())])
    }

    #[test]
    fn the_result_line_is_a_sentence() {
        let mut set = set();
        set.copies[1].volume.mount_point = "/var/lib/postgresql".into();
        assert_eq!(
            result_line(&set),
            "set 2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d of /srv and /var/lib/postgresql: \
             application consistency (PostgreSQL Writer vouches for 15/main); writers frozen 12.1 \
             ms, file systems held 4.2 ms, skew 0"
        );
        set.times = SetTimes::default();
        assert!(result_line(&set).contains("no writer frozen, no file system held"));
    }

    #[test]
    fn json_has_the_stable_names() {
        let json = serde_json::to_value(SetView::new(&set(), &providers())).unwrap();
        assert_eq!(json["id"], "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d");
        assert_eq!(json["created"], "2026-11-22T16:00:03.250Z");
        assert_eq!(json["context"], "VSS_CTX_APP_ROLLBACK");
        assert_eq!(json["consistency"], "application");
        assert_eq!(json["frozen_ms"], 12.083);
        assert_eq!(json["held_ms"], 4.212);
        assert_eq!(json["skew_ms"], 0.0);
        assert_eq!(json["writers"][0]["name"], "PostgreSQL Writer");
        let copy = &json["shadow_copies"][0];
        assert_eq!(copy["volume"], "/srv");
        assert_eq!(copy["set_id"], json["id"]);
        assert_eq!(copy["provider"], "reflink");
        for name in ["device", "path"] {
            assert!(
                copy.get(name).is_some_and(|value| value.is_null()),
                "{name}"
            );
        }
    }

    #[test]
    fn text_fits_into_80_columns() {
        let view = SetView::new(&set(), &providers());
        let texts = [
            view.text(80),
            vec![view.clone(), view.clone()].text(80),
            view.shadow_copies[1].text(80),
        ];
        for text in texts {
            assert!(
                text.lines().all(|line| line.chars().count() <= 80),
                "{text}"
            );
            assert!(text.contains(&view.shadow_copies[1].id), "{text}");
        }
        assert!(Vec::<SetView>::new().text(80).contains("no shadow copies"));
    }

    #[test]
    fn finds_the_device_of_a_mount() {
        assert!(mounted_device(Path::new("/proc")).is_some());
        assert!(mounted_device(Path::new("/nowhere")).is_none());
    }
}
