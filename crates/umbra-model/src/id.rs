//! Ids: one newtype for each kind of GUID, so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A text that is not a GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a GUID (expected 8-4-4-4-12 hexadecimal digits, braces allowed)")]
pub struct ParseIdError {
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id with this value; for ids that are fixed in the program.
            pub const fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }

            /// The GUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Accepts either case, with or without braces, as Windows tools
            /// print GUIDs.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bare = text
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'))
                    .unwrap_or(text);
                let hyphenated = bare.len() == 36;
                Uuid::try_parse(bare)
                    .ok()
                    .filter(|_| hyphenated)
                    .map(Self)
                    .ok_or_else(|| ParseIdError { text: text.to_owned() })
            }
        }
    };
}

id! {
    /// One shadow copy (`VSS_SNAPSHOT_PROP::m_SnapshotId`).
    ShadowCopyId
}
id! {
    /// One shadow copy set (`VSS_SNAPSHOT_PROP::m_SnapshotSetId`).
    SetId
}
id! {
    /// The class of a writer: the same for every instance of it everywhere.
    WriterId
}
id! {
    /// One running instance of a writer; new each time it starts.
    WriterInstanceId
}
id! {
    /// One provider (`VSS_PROVIDER_PROP::m_ProviderId`).
    ProviderId
}
id! {
    /// One requester's session with the service.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_windows_and_linux_print() {
        let plain: SetId = "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d".parse().unwrap();
        let windows: SetId = "{2E94AE3F-4D24-4A8C-B3C8-8A0B1B2F3C4D}".parse().unwrap();
        assert_eq!(plain, windows);
        assert_eq!(plain.to_string(), "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d");
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "{",
            "2e94ae3f4d244a8cb3c88a0b1b2f3c4d",
            "{2e94ae3f-4d24-4a8c-b3c8}",
        ] {
            assert!(text.parse::<SetId>().is_err(), "{text:?}");
        }
    }
}
