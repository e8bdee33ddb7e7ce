//! One file specification, made ready to be compared with many names.

use crate::text_to_bytes;
use std::borrow::Cow;

/// Whose rules names follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PathStyle {
    /// Parts of a path are separated by `/`; names are bytes and are compared
    /// byte by byte.
    #[default]
    Linux,
    /// Parts of a path are separated by `\` or `/`; names are compared without
    /// regard to case. For documents that come from Windows.
    Windows,
}

/// Stray bytes are numbered behind the last character.
const STRAY: u32 = 0x11_0000;

/// A file specification (`IVssWMFiledesc::GetFilespec`): a name, or one with `*`
/// and `?`.
///
/// `*` is any number of characters, none too; `?` is exactly one. A character is
/// one of UTF-8, or one byte that is no part of UTF-8. A leading dot is a character
/// like any other: `*` takes hidden files too. A `*`, `?` or stray byte that is
/// meant to be itself is written as [`crate::bytes_to_text`] writes bytes, as
/// U+F700 plus its value; [`FileSpecification::text_of_name`] does so.
///
/// `*.*` means every name on Windows. On Linux a dot is a dot: it means names with
/// a dot in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpecification {
    shape: Shape,
    style: PathStyle,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Everything,
    Exact(Vec<u8>),
    /// `*` and then UTF-8, which ends a name only where a character begins.
    Ending(Vec<u8>),
    Pattern(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(u32),
    AnyOne,
    AnyRun,
}

impl FileSpecification {
    /// Reads a specification; any text is one.
    pub fn new(text: &str, style: PathStyle) -> Self {
        let wild = text.contains(['*', '?']);
        let everything = !text.is_empty() && text.bytes().all(|byte| byte == b'*');
        let shape = if everything || (style == PathStyle::Windows && text == "*.*") {
            Shape::Everything
        } else if wild {
            Self::pattern(text, style)
        } else {
            Shape::Exact(folded(&text_to_bytes(text), style).into_owned())
        };
        Self { shape, style }
    }

    fn pattern(text: &str, style: PathStyle) -> Shape {
        if let Some(ending) = text.strip_prefix('*')
            && style == PathStyle::Linux
            && !ending.contains(['*', '?'])
        {
            let bytes = text_to_bytes(ending);
            if std::str::from_utf8(&bytes).is_ok() {
                return Shape::Ending(bytes);
            }
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(['*', '?']).unwrap_or(rest.len());
            if end > 0 {
                let (literal, next) = rest.split_at(end);
                let bytes = text_to_bytes(literal);
                tokens.extend(characters(&bytes, style).map(Token::Character));
                rest = next;
                continue;
            }
            let token = if first == '*' {
                Token::AnyRun
            } else {
                Token::AnyOne
            };
            if token != Token::AnyRun || tokens.last() != Some(&Token::AnyRun) {
                tokens.push(token);
            }
            rest = &rest[1..];
        }
        Shape::Pattern(tokens)
    }

    /// The specification that means this name and no other, whatever is in it.
    pub fn text_of_name(name: &[u8]) -> String {
        let text = crate::bytes_to_text(name);
        text.replace('*', "\u{f72a}").replace('?', "\u{f73f}")
    }

    /// Whether it means the name.
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.shape {
            Shape::Everything => true,
            Shape::Exact(exact) => *exact == *folded(name, self.style),
            Shape::Ending(ending) => name.ends_with(ending),
            Shape::Pattern(tokens) => self.matches_tokens(tokens, name),
        }
    }

    /// Greedy, with one place to go back to: a later `*` makes an earlier one
    /// irrelevant, so the time is at most name times specification.
    fn matches_tokens(&self, tokens: &[Token], name: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        loop {
            let next = character(name, at, self.style);
            let fits = match (tokens.get(token), next) {
                (Some(Token::AnyRun), _) => {
                    back = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                (None, None) => return true,
                (Some(Token::AnyOne), Some((_, width))) => Some(width),
                (Some(Token::Character(wanted)), Some((found, width))) if *wanted == found => {
                    Some(width)
                }
                _ => None,
            };
            if let Some(width) = fits {
                token += 1;
                at += width;
                continue;
            }
            let Some((after_run, begun)) = back else {
                return false;
            };
            let Some((_, width)) = character(name, begun, self.style) else {
                return false;
            };
            back = Some((after_run, begun + width));
            (token, at) = (after_run, begun + width);
        }
    }

    /// The one name that it means, where it has no `*` and `?`; in upper case on
    /// Windows.
    pub fn exact_name(&self) -> Option<&[u8]> {
        match &self.shape {
            Shape::Exact(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it means every name.
    pub fn is_everything(&self) -> bool {
        self.shape == Shape::Everything
    }
}

/// A name in the form in which equal names are equal bytes.
pub(super) fn folded(name: &[u8], style: PathStyle) -> Cow<'_, [u8]> {
    match style {
        PathStyle::Linux => Cow::Borrowed(name),
        PathStyle::Windows => {
            let mut bytes = Vec::with_capacity(name.len());
            for one in characters(name, style) {
                match char::from_u32(one) {
                    Some(character) => {
                        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    // A stray byte: what it is numbered by fits a byte.
                    None => bytes.push((one - STRAY) as u8),
                }
            }
            Cow::Owned(bytes)
        }
    }
}

fn characters(name: &[u8], style: PathStyle) -> impl Iterator<Item = u32> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (found, width) = character(name, at, style)?;
        at += width;
        Some(found)
    })
}

/// The character that begins there, and how many bytes it takes.
fn character(name: &[u8], at: usize, style: PathStyle) -> Option<(u32, usize)> {
    let first = *name.get(at)?;
    let width = match first {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => 0,
    };
    let bytes = name.get(at..at + width).unwrap_or_default();
    let found = std::str::from_utf8(bytes).ok();
    let Some(found) = found.and_then(|text| text.chars().next()) else {
        return Some((STRAY + u32::from(first), 1));
    };
    let found = match style {
        PathStyle::Linux => found,
        PathStyle::Windows => upper_case(found),
    };
    Some((found.into(), width))
}

/// One character for one, as file systems of Windows compare: what becomes several
/// in upper case stays as it is.
fn upper_case(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes_to_text;
    use proptest::prelude::*;

    #[track_caller]
    fn check(style: PathStyle, specification: &str, yes: &[&[u8]], no: &[&[u8]]) {
        let compiled = FileSpecification::new(specification, style);
        for name in yes {
            let shown = name.escape_ascii();
            assert!(compiled.matches(name), "{specification:?} means {shown}");
        }
        for name in no {
            let shown = name.escape_ascii();
            assert!(!compiled.matches(name), "{specification:?} is not {shown}");
        }
    }

    #[test]
    fn names_are_bytes_on_linux() {
        let check = |specification, yes: &[&[u8]], no: &[&[u8]]| {
            check(PathStyle::Linux, specification, yes, no);
        };
        check("*", &[b"a", b".hidden", b"\xff", b"a.b"], &[]);
        check("*.*", &[b"a.b", b".hidden", b"a."], &[b"a"]);
        check("data", &[b"data"], &[b"Data", b"data ", b"dat", b"data1"]);
        check(
            "*.log",
            &[b"a.log", b".log", b"\xff.log"],
            &[b"a.LOG", b"a.log1"],
        );
        check(
            "log?",
            &[b"log1", "log\u{e9}".as_bytes(), b"log\xff"],
            &[b"log", b"log12"],
        );
        check(
            "??",
            &["\u{e9}\u{20ac}".as_bytes(), b"\xff\xfe"],
            &["\u{e9}".as_bytes()],
        );
        check("*??", &["a\u{20ac}".as_bytes()], &["\u{20ac}".as_bytes()]);
        check(
            "a*b*c",
            &[b"abc", b"a-b-b-c", b"abcbc"],
            &[b"ab", b"acb", b"abcd"],
        );
        check("a**?", &[b"ab", b"abc"], &[b"a"]);
        check("\u{f7ff}*", &[b"\xff", b"\xffa"], &[b"a", b"\xfe"]);
        check("a\u{f72a}b", &[b"a*b"], &[b"aab", b"ab"]);
        check("", &[b""], &[b"a"]);
        check("a/b", &[], &[b"a", b"b"]);
    }

    #[test]
    fn names_have_no_case_on_windows() {
        let check = |specification, yes: &[&[u8]], no: &[&[u8]]| {
            check(PathStyle::Windows, specification, yes, no);
        };
        check("*.*", &[b"a", b"a.b", b".b"], &[]);
        check("Data.MDB", &[b"data.mdb", b"DATA.mdb"], &[b"data.mdc"]);
        check("*.l?g", &[b"A.LOG", b"b.lag"], &[b"a.lg"]);
        check("\u{e4}*", &["\u{c4}rger".as_bytes()], &[b"arger"]);
        check("stra\u{df}e", &["STRA\u{df}E".as_bytes()], &[b"STRASSE"]);
    }

    #[test]
    fn a_name_can_be_said_whatever_is_in_it() {
        for name in [&b"a*?b"[..], b"\xff", b"plain", "\u{f72a}".as_bytes()] {
            let text = FileSpecification::text_of_name(name);
            let compiled = FileSpecification::new(&text, PathStyle::Linux);
            assert_eq!(compiled.exact_name(), Some(name));
        }
    }

    #[test]
    fn a_hostile_specification_takes_no_long_time() {
        let specification = "a*".repeat(500);
        let compiled = FileSpecification::new(&format!("{specification}b"), PathStyle::Linux);
        assert!(!compiled.matches(&b"a".repeat(255)));
    }

    /// What the rules say, without any thought of speed.
    fn naive(specification: &[Token], name: &[u32]) -> bool {
        match (specification.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((Token::AnyRun, rest)), None) => naive(rest, name),
            (Some((Token::AnyRun, rest)), Some((_, tail))) => {
                naive(rest, name) || naive(specification, tail)
            }
            (Some((Token::AnyOne, rest)), Some((_, tail))) => naive(rest, tail),
            (Some((Token::Character(one), rest)), Some((other, tail))) => {
                one == other && naive(rest, tail)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn fast_and_naive_agree(
            specification in prop::collection::vec(
                prop_oneof![Just("*"), Just("?"), Just("a"), Just("b"), Just("\u{e9}"),
                    Just("\u{f7c3}"), Just("\u{f7a9}")],
                0..8,
            ),
            name in prop::collection::vec(
                prop_oneof![Just(&b"a"[..]), Just(&b"b"[..]), Just("\u{e9}".as_bytes()),
                    Just(&b"\xc3"[..]), Just(&b"\xa9"[..])],
                0..8,
            ),
        ) {
            let text = specification.concat();
            let name = name.concat();
            // Runs of plain text are taken together, as bytes may join to characters.
            let mut tokens = Vec::new();
            for part in text.split_inclusive(['*', '?']) {
                let plain = part.trim_end_matches(['*', '?']);
                tokens.extend(characters(&text_to_bytes(plain), PathStyle::Linux)
                    .map(Token::Character));
                match part.chars().last() {
                    Some('*') => tokens.push(Token::AnyRun),
                    Some('?') => tokens.push(Token::AnyOne),
                    _ => {}
                }
            }
            let all: Vec<u32> = characters(&name, PathStyle::Linux).collect();
            let compiled = FileSpecification::new(&text, PathStyle::Linux);
            prop_assert_eq!(compiled.matches(&name), naive(&tokens, &all), "{} {:?}", text, name);
        }

        #[test]
        fn every_name_is_what_its_text_says(name in prop::collection::vec(any::<u8>(), 1..20)) {
            let text = bytes_to_text(&name).replace(['*', '?'], "?");
            prop_assert!(FileSpecification::new(&text, PathStyle::Linux).matches(&name));
        }
    }
}
