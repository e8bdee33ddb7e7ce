//! Writes the page: `make reference`.

use std::{path::Path, process::ExitCode};
use umbra_reference::Reference;

fn main() -> ExitCode {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let written = Reference::read(&repository).and_then(|reference| {
        for problem in reference.missing.iter() {
            eprintln!("no answer: {problem}");
        }
        for problem in reference.wrong.iter() {
            eprintln!("wrong: {problem}");
        }
        let path = repository.join("docs/vss-reference.md");
        std::fs::write(&path, reference.page())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(reference.missing.is_empty() && reference.wrong.is_empty())
    });
    match written {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
