//! Documents made up from the rules of the schema, with things that it does not
//! know among them, written by another hand than ours.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use proptest::{collection::vec, option, prelude::*, sample::select};
use support::meaning;
use umbra_documents::{
    BACKUP_COMPONENTS_SCHEMA, BackupComponentsDocument, ChildRule, Document, DocumentElement,
    ElementRule, ValueKind, WRITER_METADATA_SCHEMA, WriterMetadataDocument, XmlElement, XmlNode,
};

/// Text with everything in it that needs care.
fn text() -> impl Strategy<Value = String> {
    "[ a-zé<>&\"'\\\\\t\n\u{1f600}]{0,12}[a-z]"
}

fn value(kind: ValueKind) -> BoxedStrategy<String> {
    match kind {
        ValueKind::Text => text().boxed(),
        ValueKind::YesNo => select(&["yes", "no", "YES", "No"][..])
            .prop_map_into()
            .boxed(),
        ValueKind::Number(64) => any::<u64>().prop_map(|n| n.to_string()).boxed(),
        ValueKind::Number(_) => any::<u32>().prop_map(|n| n.to_string()).boxed(),
        ValueKind::Guid => "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".boxed(),
        ValueKind::Version => select(&["1.0", "1.1", "1.2"][..]).prop_map_into().boxed(),
        ValueKind::Words(words) => prop_oneof![
            4 => select(words).prop_map_into(),
            1 => Just("A_WORD_OF_TOMORROW".to_owned()),
        ]
        .boxed(),
    }
}

fn attribute(
    name: &'static str,
    kind: ValueKind,
    required: bool,
) -> BoxedStrategy<Option<(String, String)>> {
    let pair = value(kind).prop_map(move |value| (name.to_owned(), value));
    if required {
        pair.prop_map(Some).boxed()
    } else {
        option::of(pair).boxed()
    }
}

/// An element that no schema knows.
fn unknown() -> impl Strategy<Value = XmlElement> {
    let leaf = (text(), option::of(text())).prop_map(|(value, inside)| {
        let mut element = XmlElement::new("FROM_TOMORROW");
        element.attributes.push(("with".into(), value));
        element.children.extend(inside.map(XmlNode::Text));
        element
    });
    (leaf, option::of(text()), any::<bool>()).prop_map(|(leaf, comment, wrapped)| {
        if !wrapped {
            return leaf;
        }
        let mut element = XmlElement::new("WRAPPED");
        element.children.push(XmlNode::Element(leaf));
        let comment = comment.map(|text| XmlNode::Comment(text.replace('-', "")));
        element.children.extend(comment);
        element
    })
}

fn children(rule: ChildRule) -> BoxedStrategy<Vec<XmlElement>> {
    let one = element(rule.element);
    match (rule.required, rule.many) {
        (true, _) => one.prop_map(|one| vec![one]).boxed(),
        (false, false) => option::of(one)
            .prop_map(|one| one.into_iter().collect())
            .boxed(),
        (false, true) => vec(one, 0..3).boxed(),
    }
}

/// Any element that the rule allows.
fn element(rule: ElementRule) -> BoxedStrategy<XmlElement> {
    let attributes: Vec<_> = rule
        .attributes
        .iter()
        .map(|one| attribute(one.name, one.kind, one.required))
        .collect();
    let inside: Vec<_> = rule.children.into_iter().map(children).collect();
    let strange = option::weighted(0.1, attribute("fromTomorrow", ValueKind::Text, true));
    let tag = rule.tag;
    (
        attributes,
        inside,
        strange,
        option::weighted(0.1, unknown()),
    )
        .prop_flat_map(move |(attributes, inside, strange, unknown)| {
            let attributes: Vec<_> = attributes
                .into_iter()
                .chain(strange.flatten().map(Some))
                .flatten()
                .collect();
            let nodes: Vec<_> = inside
                .into_iter()
                .flatten()
                .chain(unknown)
                .map(XmlNode::Element)
                .collect();
            // Any order of attributes; Windows has several.
            (Just(attributes).prop_shuffle(), Just(nodes))
        })
        .prop_map(move |(attributes, children)| {
            let mut element = XmlElement::new(tag);
            element.attributes = attributes;
            element.children = children;
            element
        })
        .boxed()
}

fn root<T: DocumentElement>(schema: &'static str) -> impl Strategy<Value = XmlElement> {
    element(T::rule()).prop_map(move |mut root| {
        root.attributes.push(("xmlns".into(), schema.into()));
        root
    })
}

fn any_document() -> impl Strategy<Value = String> {
    prop_oneof![
        root::<WriterMetadataDocument>(WRITER_METADATA_SCHEMA),
        root::<BackupComponentsDocument>(BACKUP_COMPONENTS_SCHEMA),
    ]
    .prop_map(|root| {
        let mut xml = String::new();
        write(&root, &mut xml);
        xml
    })
}

/// Writes XML in a way of its own: single quotes, no white space.
fn write(element: &XmlElement, xml: &mut String) {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('\'', "&#x27;")
            .replace('\n', "&#xA;")
            .replace('\t', "&#9;")
    };
    xml.push_str(&format!("<{}", element.name));
    for (name, value) in &element.attributes {
        xml.push_str(&format!(" {name}='{}'", escaped(value)));
    }
    xml.push('>');
    for node in &element.children {
        match node {
            XmlNode::Element(child) => write(child, xml),
            XmlNode::Text(text) => xml.push_str(&escaped(text)),
            XmlNode::Comment(text) => xml.push_str(&format!("<!--{text}-->")),
            XmlNode::Instruction(text) => xml.push_str(&format!("<?{text}?>")),
        }
    }
    xml.push_str(&format!("</{}>", element.name));
}

fn encoded(xml: &str, form: u8) -> Vec<u8> {
    let utf16 = |bytes: fn(u16) -> [u8; 2]| xml.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    match form {
        0 => xml.into(),
        1 => [b"\xef\xbb\xbf", xml.as_bytes()].concat(),
        2 => utf16(u16::to_le_bytes),
        3 => [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
        _ => utf16(u16::to_be_bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Document to values to document: nothing is lost.
    #[test]
    fn what_is_read_is_written(xml in any_document(), form in 0..5_u8) {
        let document = Document::read(&encoded(&xml, form)).unwrap();
        let written = document.to_xml().unwrap();
        prop_assert_eq!(meaning(&written), meaning(&xml));
    }

    /// Values to document to values: nothing is lost, and the text is stable.
    #[test]
    fn what_is_written_is_read(xml in any_document()) {
        let document = Document::read(xml.as_bytes()).unwrap();
        let written = document.to_xml().unwrap();
        let again = Document::read(written.as_bytes()).unwrap();
        prop_assert_eq!(&again, &document);
        prop_assert_eq!(again.to_xml().unwrap(), written);
    }

    /// Damage anywhere never makes it panic, and what it still reads is stable.
    #[test]
    fn damage_is_survived(
        xml in any_document(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = xml.into_bytes();
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        survives(&bytes)?;
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..512)) {
        survives(&bytes)?;
    }

    /// Text that looks like XML goes deeper than bytes do.
    #[test]
    fn any_markup_is_survived(words in vec(select(WORDS), 0..64)) {
        survives(words.concat().as_bytes())?;
    }
}

const WORDS: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "a",
    "b:c",
    " ",
    "=",
    "'",
    "\"",
    "&",
    ";",
    "#",
    "lt",
    "x41",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE",
    "[",
    "<?xml version='1.0'?>",
    "\n",
    "\u{feff}",
    "<BACKUP_COMPONENTS xmlns='x-schema:#VssComponentMetadata' version='1.2'>",
    "</BACKUP_COMPONENTS>",
    "<COMPONENT ",
    "xmlns",
    "<c>",
    "</c>",
    "text",
];

fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(document) = Document::read(bytes) {
        let written = document.to_xml().unwrap();
        let again = Document::read(written.as_bytes()).unwrap();
        prop_assert_eq!(again.to_xml().unwrap(), written);
    }
    Ok(())
}
