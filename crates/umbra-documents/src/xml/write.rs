//! A tree to text, in one canonical form: UTF-8 without a byte order mark or a
//! declaration, as Windows writes it; one element a line, two spaces a level;
//! attributes in double quotes.

use super::{XmlElement, XmlNode};
use std::fmt::Write;
use umbra_model::{VssCode, VssError, VssResult};

/// Whether XML 1.0 can represent a character at all.
pub(super) fn is_xml(one: char) -> bool {
    matches!(one, '\t' | '\n' | '\r') || (one >= ' ' && !matches!(one, '\u{fffe}' | '\u{ffff}'))
}

/// The text of a document.
///
/// # Errors
///
/// `VSS_E_INVALID_XML_DOCUMENT` for a value with a character that XML cannot
/// represent, such as a control character.
pub(crate) fn write(root: &XmlElement) -> VssResult<String> {
    let mut out = String::new();
    element(&mut out, root, Some(0))?;
    out.push('\n');
    Ok(out)
}

/// Writes an element; indented, unless it stands among text.
fn element(out: &mut String, one: &XmlElement, level: Option<usize>) -> VssResult<()> {
    indent(out, level);
    let _ = write!(out, "<{}", one.name);
    for (name, value) in &one.attributes {
        let _ = write!(out, " {name}=\"");
        escape(out, value, name)?;
        out.push('"');
    }
    if one.children.is_empty() {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    let mixed = one
        .children
        .iter()
        .any(|node| matches!(node, XmlNode::Text(_)));
    let inner = level.filter(|_| !mixed).map(|level| level + 1);
    for node in &one.children {
        match node {
            XmlNode::Element(child) => element(out, child, inner)?,
            XmlNode::Text(text) => escape(out, text, &one.name)?,
            XmlNode::Comment(text) => {
                indent(out, inner);
                let _ = write!(out, "<!--{text}-->");
            }
            XmlNode::Instruction(text) => {
                indent(out, inner);
                let _ = write!(out, "<?{text}?>");
            }
        }
    }
    indent(out, inner.and(level));
    let _ = write!(out, "</{}>", one.name);
    Ok(())
}

fn indent(out: &mut String, level: Option<usize>) {
    if let Some(level) = level.filter(|_| !out.is_empty()) {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

fn escape(out: &mut String, text: &str, of: &str) -> VssResult<()> {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // Every reader would make spaces or line feeds of these.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other if is_xml(other) => out.push(other),
            other => {
                return Err(VssError::new(
                    VssCode::InvalidXmlDocument,
                    format!(
                        "cannot write the document: {of} has the character U+{:04X}, which XML \
                         cannot represent",
                        u32::from(other)
                    ),
                ));
            }
        }
    }
    Ok(())
}
