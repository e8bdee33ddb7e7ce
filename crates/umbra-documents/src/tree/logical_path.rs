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

/// The paths above a canonical one, nearest first; not the root.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        path.rsplit_once(SEPARATOR).map(|(above, _)| above)
    })
    .skip(1)
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
    fn paths_above_come_nearest_first() {
        assert_eq!(above("a\\b\\c").collect::<Vec<_>>(), ["a\\b", "a"]);
        assert_eq!(above("a").count(), 0);
        assert_eq!(above("").count(), 0);
    }
}
