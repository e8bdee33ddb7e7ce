//! Reads, checks and rewrites VSS documents, and tells what a selection means. Needs no service.

use super::{input, selection::select};
use crate::{
    command_line::DocumentArguments,
    failure::Failure,
    output::{DocumentView, Format, path_text, plain, print, print_text, tell},
};
use std::path::Path;
use umbra_documents::{Document, MAX_DOCUMENT_BYTES};
use umbra_model::{VssCode, VssError};

pub(super) fn document(arguments: &DocumentArguments) -> Result<(), Failure> {
    if arguments.check {
        return check(&arguments.files);
    }
    if let Some(names) = &arguments.select {
        let documents = arguments.files.iter().map(|file| read(file));
        let documents = documents.collect::<Result<Vec<_>, _>>()?;
        return select(documents, names, Format::of(&arguments.listing));
    }
    let mut views = Vec::new();
    for file in &arguments.files {
        let document = read(file)?;
        if arguments.rewrite {
            print_text(&document.to_xml()?)?;
        } else {
            views.push(DocumentView::new(path_text(file), document));
        }
    }
    if arguments.rewrite {
        return Ok(());
    }
    print(&views, Format::of(&arguments.listing))
}

/// Looks at every file, whatever the others are.
fn check(files: &[impl AsRef<Path>]) -> Result<(), Failure> {
    let mut first = None;
    for file in files {
        let name = path_text(file.as_ref());
        match read(file.as_ref()) {
            Ok(document) => {
                let mut lines = format!("{name}: valid\n");
                for note in document.unknown() {
                    lines.push_str(&format!("{name}: kept, but not known: {}\n", plain(&note)));
                }
                print_text(&lines)?;
            }
            Err(failure) if first.is_none() => first = Some(failure),
            Err(failure) => tell(failure),
        }
    }
    first.map_or(Ok(()), Err)
}

fn read(file: &Path) -> Result<Document, Failure> {
    let name = path_text(file);
    let bytes = input::read(file, MAX_DOCUMENT_BYTES)?;
    Document::read(&bytes).map_err(|error| {
        let why = plain(error.message());
        VssError::new(VssCode::InvalidXmlDocument, format!("{name}: {why}")).into()
    })
}
