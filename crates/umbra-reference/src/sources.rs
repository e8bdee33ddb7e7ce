//! The public items of the crates, found in their sources.
//!
//! The compiler would know them better, but it shows them to nightly tools only,
//! and half of the vocabulary is made by macros, which `syn` does not look into.
//! So the sources are read as words: what a type has in its body, in its `impl`s
//! and in the macro calls that name it.

use crate::tokens::{Token, closing, tokens};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// A type, trait, function or constant, by its name.
#[derive(Debug, Default)]
struct Item {
    /// Where it is defined; relative to the repository.
    file: PathBuf,
    /// Its fields, values, functions and constants, and where each is defined.
    members: BTreeMap<String, PathBuf>,
}

/// What one crate has.
#[derive(Debug, Default)]
struct Crate {
    items: BTreeMap<String, Item>,
    /// What other crates can name: a path of modules, and names there.
    exports: BTreeSet<String>,
    /// The members that a macro of the crate gives to the types it is called with.
    macros: BTreeMap<String, BTreeSet<String>>,
    /// The names that stand before a text, as `Full` before `"VSS_BT_FULL"`.
    labels: BTreeMap<(PathBuf, String), String>,
}

/// The sources of the workspace.
#[derive(Debug)]
pub(crate) struct Sources {
    crates: BTreeMap<String, Crate>,
}

impl Sources {
    /// Reads the sources of every crate.
    pub(crate) fn read(repository: &Path) -> io::Result<Self> {
        let mut crates = BTreeMap::new();
        for entry in fs::read_dir(repository.join("crates"))? {
            let folder = entry?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if folder.join("src/lib.rs").exists() {
                crates.insert(name.replace('-', "_"), read_crate(repository, &folder)?);
            }
        }
        Ok(Self { crates })
    }

    /// The file that defines an item: `crate::Type`, `crate::Type::member`,
    /// `crate::function`, also with modules that are public.
    ///
    /// # Errors
    ///
    /// What is not there.
    pub(crate) fn resolve(&self, path: &str) -> Result<&Path, String> {
        let mut parts = path.split("::");
        let name = parts.next().unwrap_or_default();
        let code = self
            .crates
            .get(name)
            .ok_or_else(|| format!("{path}: there is no crate {name}"))?;
        let parts: Vec<&str> = parts.collect();
        let (modules, rest) = parts.split_at(
            parts
                .iter()
                .position(|part| !code.exports.contains(&format!("mod {part}")))
                .unwrap_or(parts.len()),
        );
        let mut rest = rest.iter();
        let top = *rest.next().ok_or_else(|| format!("{path} names no item"))?;
        let exported = modules.iter().chain([&top]).copied().collect::<Vec<_>>();
        if !code.exports.contains(&exported.join("::")) {
            return Err(format!("{path}: {name} does not export {top}"));
        }
        let item = code
            .items
            .get(top)
            .ok_or_else(|| format!("{path}: {name} does not define {top}"))?;
        match (rest.next(), rest.next()) {
            (None, _) => Ok(&item.file),
            (Some(member), None) => item
                .members
                .get(*member)
                .map(PathBuf::as_path)
                .ok_or_else(|| format!("{path}: {top} has no public {member}")),
            (Some(_), Some(more)) => Err(format!("{path}: {more} is too deep")),
        }
    }

    /// The value of a type that has this name in the reference: the word before
    /// the text in the type's file.
    pub(crate) fn labelled(&self, path: &str, text: &str) -> Option<&str> {
        let file = self.resolve(path).ok()?.to_owned();
        let code = self.crates.get(path.split("::").next()?)?;
        code.labels
            .get(&(file, text.to_owned()))
            .map(String::as_str)
    }
}

/// Every Rust file below a folder, sorted.
pub(crate) fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_crate(repository: &Path, folder: &Path) -> io::Result<Crate> {
    let mut code = Crate::default();
    let mut calls = Vec::new();
    for path in rust_files(&folder.join("src"))? {
        let words = tokens(&fs::read_to_string(&path)?);
        let file = path.strip_prefix(repository).unwrap_or(&path).to_owned();
        if path.ends_with("src/lib.rs") {
            exports(&words, "", folder, &mut code)?;
        }
        labels(&words, &file, &mut code);
        let mut reader = Reader {
            file: &file,
            code: &mut code,
            calls: &mut calls,
        };
        reader.items(&words);
    }
    for call in calls {
        let members = code.macros.get(&call.name).cloned().unwrap_or_default();
        for named in call.names {
            if let Some(item) = code.items.get_mut(&named) {
                for member in &members {
                    let members = &mut item.members;
                    members.entry(member.clone()).or_insert(call.file.clone());
                }
            }
        }
    }
    Ok(code)
}

/// A call of a macro, with the names that stand in it.
struct Call {
    name: String,
    names: Vec<String>,
    file: PathBuf,
}

/// What a module shows to other crates: its `pub use`s, its public items, and
/// those of the modules in it that are public themselves.
fn exports(words: &[Token], prefix: &str, folder: &Path, code: &mut Crate) -> io::Result<()> {
    let mut depth = 0_u32;
    for (at, token) in words.iter().enumerate() {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_public = depth == 0
            && token.is_word("pub")
            && words.get(at + 1).is_some_and(|next| !next.is('('));
        if !is_public {
            continue;
        }
        let rest = &words[at + 1..];
        match rest.first().and_then(Token::word) {
            Some("use") => {
                let end = rest.iter().position(|token| token.is(';'));
                let names = &rest[1..end.unwrap_or(rest.len())];
                for (at, name) in names.iter().enumerate() {
                    let is_last = names
                        .get(at + 1)
                        .is_none_or(|next| next.is(',') || next.is('}'));
                    if let (true, Some(name)) = (is_last, name.word()) {
                        code.exports.insert(format!("{prefix}{name}"));
                    }
                }
            }
            Some("mod") => {
                let name = rest.get(1).and_then(Token::word).unwrap_or_default();
                code.exports.insert(format!("mod {name}"));
                let files = [
                    folder.join(format!("src/{name}.rs")),
                    folder.join(format!("src/{name}/mod.rs")),
                ];
                if let Some(file) = files.iter().find(|file| file.exists()) {
                    let inner = tokens(&fs::read_to_string(file)?);
                    exports(&inner, &format!("{prefix}{name}::"), folder, code)?;
                }
            }
            _ => {
                if let Some((_, name)) = definition(rest) {
                    code.exports.insert(format!("{prefix}{name}"));
                }
            }
        }
    }
    Ok(())
}

const KINDS: [&str; 8] = [
    "struct", "enum", "union", "trait", "type", "const", "static", "fn",
];

/// The kind and the name of the item that starts here, behind its `pub`.
fn definition(words: &[Token]) -> Option<(&'static str, &str)> {
    let qualifiers = ["async", "unsafe", "extern", "const"];
    let mut at = 0;
    // `const` is a qualifier only before `fn` and its like.
    while words.get(at).and_then(Token::word).is_some_and(|word| {
        qualifiers.contains(&word)
            && words
                .get(at + 1)
                .and_then(Token::word)
                .is_some_and(|next| next == "fn" || qualifiers.contains(&next))
    }) {
        at += 1;
    }
    let kind = words.get(at)?.word()?;
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    Some((kind, words.get(at + 1)?.word()?))
}

fn labels(words: &[Token], file: &Path, code: &mut Crate) {
    let mut last = None;
    for token in words {
        match token {
            Token::Word(word) => last = Some(word),
            Token::Text(text) => {
                if let Some(word) = last {
                    let key = (file.to_owned(), text.clone());
                    code.labels.entry(key).or_insert(word.clone());
                }
            }
            Token::Mark(_) => {}
        }
    }
}

struct Reader<'a> {
    file: &'a Path,
    code: &'a mut Crate,
    calls: &'a mut Vec<Call>,
}

impl Reader<'_> {
    fn define(&mut self, name: &str) {
        let item = self.code.items.entry(name.to_owned()).or_default();
        item.file = self.file.to_owned();
    }

    fn add_member(&mut self, owner: &str, member: &str) {
        let item = self.code.items.entry(owner.to_owned()).or_default();
        if item.file.as_os_str().is_empty() {
            item.file = self.file.to_owned();
        }
        let file = self.file.to_owned();
        item.members.entry(member.to_owned()).or_insert(file);
    }

    /// Items of a module, or of a macro's rule.
    fn items(&mut self, words: &[Token]) {
        let mut at = 0;
        while at < words.len() {
            at = self.item(words, at);
        }
    }

    /// Reads the item at this place and returns the place behind it.
    fn item(&mut self, words: &[Token], at: usize) -> usize {
        let rest = &words[at..];
        let first = rest[0].word();
        if let Some((kind, name)) = definition(rest) {
            let is_type = matches!(kind, "struct" | "enum" | "union" | "trait");
            self.define(name);
            let end = at + end_of_item(rest);
            if is_type && let Some((open, close)) = body(rest) {
                let inside = &rest[open + 1..close];
                match kind {
                    "trait" => self.functions(name, inside, Visibility::Whole),
                    "enum" => self.values(name, inside),
                    _ => self.fields(name, inside, Visibility::Marked),
                }
            }
            return end;
        }
        match first {
            Some("impl") => {
                if let Some((open, close)) = body(rest) {
                    self.implementation(&rest[1..open], &rest[open + 1..close]);
                    return at + close + 1;
                }
            }
            Some("mod") if rest.get(1).is_some_and(|name| name.is_word("tests")) => {
                return at + body(rest).map_or(1, |(_, close)| close + 1);
            }
            Some("macro_rules") => {
                if let Some((open, close)) = body(rest) {
                    let name = rest.get(2).and_then(Token::word).unwrap_or_default();
                    self.rules(name, &rest[open + 1..close]);
                    return at + close + 1;
                }
            }
            Some(name) if rest.get(1).is_some_and(|mark| mark.is('!')) && rest.len() > 2 => {
                let close = closing(rest, 2);
                self.call(name, &rest[3..close.max(3)]);
                return at + close + 1;
            }
            _ => {}
        }
        at + 1
    }

    /// The rules of a macro: what they define under names of their own, and what
    /// they give to the types that the macro is called with.
    fn rules(&mut self, name: &str, words: &[Token]) {
        let mut given = BTreeSet::new();
        for (at, token) in words.iter().enumerate() {
            if !token.is_word("impl") {
                continue;
            }
            let rest = &words[at..];
            let Some((open, close)) = body(rest) else {
                continue;
            };
            let head = &rest[1..open];
            let inside = &rest[open + 1..close];
            if head.len() >= 2 && head[head.len() - 2].is('$') {
                let is_trait = head.iter().any(|word| word.is_word("for"));
                given.extend(members(inside, Visibility::of(is_trait)));
            } else {
                self.implementation(head, inside);
            }
        }
        for (at, token) in words.iter().enumerate() {
            let is_type = ["struct", "enum", "trait"]
                .iter()
                .any(|kind| token.is_word(kind));
            if let (true, Some(name)) = (is_type, words.get(at + 1).and_then(Token::word)) {
                self.define(name);
            }
        }
        let known = self.code.macros.entry(name.to_owned()).or_default();
        known.extend(given);
    }

    /// A call of a macro that defines items: `Name { … }` and `Name = "TAG" { … }`
    /// are types with fields or values, a name alone is a type.
    fn call(&mut self, name: &str, words: &[Token]) {
        let words: Vec<Token> = without_attributes(words);
        let mut names = Vec::new();
        for (at, token) in words.iter().enumerate() {
            let Some(word) = token.word() else { continue };
            names.push(word.to_owned());
            let mut next = at + 1;
            if words.get(next).is_some_and(|mark| mark.is('='))
                && matches!(words.get(next + 1), Some(Token::Text(_)))
            {
                next += 2;
            }
            if words.len() == 1 {
                self.define(word);
            } else if words.get(next).is_some_and(|mark| mark.is('{')) {
                self.define(word);
                let inside = &words[next + 1..closing(&words, next)];
                self.fields(word, inside, Visibility::Whole);
                self.values(word, inside);
            }
        }
        self.calls.push(Call {
            name: name.to_owned(),
            names,
            file: self.file.to_owned(),
        });
    }

    /// An `impl` of a type: behind `for` where there is one.
    fn implementation(&mut self, head: &[Token], inside: &[Token]) {
        let is_trait = head.iter().position(|word| word.is_word("for"));
        let type_path = &head[is_trait.map_or(0, |at| at + 1)..];
        let type_path = match type_path.first() {
            Some(mark) if mark.is('<') => &type_path[closing_angle(type_path)..],
            _ => type_path,
        };
        let end = type_path
            .iter()
            .position(|token| token.is('<') || token.is_word("where"))
            .unwrap_or(type_path.len());
        if let Some(owner) = type_path[..end].iter().rev().find_map(Token::word) {
            let owner = owner.to_owned();
            self.functions(&owner, inside, Visibility::of(is_trait.is_some()));
        }
    }

    fn functions(&mut self, owner: &str, words: &[Token], visibility: Visibility) {
        for member in members(words, visibility) {
            self.add_member(owner, &member);
        }
    }

    /// `name:` at the top of a body: the fields of a struct that are public, or
    /// those in the call of a macro, which makes them public.
    fn fields(&mut self, owner: &str, words: &[Token], visibility: Visibility) {
        let words = without_attributes(words);
        for (at, token) in top_level(&words) {
            let is_field = words.get(at + 1).is_some_and(|mark| mark.is(':'))
                && words.get(at + 2).is_none_or(|mark| !mark.is(':'))
                && (at == 0 || !words[at - 1].is(':'))
                && (visibility == Visibility::Whole || at > 0 && words[at - 1].is_word("pub"));
            if let (true, Some(name)) = (is_field, token.word()) {
                let name = name.to_owned();
                self.add_member(owner, &name);
            }
        }
    }

    /// Names at the top of a body that stand alone, or before a value or fields.
    fn values(&mut self, owner: &str, words: &[Token]) {
        let words = without_attributes(words);
        for (at, token) in top_level(&words) {
            let starts = at == 0 || matches!(words[at - 1], Token::Mark(',' | ';'));
            let ends = words
                .get(at + 1)
                .is_none_or(|mark| matches!(mark, Token::Mark(',' | ';' | '=' | '(' | '{')));
            if let (true, true, Some(name)) = (starts, ends, token.word()) {
                let name = name.to_owned();
                self.add_member(owner, &name);
            }
        }
    }
}

/// What of a body can be named outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visibility {
    /// All of it: a trait, and what a macro makes public.
    Whole,
    /// What is marked `pub`.
    Marked,
}

impl Visibility {
    fn of(is_trait: bool) -> Self {
        if is_trait { Self::Whole } else { Self::Marked }
    }
}

/// The functions and constants at the top of a body.
fn members(words: &[Token], visibility: Visibility) -> Vec<String> {
    let words = without_attributes(words);
    let mut found = Vec::new();
    let mut public = false;
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        if rest[0].is_word("pub") {
            public = rest.get(1).is_some_and(|next| !next.is('('));
            at += if public { 1 } else { closing(rest, 1) + 1 };
        } else if let Some((_, name)) = definition(rest) {
            if public || visibility == Visibility::Whole {
                found.push(name.to_owned());
            }
            public = false;
            at += end_of_item(rest);
        } else {
            at += 1;
        }
    }
    found
}

/// The words that stand in no bracket of their own.
fn top_level(words: &[Token]) -> impl Iterator<Item = (usize, &Token)> {
    let mut depth = 0_u32;
    words.iter().enumerate().filter(move |(_, token)| {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

fn without_attributes(words: &[Token]) -> Vec<Token> {
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let is_attribute = words[at].is('#') && words.get(at + 1).is_some_and(|open| open.is('['));
        if is_attribute {
            at = closing(words, at + 1) + 1;
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

/// The braces of the item that starts here, if it has any before its `;`.
fn body(words: &[Token]) -> Option<(usize, usize)> {
    let mut at = 0;
    while at < words.len() {
        match &words[at] {
            Token::Mark('{') => return Some((at, closing(words, at))),
            Token::Mark('(' | '[') => at = closing(words, at),
            Token::Mark(';') => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place behind the item that starts here.
fn end_of_item(words: &[Token]) -> usize {
    match body(words) {
        Some((_, close)) => close + 1,
        None => {
            let mut at = 0;
            while at < words.len() && !words[at].is(';') {
                let opens = matches!(words[at], Token::Mark('(' | '[' | '{'));
                at = if opens { closing(words, at) } else { at } + 1;
            }
            at + 1
        }
    }
}

/// The place behind the `<…>` that starts here.
fn closing_angle(words: &[Token]) -> usize {
    let mut depth = 0_u32;
    for (at, token) in words.iter().enumerate() {
        if token.is('<') {
            depth += 1;
        } else if token.is('>') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at + 1;
            }
        }
    }
    words.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Sources::read(&repository).unwrap()
    }

    #[test]
    fn finds_items_of_every_kind() {
        let sources = sources();
        for (path, file) in [
            // A struct, its field, its function.
            (
                "umbra_documents::FileSet",
                "umbra-documents/src/file_set.rs",
            ),
            (
                "umbra_documents::FileSet::path",
                "umbra-documents/src/file_set.rs",
            ),
            (
                "umbra_documents::FileSet::tree",
                "umbra-documents/src/file_set.rs",
            ),
            // An enumeration and its value.
            ("umbra_model::Context::All", "umbra-model/src/context.rs"),
            // A trait and its function; a function and a constant by themselves.
            (
                "umbra_writer::Writer::freeze",
                "umbra-writer/src/contract.rs",
            ),
            ("umbra_client::run_writer", "umbra-client/src/writer.rs"),
            (
                "umbra_documents::WRITER_METADATA_SCHEMA",
                "umbra-documents/src/writer_document.rs",
            ),
            // What macros make.
            ("umbra_model::SetId", "umbra-model/src/id.rs"),
            ("umbra_model::BackupType::Full", "umbra-model/src/kind.rs"),
            (
                "umbra_model::BackupType::from_name",
                "umbra-model/src/kind.rs",
            ),
            ("umbra_model::VssCode::hresult", "umbra-model/src/code.rs"),
            (
                "umbra_documents::ChosenComponent::backup_stamp",
                "umbra-documents/src/components_document.rs",
            ),
            (
                "umbra_documents::BackupComponentsDocument::to_xml",
                "umbra-documents/src/document.rs",
            ),
        ] {
            assert_eq!(
                sources.resolve(path),
                Ok(Path::new("crates").join(file).as_path()),
                "{path}"
            );
        }
    }

    #[test]
    fn finds_nothing_that_is_not_there() {
        let sources = sources();
        for path in [
            "umbra_nothing::X",
            "umbra_model",
            "umbra_documents::FileSet::paths",
            "umbra_documents::FileSet::path::deeper",
            "umbra_documents::file_set::FileSet",
            // Private: a function of a type, a function of the crate, a type.
            "umbra_writer::EventComponent::set",
            "umbra_documents::is_plain_absolute",
            "umbra_documents::Fault",
            "umbra_model::Context::Full",
        ] {
            assert!(sources.resolve(path).is_err(), "{path}");
        }
    }

    #[test]
    fn knows_which_value_has_a_name_of_the_reference() {
        let sources = sources();
        for (path, text, value) in [
            ("umbra_model::BackupType", "VSS_BT_FULL", Some("Full")),
            ("umbra_model::Context", "VSS_CTX_ALL", Some("All")),
            (
                "umbra_model::Attributes",
                "VSS_VOLSNAP_ATTR_PLEX",
                Some("PLEX"),
            ),
            ("umbra_model::VssCode", "VSS_E_BAD_STATE", Some("BadState")),
            ("umbra_model::BackupType", "VSS_E_BAD_STATE", None),
        ] {
            assert_eq!(sources.labelled(path, text), value, "{text}");
        }
    }
}
