//! Taking an element apart, field by field; what nobody took is kept.

use super::{AttributeValue, DocumentElement, ValueKind};
use crate::xml::{Fault, XmlElement, XmlNode};
use serde::Serialize;

/// What an element had that Umbra does not know. It is written back as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Extra {
    /// Unknown attributes, in the order of the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// Unknown elements, text, comments and instructions, in that order too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<XmlNode>,
}

impl Extra {
    /// Whether there was nothing unknown.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.nodes.is_empty()
    }

    /// Names everything in it, for people. Comments are no content.
    pub(crate) fn note(&self, tag: &str, notes: &mut Vec<String>) {
        for (name, _) in &self.attributes {
            notes.push(format!("the attribute {name} of {tag}"));
        }
        for node in &self.nodes {
            match node {
                XmlNode::Element(child) => {
                    notes.push(format!("the element {} in {tag}", child.name))
                }
                XmlNode::Text(_) => notes.push(format!("the text in {tag}")),
                XmlNode::Comment(_) | XmlNode::Instruction(_) => {}
            }
        }
    }
}

/// An element that is being taken apart.
pub(crate) struct Source {
    element: XmlElement,
    /// The namespace of the document; elements of another are unknown.
    namespace: &'static str,
}

impl Source {
    pub(crate) fn new(element: XmlElement, namespace: &'static str) -> Self {
        Self { element, namespace }
    }

    fn take_attribute(&mut self, name: &str) -> Option<String> {
        let at = self
            .element
            .attributes
            .iter()
            .position(|(other, _)| other == name)?;
        Some(self.element.attributes.remove(at).1)
    }

    fn take_children(&mut self, tag: &str) -> Vec<XmlElement> {
        let namespace = self.namespace;
        let ours = |node: &mut XmlNode| match node {
            XmlNode::Element(child) => {
                child.name == tag
                    && child
                        .attribute("xmlns")
                        .is_none_or(|other| other == namespace)
            }
            _ => false,
        };
        self.element
            .children
            .extract_if(.., ours)
            .filter_map(|node| match node {
                XmlNode::Element(child) => Some(child),
                _ => None,
            })
            .collect()
    }

    fn fault(&self, problem: String) -> Fault {
        Fault::at(self.element.offset, problem)
    }

    /// What is left, without the white space between tags.
    pub(crate) fn rest(self) -> Extra {
        let mut nodes: Vec<XmlNode> = Vec::new();
        for node in self.element.children {
            match (nodes.last_mut(), node) {
                (_, node) if node.is_blank() => {}
                (Some(XmlNode::Text(text)), XmlNode::Text(more)) => text.push_str(&more),
                (_, XmlNode::Element(mut element)) => {
                    drop_blanks(&mut element);
                    nodes.push(XmlNode::Element(element));
                }
                (_, node) => nodes.push(node),
            }
        }
        Extra {
            attributes: self.element.attributes,
            nodes,
        }
    }
}

/// Drops the white space between the tags of unknown elements. An element with
/// nothing but white space, or with other text, keeps it: there it may mean
/// something.
fn drop_blanks(element: &mut XmlElement) {
    let has_element = element
        .children
        .iter()
        .any(|node| !matches!(node, XmlNode::Text(_)));
    let has_text = element
        .children
        .iter()
        .any(|node| matches!(node, XmlNode::Text(_)) && !node.is_blank());
    if has_element && !has_text {
        element.children.retain(|node| !node.is_blank());
    }
    for node in &mut element.children {
        if let XmlNode::Element(child) = node {
            drop_blanks(child);
        }
    }
}

/// A field of an element that is an attribute of it.
pub(crate) trait AttributeField: Sized {
    const KIND: ValueKind;
    const REQUIRED: bool;

    fn take(source: &mut Source, name: &str) -> Result<Self, Fault>;
    fn put(&self, element: &mut XmlElement, name: &str);
    fn unknown_word(&self) -> Option<String>;
}

fn read_value<T: AttributeValue>(source: &Source, name: &str, text: &str) -> Result<T, Fault> {
    T::from_text(text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        source.fault(format!(
            "{}: the attribute {name} is {shown:?}, which is not {}",
            source.element.name,
            T::KIND.expected()
        ))
    })
}

impl<T: AttributeValue> AttributeField for T {
    const KIND: ValueKind = T::KIND;
    const REQUIRED: bool = true;

    fn take(source: &mut Source, name: &str) -> Result<Self, Fault> {
        match source.take_attribute(name) {
            Some(text) => read_value(source, name, &text),
            None => Err(source.fault(format!(
                "{}: the attribute {name} is missing",
                source.element.name
            ))),
        }
    }

    fn put(&self, element: &mut XmlElement, name: &str) {
        element.attributes.push((name.to_owned(), self.to_text()));
    }

    fn unknown_word(&self) -> Option<String> {
        (!self.is_known()).then(|| self.to_text())
    }
}

impl<T: AttributeValue> AttributeField for Option<T> {
    const KIND: ValueKind = T::KIND;
    const REQUIRED: bool = false;

    fn take(source: &mut Source, name: &str) -> Result<Self, Fault> {
        source
            .take_attribute(name)
            .map(|text| read_value(source, name, &text))
            .transpose()
    }

    fn put(&self, element: &mut XmlElement, name: &str) {
        if let Some(value) = self {
            value.put(element, name);
        }
    }

    fn unknown_word(&self) -> Option<String> {
        self.as_ref().and_then(AttributeField::unknown_word)
    }
}

/// A field of an element that is one or more elements inside it.
pub(crate) trait ChildField: Sized {
    type Item: DocumentElement;
    const REQUIRED: bool;
    const MANY: bool;

    fn take(source: &mut Source) -> Result<Self, Fault>;
    fn put(&self, element: &mut XmlElement);
    fn items(&self) -> &[Self::Item];
}

fn put_child(element: &mut XmlElement, child: &impl DocumentElement) {
    element.children.push(XmlNode::Element(child.to_element()));
}

impl<T: DocumentElement> ChildField for Vec<T> {
    type Item = T;
    const REQUIRED: bool = false;
    const MANY: bool = true;

    fn take(source: &mut Source) -> Result<Self, Fault> {
        source
            .take_children(T::TAG)
            .into_iter()
            .map(|child| T::from_source(Source::new(child, source.namespace)))
            .collect()
    }

    fn put(&self, element: &mut XmlElement) {
        for child in self {
            put_child(element, child);
        }
    }

    fn items(&self) -> &[T] {
        self
    }
}

impl<T: DocumentElement> ChildField for Option<T> {
    type Item = T;
    const REQUIRED: bool = false;
    const MANY: bool = false;

    fn take(source: &mut Source) -> Result<Self, Fault> {
        let mut children = source.take_children(T::TAG);
        if children.len() > 1 {
            let offset = children[1].offset;
            return Err(Fault::at(offset, format!("a second {}", T::TAG)));
        }
        children
            .pop()
            .map(|child| T::from_source(Source::new(child, source.namespace)))
            .transpose()
    }

    fn put(&self, element: &mut XmlElement) {
        if let Some(child) = self {
            put_child(element, child);
        }
    }

    fn items(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: DocumentElement> ChildField for T {
    type Item = T;
    const REQUIRED: bool = true;
    const MANY: bool = false;

    fn take(source: &mut Source) -> Result<Self, Fault> {
        <Option<T> as ChildField>::take(source)?
            .ok_or_else(|| source.fault(format!("{}: there is no {}", source.element.name, T::TAG)))
    }

    fn put(&self, element: &mut XmlElement) {
        put_child(element, self);
    }

    fn items(&self) -> &[T] {
        std::slice::from_ref(self)
    }
}
