//! Rust source as words, for finding items in it.

/// A word of Rust source. Comments are left out; so are lifetimes, characters and
/// numbers, which name nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name or a keyword.
    Word(String),
    /// A text, without its escapes undone.
    Text(String),
    /// Anything else.
    Mark(char),
}

impl Token {
    pub(crate) fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is_word(&self, wanted: &str) -> bool {
        self.word() == Some(wanted)
    }
}

/// The words of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut rest = source;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            after_comment(rest)
        } else if let Some((text, after)) = text(rest) {
            found.push(Token::Text(text.to_owned()));
            after
        } else if first == '\'' {
            after_quote(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let bare = rest.strip_prefix("r#").unwrap_or(rest);
            let end = bare
                .find(|one: char| !one.is_alphanumeric() && one != '_')
                .unwrap_or(bare.len());
            if !first.is_ascii_digit() {
                found.push(Token::Word(bare[..end].to_owned()));
            }
            &bare[end..]
        } else {
            if !first.is_whitespace() {
                found.push(Token::Mark(first));
            }
            &rest[first.len_utf8()..]
        };
    }
    found
}

fn after_comment(rest: &str) -> &str {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return &rest[at..];
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    ""
}

/// The text that starts here, if one does, and what comes behind it.
fn text(rest: &str) -> Option<(&str, &str)> {
    let bare = rest.trim_start_matches(['b', 'c']);
    if rest.len() - bare.len() > 1 {
        return None;
    }
    if let Some(raw) = bare.strip_prefix('r') {
        let inside = raw.trim_start_matches('#');
        let hashes = &raw[..raw.len() - inside.len()];
        let inside = inside.strip_prefix('"')?;
        let close = format!("\"{hashes}");
        let end = inside.find(&close)?;
        return Some((&inside[..end], &inside[end + close.len()..]));
    }
    let inside = bare.strip_prefix('"')?;
    let mut escaped = false;
    for (at, one) in inside.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Behind a character in quotes, or behind the quote of a lifetime.
fn after_quote(rest: &str) -> &str {
    let inside = &rest[1..];
    let mut characters = inside.char_indices();
    let Some((_, first)) = characters.next() else {
        return "";
    };
    if first == '\\' {
        // The escaped character may itself be a quote.
        let end = inside.get(2..).and_then(|more| more.find('\''));
        return end.map_or("", |end| &inside[end + 3..]);
    }
    match characters.next() {
        Some((at, '\'')) => &inside[at + 1..],
        _ => {
            let end = inside.find(|one: char| !one.is_alphanumeric() && one != '_');
            end.map_or("", |end| &inside[end..])
        }
    }
}

/// The place of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_u32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_words_among_everything_else() {
        let source = r##"/* a /* b */ c */ fn d<'e>(f: &'e str) { // g
            let h = ['"', '\'', 'i', 'é']; b"\"j"; r#"k"l"#; r#fn; 0x12 }"##;
        let words: Vec<_> = tokens(source)
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(word),
                Token::Text(text) => Some(format!("{text:?}")),
                Token::Mark(_) => None,
            })
            .collect();
        let expected = [
            "fn",
            "d",
            "f",
            "str",
            "let",
            "h",
            r#""\\\"j""#,
            r#""k\"l""#,
            "fn",
        ];
        assert_eq!(words, expected);
    }
}
