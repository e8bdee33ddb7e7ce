//! Who may do what.
//!
//! The group's members are read from `/etc/group` and `/etc/passwd` with each
//! connection, so that adding a user needs no restart. The kernel could tell a
//! peer's groups as they were when it connected, but only through a call that
//! needs unsafe code; its process could be looked up, but it may be another one
//! by then. A user whose groups come from a directory service is a member where
//! the group is its primary one.

use std::path::PathBuf;
use umbra_model::{VssCode, VssError, VssResult};

/// The rules. Root, and the user that the service runs as, may do everything.
#[derive(Debug, Clone)]
pub struct Access {
    group: String,
    writers: Vec<u32>,
    accounts: PathBuf,
}

/// What the kernel says of a peer, as it was when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: i32,
}

/// What a peer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// A requester, or an administrator of shadow copies.
    Requester,
    /// One who has copies mounted where it likes. Members of the group may not:
    /// they could have the service mount over any empty folder of the system.
    Exposer,
    /// One who changes what the service has for everybody: storage, express
    /// writers, sets that others make.
    Administrator,
    /// A writer.
    Writer,
}

/// A peer's rights, and the words to refuse it with.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    granted: Vec<Right>,
    uid: u32,
    group: String,
}

impl Access {
    /// Members of this group may be requesters; no user may be a writer.
    pub fn for_group(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            writers: Vec::new(),
            accounts: "/etc".into(),
        }
    }

    /// These users may be writers.
    #[must_use]
    pub fn with_writers(mut self, uids: impl IntoIterator<Item = u32>) -> Self {
        self.writers.extend(uids);
        self
    }

    /// Reads `group` and `passwd` in this folder instead of `/etc`.
    #[must_use]
    pub fn with_accounts_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.accounts = folder.into();
        self
    }

    pub(crate) fn rights(&self, peer: Credentials) -> Rights {
        let all = peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw();
        let mut granted = Vec::new();
        if all || self.is_member(peer) {
            granted.push(Right::Requester);
        }
        if all {
            granted.extend([Right::Exposer, Right::Administrator]);
        }
        if all || self.writers.contains(&peer.uid) {
            granted.push(Right::Writer);
        }
        Rights {
            granted,
            uid: peer.uid,
            group: self.group.clone(),
        }
    }

    fn is_member(&self, peer: Credentials) -> bool {
        // A file that cannot be read makes nobody a member.
        let read = |name| std::fs::read_to_string(self.accounts.join(name)).unwrap_or_default();
        let groups = read("group");
        let Some((gid, members)) = group_entry(&groups, &self.group) else {
            return false;
        };
        let accounts = read("passwd");
        peer.gid == gid
            || accounts_of(&accounts, peer.uid)
                .any(|(name, primary)| primary == gid || members.split(',').any(|m| m == name))
    }
}

impl Rights {
    /// All of them, for a peer inside this process.
    pub(crate) fn all(uid: u32) -> Self {
        Self {
            granted: vec![
                Right::Requester,
                Right::Exposer,
                Right::Administrator,
                Right::Writer,
            ],
            uid,
            group: String::new(),
        }
    }

    /// # Errors
    ///
    /// `E_ACCESSDENIED`, saying who may and what to do.
    pub(crate) fn require(&self, right: Right) -> VssResult<()> {
        if self.granted.contains(&right) {
            return Ok(());
        }
        let uid = self.uid;
        let message = match right {
            Right::Requester => format!(
                "uid {uid} may not use the Umbra service: only root and members of the group {:?} \
                 may; run it with sudo, or add the user to the group and start the program anew",
                self.group
            ),
            Right::Exposer => format!(
                "uid {uid} may not expose shadow copies or end it: that mounts and unmounts, and \
                 only root may; run it with sudo"
            ),
            Right::Administrator => format!(
                "uid {uid} may not change what the Umbra service has for everybody: only root \
                 may; run it with sudo"
            ),
            Right::Writer => format!(
                "uid {uid} may not be a writer: add it to access.writers in the service's \
                 configuration and restart the service"
            ),
        };
        Err(VssError::new(VssCode::AccessDenied, message))
    }
}

/// The id and the members, joined by commas, of the group with this name.
fn group_entry<'a>(file: &'a str, name: &str) -> Option<(u32, &'a str)> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let id = fields.nth(1)?.parse().ok()?;
        found.then_some((id, fields.next().unwrap_or_default().trim()))
    })
}

/// The names and primary groups of the accounts with this uid.
fn accounts_of(file: &str, uid: u32) -> impl Iterator<Item = (&str, u32)> {
    file.lines().filter_map(move |line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        let primary = fields.next()?.parse().ok()?;
        (id == uid).then_some((name, primary))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_follow_the_account_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "group",
            "root:x:0:\nbroken\numbra-backup:x:700:alice,bob\nother:x:701:carol\n",
        );
        write(
            "passwd",
            "alice:x:1001:1001::/:/bin/sh\ncarol:x:1002:1002::/:/bin/sh\n\
             dora:x:1003:700::/:/bin/sh\ntoor:x:1004:5::/:/bin/sh\nbob:x:1004:5::/:/bin/sh\n",
        );
        let access = Access::for_group("umbra-backup")
            .with_writers([1002])
            .with_accounts_in(folder.path());
        let check = |uid, gid, requester, writer| {
            let rights = access.rights(Credentials { uid, gid, pid: 1 });
            assert_eq!(rights.require(Right::Requester).is_ok(), requester, "{uid}");
            assert_eq!(rights.require(Right::Writer).is_ok(), writer, "{uid}");
            for right in [Right::Exposer, Right::Administrator] {
                assert_eq!(rights.require(right).is_ok(), uid == 0, "{uid}");
            }
        };
        check(0, 0, true, true);
        check(1001, 1001, true, false);
        check(1002, 1002, false, true);
        check(1003, 9, true, false);
        check(1004, 5, true, false);
        check(1005, 700, true, false);
        check(1005, 1005, false, false);
        let nobody = Access::for_group("no-such-group").with_accounts_in(folder.path());
        let refused = nobody
            .rights(Credentials {
                uid: 1001,
                gid: 1001,
                pid: 1,
            })
            .require(Right::Requester)
            .unwrap_err();
        assert_eq!(refused.code(), VssCode::AccessDenied);
        assert!(refused.message().contains("no-such-group"), "{refused}");
    }
}
