//! The drop-in files of `writers.d`.

use crate::{
    ExpressSource, PostgresConfig, PostgresSource, RelayCommand, SqliteConfig, SqliteSource,
};
use serde::de::DeserializeOwned;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use umbra_model::{VssCode, VssError, VssResult};
use umbra_writer::WriterSource;

/// What the in-box writers are told: one file each in `writers.d`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WritersConfig {
    /// `postgresql.toml`; running clusters are found where it is missing.
    pub postgresql: PostgresConfig,
    /// `sqlite.toml`; no databases where it is missing.
    pub sqlite: SqliteConfig,
    /// The folder itself, which has the documents of express writers; none where
    /// no folder was read.
    pub express: Option<PathBuf>,
    /// The program that connects as another user; not in any file.
    pub relay: RelayCommand,
}

impl WritersConfig {
    /// Reads the TOML files of a folder. A folder or a file that is missing means
    /// the defaults; a file that belongs to no writer is an error, since its
    /// owner believes that it does something. Documents of express writers are
    /// read later, at each gathering.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` with the file, the line and what is wrong there.
    pub fn load(folder: &Path) -> VssResult<Self> {
        let mut config = Self {
            express: Some(folder.to_owned()),
            ..Self::default()
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(config),
            Err(error) => return Err(unreadable(folder, &error)),
        };
        for entry in entries {
            let file = entry.map_err(|error| unreadable(folder, &error))?.path();
            if file.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            match file.file_name().and_then(|name| name.to_str()) {
                Some("postgresql.toml") => {
                    config.postgresql = read(&file)?;
                    config
                        .postgresql
                        .check()
                        .map_err(|why| invalid(&file, &why))?;
                }
                Some("sqlite.toml") => {
                    config.sqlite = read(&file)?;
                    config.sqlite.check().map_err(|why| invalid(&file, &why))?;
                }
                _ => {
                    return Err(invalid(
                        &file,
                        "no writer reads this file; there are postgresql.toml and sqlite.toml",
                    ));
                }
            }
        }
        Ok(config)
    }
}

/// The in-box writers, ready for a service.
pub fn in_box(config: &WritersConfig) -> Vec<Arc<dyn WriterSource>> {
    let mut sources: Vec<Arc<dyn WriterSource>> = vec![
        Arc::new(PostgresSource::new(
            config.postgresql.clone(),
            config.relay.clone(),
        )),
        Arc::new(SqliteSource::new(config.sqlite.clone())),
    ];
    if let Some(folder) = &config.express {
        sources.push(Arc::new(ExpressSource::new(folder)));
    }
    sources
}

fn read<T: DeserializeOwned>(file: &Path) -> VssResult<T> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| 1 + before.matches('\n').count());
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        invalid(file, &format!("line {line}: {why}"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> VssError {
    invalid(path, &format!("cannot read it: {error}"))
}

fn invalid(path: &Path, why: &str) -> VssError {
    VssError::new(
        VssCode::InvalidArgument,
        format!(
            "the writers' configuration {}: {}",
            path.display(),
            why.trim_end()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, text: &str) -> VssResult<WritersConfig> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), text).unwrap();
        WritersConfig::load(folder.path())
    }

    #[test]
    fn a_missing_folder_means_discovery_and_no_sqlite() {
        let folder = Path::new("/nonexistent/writers.d");
        let config = WritersConfig::load(folder).unwrap();
        assert_eq!(config.express.as_deref(), Some(folder));
        assert!(config.postgresql.discover);
        assert!(config.sqlite.databases.is_empty());
    }

    #[test]
    fn reads_both_files() {
        let config = load(
            "postgresql.toml",
            "discover = false\n[[cluster]]\nname = 'orders'\nhost = '/run/postgresql'\nport = 5433\n",
        )
        .unwrap();
        assert_eq!(config.postgresql.clusters[0].port, 5433);
        assert_eq!(config.postgresql.clusters[0].user, "postgres");
        let config = load("sqlite.toml", "[[database]]\npath = '/srv/app/app.db'\n").unwrap();
        assert_eq!(
            config.sqlite.databases[0].path,
            Path::new("/srv/app/app.db")
        );
    }

    #[test]
    fn says_file_line_and_reason() {
        let check = |file: &str, text: &str, expected: &[&str]| {
            let error = load(file, text).unwrap_err();
            assert_eq!(error.code(), VssCode::InvalidArgument);
            for part in expected.iter().chain([&file]) {
                assert!(error.message().contains(part), "{part:?} in {error}");
            }
        };
        check(
            "postgresql.toml",
            "\ndiscovery = true\n",
            &["line 2", "discovery"],
        );
        check("postgresql.toml", "users = 1\n", &["line 1"]);
        check(
            "postgresql.toml",
            "[[cluster]]\nname = 'a'\nhost = 'localhost'\n",
            &["socket"],
        );
        check(
            "sqlite.toml",
            "[[database]]\npath = 'app.db'\n",
            &["absolute"],
        );
        check(
            "sqlite.toml",
            "[[database]]\npath = '/a'\n[[database]]\npath = '/a'\n",
            &["twice"],
        );
        check("mysql.toml", "", &["no writer reads"]);
    }
}
