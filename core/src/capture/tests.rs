//! The rules as text; what they do is shown in network namespaces (`sidecar/tests/net/capture.rs`).

use super::*;

fn facts() -> PodFacts {
    PodFacts {
        outbound: Some(15001),
        inbound: Some(15006),
        sidecar_ports: [15002, 15020].into(),
        user: Some(2102),
        ..PodFacts::default()
    }
}

fn rules(facts: PodFacts) -> String {
    Capture::of(facts).expect("these go together").rules()
}

#[test]
fn both_directions_are_redirected() {
    insta::assert_snapshot!(rules(facts()));
}

#[test]
fn ports_that_are_skipped_stand_before_the_redirection_in_their_direction() {
    let skipping = PodFacts { skip_outbound: [3306, 25].into(), skip_inbound: [9090].into(), ..facts() };
    insta::assert_snapshot!(rules(skipping));
}

#[test]
fn a_sidecar_that_may_takes_inbound_connections_over_as_they_are() {
    let may = PodFacts { privileges: Privileges::Transparent, skip_outbound: [123].into(), ..facts() };
    insta::assert_snapshot!(rules(may));
}

#[test]
fn only_what_is_taken_over_needs_routes() {
    let routing = |privileges| {
        let capture = Capture::of(PodFacts { privileges, ..facts() }).unwrap();
        capture.routing(&[Family::V4, Family::V6])
    };
    insta::assert_debug_snapshot!(routing(Privileges::Transparent));
    assert_eq!(routing(Privileges::None), []);
}

#[test]
fn a_direction_that_is_off_has_no_chain() {
    let outbound = rules(PodFacts { inbound: None, ..facts() });
    assert!(outbound.contains("hook output") && !outbound.contains("hook prerouting"), "{outbound}");
    let inbound = rules(PodFacts { outbound: None, user: None, ..facts() });
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
    let wrong = PodFacts { outbound: Some(15020), inbound: Some(15020), user: Some(0), ..facts() };
    assert_eq!(
        Capture::of(wrong).unwrap_err(),
        [
            CaptureConflict::OnePortForBoth,
            CaptureConflict::OutboundTaken,
            CaptureConflict::InboundTaken,
            CaptureConflict::OwnIsRoot
        ]
    );
    assert_eq!(
        Capture::of(PodFacts { outbound: None, inbound: None, ..facts() }).unwrap_err(),
        [CaptureConflict::NothingToCapture]
    );
}

#[test]
fn a_sidecar_that_nothing_tells_from_the_application_captures_nothing_outbound() {
    let nobody = PodFacts { user: None, ..facts() };
    assert_eq!(Capture::of(nobody.clone()).unwrap_err(), [CaptureConflict::OwnUnknown]);
    assert!(Capture::of(PodFacts { outbound: None, ..nobody.clone() }).is_ok());
    assert!(Capture::of(PodFacts { privileges: Privileges::Transparent, ..nobody }).is_ok());
}
