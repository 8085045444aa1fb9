//! The rules as text; what they do is shown in network namespaces (`sidecar/tests/net/capture.rs`).

use super::*;

fn facts() -> Facts {
    Facts {
        outbound: Some(15001),
        inbound: Some(15006),
        sidecar_ports: [15002, 15020].into(),
        own: Own { user: Some(2102) },
        ..Facts::default()
    }
}

fn rules(facts: Facts) -> String {
    Capture::of(facts).expect("these go together").rules()
}

#[test]
fn both_directions_are_redirected() {
    insta::assert_snapshot!(rules(facts()));
}

#[test]
fn ports_that_are_skipped_stand_before_the_redirection_in_their_direction() {
    let skipping = Facts { skip_outbound: [3306, 25].into(), skip_inbound: [9090].into(), ..facts() };
    insta::assert_snapshot!(rules(skipping));
}

#[test]
fn a_direction_that_is_off_has_no_chain() {
    let outbound = rules(Facts { inbound: None, ..facts() });
    assert!(outbound.contains("hook output") && !outbound.contains("hook prerouting"), "{outbound}");
    let inbound = rules(Facts { outbound: None, own: Own::default(), ..facts() });
    assert!(inbound.contains("hook prerouting") && !inbound.contains("hook output"), "{inbound}");
}

#[test]
fn no_table_but_ours_is_named() {
    for text in [rules(facts()).as_str(), REMOVAL] {
        let tables = text.lines().filter(|line| line.contains("table") && !line.starts_with('#'));
        assert!(
            tables.clone().count() >= 2 && tables.clone().all(|line| line.contains("table inet svcmesh"))
        );
        assert!(!text.contains("flush"), "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let wrong = Facts { outbound: Some(15020), inbound: Some(15020), own: Own { user: Some(0) }, ..facts() };
    assert_eq!(
        Capture::of(wrong).unwrap_err(),
        [Mistake::OnePortForBoth, Mistake::OutboundTaken, Mistake::InboundTaken, Mistake::OwnIsRoot]
    );
    assert_eq!(
        Capture::of(Facts { outbound: None, inbound: None, ..facts() }).unwrap_err(),
        [Mistake::NothingToCapture]
    );
}

#[test]
fn a_sidecar_that_nothing_tells_from_the_application_captures_nothing_outbound() {
    let nobody = Facts { own: Own::default(), ..facts() };
    assert_eq!(Capture::of(nobody.clone()).unwrap_err(), [Mistake::OwnUnknown]);
    assert!(Capture::of(Facts { outbound: None, ..nobody }).is_ok());
}
