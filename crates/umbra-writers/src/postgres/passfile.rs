//! The password file of `libpq`: `host:port:database:user:password` lines.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a password file gave no password.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassfileError {
    #[error("cannot read the passfile {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("the passfile {} can be read by others; make it mode 0600", .0.display())]
    Open(PathBuf),
}

/// The password for a connection, if the file has a line for it. The host of a
/// Unix socket is its folder, or `localhost`.
pub(super) fn password(
    file: &Path,
    host: &Path,
    port: u16,
    database: &str,
    user: &str,
) -> Result<Option<String>, PassfileError> {
    let unreadable = |cause| PassfileError::Unreadable {
        path: file.to_owned(),
        cause,
    };
    if std::fs::metadata(file).map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err(PassfileError::Open(file.to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    Ok(find(&text, &host.to_string_lossy(), port, database, user))
}

fn find(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let port = port.to_string();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = split(line);
            let [hosts, ports, databases, users, password] = fields.as_slice() else {
                return None;
            };
            let is = |field: &String, wanted: &str| field == "*" || field == wanted;
            let matches = (is(hosts, host) || hosts == "localhost")
                && is(ports, &port)
                && is(databases, database)
                && is(users, user);
            matches.then(|| password.clone())
        })
}

/// At colons; a backslash takes the meaning from the next character.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next(),
            other => Some(other),
        };
        if let Some(field) = fields.last_mut() {
            field.extend(plain);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_the_first_line_that_matches() {
        let text = "# host:port:db:user:password\n\
                    /run/a:5432:*:umbra:first\n\
                    localhost:*:*:umbra:se\\:co\\\\nd\n\
                    broken:line\n";
        let check = |host, user, expected: Option<&str>| {
            assert_eq!(
                find(text, host, 5432, "postgres", user).as_deref(),
                expected
            );
        };
        check("/run/a", "umbra", Some("first"));
        check("/run/b", "umbra", Some("se:co\\nd"));
        check("/run/a", "other", None);
    }
}
