//! One document after the other.

use super::*;

#[test]
fn a_document_that_says_what_the_last_one_said_is_no_news() {
    let services = || json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80)]}))]);
    let mut reader = reader();
    assert!(reader.reads(services()));
    let before = reader.table();
    assert!(!reader.reads(services()));
    assert!(Arc::ptr_eq(&before, &reader.table()));
}

#[test]
fn what_a_document_does_not_mention_is_gone() {
    let one = |name: &str| json!({"namespace": "shop", "name": name, "ports": [{"port": 80}], "endpoints": [endpoint("10.0.0.1", 80)]});
    let mut reader = reader();
    reader.reads(json!([one("a"), one("b"), one("c")]));
    assert!(reader.reads(json!([one("b")])));
    let names = reader.table().entries().map(|entry| entry.service.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["shop/b"]);
    assert!(reader.reads(json!([])));
    assert_eq!(reader.table().entries().count(), 0);
}

#[test]
fn services_that_say_the_same_keep_their_memory_in_any_order_and_spelling() {
    let db = json!({"namespace": "shop", "name": "db", "ports": [{"port": 80}], "endpoints": [endpoint("10.0.0.9", 80)]});
    let mut reader = reader();
    reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80)]})), db]));
    let (web_before, db_before) = (reader.entry("web.shop"), reader.entry("db.shop"));
    let spelt_out = with(db, json!({"type": "ClusterIP", "loopbackVip": "127.66.0.1", "ingress": []}));
    reader.reads(json!([spelt_out, web(json!({"endpoints": [endpoint("10.0.0.2", 80)]}))]));
    assert!(Arc::ptr_eq(&db_before, &reader.entry("db.shop")));
    assert_eq!(reader.usable("web.shop"), ["10.0.0.2:80"]);
    assert!(Arc::ptr_eq(&web_before.service, &reader.entry("web.shop").service));
}

#[test]
fn a_service_that_is_wrong_now_stays_what_it_was_when_it_was_last_right() {
    let right = || web(json!({"endpoints": [endpoint("10.0.0.1", 80)]}));
    for wrong in [json!({"type": "Other"}), json!({"ports": 80})] {
        let mut reader = reader();
        reader.reads(json!([right()]));
        assert!(!reader.reads(json!([web(wrong.clone())])), "{wrong}");
        assert_eq!(reader.usable("web.shop"), ["10.0.0.1:80"], "{wrong}");
        assert_eq!(reader.rejections().len(), 1, "{wrong}");
        assert!(!reader.reads(json!([right()])), "{wrong}");
        assert_eq!(reader.rejections(), [""; 0], "{wrong}");
        assert!(reader.reads(json!([])), "{wrong}");
    }
}

#[test]
fn an_endpoint_that_stays_keeps_its_identity() {
    let mut reader = reader();
    let ids = |reader: &Reader| {
        let entry = reader.entry("web.shop");
        let endpoints = entry.targets[0].endpoints.all().iter();
        endpoints.map(|endpoint| (endpoint.addr.to_string(), endpoint.id)).collect::<BTreeMap<_, _>>()
    };
    reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 80)]}))]));
    let before = ids(&reader);
    let unready = with(endpoint("10.0.0.2", 80), json!({"ready": false, "zone": "a"}));
    reader.reads(json!([web(
        json!({"endpoints": [endpoint("10.0.0.3", 80), unready, endpoint("fd00::1", 80)]})
    )]));
    let after = ids(&reader);
    assert_eq!(after["10.0.0.2:80"], before["10.0.0.2:80"]);
    assert!(!before.values().any(|id| *id == after["10.0.0.3:80"]));
}

#[test]
fn a_name_that_two_services_stand_for_is_told_by_both() {
    let external = |name: &str, address: &str| {
        json!({
            "namespace": "shop", "name": name, "type": "ExternalName", "externalName": "db.example.com",
            "ports": [{"port": 80}], "endpoints": [endpoint(address, 80)],
        })
    };
    let mut reader = reader();
    reader.reads(json!([external("a", "192.0.2.1"), external("b", "192.0.2.2")]));
    assert_eq!(reader.usable("a.shop"), ["192.0.2.1:80", "192.0.2.2:80"]);
    assert!(reader.reads(json!([external("b", "192.0.2.2")])));
    assert_eq!(reader.usable("b.shop"), ["192.0.2.2:80"]);
}

/// How much is remembered, by how long it is to tell: identities count upwards, and are left aside.
fn remembered(reader: &Reader) -> usize {
    let told = format!("{:?} {:?}", reader.documents, reader.inventory);
    told.split(|letter: char| !letter.is_ascii_digit())
        .fold(told.len(), |length, digits| length - digits.len())
}

#[test]
fn ten_thousand_documents_leave_nothing_behind() {
    let moving = |number: u32, edition: u32| {
        let pods = (0..2).map(|pod| {
            let [_, a, b, c] = (edition * 16 + number * 2 + pod).to_be_bytes();
            let address = format!("10.{a}.{b}.{c}");
            with(
                endpoint(&address, 80),
                json!({"node": format!("node-{edition}"), "hostname": format!("pod-{edition}")}),
            )
        });
        let pods: Vec<Value> = pods.collect();
        json!({"namespace": "shop", "name": format!("web-{number}"), "ports": [{"port": 80}], "endpoints": pods})
    };
    let named = |edition: u32| {
        json!({
            "namespace": "shop", "name": "named", "type": "ExternalName", "externalName": format!("n{edition}.example.com"),
            "ports": [{"port": 80}], "endpoints": [endpoint("192.0.2.1", 80)],
        })
    };
    let passing = |edition: u32| json!({"namespace": "shop", "name": format!("job-{edition}"), "ports": [{"port": 80}]});
    let services = |edition: u32| {
        // Two of eight move each time, and one comes and goes.
        let mut services: Vec<Value> =
            (0..8).map(|number| moving(number, (edition + number * 4) / 32)).collect();
        services.extend([named(edition / 4), passing(edition)]);
        Value::Array(services)
    };
    let mut reader = reader();
    let settle = |reader: &mut Reader| {
        reader.reads(services(0));
        reader.reads(json!([]));
        reader.reads(services(0));
        reader.reads(services(0)); // sweeps what the one before has changed
        (remembered(reader), reader.documents.interner.len())
    };
    let before = settle(&mut reader);
    for edition in 1..=10_000 {
        assert!(reader.reads(services(edition)));
        assert!(reader.documents.interner.len() <= 2 * 8 * 2, "two documents' nodes and places");
    }
    assert_eq!(settle(&mut reader), before);
    let documents = &reader.documents;
    assert_eq!((documents.known.len(), documents.by_text.len(), documents.names.len()), (10, 10, 1));
}
