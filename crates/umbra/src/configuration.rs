//! The configuration file `etc/umbra/umbra.toml`.

use crate::{exit::ExitKind, failure::Failure, root::Root};
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};
use umbra_service::Limits;
use umbra_volume::GracePeriodPolicy;

/// What an administrator can set. Whatever is not in the file has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// How long things may take.
    pub limits: Limits,
    /// How file systems are held.
    pub hold: Hold,
    /// Where the system provider keeps shadow copies.
    pub storage: Storage,
    /// Who may do what.
    pub access: Access,
    /// What is logged.
    pub log: Log,
}

/// How file systems are held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Whether the kernel hurries meanwhile (`/sys/kernel/rcu_expedited`).
    pub expedite_grace_periods: bool,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            expedite_grace_periods: true,
        }
    }
}

impl Hold {
    /// What the hold is told.
    pub fn grace_periods(&self) -> GracePeriodPolicy {
        if self.expedite_grace_periods {
            GracePeriodPolicy::Expedite
        } else {
            GracePeriodPolicy::LeaveAlone
        }
    }
}

/// Where the system provider keeps shadow copies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// The folder, on XFS with reflinks or on btrfs; one below the root's state
    /// where it is not said.
    pub path: Option<PathBuf>,
}

impl Storage {
    /// The folder.
    pub fn folder(&self, root: &Root) -> PathBuf {
        self.path
            .clone()
            .unwrap_or_else(|| root.state().join("storage"))
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// The group whose members may be requesters, as root always may.
    pub group: String,
    /// The users, besides root, whose programs may be writers.
    pub writers: Vec<User>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            group: "umbra-backup".into(),
            writers: Vec::new(),
        }
    }
}

/// A user by id or by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a user's name or a user id")]
pub enum User {
    /// By id.
    Id(u32),
    /// By name.
    Name(String),
}

/// What is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// From which level on.
    pub level: LogLevel,
}

/// From which level on messages are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And each step.
    Debug,
    /// And everything else.
    Trace,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    limits: LimitsSection,
    hold: Hold,
    storage: Storage,
    access: Access,
    log: Log,
}

macro_rules! limits_section {
    ($($name:ident),*) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct LimitsSection {
            $($name: Option<Limit>,)*
        }

        impl LimitsSection {
            fn into_limits(self) -> Limits {
                let mut limits = Limits::default();
                $(if let Some(limit) = self.$name { limits.$name = limit.0; })*
                limits
            }
        }
    };
}

limits_section!(
    identify,
    prepare_for_backup,
    prepare_for_snapshot,
    freeze,
    thaw,
    post_snapshot,
    backup_complete,
    pre_restore,
    post_restore,
    backup_shutdown,
    abort,
    freeze_to_thaw,
    hold,
    stall,
    provider,
    wait_for_set,
    idle_set
);

/// A duration such as `60s` or `1min 30s`.
#[derive(Debug)]
struct Limit(Duration);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, such as \"60s\" or \"500ms\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                match humantime::parse_duration(text) {
                    Ok(Duration::ZERO) => Err(E::custom("a limit of zero allows nothing")),
                    Ok(duration) => Ok(Limit(duration)),
                    Err(error) => Err(E::custom(format!(
                        "{text:?} is no duration ({error}); write \"60s\" or \"500ms\""
                    ))),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Configuration {
    /// Reads the configuration of a root; a missing file means the defaults.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is malformed: names the file and the line.
    pub fn load(root: &Root) -> Result<Self, Failure> {
        let path = root.configuration_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(malformed(&path, format!("cannot be read: {error}"))),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let place = line.map_or(String::new(), |line| format!("line {line}: "));
            malformed(
                path,
                format!("is malformed: {place}{}", one_line(error.message())),
            )
        })?;
        let limits = file.limits.into_limits();
        if limits.hold > limits.freeze_to_thaw {
            return Err(malformed(
                path,
                "is malformed: limits.hold is longer than limits.freeze_to_thaw, and the hold \
                 lies inside the freeze",
            ));
        }
        if limits.stall > limits.hold {
            return Err(malformed(
                path,
                "is malformed: limits.stall is longer than limits.hold",
            ));
        }
        if let Some(storage) = &file.storage.path
            && !storage.is_absolute()
        {
            return Err(malformed(
                path,
                format!(
                    "is malformed: storage.path is {}, and must be an absolute path",
                    storage.display()
                ),
            ));
        }
        Ok(Self {
            limits,
            hold: file.hold,
            storage: file.storage,
            access: file.access,
            log: file.log,
        })
    }
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

fn malformed(path: &Path, what: impl fmt::Display) -> Failure {
    Failure::new(
        ExitKind::BadConfiguration,
        format!(
            "the configuration file {} {what}; correct it or remove it",
            path.display()
        ),
    )
}

impl Access {
    /// The ids of the users whose programs may be writers.
    ///
    /// # Errors
    ///
    /// A name that no user has.
    pub fn writer_ids(&self, file: &Path) -> Result<Vec<u32>, Failure> {
        self.writers
            .iter()
            .map(|user| match user {
                User::Id(id) => Ok(*id),
                User::Name(name) => match nix::unistd::User::from_name(name) {
                    Ok(Some(user)) => Ok(user.uid.as_raw()),
                    Ok(None) => Err(malformed(
                        file,
                        format!("names the user {name:?} in access.writers, and there is none"),
                    )),
                    Err(error) => Err(Failure::new(
                        ExitKind::Unexpected,
                        format!("cannot look up the user {name:?}: {error}"),
                    )),
                },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, Failure> {
        Configuration::parse(Path::new("/etc/umbra/umbra.toml"), text)
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").unwrap(), Configuration::default());
    }

    #[test]
    fn reads_every_section() {
        let read = parse(
            "[limits]\nhold = \"5s\"\nstall = \"500ms\"\nfreeze = \"1min 30s\"\n\
             [hold]\nexpedite_grace_periods = false\n\
             [storage]\npath = \"/srv/copies\"\n\
             [access]\ngroup = \"wheel\"\nwriters = [\"postgres\", 1000]\n\
             [log]\nlevel = \"debug\"\n",
        )
        .unwrap();
        assert_eq!(read.limits.hold, Duration::from_secs(5));
        assert_eq!(read.limits.stall, Duration::from_millis(500));
        assert_eq!(read.limits.freeze, Duration::from_secs(90));
        assert_eq!(read.limits.thaw, Limits::default().thaw);
        assert_eq!(read.hold.grace_periods(), GracePeriodPolicy::LeaveAlone);
        let root = Root::at(Path::new("/")).unwrap();
        assert_eq!(read.storage.folder(&root), Path::new("/srv/copies"));
        assert_eq!(
            Storage::default().folder(&root),
            Path::new("/var/lib/umbra/storage")
        );
        assert_eq!(read.access.group, "wheel");
        assert_eq!(
            read.access.writers,
            [User::Name("postgres".into()), User::Id(1000)]
        );
        assert_eq!(read.log.level, LogLevel::Debug);
    }

    #[test]
    fn says_which_line_is_wrong_and_why() {
        let check = |text: &str, expected: &[&str]| {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.kind(), ExitKind::BadConfiguration, "{text}");
            let message = failure.to_string();
            assert!(message.contains("/etc/umbra/umbra.toml"), "{message}");
            assert!(!message.contains('\n'), "{message}");
            for part in expected {
                assert!(message.contains(part), "{message} has no {part:?}");
            }
        };
        check("[limits]\nhodl = \"1s\"\n", &["line 2", "hodl"]);
        check("[limits]\nhold = 10\n", &["line 2", "duration in quotes"]);
        check(
            "[limits]\nhold = \"soon\"\n",
            &["line 2", "\"soon\"", "60s"],
        );
        check("[limits]\nhold = \"0s\"\n", &["line 2", "zero"]);
        check("[limits]\nhold = \"90s\"\n", &["freeze_to_thaw"]);
        check("[limits]\nstall = \"11s\"\n", &["limits.stall"]);
        check(
            "[storage]\npath = \"here\"\n",
            &["storage.path", "absolute"],
        );
        check("[acess]\n", &["line 1", "acess"]);
        check("\n\n[access\n", &["line 3"]);
        check("[access]\nwriters = [true]\n", &["user"]);
        check("[log]\nlevel = \"loud\"\n", &["line 2", "loud"]);
    }

    #[test]
    fn users_are_looked_up() {
        let access = Access {
            writers: vec![User::Name("root".into()), User::Id(4242)],
            ..Access::default()
        };
        assert_eq!(access.writer_ids(Path::new("/f")).unwrap(), [0, 4242]);

        let nobody = Access {
            writers: vec![User::Name("no-such-user".into())],
            ..Access::default()
        };
        let failure = nobody.writer_ids(Path::new("/f")).unwrap_err();
        assert_eq!(failure.kind(), ExitKind::BadConfiguration);
    }

    #[test]
    fn the_packaged_example_is_what_the_defaults_are() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/umbra.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            Configuration::parse(&path, &text).unwrap(),
            Configuration::default()
        );
    }
}
