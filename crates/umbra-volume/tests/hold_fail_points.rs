//! The hold when something goes wrong between its steps.

#![cfg(feature = "failpoints")]

mod stage;

use fail::FailScenario;
use stage::{Writer, commit, frozen, hold, patient};
use std::sync::Arc;
use umbra_model::VssCode;
use umbra_testbed::{Format, Testbed};

const INSIDE: [&str; 3] = ["hold::frozen", "hold::committed", "hold::releasing"];

#[test]
fn each_point_is_where_it_says() {
    let scenario = FailScenario::setup();
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let writer = Arc::new(Writer::on(&disk.mount));
    for point in INSIDE.into_iter().chain(["hold::before"]) {
        let writer = Arc::clone(&writer);
        let still = matches!(point, "hold::frozen" | "hold::committed");
        fail::cfg_callback(point, move || {
            if still {
                writer.assert_stands_still();
            } else {
                writer.assert_moves();
            }
        })
        .unwrap();
    }
    let volumes = [frozen(&disk.mount)];
    hold(&volumes, patient(), vec![commit(|| {})]).unwrap();
    scenario.teardown();
}

#[test]
fn a_failure_anywhere_releases_everything() {
    let scenario = FailScenario::setup();
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 320);
    let inner = bed.disk_in(&outer.mount, Format::Ext4, 32);
    let volumes = [frozen(&outer.mount), frozen(&inner.mount)];
    for point in INSIDE.into_iter().chain(["hold::before"]) {
        for action in ["return", "panic"] {
            if (point, action) == ("hold::before", "panic") {
                continue;
            }
            fail::cfg(point, action).unwrap();
            let error = hold(&volumes, patient(), vec![commit(|| {}), commit(|| {})]).unwrap_err();
            assert_eq!(
                error.code(),
                VssCode::Unexpected,
                "{point} {action}: {error}"
            );
            assert!(!inner.is_frozen() && !outer.is_frozen(), "{point} {action}");
            fail::remove(point);
        }
    }
    hold(&volumes, patient(), vec![commit(|| {}), commit(|| {})]).unwrap();
    scenario.teardown();
}
