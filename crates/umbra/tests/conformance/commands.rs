//! The two commands apart from what they test.

use crate::{
    stage::{DATA, REPLACE, Stage, fails},
    support::Running,
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
