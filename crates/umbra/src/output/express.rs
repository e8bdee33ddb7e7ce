//! Documents of express writers, as they are printed.

use super::{
    Listing, path_text, plain,
    table::{Column, table},
};
use serde::Serialize;
use umbra_client::ExpressWriterEntry;

/// A document, and the writer that it makes or why it makes none.
#[derive(Debug, Clone, Serialize)]
pub struct ExpressWriterView {
    /// The file.
    pub file: String,
    /// The writer's class; none where the document makes no writer.
    pub id: Option<String>,
    /// Its instance.
    pub instance_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its components, by full path.
    pub components: Vec<String>,
    /// Why the document makes no writer.
    pub problem: Option<String>,
}

impl ExpressWriterView {
    /// The view of a document.
    pub fn new(entry: &ExpressWriterEntry) -> Self {
        let file = path_text(&entry.file);
        match &entry.writer {
            Ok(writer) => Self {
                file,
                id: Some(writer.identity.id.to_string()),
                instance_id: Some(writer.identity.instance.to_string()),
                name: Some(plain(&writer.identity.name)),
                components: writer
                    .components
                    .iter()
                    .map(|component| plain(&component.full_path()))
                    .collect(),
                problem: None,
            },
            Err(problem) => Self {
                file,
                id: None,
                instance_id: None,
                name: None,
                components: Vec::new(),
                problem: Some(plain(problem.message())),
            },
        }
    }
}

impl Listing for Vec<ExpressWriterView> {
    fn text(&self, width: u16) -> String {
        if self.is_empty() {
            return "There are no express writers.\n".into();
        }
        let rows: Vec<_> = self
            .iter()
            .filter_map(|view| {
                let (id, name) = (view.id.clone()?, view.name.clone()?);
                Some(vec![id, name, view.file.clone()])
            })
            .collect();
        let mut text = String::new();
        if !rows.is_empty() {
            let columns = [
                Column::Whole("ID"),
                Column::Broken("WRITER"),
                Column::Broken("FILE"),
            ];
            text.push_str(&table(&columns, rows, width));
        }
        for view in self {
            if let Some(problem) = &view.problem {
                text.push_str(&format!("{}: no writer: {problem}\n", view.file));
            }
        }
        text
    }
}
