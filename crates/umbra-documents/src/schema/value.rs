//! What an attribute can hold.

use crate::FileTime;
use serde::Serialize;
use std::str::FromStr;
use umbra_model::{
    BackupSchema, ComponentFlags, FileSpecBackupType, SetId, WriterId, WriterInstanceId,
};

/// What kind of value an attribute holds, for messages and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// `yes` or `no`.
    YesNo,
    /// An unsigned decimal number of at most this many bits.
    Number(u32),
    /// A GUID.
    Guid,
    /// The version of the schema.
    Version,
    /// One of these words; a document may use others.
    Words(&'static [&'static str]),
}

impl ValueKind {
    /// What was expected, in words.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::YesNo => "yes or no".into(),
            Self::Number(bits) => format!("a decimal number of at most {bits} bits"),
            Self::Guid => "a GUID".into(),
            Self::Version => "a version that Umbra reads: 1.0, 1.1 or 1.2".into(),
            Self::Words(words) => format!("one of {}", words.join(", ")),
        }
    }
}

/// A value of an attribute.
pub trait AttributeValue: Sized {
    /// What kind of value it is.
    const KIND: ValueKind;

    /// The value of a text, unless it is none.
    fn from_text(text: &str) -> Option<Self>;

    /// The one way in which it is written.
    fn to_text(&self) -> String;

    /// Whether Umbra knows what it means.
    fn is_known(&self) -> bool {
        true
    }
}

impl AttributeValue for String {
    const KIND: ValueKind = ValueKind::Text;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl AttributeValue for bool {
    const KIND: ValueKind = ValueKind::YesNo;

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("yes") {
            Some(true)
        } else {
            text.eq_ignore_ascii_case("no").then_some(false)
        }
    }

    fn to_text(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

macro_rules! numbers {
    ($($kind:ident),*) => {$(
        impl AttributeValue for $kind {
            const KIND: ValueKind = ValueKind::Number($kind::BITS);

            fn from_text(text: &str) -> Option<Self> {
                number(text)
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

numbers!(u32);

impl AttributeValue for FileTime {
    const KIND: ValueKind = ValueKind::Number(u64::BITS);

    fn from_text(text: &str) -> Option<Self> {
        number(text).map(Self::from_units)
    }

    fn to_text(&self) -> String {
        self.units().to_string()
    }
}

macro_rules! flags {
    ($($kind:ident),*) => {$(
        impl AttributeValue for $kind {
            const KIND: ValueKind = ValueKind::Number(u32::BITS);

            fn from_text(text: &str) -> Option<Self> {
                number(text).map($kind::from_bits)
            }

            fn to_text(&self) -> String {
                self.bits().to_string()
            }
        }
    )*};
}

flags!(BackupSchema, ComponentFlags, FileSpecBackupType);

macro_rules! guids {
    ($($kind:ident),*) => {$(
        impl AttributeValue for $kind {
            const KIND: ValueKind = ValueKind::Guid;

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

guids!(SetId, WriterId, WriterInstanceId);

/// The version of a document's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SchemaVersion {
    /// Windows XP.
    #[serde(rename = "1.0")]
    V1_0,
    /// Windows Server 2003.
    #[serde(rename = "1.1")]
    V1_1,
    /// Windows Vista and later.
    #[serde(rename = "1.2")]
    V1_2,
}

impl SchemaVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::V1_2];

    /// As it stands in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

impl AttributeValue for SchemaVersion {
    const KIND: ValueKind = ValueKind::Version;

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == text)
    }

    fn to_text(&self) -> String {
        self.name().to_owned()
    }
}
