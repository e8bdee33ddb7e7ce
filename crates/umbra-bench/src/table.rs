//! Tables in Markdown.

use std::fmt;

/// A table whose first column is text and the others numbers.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        Self {
            rows: vec![headings.into_iter().map(Into::into).collect()],
        }
    }

    /// Adds a row with as many cells as there are headings.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|column| {
                let width = |row: &Vec<String>| row[column].chars().count();
                self.rows.iter().map(width).max().unwrap_or(0)
            })
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "| {cell:<width$} ")?,
                    _ => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    match column {
                        0 => write!(f, "| {} ", "-".repeat(*width))?,
                        _ => write!(f, "| {}: ", "-".repeat(width.saturating_sub(1)))?,
                    }
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// Milliseconds with three digits that mean something.
pub fn milliseconds(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".into(),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How many times as much.
pub fn ratio(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".into(),
        _ if value >= 10.0 => format!("{value:.0}×"),
        _ => format!("{value:.2}×"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_markdown_and_lines_up() {
        let mut table = Table::new(["what", "ms"]);
        table.row(["a", "1.00"]);
        table.row(["longer", "12"]);
        let expected = "\
            | what   |   ms |\n\
            | ------ | ---: |\n\
            | a      | 1.00 |\n\
            | longer |   12 |\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(milliseconds(0.7342), "0.73");
        assert_eq!(milliseconds(12.345), "12.3");
        assert_eq!(milliseconds(1234.5), "1234");
        assert_eq!(milliseconds(f64::NAN), "–");
        assert_eq!(ratio(1.199), "1.20×");
        assert_eq!(ratio(41.7), "42×");
    }
}
