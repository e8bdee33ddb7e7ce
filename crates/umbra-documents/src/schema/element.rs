//! The elements of a schema, described once.

use super::{Source, ValueKind};
use crate::xml::{self, XmlElement};
use umbra_model::VssResult;

/// What the schema says of one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeRule {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ValueKind,
    /// Whether it must be there.
    pub required: bool,
}

/// What the schema says of the elements of one name inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRule {
    /// The element.
    pub element: ElementRule,
    /// Whether there must be one.
    pub required: bool,
    /// Whether there may be more than one.
    pub many: bool,
}

/// What the schema says of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementRule {
    /// Its name.
    pub tag: &'static str,
    /// Its attributes, in the order in which they are written.
    pub attributes: Vec<AttributeRule>,
    /// The elements inside it, in that order too.
    pub children: Vec<ChildRule>,
}

/// An element of one of the two schemas.
pub trait DocumentElement: Sized {
    /// Its name.
    const TAG: &'static str;

    /// What the schema says of it.
    fn rule() -> ElementRule;

    /// The element as XML.
    fn to_element(&self) -> XmlElement;

    /// Adds a note for each thing in it that Umbra does not know.
    fn note_unknown(&self, notes: &mut Vec<String>);

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "nobody outside reads an element alone")]
    fn from_source(source: Source) -> Result<Self, xml::Fault>;
}

/// Describes elements: before the `;` the fields that are attributes, with their
/// names, behind it those that are elements. Reading, writing and the rule of the
/// schema all come from it.
macro_rules! element_types {
    ($($(#[$doc:meta])* $name:ident = $tag:literal {
        $($(#[$attribute_doc:meta])* $attribute:ident: $value:ty = $text:literal,)*
        ;
        $($(#[$child_doc:meta])* $child:ident: $element:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $($(#[$attribute_doc])* pub $attribute: $value,)*
            $($(#[$child_doc])* pub $child: $element,)*
            /// What Umbra does not know of it.
            #[serde(skip_serializing_if = "crate::schema::Extra::is_empty")]
            pub extra: crate::schema::Extra,
        }

        impl crate::schema::DocumentElement for $name {
            const TAG: &'static str = $tag;

            fn rule() -> crate::schema::ElementRule {
                crate::schema::ElementRule {
                    tag: $tag,
                    attributes: vec![$(crate::schema::AttributeRule {
                        name: $text,
                        kind: <$value as crate::schema::AttributeField>::KIND,
                        required: <$value as crate::schema::AttributeField>::REQUIRED,
                    },)*],
                    children: vec![$(crate::schema::ChildRule {
                        element: <<$element as crate::schema::ChildField>::Item
                            as crate::schema::DocumentElement>::rule(),
                        required: <$element as crate::schema::ChildField>::REQUIRED,
                        many: <$element as crate::schema::ChildField>::MANY,
                    },)*],
                }
            }

            fn to_element(&self) -> crate::xml::XmlElement {
                let mut element = crate::xml::XmlElement::new($tag);
                $(crate::schema::AttributeField::put(&self.$attribute, &mut element, $text);)*
                $(crate::schema::ChildField::put(&self.$child, &mut element);)*
                element.attributes.extend(self.extra.attributes.iter().cloned());
                element.children.extend(self.extra.nodes.iter().cloned());
                element
            }

            fn note_unknown(&self, notes: &mut Vec<String>) {
                $(if let Some(word) = crate::schema::AttributeField::unknown_word(&self.$attribute) {
                    notes.push(format!("the word {word:?} of the attribute {} of {}", $text, $tag));
                })*
                $(for child in crate::schema::ChildField::items(&self.$child) {
                    crate::schema::DocumentElement::note_unknown(child, notes);
                })*
                self.extra.note($tag, notes);
            }

            #[allow(private_interfaces, reason = "nobody outside reads an element alone")]
            fn from_source(mut source: crate::schema::Source) -> Result<Self, crate::xml::Fault> {
                Ok(Self {
                    $($attribute: crate::schema::AttributeField::take(&mut source, $text)?,)*
                    $($child: crate::schema::ChildField::take(&mut source)?,)*
                    extra: source.rest(),
                })
            }
        }
    )*};
}
pub(crate) use element_types;

/// Reads a document whose root must be this element in this namespace.
pub(crate) fn read_root<T: DocumentElement>(
    mut root: XmlElement,
    namespace: &'static str,
) -> Result<T, xml::Fault> {
    let fault = |problem| Err(xml::Fault::at(root.offset, problem));
    if root.name != T::TAG {
        return fault(format!("the root is {:?} instead of {}", root.name, T::TAG));
    }
    match root.attribute("xmlns") {
        Some(other) if other == namespace => {}
        Some(other) => {
            return fault(format!("the schema is {other:?} instead of {namespace:?}"));
        }
        None => return fault(format!("the schema, xmlns={namespace:?}, is missing")),
    }
    root.attributes.retain(|(name, _)| name != "xmlns");
    T::from_source(Source::new(root, namespace))
}

/// Writes a document in the canonical form.
pub(crate) fn write_root(root: &impl DocumentElement, namespace: &str) -> VssResult<String> {
    let mut element = root.to_element();
    let schema = ("xmlns".to_owned(), namespace.to_owned());
    element.attributes.insert(0, schema);
    let text = xml::write(&element)?;
    // A program may have added unknown content that is no XML.
    xml::gate(&text).map_err(|fault| fault.in_text(&text))?;
    Ok(text)
}
