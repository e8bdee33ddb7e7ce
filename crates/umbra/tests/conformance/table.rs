//! The table in docs/conformance.md is the one that is run.

use std::{collections::BTreeSet, fs, path::Path};

/// A row of the table.
pub struct Row {
    /// The test.
    pub name: &'static str,
    /// The page of the VSS documentation, by its file name without `.md`.
    pub page: &'static str,
    /// What the test shows.
    pub shows: &'static str,
}

const FIRST: &str = "| what is shown | page | test |\n| --- | --- | --- |\n";

fn table() -> String {
    let groups = [
        crate::backups::ROWS,
        crate::files::ROWS,
        crate::restores::ROWS,
        crate::failures::ROWS,
        crate::sets::ROWS,
    ];
    let mut table = FIRST.to_owned();
    for row in groups.into_iter().flatten() {
        table.push_str(&format!(
            "| {} | [{}](https://learn.microsoft.com/windows/win32/vss/{}) | `{}` |\n",
            row.shows, row.page, row.page, row.name
        ));
    }
    table
}

/// With `UMBRA_WRITE_TABLE` set, writes the table instead of comparing it.
#[test]
fn the_document_has_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    let text = fs::read_to_string(&file).unwrap();
    let start = text.find(FIRST).expect("the table in docs/conformance.md");
    let rest = &text[start..];
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    let table = table();
    if std::env::var_os("UMBRA_WRITE_TABLE").is_some() {
        let new = format!("{}{table}{}", &text[..start], &rest[end..]);
        fs::write(&file, new).unwrap();
        return;
    }
    assert_eq!(
        &rest[..end],
        table,
        "run this test with UMBRA_WRITE_TABLE=1 to write the table"
    );
}

#[test]
fn every_row_has_a_name_of_its_own() {
    let table = table();
    let names: Vec<_> = table
        .lines()
        .skip(2)
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    assert!(names.len() >= 30, "{}", names.len());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
