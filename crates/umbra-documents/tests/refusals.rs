//! What is not a document is refused with line and column, and soon.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use umbra_documents::{Document, MAX_DOCUMENT_BYTES};
use umbra_model::VssCode;

const WHO: &str = "<IDENTIFICATION writerId=\"d61d61c8-d73a-4eee-8cdd-f6f9786b7124\" \
    instanceId=\"1bddd48e-5052-49db-9b07-b96f96727e6b\" friendlyName=\"W\" usage=\"OTHER\" \
    dataSource=\"OTHER\"/>";

/// A Writer Metadata Document with this behind its identification.
fn document(more: &str) -> String {
    format!(
        "<WRITER_METADATA xmlns=\"x-schema:#VssWriterMetadataInfo\" version=\"1.2\">\n{WHO}\n\
         {more}</WRITER_METADATA>"
    )
}

/// Refused, with these words.
fn check(bytes: impl AsRef<[u8]>, words: &str) {
    let error = Document::read(bytes.as_ref()).unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidXmlDocument, "{error}");
    let message = error.message();
    assert!(message.contains(words), "no {words:?} in {message:?}");
    assert!(
        message.contains("at line ") && message.contains(", column "),
        "{message:?}"
    );
    assert!(message.len() < 1000, "{} bytes of message", message.len());
}

#[test]
fn the_plain_document_is_none_of_them() {
    Document::read(document("").as_bytes()).unwrap();
}

#[test]
fn malformed() {
    check("", "there is no element");
    check("no XML", "outside the root");
    check(document("<a>"), "line 3, column 4");
    check(document("<a b='1' b='2'/>"), "line 3");
    check(document("<a b=1/>"), "line 3");
    check(document("<a b='<'/>"), "line 3");
    check(document("<a>\u{1}</a>"), "line 3");
    check(document("<x:a/>"), "line 3");
    check(document("&nothing;"), "stands for nothing");
    check(document("<a b='&nothing;'/>"), "stands for nothing");
    check(document("<a b='&#0;'/>"), "stands for nothing");
    check(document("<!-- -- -->"), "line 3");
    check(document("") + "<a/>", "second root");
    check(document("") + "junk", "line 3, column 19: text outside");
}

#[test]
fn truncated_anywhere() {
    let text = document(
        "<BACKUP_LOCATIONS><EXCLUDE_FILES path=\"a&amp;b\" filespec=\"*\"/>\
        <!-- c --><x><![CDATA[d]]></x></BACKUP_LOCATIONS>",
    );
    Document::read(text.as_bytes()).unwrap();
    for end in 0..text.len() {
        check(&text[..end], "");
    }
}

#[test]
fn bad_encodings() {
    check(b"<a\xff/>", "line 1, column 3: these bytes are not UTF-8");
    check(b"<\0a\0\0\xd8/\0>\0", "surrogate");
    check(b"\xff\xfe<\0a", "half a UTF-16 character");
    check(
        "<?xml version='1.0' encoding='windows-1252'?><a b='é'/>",
        "encoding \"windows-1252\"",
    );
}

#[test]
fn document_types_and_their_entities() {
    let laughs = "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;\">]>";
    check(
        format!("{laughs}<a>&c;</a>"),
        "line 1, column 1: a document type",
    );
    check(
        format!("<?xml version=\"1.0\"?>\n{laughs}{}", document("")),
        "line 2",
    );
    check(
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "a document type",
    );
}

#[test]
fn deep_nesting() {
    check("<a>".repeat(1_000_000), "inside each other");
    let namespaces: String = (0..100_000)
        .map(|n| format!("<a xmlns:n{n}='u'>"))
        .collect();
    check(namespaces, "inside each other");
}

#[test]
fn too_much() {
    let attributes: String = (0..200_000).map(|n| format!(" a{n}=''")).collect();
    check(
        document(&format!("<a{attributes}/>")),
        "attributes of one element",
    );
    check(vec![b' '; MAX_DOCUMENT_BYTES + 1], "more than the 67108864");
    check(document(&"<a/>".repeat(2_000_000)), "elements");
}

#[test]
fn what_the_schema_does_not_allow() {
    check("<a/>", "neither WRITER_METADATA nor BACKUP_COMPONENTS");
    check(
        "<BACKUP_COMPONENTS/>",
        "xmlns=\"x-schema:#VssComponentMetadata\", is missing",
    );
    check(
        "<WRITER_METADATA xmlns=\"x-schema:#VssComponentMetadata\"/>",
        "the schema is \"x-schema:#VssComponentMetadata\"",
    );
    check(
        document("").replace("1.2", "2.0"),
        "a version that Umbra reads",
    );
    check(document("").replace(WHO, ""), "there is no IDENTIFICATION");
    check(document(WHO), "line 3, column 1: a second IDENTIFICATION");
    check(document("").replace("d61d61c8-", "xyz"), "is not a GUID");
    check(
        document("").replace(" friendlyName=\"W\"", ""),
        "friendlyName is missing",
    );
    check(
        document(
            "<BACKUP_LOCATIONS>\n  <EXCLUDE_FILES path='a' filespec='*' recursive='2'/>\
            </BACKUP_LOCATIONS>",
        ),
        "line 4, column 3: EXCLUDE_FILES: the attribute recursive is \"2\", which is not yes or no",
    );
    check(
        document("").replace("version=\"1.2\"", "version=\"1.2\" backupSchema=\"-1\""),
        "a decimal number",
    );
}

#[test]
fn a_value_that_xml_cannot_represent_is_not_written() {
    let Document::WriterMetadata(mut document) = Document::read(document("").as_bytes()).unwrap()
    else {
        panic!("another document");
    };
    let twice = ("version".to_owned(), "1.1".to_owned());
    document.extra.attributes.push(twice);
    let error = document.to_xml().unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidXmlDocument, "{error}");
    document.identification.friendly_name = "a\u{1}".into();
    let error = document.to_xml().unwrap_err();
    assert!(
        error
            .message()
            .contains("friendlyName has the character U+0001"),
        "{error}"
    );
}
