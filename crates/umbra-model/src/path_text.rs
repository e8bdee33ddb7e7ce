//! Paths as text, with nothing lost.
//!
//! XML, JSON and file specifications are text; the name of a file on Linux is bytes. What
//! is UTF-8 is written as it is. A byte that is not part of UTF-8, or of a character
//! that XML cannot hold, is written as the character U+F700 plus its value.
//! Characters from U+F700 to U+F7FF of a name itself are written as their bytes, so
//! that no two paths have the same text.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// The character that stands for the byte zero.
const ESCAPED: u32 = 0xf700;

/// A path as text.
pub fn path_to_text(path: &Path) -> String {
    bytes_to_text(path.as_os_str().as_bytes())
}

/// The path of such a text.
pub fn text_to_path(text: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(text_to_bytes(text)))
}

/// Bytes, such as a file name, as text.
pub fn bytes_to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_not_xml(character) || escaped_byte(character).is_some() {
                let mut buffer = [0; 4];
                let bytes = character.encode_utf8(&mut buffer).bytes();
                text.extend(bytes.map(escape));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    text
}

/// The bytes of such a text.
pub fn text_to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match escaped_byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// The control characters that XML has are left out too: attributes lose them.
fn is_not_xml(character: char) -> bool {
    character.is_ascii_control() || matches!(character, '\u{fffe}' | '\u{ffff}')
}

fn escape(byte: u8) -> char {
    // Always a character: the range is in a plane for private use.
    char::from_u32(ESCAPED + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn escaped_byte(character: char) -> Option<u8> {
    u32::from(character)
        .checked_sub(ESCAPED)
        .and_then(|value| u8::try_from(value).ok())
}

/// A path in a value that is kept or printed, for `#[serde(with = ...)]`.
pub mod as_text {
    use super::{path_to_text, text_to_path};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::path::{Path, PathBuf};

    /// The path as text.
    ///
    /// # Errors
    ///
    /// What the serializer fails with.
    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path_to_text(path))
    }

    /// The path of the text.
    ///
    /// # Errors
    ///
    /// There is no text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(|text| text_to_path(&text))
    }
}

/// As [`as_text`], for a path that may not be there.
pub mod as_optional_text {
    use super::{path_to_text, text_to_path};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::path::PathBuf;

    /// The path as text, or nothing.
    ///
    /// # Errors
    ///
    /// What the serializer fails with.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(path_to_text).serialize(to)
    }

    /// The path of the text, if there is one.
    ///
    /// # Errors
    ///
    /// There is something else.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(text.as_deref().map(text_to_path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_stay_as_they_are() {
        for plain in ["/srv/a b", "/srv/\u{fc}\u{1f600}", "C:\\data\\*"] {
            assert_eq!(path_to_text(Path::new(plain)), plain);
        }
    }

    #[test]
    fn what_is_no_text_is_written_byte_by_byte() {
        assert_eq!(bytes_to_text(b"a\xffb\n"), "a\u{f7ff}b\u{f70a}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let text = bytes_to_text(&bytes);
            prop_assert_eq!(text_to_bytes(&text), bytes);
            prop_assert!(!text.chars().any(|one| one.is_ascii_control()));
        }

        #[test]
        fn nothing_of_a_text_is_lost(name in "[\u{f6f0}-\u{f810}a-c\u{e9}]{0,12}") {
            let text = bytes_to_text(name.as_bytes());
            prop_assert_eq!(text_to_bytes(&text), name.as_bytes());
        }
    }
}
