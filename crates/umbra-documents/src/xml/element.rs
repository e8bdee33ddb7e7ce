//! The tree of a document, and the part of one that Umbra does not know.

use serde::Serialize;

/// An element with everything in it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct XmlElement {
    /// Its name, with its prefix if it has one.
    pub name: String,
    /// Its attributes in the order of the document, unescaped.
    pub attributes: Vec<(String, String)>,
    /// What stands between its tags.
    pub children: Vec<XmlNode>,
    /// Where it begins in the text it was read from.
    #[serde(skip)]
    pub(crate) offset: usize,
}

/// One thing that stands between the tags of an element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum XmlNode {
    /// Another element.
    Element(XmlElement),
    /// Text, unescaped.
    Text(String),
    /// A comment.
    Comment(String),
    /// A processing instruction, as it stands between `<?` and `?>`.
    Instruction(String),
}

impl XmlElement {
    /// An empty element.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Elements are equal when they say the same, wherever they were read from.
impl PartialEq for XmlElement {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.attributes, &self.children)
            == (&other.name, &other.attributes, &other.children)
    }
}

impl Eq for XmlElement {}

impl XmlNode {
    /// Whether it is text of nothing but white space, as between two tags.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.chars().all(|one| one.is_ascii_whitespace()))
    }
}
