use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::*;
use crate::inventory::{Inventory, Settings};
use crate::service::{Scope, Service};
use crate::table::{Entry, Source, Table};

mod changes;
mod round_trip;

/// Who reads documents, as the filter does.
struct Reader {
    documents: Documents,
    inventory: Inventory,
}

impl Reader {
    fn new(settings: Settings) -> Reader {
        let rules = Rules {
            allow_loopback_endpoints: settings.allow_loopback_endpoints,
            default_namespace: settings.namespace.clone(),
            ..Rules::default()
        };
        let cluster_domain = settings.cluster_domain.clone();
        let sources = [Source::Services, Source::Dns].into();
        Reader {
            documents: Documents::new(Source::Services, rules, Scope::ALL, cluster_domain),
            inventory: Inventory::new(Settings { sources, ..settings }),
        }
    }

    /// Whether a document about `services` changes the table.
    fn reads(&mut self, services: Value) -> bool {
        let json = json!({"version": 1, "services": services, "rejected": []}).to_string();
        let news = self.documents.read(json.as_bytes()).unwrap();
        news.apply(&mut self.inventory).is_some()
    }

    fn table(&self) -> Arc<Table> {
        self.inventory.table()
    }

    fn entry(&self, host: &str) -> Arc<Entry> {
        self.table().by_host(host).unwrap_or_else(|| panic!("no {host}")).clone()
    }

    fn usable(&self, host: &str) -> Vec<String> {
        let entry = self.entry(host);
        let usable = entry.targets.iter().flat_map(|target| target.endpoints.usable());
        usable.map(|endpoint| endpoint.addr.to_string()).collect()
    }

    /// What neither the reader nor the inventory takes.
    fn rejections(&self) -> Vec<String> {
        let all = self.documents.rejections().chain(self.inventory.rejections());
        all.map(|rejection| format!("{}: {}", rejection.object, rejection.reason)).collect()
    }
}

fn reader() -> Reader {
    Reader::new(Settings::default())
}

/// The Service `shop/web` with one unnamed port, and these fields besides.
fn web(fields: Value) -> Value {
    with(json!({"namespace": "shop", "name": "web", "ports": [{"port": 80}]}), fields)
}

fn with(mut object: Value, fields: Value) -> Value {
    let (Value::Object(object_fields), Value::Object(fields)) = (&mut object, fields) else {
        panic!("both are objects")
    };
    object_fields.extend(fields);
    object
}

fn endpoint(address: &str, port: u16) -> Value {
    json!({"address": address, "port": port})
}

#[test]
fn a_service_of_which_only_names_and_ports_are_told_is_found_by_name_and_has_no_address() {
    let mut reader = reader();
    assert!(reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 8080)]}))])));
    assert_eq!(reader.usable("web.shop"), ["10.0.0.1:8080"]);
    let entry = reader.entry("web.shop");
    assert_eq!((entry.source, entry.service.cluster_ips.len()), (Source::Services, 0));
    assert_eq!(reader.rejections(), [""; 0]);
}

#[test]
fn ports_have_their_own_endpoints_and_endpoints_their_own_numbers() {
    let mut reader = reader();
    let on = |name: &str, address: &str, port: u16| with(endpoint(address, port), json!({"portName": name}));
    reader.reads(json!([web(json!({
        "ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 81, "protocol": "UDP"}],
        "endpoints": [
            on("http", "10.0.0.1", 8080), on("http", "10.0.0.2", 8081), on("http", "fd00::1", 8080), on("metrics", "10.0.0.1", 9090)
        ],
    }))]));
    let entry = reader.entry("web.shop");
    let ports = entry.targets.iter().map(|target| {
        let endpoints = target.endpoints.usable().iter().map(|endpoint| endpoint.addr.to_string());
        (target.port.port, target.port.transport.as_str(), endpoints.collect::<Vec<_>>().join(" "))
    });
    let expected = [
        (80, "TCP", "10.0.0.1:8080 10.0.0.2:8081 [fd00::1]:8080".to_string()),
        (81, "UDP", "10.0.0.1:9090".to_string()),
    ];
    assert_eq!(ports.collect::<Vec<_>>(), expected);
}

#[test]
fn weights_are_each_endpoints_own_whatever_the_annotation_says_of_pods() {
    let mut reader = reader();
    let weighing = |address: &str, weight: u16| with(endpoint(address, 80), json!({"weight": weight}));
    reader.reads(json!([web(json!({
        "annotations": {"svcmesh.dev/weights": "10.0.0.2=9,web-0=3"},
        "endpoints": [weighing("10.0.0.1", 3), weighing("10.0.0.2", 1), weighing("fd00::1", 0)],
    }))]));
    let entry = reader.entry("web.shop");
    let weights = entry.targets[0].endpoints.all().iter().map(|endpoint| endpoint.weight);
    assert_eq!(weights.collect::<Vec<_>>(), [3, 1, 0]);
}

#[test]
fn a_policy_is_the_annotations_else_the_one_that_is_written() {
    let policy = |fields: Value| {
        let mut reader = reader();
        reader.reads(json!([web(fields)]));
        reader.entry("web.shop").service.handling.policy.map(|policy| policy.as_str())
    };
    assert_eq!(policy(json!({})), None);
    assert_eq!(policy(json!({"policy": "p2c"})), None, "what it has without asking");
    assert_eq!(policy(json!({"policy": "maglev"})), Some("maglev"));
    let annotations = json!({"svcmesh.dev/load-balancer": "wrr"});
    assert_eq!(policy(json!({"policy": "wrr", "annotations": annotations})), Some("wrr"));
    assert_eq!(policy(json!({"policy": "rr", "annotations": annotations})), Some("wrr"));
}

#[test]
fn who_is_ejected_elsewhere_is_as_good_as_any() {
    let mut reader = reader();
    let ejected = |ejected: bool| {
        let one = with(endpoint("10.0.0.1", 80), json!({"ejected": ejected}));
        json!([web(json!({"endpoints": [one, endpoint("10.0.0.2", 80)]}))])
    };
    reader.reads(ejected(true));
    assert_eq!(reader.usable("web.shop"), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert!(!reader.reads(ejected(false)));
}

#[test]
fn endpoints_that_are_the_services_own_address_are_those_of_whom_nobody_knows_more() {
    for (source, endpoints) in
        [("env", &["10.96.0.7:80"][..]), ("dns", &["10.96.0.7:80"]), ("manifests", &[]), ("", &[])]
    {
        let mut reader = reader();
        reader.reads(json!([web(json!({
            "source": source, "clusterIPs": ["10.96.0.7"], "endpoints": [endpoint("10.96.0.7", 80)],
        }))]));
        assert_eq!(reader.usable("web.shop"), endpoints, "{source}");
        assert_eq!(reader.rejections().len(), usize::from(endpoints.is_empty()), "{source}");
    }
}

#[test]
fn endpoints_that_no_service_may_have_are_left_out_and_told() {
    let mut reader = reader();
    reader.reads(json!([
        web(json!({
            "clusterIPs": ["10.96.0.7"],
            "endpoints": [
                endpoint("127.0.0.1", 80), endpoint("10.0.0.1", 80), endpoint("10.96.0.7", 80), endpoint("10.96.0.8", 80),
                endpoint("10.0.0.2", 0), with(endpoint("10.0.0.3", 80), json!({"portName": "http"}))
            ],
        })),
        {"namespace": "shop", "name": "db", "clusterIPs": ["10.96.0.8"], "ports": [{"port": 5432}]},
    ]));
    assert_eq!(reader.usable("web.shop"), ["10.0.0.1:80"]);
    insta::assert_snapshot!(reader.rejections().join("\n"));

    let mut trial = Reader::new(Settings { allow_loopback_endpoints: true, ..Settings::default() });
    trial.reads(json!([web(json!({"endpoints": [endpoint("127.0.0.1", 80)]}))]));
    assert_eq!(trial.usable("web.shop"), ["127.0.0.1:80"]);
}

#[test]
fn what_is_wrong_with_one_service_keeps_no_other_from_serving() {
    let mut reader = reader();
    reader.reads(json!([
        7,
        {"name": "nowhere"},
        {"namespace": "shop", "name": "typed", "ports": [{"port": 65536}]},
        {"namespace": "shop", "name": "kind", "type": "Other", "ports": [{"port": 80}]},
        {"namespace": "shop", "name": "policy", "policy": "best", "ports": [{"port": 80}]},
        {"namespace": "shop", "name": "annotated", "annotations": {"svcmesh.dev/timeout": "10"}, "ports": [{"port": 80}]},
        {"namespace": "shop", "name": "affinity", "sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 9_999_999_999_u64}, "ports": [{"port": 80}]},
        {"namespace": "shop", "name": "Name", "ports": [{"port": 80}]},
        {"namespace": "", "name": "", "ports": [{"port": 80}]},
        web(json!({"endpoints": [endpoint("10.0.0.1", 80)]})),
        web(json!({"endpoints": [endpoint("10.0.0.2", 80)]})),
    ]));
    assert_eq!(reader.table().entries().count(), 1);
    assert_eq!(reader.usable("web.shop"), ["10.0.0.1:80"]);
    insta::assert_snapshot!(reader.rejections().join("\n"));

    assert!(!reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80)]}))])));
    assert_eq!(reader.rejections(), [""; 0]);
}

#[test]
fn what_would_make_a_table_wrong_is_refused_whoever_wrote_it() {
    let cidrs = ["10.96.0.0/12", "fd00::/108"].map(|cidr| cidr.parse().unwrap());
    let rules = Rules { service_cidrs: cidrs.into(), ..Rules::default() };
    let mut documents = Documents::new(Source::Services, rules, Scope::ALL, "cluster.local".into());
    let wrong = [
        json!({"namespace": "shop\r\nx: y"}),
        json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}),
        json!({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}),
        json!({"ports": [{"port": 80}, {"port": 81}, {"name": "port-81-tcp", "port": 82}]}),
        json!({"ports": [{"port": 0}]}),
        json!({"ports": [{"port": 80, "protocol": "QUIC"}]}),
        json!({"clusterIPs": ["10.96.0.7", "10.96.0.8"]}),
        json!({"clusterIPs": ["10.96.0.7", "fd00::7", "10.96.0.8"]}),
        json!({"clusterIPs": ["192.0.2.1"]}),
        json!({"type": "ExternalName", "externalName": "db.example.com", "clusterIPs": ["10.96.0.7"]}),
        json!({"type": "ExternalName"}),
        json!({"type": "ExternalName", "externalName": "db.example.com\r\nx: y"}),
        json!({"externalIPs": ["127.0.0.1"]}),
        json!({"sessionAffinity": {"type": "Cookie"}}),
        json!({"sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 0}}),
        json!({"internalTrafficPolicy": "Nowhere"}),
        json!({"trafficDistribution": "PreferFar"}),
        json!({"namespace": "", "ports": [{"port": 80}, {"port": 80}]}),
    ];
    let texts = wrong.map(|fields| web(fields).to_string());
    let mut told = String::new();
    for text in &texts {
        let news = documents.read_services([text.as_str()]);
        assert_eq!(news.told.len() + news.dns.len(), 0, "{text}");
        let reasons = documents.rejections().map(|rejection| rejection.reason.clone());
        told += &(reasons.collect::<Vec<_>>().join(", ") + "\n");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn ports_of_a_name_elsewhere_need_no_names_and_several_others_get_some() {
    let mut reader = reader();
    let ports = json!([{"port": 80}, {"port": 81, "protocol": "UDP"}]);
    let external =
        json!({"type": "ExternalName", "externalName": "db.example.com", "name": "db", "ports": ports});
    reader
        .reads(json!([web(json!({"ports": ports, "endpoints": [endpoint("10.0.0.1", 81)]})), web(external)]));
    assert_eq!(reader.rejections(), [""; 0]);
    let names = |host: &str| {
        let entry = reader.entry(host);
        entry.service.ports.iter().map(|port| port.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("web.shop"), ["port-80-tcp", "port-81-udp"]);
    assert_eq!(names("db.shop"), ["", ""]);
    assert_eq!(reader.entry("web.shop").targets[1].endpoints.usable().len(), 1, "the number decides");
}

#[test]
fn what_is_no_document_changes_nothing() {
    let mut reader = reader();
    reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80)]}))]));
    let texts: [&[u8]; 8] = [
        b"",
        b"[]",
        b"{}",
        b"{\"version\": 1}",
        b"{\"version\": 1, \"services\": null}",
        b"{\"version\": 2, \"services\": []}",
        b"{\"version\": 1, \"services\": []",
        b"{\"version\": 1, \"services\": [\"\xff\"]}",
    ];
    let told = texts.map(|text| reader.documents.read(text).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"));
    assert!(!reader.reads(json!([web(json!({"endpoints": [endpoint("10.0.0.1", 80)]}))])));
    assert_eq!(reader.usable("web.shop"), ["10.0.0.1:80"]);
}

#[test]
fn of_a_field_that_is_told_twice_the_last_counts() {
    let mut reader = reader();
    let service = r#"{"namespace": "shop", "name": "db", "name": "web", "ports": [{"port": 80}]}"#;
    let document = format!(r#"{{"version": 2, "services": 7, "services": [{service}], "version": 1}}"#);
    let _news = reader.documents.read(document.as_bytes()).unwrap().apply(&mut reader.inventory);
    assert_eq!(reader.entry("web.shop").service.ports[0].port, 80);
}

#[test]
fn nobody_digs_deeper_than_the_stack() {
    let nested = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let mut reader = reader();
    assert!(reader.documents.read(nested.as_bytes()).is_err());
    let document = format!(r#"{{"version": 1, "services": [{{"namespace": {nested}}}, {nested}]}}"#);
    let _news = reader.documents.read(document.as_bytes()).unwrap().apply(&mut reader.inventory);
    assert_eq!(reader.rejections().len(), 2);
}

#[test]
fn the_endpoints_of_a_name_are_where_it_leads() {
    let external = |endpoints: Value| {
        json!([{
            "namespace": "shop", "name": "db", "type": "ExternalName", "externalName": "db.example.com",
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}], "endpoints": endpoints,
        }])
    };
    let on = |name: &str, port: u16| with(endpoint("192.0.2.1", port), json!({"portName": name}));
    let mut reader = reader();
    reader.reads(external(json!([on("a", 80), on("b", 443)])));
    assert_eq!(reader.usable("db.shop"), ["192.0.2.1:80", "192.0.2.1:443"], "each port at its own");
    let rewrite = reader.entry("db.shop").targets[0].rewrite.clone();
    assert_eq!(rewrite.and_then(|rewrite| rewrite.authority.clone()).as_deref(), Some("db.example.com"));

    reader.reads(external(json!([on("a", 8080), on("b", 8080)])));
    assert_eq!(reader.usable("db.shop"), ["192.0.2.1:8080", "192.0.2.1:8080"], "the record says which");
    assert!(reader.reads(external(json!([]))));
    assert_eq!(reader.usable("db.shop"), [""; 0]);
}

#[test]
fn a_name_leads_to_nothing_that_is_only_for_this_pod() {
    let external = |annotations: Value| {
        json!([{
            "namespace": "shop", "name": "local", "type": "ExternalName", "externalName": "localhost.example.com",
            "ports": [{"port": 80}], "endpoints": [endpoint("127.0.0.1", 80)], "annotations": annotations,
        }])
    };
    let mut reader = reader();
    reader.reads(external(json!({})));
    assert_eq!(reader.usable("local.shop"), [""; 0]);
    assert_eq!(reader.rejections().len(), 1);
    reader.reads(external(json!({"svcmesh.dev/allow-local-external-name": "true"})));
    assert_eq!(reader.usable("local.shop"), ["127.0.0.1:80"]);
}

#[test]
fn a_host_that_only_dns_knows_serves_under_its_own_name() {
    let mut reader = reader();
    reader.reads(json!([{
        "namespace": "", "name": "api.example", "type": "ExternalName", "source": "dns", "externalName": "api.example.com",
        "ports": [{"port": 80}, {"port": 8080}], "endpoints": [endpoint("192.0.2.1", 80), endpoint("192.0.2.1", 8080)],
    }]));
    assert_eq!(reader.usable("api.example"), ["192.0.2.1:80", "192.0.2.1:8080"]);
    assert!(
        reader.entry("api.example").targets[0].rewrite.is_none(),
        "it is asked by the name that its clients use"
    );
    assert!(reader.reads(json!([])));
    assert!(reader.table().by_host("api.example").is_none());
}

#[test]
fn who_only_chooses_endpoints_passes_over_what_is_said_of_the_way_there() {
    let read = |scope: Scope, annotations: Value| {
        let mut documents = Documents::new(Source::Services, Rules::default(), scope, "cluster.local".into());
        let news = documents.read_services([web(json!({"annotations": annotations})).to_string().as_str()]);
        let services = news.told.iter().filter_map(|change| match change {
            Change::Service(_, service) => service.clone(),
            Change::Slice(..) | Change::Endpoints(..) | Change::Name(..) | Change::Here(_) => None,
        });
        services.map(|service| service.handling.clone()).next()
    };
    let both = json!({"svcmesh.dev/timeout": "3s", "svcmesh.dev/slow-start": "7s"});
    let all = read(Scope::ALL, both.clone()).unwrap();
    assert_eq!(all.timeout, Some(core::time::Duration::from_secs(3)));
    let choice = read(Scope::CHOICE, both).unwrap();
    assert_eq!((choice.timeout, choice.slow_start), (None, all.slow_start));
    let wrong = json!({"svcmesh.dev/timeout": "soon"});
    assert_eq!(read(Scope::ALL, wrong.clone()), None);
    assert_eq!(read(Scope::CHOICE, wrong), read(Scope::CHOICE, json!({})));
    assert_eq!(read(Scope::CHOICE, json!({"svcmesh.dev/slow-start": "soon"})), None);
}
