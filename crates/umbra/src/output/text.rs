//! Small words for people: durations, times and paths.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use umbra_model::Instant;

/// A duration as people say it: `0`, `830 µs`, `12.1 ms`, `1.25 s`.
pub fn span(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if duration.is_zero() {
        "0".into()
    } else if micros < 1000.0 {
        format!("{micros:.0} µs")
    } else if micros < 1e6 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

/// Milliseconds with microseconds behind the point, for JSON.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A moment in RFC 3339, UTC, with milliseconds: `2026-11-22T16:00:03.250Z`.
pub fn rfc3339(instant: Instant) -> String {
    humantime::format_rfc3339_millis(system_time(instant)).to_string()
}

/// A moment for people, to the second: `2026-11-22 16:00:03 UTC`.
pub fn moment(instant: Instant) -> String {
    let seconds = humantime::format_rfc3339_seconds(system_time(instant)).to_string();
    seconds.replace('T', " ").replace('Z', " UTC")
}

fn system_time(instant: Instant) -> SystemTime {
    // humantime goes to the year 9999; a time past it can only be damage.
    const LAST: u64 = 253_402_300_799;
    let seconds = Duration::from_nanos(instant.0).min(Duration::from_secs(LAST));
    UNIX_EPOCH + seconds
}

/// A path as text; bytes that are no UTF-8 become U+FFFD, control characters
/// are escaped, so that no path can send commands to a terminal.
pub fn path_text(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// Text from elsewhere, with control characters escaped.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A list as people say it: `a`, `a and b`, `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |duration, expected| assert_eq!(span(duration), expected);
        check(Duration::ZERO, "0");
        check(Duration::from_micros(830), "830 µs");
        check(Duration::from_micros(12_083), "12.1 ms");
        check(Duration::from_millis(1_250), "1.25 s");
        assert_eq!(milliseconds(Duration::from_nanos(12_083_400)), 12.083);
    }

    #[test]
    fn moments_are_rfc3339() {
        let instant = Instant(1_795_363_203_250_000_000);
        assert_eq!(rfc3339(instant), "2026-11-22T16:00:03.250Z");
        assert_eq!(moment(instant), "2026-11-22 16:00:03 UTC");
        assert!(rfc3339(Instant(u64::MAX)).starts_with("25"));
    }

    #[test]
    fn no_path_reaches_the_terminal_raw() {
        assert_eq!(path_text(Path::new("/a\x1b[2Jb\n")), "/a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn lists_are_sentences() {
        let words: Vec<String> = ["a", "b", "c"].map(String::from).into();
        assert_eq!(list(&words), "a, b and c");
        assert_eq!(list(&words[..2]), "a and b");
        assert_eq!(list(&words[..1]), "a");
    }
}
