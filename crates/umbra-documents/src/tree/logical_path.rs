//! Logical paths as text ("Logical Pathing of Components").

use std::borrow::Cow;

/// What separates the elements of a logical path.
pub(super) const SEPARATOR: char = '\\';

/// A logical path, or such a path with a name behind it, without what makes no
/// difference: separators at either end and more than one in a row. No path, an
/// empty one and a lone separator are all the root.
///
/// The reference writes paths both ways: `ebook\book1` and `\ebook\book1`. Any
/// other character counts, and so does the case of letters.
pub fn canonical_path(path: &str) -> Cow<'_, str> {
    let plain = !path.is_empty() && path.split(SEPARATOR).all(|element| !element.is_empty());
    if plain || path.is_empty() {
        return Cow::Borrowed(path);
    }
    let elements: Vec<&str> = path
        .split(SEPARATOR)
        .filter(|element| !element.is_empty())
        .collect();
    Cow::Owned(elements.join("\\"))
}

/// Whether one canonical path leads to another. The root leads nowhere: no component
/// stands there.
pub(super) fn is_above(upper: &str, lower: &str) -> bool {
    let rest = lower.strip_prefix(upper);
    !upper.is_empty() && rest.is_some_and(|rest| rest.starts_with(SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_that_say_nothing_are_left_out() {
        for (path, expected) in [
            ("", ""),
            ("\\", ""),
            ("\\\\", ""),
            ("a", "a"),
            ("\\ebook\\book1", "ebook\\book1"),
            ("ebook\\book1\\", "ebook\\book1"),
            ("ebook\\\\book1", "ebook\\book1"),
            ("a/b", "a/b"),
            (" \\ ", " \\ "),
        ] {
            assert_eq!(canonical_path(path), expected, "{path:?}");
        }
    }

    #[test]
    fn paths_lead_to_others_element_by_element() {
        assert!(is_above("a", "a\\b\\c"));
        assert!(is_above("a\\b", "a\\b\\c"));
        for (upper, lower) in [
            ("a", "a"),
            ("a", "ab\\c"),
            ("", "a"),
            ("", "\\a"),
            ("b", "a\\b"),
        ] {
            assert!(!is_above(upper, lower), "{upper:?} {lower:?}");
        }
    }
}
