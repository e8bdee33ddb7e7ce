//! Words of the documents that stand for values of VSS enumerations.

use super::value::{AttributeValue, ValueKind};
use serde::{Serialize, Serializer};
use umbra_model::{
    BackupType, ComponentType, FileRestoreStatus, RestoreMethod, RestoreTarget, RestoreType,
    RollForwardType, SourceType, UsageType, WriterRestore,
};

/// A VSS enumeration with the words that documents use for its values.
pub trait DocumentTerm: Copy + PartialEq + 'static {
    /// The words.
    const WORDS: &'static [&'static str];

    /// The word for a value.
    fn word(self) -> &'static str;

    /// The value of a word, in either case.
    fn from_word(word: &str) -> Option<Self>;

    /// The name in the VSS reference.
    fn reference_name(self) -> &'static str;
}

/// A word of a document: one that Umbra knows, or another, which is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term<T> {
    /// A value of VSS.
    Known(T),
    /// A word that Umbra does not know.
    Unknown(String),
}

impl<T: DocumentTerm> Term<T> {
    /// The word that stands in the document.
    pub fn word(&self) -> &str {
        match self {
            Self::Known(value) => value.word(),
            Self::Unknown(word) => word,
        }
    }

    /// The value, if the word is known.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }

    /// The name in the VSS reference, or the word where it is unknown.
    pub fn reference_name(&self) -> &str {
        match self {
            Self::Known(value) => value.reference_name(),
            Self::Unknown(word) => word,
        }
    }
}

impl<T: DocumentTerm> AttributeValue for Term<T> {
    const KIND: ValueKind = ValueKind::Words(T::WORDS);

    fn from_text(text: &str) -> Option<Self> {
        Some(T::from_word(text).map_or_else(|| Self::Unknown(text.to_owned()), Self::Known))
    }

    fn to_text(&self) -> String {
        self.word().to_owned()
    }

    fn is_known(&self) -> bool {
        self.known().is_some()
    }
}

impl<T: DocumentTerm> Serialize for Term<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reference_name())
    }
}

macro_rules! words {
    ($($kind:ident { $($variant:ident = $word:literal,)* })*) => {$(
        impl DocumentTerm for $kind {
            const WORDS: &'static [&'static str] = &[$($word,)*];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn from_word(word: &str) -> Option<Self> {
                [$((Self::$variant, $word),)*]
                    .into_iter()
                    .find(|(_, known)| known.eq_ignore_ascii_case(word))
                    .map(|(value, _)| value)
            }

            fn reference_name(self) -> &'static str {
                self.name()
            }
        }
    )*};
}

// Words that the documents of a Windows server show, or Microsoft's page on the
// VSS Test Writer, are theirs. Every other word is the name of the value without
// its prefix, in the case of its neighbours.
words! {
    UsageType {
        Undefined = "UNDEFINED",
        BootableSystemState = "BOOTABLE_SYSTEM_STATE",
        SystemService = "SYSTEM_SERVICE",
        UserData = "USER_DATA",
        Other = "OTHER",
    }
    SourceType {
        Undefined = "UNDEFINED",
        TransactedDb = "TRANSACTION_DB",
        NonTransactedDb = "NONTRANSACTEDDB",
        Other = "OTHER",
    }
    RestoreMethod {
        Undefined = "UNDEFINED",
        RestoreIfNotThere = "RESTORE_IF_NOT_THERE",
        RestoreIfCanReplace = "RESTORE_IF_CAN_BE_REPLACED",
        StopRestoreStart = "STOP_RESTORE_START",
        RestoreToAlternateLocation = "RESTORE_TO_ALTERNATE_LOCATION",
        RestoreAtReboot = "REPLACE_AT_REBOOT",
        RestoreAtRebootIfCannotReplace = "REPLACE_AT_REBOOT_IF_CANNOT_REPLACE",
        Custom = "CUSTOM",
        RestoreStopStart = "RESTORE_STOP_START",
    }
    WriterRestore {
        Undefined = "undefined",
        Never = "never",
        IfReplaceFails = "ifReplaceFails",
        Always = "always",
    }
    ComponentType {
        Undefined = "undefined",
        Database = "database",
        FileGroup = "filegroup",
    }
    BackupType {
        Undefined = "undefined",
        Full = "full",
        Incremental = "incremental",
        Differential = "differential",
        Log = "log",
        Copy = "copy",
        Other = "other",
    }
    RestoreType {
        Undefined = "UNDEFINED",
        ByCopy = "BY_COPY",
        Import = "IMPORT",
        Other = "OTHER",
    }
    RestoreTarget {
        Undefined = "UNDEFINED",
        Original = "ORIGINAL",
        Alternate = "ALTERNATE",
        Directed = "DIRECTED",
        OriginalLocation = "ORIGINAL_LOCATION",
    }
    FileRestoreStatus {
        Undefined = "UNDEFINED",
        None = "NONE",
        All = "ALL",
        Failed = "FAILED",
    }
    RollForwardType {
        Undefined = "UNDEFINED",
        None = "NONE",
        All = "ALL",
        Partial = "PARTIAL",
    }
}
