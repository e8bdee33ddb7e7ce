//! Tables without lines, that wrap inside their columns.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// A column's heading, and whether what stands in it may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Never broken: ids, words, numbers.
    Whole(&'static str),
    /// Broken where the line would be too long: paths and sentences.
    Broken(&'static str),
}

/// The lines of a table of at most `width` columns, where its unbreakable
/// columns allow it; each line ends with a line feed, without trailing blanks.
pub fn table(columns: &[Column], rows: Vec<Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(columns.iter().map(|column| match column {
            Column::Whole(heading) | Column::Broken(heading) => *heading,
        }))
        .add_rows(rows);
    for (column, definition) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if let Column::Whole(_) = definition {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_sentences_and_keeps_ids_whole() {
        let id = "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d";
        let why = "the file system's driver has no way to hold it still while it is copied, and \
                   nothing under it can make a copy";
        let text = table(
            &[Column::Whole("ID"), Column::Broken("WHY")],
            vec![vec![id.into(), why.into()]],
            80,
        );
        assert!(text.contains(id), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.lines().count() > 2, "{text}");
    }
}
