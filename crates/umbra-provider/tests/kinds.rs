//! The kinds of providers, in the order in which they are asked ("Selecting
//! Providers").

use umbra_provider::ProviderKind;

#[test]
fn the_nearest_to_the_storage_is_asked_first() {
    let mut kinds = [
        ProviderKind::System,
        ProviderKind::Hardware,
        ProviderKind::Software,
    ];
    kinds.sort();
    assert_eq!(
        kinds.map(|kind| kind.to_string()),
        ["hardware", "software", "system"]
    );
}
