//! The tree obeys the house rules.

#[test]
fn the_tree_obeys_the_house_rules() {
    let findings = xtask::check::all(&xtask::sources::root()).unwrap();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
