//! Text to a tree.
//!
//! quick-xml reads the events under our limits; it lets pass much that is not
//! XML, so roxmltree has the last word. It comes second because what it does on
//! hostile input is bounded only by those limits: its time and memory grow with
//! the square of the depth and of the attributes of one element.
//!
//! Line ends and tabs in attribute values stay what they are. A reader that
//! normalises them, as XML says, makes spaces of the line ends that the ASR
//! Writer puts into captions.

use super::{Fault, XmlElement, XmlNode, encoding};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::borrow::Cow;
use umbra_model::{VssCode, VssError, VssResult};

/// The largest document: 64 MiB. The largest seen has two; one hundred thousand
/// components in a Backup Components Document are twenty.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// The most elements in one document.
const MAX_ELEMENTS: usize = 2_000_000;
/// The deepest nesting; the schemas go to five.
const MAX_DEPTH: usize = 64;
/// The most attributes of one element; the schemas go to thirty.
const MAX_ATTRIBUTES: usize = 128;

/// The text of a document: UTF-8 or UTF-16.
pub(crate) fn decode(bytes: &[u8]) -> VssResult<Cow<'_, str>> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(VssError::new(
            VssCode::InvalidXmlDocument,
            format!(
                "the document is not valid at line 1, column 1: its {} bytes are more than the \
                 {MAX_DOCUMENT_BYTES} that a document may have",
                bytes.len()
            ),
        ));
    }
    encoding::text_of(bytes)
}

/// The root element of a document.
pub(crate) fn parse(text: &str) -> Result<XmlElement, Fault> {
    let root = Builder::new(text).build()?;
    gate(text)?;
    Ok(root)
}

/// Refuses what is not well-formed XML.
pub(crate) fn gate(text: &str) -> Result<(), Fault> {
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        ..roxmltree::ParsingOptions::default()
    };
    match roxmltree::Document::parse_with_options(text, options) {
        Ok(_) => Ok(()),
        Err(error) => {
            let place = error.pos();
            Err(Fault::at(
                offset_of(text, place.row, place.col),
                without_place(&error.to_string()),
            ))
        }
    }
}

/// The sentence of roxmltree without its own `at 1:2`, which ours repeats.
fn without_place(sentence: &str) -> &str {
    sentence
        .rsplit_once(" at ")
        .filter(|(_, place)| place.bytes().all(|one| one.is_ascii_digit() || one == b':'))
        .map_or(sentence, |(problem, _)| problem)
}

fn offset_of(text: &str, row: u32, column: u32) -> usize {
    let mut start = 0;
    for line in text
        .split_inclusive('\n')
        .take(row.saturating_sub(1) as usize)
    {
        start += line.len();
    }
    text[start..]
        .char_indices()
        .nth(column.saturating_sub(1) as usize)
        .map_or(text.len(), |(at, _)| start + at)
}

struct Builder<'a> {
    text: &'a str,
    /// Elements that are still open, outermost first.
    open: Vec<XmlElement>,
    root: Option<XmlElement>,
    elements: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            open: Vec::new(),
            root: None,
            elements: 0,
        }
    }

    fn build(mut self) -> Result<XmlElement, Fault> {
        let mut reader = Reader::from_str(self.text);
        loop {
            let offset = position(&reader);
            let event = reader
                .read_event()
                .map_err(|error| Fault::at(error_position(&reader), error.to_string()))?;
            match event {
                Event::Start(tag) => {
                    let element = self.element(&tag, offset)?;
                    self.open.push(element);
                    if self.open.len() > MAX_DEPTH {
                        let problem = format!("more than {MAX_DEPTH} elements inside each other");
                        return Err(Fault::at(offset, problem));
                    }
                }
                Event::Empty(tag) => {
                    let element = self.element(&tag, offset)?;
                    self.close(element, offset)?;
                }
                Event::End(_) => {
                    let element = self
                        .open
                        .pop()
                        .ok_or_else(|| Fault::at(offset, "an end tag without its start"))?;
                    self.close(element, offset)?;
                }
                Event::Text(text) => self.text(&unix_lines(&text), offset)?,
                Event::CData(text) => self.text(&unix_lines(&text), offset)?,
                Event::GeneralRef(name) => {
                    let character = reference(&name, offset)?;
                    self.text(character.encode_utf8(&mut [0; 4]), offset)?;
                }
                Event::Comment(text) => self.node(XmlNode::Comment(unix_lines(&text).into())),
                Event::PI(text) => self.node(XmlNode::Instruction(unix_lines(&text).into())),
                Event::Decl(_) => {}
                Event::DocType(_) => {
                    return Err(Fault::at(
                        offset,
                        "a document type is not allowed, nor are the entities it would define",
                    ));
                }
                Event::Eof => break,
            }
        }
        match (self.open.last(), self.root) {
            (Some(element), _) => Err(Fault::at(
                self.text.len(),
                format!("the document ends inside {:?}", element.name),
            )),
            (None, Some(root)) => Ok(root),
            (None, None) => Err(Fault::at(self.text.len(), "there is no element")),
        }
    }

    fn element(&mut self, tag: &BytesStart<'_>, offset: usize) -> Result<XmlElement, Fault> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(Fault::at(
                offset,
                format!("more than {MAX_ELEMENTS} elements"),
            ));
        }
        let mut element = XmlElement::new(tag.name().as_ref());
        element.offset = offset;
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| Fault::at(offset, error.to_string()))?;
            if element.attributes.len() == MAX_ATTRIBUTES {
                let problem = format!("more than {MAX_ATTRIBUTES} attributes of one element");
                return Err(Fault::at(offset, problem));
            }
            let value = unescape(&attribute.value, offset)?;
            element
                .attributes
                .push((attribute.key.as_ref().to_owned(), value));
        }
        Ok(element)
    }

    fn close(&mut self, element: XmlElement, offset: usize) -> Result<(), Fault> {
        if self.open.is_empty() {
            if self.root.is_some() {
                return Err(Fault::at(offset, "a second root element"));
            }
            self.root = Some(element);
        } else {
            self.node(XmlNode::Element(element));
        }
        Ok(())
    }

    /// Comments outside the root are not part of the document's content.
    fn node(&mut self, node: XmlNode) {
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(node);
        }
    }

    fn text(&mut self, more: &str, offset: usize) -> Result<(), Fault> {
        let Some(parent) = self.open.last_mut() else {
            return if more.chars().all(|one| one.is_ascii_whitespace()) {
                Ok(())
            } else {
                Err(Fault::at(offset, "text outside the root element"))
            };
        };
        if let Some(XmlNode::Text(text)) = parent.children.last_mut() {
            text.push_str(more);
        } else if !more.is_empty() {
            parent.children.push(XmlNode::Text(more.to_owned()));
        }
        Ok(())
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn error_position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.error_position()).unwrap_or(usize::MAX)
}

/// Line ends as XML has them: one line feed.
fn unix_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

fn unescape(raw: &str, offset: usize) -> Result<String, Fault> {
    let raw = unix_lines(raw);
    let mut rest = raw.as_ref();
    let mut value = String::with_capacity(rest.len());
    while let Some(start) = rest.find('&') {
        value.push_str(&rest[..start]);
        let Some((name, after)) = rest[start + 1..].split_once(';') else {
            return Err(Fault::at(offset, "an \"&\" that begins no reference"));
        };
        value.push(reference(name, offset)?);
        rest = after;
    }
    value.push_str(rest);
    Ok(value)
}

/// What one of the five references of XML, or a character reference, stands for.
fn reference(name: &str, offset: usize) -> Result<char, Fault> {
    let code = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => match name.strip_prefix("#x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => name
                .strip_prefix('#')
                .and_then(|digits| digits.parse().ok()),
        },
    };
    code.and_then(char::from_u32)
        .filter(|one| super::write::is_xml(*one))
        .ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            Fault::at(
                offset,
                format!("the reference {shown:?} stands for nothing"),
            )
        })
}
