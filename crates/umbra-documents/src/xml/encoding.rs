//! Bytes to text: UTF-8 and UTF-16 of either byte order, with or without a byte
//! order mark, with or without a declaration.

use super::fault::invalid;
use std::borrow::Cow;
use umbra_model::VssResult;

enum Form {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

/// How the bytes are encoded, and how many of them are a byte order mark. The
/// first character of a document is `<`, so the zero beside it tells the byte
/// order where there is no mark, as in what diskshadow writes.
fn form(bytes: &[u8]) -> (Form, usize) {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => (Form::Utf8, 3),
        [0xff, 0xfe, ..] => (Form::Utf16(u16::from_le_bytes), 2),
        [0xfe, 0xff, ..] => (Form::Utf16(u16::from_be_bytes), 2),
        [first, 0, ..] if *first != 0 => (Form::Utf16(u16::from_le_bytes), 0),
        [0, second, ..] if *second != 0 => (Form::Utf16(u16::from_be_bytes), 0),
        _ => (Form::Utf8, 0),
    }
}

/// The text of a document, without a byte order mark.
pub(super) fn text_of(bytes: &[u8]) -> VssResult<Cow<'_, str>> {
    let (form, mark) = form(bytes);
    let body = &bytes[mark..];
    match form {
        Form::Utf8 => match std::str::from_utf8(body) {
            Ok(text) => {
                check_declaration(text)?;
                Ok(Cow::Borrowed(text))
            }
            Err(error) => {
                let good = String::from_utf8_lossy(&body[..error.valid_up_to()]).into_owned();
                Err(super::Fault::at(good.len(), "these bytes are not UTF-8").in_text(&good))
            }
        },
        Form::Utf16(unit) => utf16(body, unit).map(Cow::Owned),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> VssResult<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    for character in char::decode_utf16(pairs.iter().copied().map(unit)) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => {
                let fault = super::Fault::at(text.len(), "half a UTF-16 surrogate pair");
                return Err(fault.in_text(&text));
            }
        }
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        let fault = super::Fault::at(text.len(), "half a UTF-16 character at the end");
        Err(fault.in_text(&text))
    }
}

/// Bytes that are UTF-8 may be declared as anything that agrees with it: as
/// UTF-8, as UTF-16 (a text that was saved again), or, where they are all ASCII,
/// as any other encoding.
fn check_declaration(text: &str) -> VssResult<()> {
    let Some(declaration) = text
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
        .map(|(declaration, _)| declaration)
    else {
        return Ok(());
    };
    let Some(name) = declaration
        .split_once("encoding")
        .map(|(_, rest)| {
            rest.trim_start_matches(|one: char| one.is_ascii_whitespace() || one == '=')
        })
        .and_then(|rest| rest.split(['"', '\'']).nth(1))
    else {
        return Ok(());
    };
    let agrees = text.is_ascii()
        || ["utf-8", "utf8", "utf-16", "utf16", "unicode"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
    if agrees {
        Ok(())
    } else {
        Err(invalid(
            1,
            1,
            &format!("its encoding {name:?} is neither UTF-8 nor UTF-16"),
        ))
    }
}
