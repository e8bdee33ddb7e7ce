//! What a document says, for comparing documents: nothing about the order of
//! attributes, the case of GUIDs or the white space between tags.

use roxmltree::{Document, Node};

/// One line for each element, attribute and text; equal texts say the same.
pub fn meaning(xml: &str) -> String {
    let document = Document::parse(xml).unwrap_or_else(|error| panic!("{error} in {xml}"));
    let mut lines = String::new();
    describe(document.root_element(), 0, &mut lines);
    lines
}

fn describe(node: Node<'_, '_>, level: usize, lines: &mut String) {
    let indent = " ".repeat(level);
    let tag = node.tag_name();
    lines.push_str(&format!("{indent}{:?} {}\n", tag.namespace(), tag.name()));
    let mut attributes: Vec<String> = node
        .attributes()
        .map(|one| {
            format!(
                "{indent} @{}={:?}\n",
                one.name(),
                value(one.name(), one.value())
            )
        })
        .collect();
    attributes.sort();
    lines.extend(attributes);
    let mut children: Vec<_> = node
        .children()
        .filter(|child| !child.is_text() || !child.text().unwrap_or("").trim().is_empty())
        .collect();
    // The order of elements of different names says nothing.
    children.sort_by_key(|child| child.tag_name().name().to_owned());
    for child in children {
        if child.is_element() {
            describe(child, level + 1, lines);
        } else {
            lines.push_str(&format!(
                "{indent} {:?} {:?}\n",
                child.node_type(),
                child.text()
            ));
        }
    }
}

/// GUIDs and yes-or-no mean the same in either case; a line end in an attribute
/// value is a space to most readers.
fn value(name: &str, value: &str) -> String {
    let plain = value.replace(['\n', '\t'], " ");
    let guid = name.ends_with("Id");
    let word = ["yes", "no"]
        .iter()
        .any(|word| plain.eq_ignore_ascii_case(word));
    if guid || word {
        plain.to_lowercase()
    } else {
        plain
    }
}
