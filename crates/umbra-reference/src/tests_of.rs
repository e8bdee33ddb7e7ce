//! The tests of the crates, and which names each of them uses.

use crate::{
    sources::rust_files,
    tokens::{Token, closing, tokens},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The functions of a test file and of the modules beside it.
#[derive(Debug, Default)]
struct TestFile {
    tests: BTreeSet<String>,
    /// Which words stand in a function or a macro.
    bodies: BTreeMap<String, BTreeSet<String>>,
}

/// Test files, each read once.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    files: BTreeMap<String, Result<TestFile, String>>,
}

impl Tests {
    /// Checks that `FILE::NAME` is a test and that it, or a function of the test
    /// that it calls, uses the name `shown`.
    ///
    /// # Errors
    ///
    /// What is not so.
    pub(crate) fn check(
        &mut self,
        repository: &Path,
        test: &str,
        shown: &str,
    ) -> Result<(), String> {
        let (path, name) = test
            .split_once("::")
            .ok_or_else(|| format!("{test:?} is not FILE::TEST"))?;
        let file = self
            .files
            .entry(path.to_owned())
            .or_insert_with(|| read(repository, path));
        let file = file.as_ref().map_err(Clone::clone)?;
        if !file.tests.contains(name) {
            return Err(format!("{path} has no test {name}"));
        }
        if file.uses(name, shown) {
            Ok(())
        } else {
            Err(format!("the test {test} does not use {shown}"))
        }
    }
}

impl TestFile {
    fn uses(&self, test: &str, shown: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![test];
        while let Some(name) = open.pop() {
            let Some(words) = self.bodies.get(name) else {
                continue;
            };
            if words.contains(shown) {
                return true;
            }
            if seen.insert(name) {
                open.extend(words.iter().map(String::as_str));
            }
        }
        false
    }
}

/// Reads a test file. A file among the integration tests may use the modules in
/// the folders beside it, and a file in such a folder those of its folder.
fn read(repository: &Path, path: &str) -> Result<TestFile, String> {
    let whole = repository.join(path);
    let source = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut file = TestFile::default();
    let words = tokens(&source(&whole)?);
    file.tests(&words);
    file.bodies(&words);
    let folder = whole.parent().unwrap_or(repository);
    if whole.components().any(|part| part.as_os_str() == "tests") {
        let beside = rust_files(folder).map_err(|error| format!("{path}: {error}"))?;
        let top = folder.ends_with("tests");
        for other in beside {
            if other != whole && !(top && other.parent() == Some(folder)) {
                file.bodies(&tokens(&source(&other)?));
            }
        }
    }
    Ok(file)
}

impl TestFile {
    /// Functions with an attribute `#[test]`, `#[tokio::test]` or the like.
    fn tests(&mut self, words: &[Token]) {
        let mut is_test = false;
        let mut at = 0;
        while at < words.len() {
            let opens_attribute =
                words[at].is('#') && words.get(at + 1).is_some_and(|open| open.is('['));
            if opens_attribute {
                let close = closing(words, at + 1);
                let names = words[at + 2..close].iter().take_while(|word| !word.is('('));
                let last = names.filter_map(Token::word).last();
                is_test |= last == Some("test");
                at = close + 1;
                continue;
            }
            if words[at].is_word("fn") {
                if let (true, Some(name)) = (is_test, words.get(at + 1).and_then(Token::word)) {
                    self.tests.insert(name.to_owned());
                }
                is_test = false;
            }
            at += 1;
        }
    }

    /// Every function, method and macro with the words in its body, those of texts
    /// too: many a test writes down what happened in words.
    fn bodies(&mut self, words: &[Token]) {
        for (at, token) in words.iter().enumerate() {
            let name = match token.word() {
                Some("fn") => words.get(at + 1),
                Some("macro_rules") => words.get(at + 2),
                _ => continue,
            };
            let Some(name) = name.and_then(Token::word) else {
                continue;
            };
            let Some(open) = words[at..].iter().position(|word| word.is('{')) else {
                continue;
            };
            let open = at + open;
            let inside = &words[open..closing(words, open)];
            let known = self.bodies.entry(name.to_owned()).or_default();
            for token in inside {
                match token {
                    Token::Word(word) => {
                        known.insert(word.clone());
                    }
                    Token::Text(text) => {
                        let words = text.split(|one: char| !one.is_alphanumeric() && one != '_');
                        known.extend(words.map(str::to_owned));
                    }
                    Token::Mark(_) => {}
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
mod tests {
    use super::*;

    #[test]
    fn tells_tests_from_other_functions() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut tests = Tests::default();
        let mut check = |test: &str, shown: &str| tests.check(&repository, test, shown);
        let here = "crates/umbra-reference/src/tests_of.rs";
        let this = format!("{here}::tells_tests_from_other_functions");
        check(&this, "shown").unwrap();
        check(&this, &["label", "led"].concat()).unwrap_err();
        check(&format!("{here}::read"), "source").unwrap_err();
        check(&format!("{here}::nothing"), "source").unwrap_err();
        check("crates/nothing.rs::nothing", "source").unwrap_err();
        // Through a macro of the test; a property.
        let model = "crates/umbra-model/tests/vss_reference.rs::every_kind_has_its_number";
        check(model, "from_value").unwrap();
        let property = "crates/umbra-model/src/path_text.rs::nothing_is_lost";
        check(property, "text_to_bytes").unwrap();
    }
}
