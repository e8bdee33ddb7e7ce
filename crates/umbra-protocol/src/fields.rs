//! Single fields: ids, paths and times, as every message carries them.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};
use umbra_model::{ParseIdError, VssCode, VssError, VssResult};

/// The error for a field that breaks a rule.
pub fn invalid(field: &str, why: impl std::fmt::Display) -> VssError {
    VssError::new(
        VssCode::InvalidArgument,
        format!("the field {field} of a message is wrong: {why}"),
    )
}

/// A message that must be there.
///
/// # Errors
///
/// `E_INVALIDARG` where it is missing.
pub fn required<T>(field: &str, value: Option<T>) -> VssResult<T> {
    value.ok_or_else(|| invalid(field, "it is missing"))
}

/// A GUID.
///
/// # Errors
///
/// `E_INVALIDARG` for any other text.
pub fn id<T: FromStr<Err = ParseIdError>>(field: &str, text: &str) -> VssResult<T> {
    text.parse().map_err(|error| invalid(field, error))
}

/// A GUID that may be left empty.
///
/// # Errors
///
/// As [`id`].
pub fn optional_id<T: FromStr<Err = ParseIdError>>(
    field: &str,
    text: &str,
) -> VssResult<Option<T>> {
    (!text.is_empty()).then(|| id(field, text)).transpose()
}

/// A path or another name made of any bytes but zero.
///
/// # Errors
///
/// `E_INVALIDARG` where it is empty or has a zero byte in it.
pub fn name(field: &str, bytes: Vec<u8>) -> VssResult<PathBuf> {
    if bytes.is_empty() {
        return Err(invalid(field, "it is empty"));
    }
    if bytes.contains(&0) {
        return Err(invalid(field, "there is a zero byte in it"));
    }
    Ok(OsString::from_vec(bytes).into())
}

/// An absolute path.
///
/// # Errors
///
/// `E_INVALIDARG` where it is empty, relative or has a zero byte in it.
pub fn path(field: &str, bytes: Vec<u8>) -> VssResult<PathBuf> {
    let path = name(field, bytes)?;
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(invalid(field, format!("{path:?} is not an absolute path")))
    }
}

/// The bytes of a path.
pub fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// Whole nanoseconds; 584 years at most.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A text that may be left empty.
pub fn optional_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A value of a VSS enumeration, by its number.
///
/// # Errors
///
/// `E_INVALIDARG` for a number that is none of its values.
pub fn value<T>(field: &str, number: u32, known: fn(u32) -> Option<T>) -> VssResult<T> {
    known(number).ok_or_else(|| invalid(field, format!("{number} is none of its values")))
}

/// Converts each item of a list.
///
/// # Errors
///
/// The first item's that cannot be converted.
pub fn all<W, M: TryFrom<W, Error = VssError>>(items: Vec<W>) -> VssResult<Vec<M>> {
    items.into_iter().map(TryInto::try_into).collect()
}
