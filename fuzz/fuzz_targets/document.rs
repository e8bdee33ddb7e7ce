//! No bytes make reading panic, and what was read is written in one stable form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use umbra_documents::Document;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::read(bytes) {
        let written = document.to_xml().expect("what was read can be written");
        let again = Document::read(written.as_bytes()).expect("what was written can be read");
        assert_eq!(again, document);
        assert_eq!(again.to_xml().expect("it can be written again"), written);
    }
});
