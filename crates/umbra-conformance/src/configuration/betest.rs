//! What BETest is told to back up and restore: the XML file of `/X`, of which the
//! page "BETest Tool" shows a sample, and the older file of `/C`.
//!
//! What a component may have beside its name is called as the methods of
//! `IVssBackupComponents` call it.

use super::xml::{ConfigurationError, Element, Parsed, document, place_of, text};
use umbra_documents::{AlternateLocation, full_path};
use umbra_model::WriterId;

/// What a requester chooses, and what it sets at what it chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BetestConfiguration {
    /// The components.
    pub components: Vec<SelectedComponent>,
}

/// A component that is to be backed up or restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedComponent {
    /// The class of its writer.
    pub writer: WriterId,
    /// Logical path and name, joined as VSS prints them.
    pub path: String,
    /// For the writer, with the backup (`SetBackupOptions`).
    pub backup_options: Option<String>,
    /// For the writer, with the restore (`SetRestoreOptions`).
    pub restore_options: Option<String>,
    /// Whether more restores follow (`SetAdditionalRestores`).
    pub additional_restores: bool,
    /// Where its files are put instead (`AddNewTarget`).
    pub new_targets: Vec<AlternateLocation>,
    /// Of what came with it, only these are restored (`AddRestoreSubcomponent`): logical
    /// path and name.
    pub subcomponents: Vec<(Option<String>, String)>,
}

impl SelectedComponent {
    fn new(writer: WriterId, path: String) -> Self {
        Self {
            writer,
            path,
            backup_options: None,
            restore_options: None,
            additional_restores: false,
            new_targets: Vec::new(),
            subcomponents: Vec::new(),
        }
    }
}

impl BetestConfiguration {
    /// Reads an XML file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line and column.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let text = ascii(bytes)?;
        let document = document(text)?;
        let root = Element::root(&document, "BETest")?;
        root.done()?;
        let mut configuration = Self::default();
        for writer in root.children()? {
            if writer.name() != "Writer" {
                return Err(writer.unexpected("BETest", &["Writer"]));
            }
            let class = writer.required_as("writerid", "a GUID", class)?;
            writer.done()?;
            for component in writer.children()? {
                if component.name() != "Component" {
                    return Err(component.unexpected("Writer", &["Component"]));
                }
                configuration.components.push(selected(&component, class)?);
            }
        }
        Ok(configuration)
    }

    /// Reads a file in the older form: lines of
    /// `"WRITER" : "COMPONENT", "COMPONENT";`.
    ///
    /// # Errors
    ///
    /// As [`BetestConfiguration::read`].
    pub fn read_component_list(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let text = ascii(bytes)?;
        let mut configuration = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |problem: &str| ConfigurationError::At {
                line: number,
                column: 1,
                problem: problem.to_owned(),
            };
            if line.trim().is_empty() {
                continue;
            }
            let line = line.trim().strip_suffix(';').ok_or_else(|| {
                wrong("the line must be \"WRITER\" : \"COMPONENT\", \"COMPONENT\"; and end with ;")
            })?;
            let (writer, components) = line
                .split_once(" : ")
                .ok_or_else(|| wrong("there must be a colon with spaces around it"))?;
            let writer = quoted(writer)
                .and_then(class)
                .ok_or_else(|| wrong("the writer must be a GUID in quotation marks"))?;
            for component in components.split(',') {
                let path = quoted(component)
                    .filter(|path| !path.is_empty())
                    .ok_or_else(|| wrong("each component must be a name in quotation marks"))?;
                let component = SelectedComponent::new(writer, path.to_owned());
                configuration.components.push(component);
            }
        }
        Ok(configuration)
    }
}

fn selected(element: &Element<'_, '_>, writer: WriterId) -> Parsed<SelectedComponent> {
    let name = element.required("componentName")?;
    let mut component = SelectedComponent {
        backup_options: element.optional("backupOptions").map(str::to_owned),
        restore_options: element.optional("restoreOptions").map(str::to_owned),
        additional_restores: element.yes("additionalRestores")?.unwrap_or(false),
        ..SelectedComponent::new(writer, full_path(element.optional("logicalPath"), name))
    };
    element.done()?;
    for child in element.children()? {
        match child.name() {
            "NewTarget" => component.new_targets.push(child.alternate_location()?),
            "RestoreSubcomponent" => component.subcomponents.push((
                child
                    .optional("logicalPath")
                    .filter(|path| !path.is_empty())
                    .map(str::to_owned),
                child.required("componentName")?.to_owned(),
            )),
            _ => {
                let known = ["NewTarget", "RestoreSubcomponent"];
                return Err(child.unexpected("Component", &known));
            }
        }
        child.done()?;
    }
    Ok(component)
}

fn quoted(text: &str) -> Option<&str> {
    text.trim().strip_prefix('"')?.strip_suffix('"')
}

fn class(text: &str) -> Option<WriterId> {
    text.trim_matches(['{', '}']).parse().ok()
}

/// Both files have characters from 0 to 127 only.
fn ascii(bytes: &[u8]) -> Parsed<&str> {
    let text = text(bytes)?;
    match text.find(|one: char| !one.is_ascii()) {
        None => Ok(text),
        Some(offset) => Err(place_of(
            text,
            offset,
            "only ASCII characters are allowed here",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_writer::TEST_WRITER_ID;
    use umbra_documents::FileSet;

    #[test]
    fn the_sample_of_the_page() {
        let text = "<BETest>\n    <Writer writerid=\"5affb034-969f-4919-8875-88f830d0ef89\">\n\
                    <Component componentName=\"TestFiles\">\n </Component>\n </Writer>\n</BETest>\n";
        let configuration = BetestConfiguration::read(text.as_bytes()).unwrap();
        let expected = SelectedComponent::new(TEST_WRITER_ID, "TestFiles".into());
        assert_eq!(configuration.components, [expected]);
    }

    #[test]
    fn what_is_set_at_a_component() {
        let text = "<BETest><Writer writerid=\"5affb034-969f-4919-8875-88f830d0ef89\">\
                    <Component logicalPath=\"a\\b\" componentName=\"c\" backupOptions=\"x\" \
                    restoreOptions=\"y\" additionalRestores=\"yes\"><NewTarget path=\"/a\" \
                    filespec=\"*\" recursive=\"yes\" alternatePath=\"/b\"/><RestoreSubcomponent \
                    logicalPath=\"a\\b\\c\" componentName=\"d\"/></Component></Writer></BETest>";
        let configuration = BetestConfiguration::read(text.as_bytes()).unwrap();
        let component = &configuration.components[0];
        assert_eq!(component.path, "a\\b\\c");
        assert_eq!(component.backup_options.as_deref(), Some("x"));
        assert_eq!(component.restore_options.as_deref(), Some("y"));
        assert!(component.additional_restores);
        let target = AlternateLocation {
            files: FileSet::tree("/a"),
            destination: "/b".into(),
        };
        assert_eq!(component.new_targets, [target]);
        let subcomponent = (Some("a\\b\\c".to_owned()), "d".to_owned());
        assert_eq!(component.subcomponents, [subcomponent]);
    }

    #[test]
    fn the_older_form() {
        let text = "\"5affb034-969f-4919-8875-88f830d0ef89\" : \"TestFiles1\", \"TestFiles2\", \
                    \"TestFiles3\";\n\n";
        let configuration = BetestConfiguration::read_component_list(text.as_bytes()).unwrap();
        let paths: Vec<_> = configuration
            .components
            .iter()
            .map(|one| &*one.path)
            .collect();
        assert_eq!(paths, ["TestFiles1", "TestFiles2", "TestFiles3"]);
        assert!(
            configuration
                .components
                .iter()
                .all(|one| one.writer == TEST_WRITER_ID)
        );
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let check = |list: bool, text: &str, expected: &str| {
            let read = if list {
                BetestConfiguration::read_component_list(text.as_bytes())
            } else {
                BetestConfiguration::read(text.as_bytes())
            };
            let error = read.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            false,
            "<BETest>\n <Writer/></BETest>",
            "line 2, column 2: Writer needs",
        );
        check(
            false,
            "<BETest a=\"b\"/>",
            "line 1, column 9: the attribute a",
        );
        check(false, "<BETest>\n\u{fc}", "line 2, column 1: only ASCII");
        check(
            true,
            "\n\"x\" : \"a\";",
            "line 2, column 1: the writer must be",
        );
        check(true, "\"x\" : \"a\"", "line 1, column 1: the line must be");
        let id = "5affb034-969f-4919-8875-88f830d0ef89";
        check(
            true,
            &format!("\"{id}\": \"a\";"),
            "line 1, column 1: there must be a colon",
        );
        check(
            true,
            &format!("\"{id}\" : a;"),
            "line 1, column 1: each component",
        );
    }
}
