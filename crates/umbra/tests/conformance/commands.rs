//! The two commands apart from what they test.

use crate::{
    stage::{DATA, REPLACE, Stage, fails, succeeds},
    support::Running,
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn a_bad_configuration_is_refused_with_its_place() {
    let stage = Stage::new();
    let bad = stage.file(
        "bad.xml",
        "<TestWriter>\n  <Component colour=\"red\"/>\n</TestWriter>",
    );
    let bad = bad.to_str().unwrap();
    stage.umbra.fails(
        ["test-writer", bad],
        108,
        &["bad.xml: line 2, column 3: the first element in TestWriter must be RestoreMethod"],
    );
    stage.umbra.fails(
        ["betest", "--backup", "--config", bad],
        108,
        &["bad.xml: line 1, column 1: the root element is TestWriter; it must be BETest"],
    );
    stage
        .umbra
        .fails(["test-writer", "/nowhere"], 101, &["cannot read /nowhere"]);
}

#[test]
fn a_restore_needs_its_document() {
    let stage = Stage::new();
    stage
        .umbra
        .fails(["betest", "--restore"], 2, &["--save-document"]);
    stage.umbra.fails(["betest", "-v"], 2, &["--backup"]);
    stage.umbra.fails(
        ["betest", "--restore", "-S", "/nowhere"],
        101,
        &["cannot read /nowhere"],
    );
}

#[test]
fn a_test_writer_needs_umbrad_and_ends_with_it() {
    let stage = Stage::new();
    let file = stage.configuration(REPLACE, "", DATA);
    let mut writer = Running::start(stage.test_writer(&file));
    writer.output_until("the service knows this writer");
    let Stage {
        umbra,
        disk,
        daemon,
        bed,
    } = stage;
    daemon.stop();
    let outcome = writer.end();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:#?}");
    assert!(
        outcome.stderr.contains("the Umbra service has ended"),
        "{outcome:#?}"
    );
    let file = file.to_str().unwrap();
    fails(
        umbra.run(["test-writer", file]),
        110,
        &["no Umbra service listens"],
    );
    drop((disk, bed));
}

#[test]
fn the_example_of_the_document_works() {
    let stage = Stage::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once("```sh\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let script = example.replace(
        "/srv",
        stage.path("").to_str().unwrap().trim_end_matches('/'),
    );
    let programs = Path::new(env!("CARGO_BIN_EXE_umbra")).parent().unwrap();
    let outside = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-e", "-c", &script])
        .current_dir(stage.bed.folder())
        .env("PATH", format!("{}:{outside}", programs.display()))
        .env("UMBRA_ROOT", stage.umbra.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let said = succeeds(Running::start(command).end());
    assert!(said.contains("restored TestFiles: 1 files"), "{said}");
    assert!(said.contains("hello\n"), "{said}");
}
