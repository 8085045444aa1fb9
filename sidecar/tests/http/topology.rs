//! Endpoints that are for clients on another node, or in another zone.

use super::backend::Backend;
use super::support::{service, until};
use super::wire::Wire;
use super::world::{PORT, World, slice};

#[test]
fn traffic_follows_the_zone_of_its_endpoints() {
    let backends = ["a", "b"].map(saying);
    let documents = |zones: [&str; 2]| {
        let places = zones.map(|zone| format!("zone: {zone}"));
        documents("trafficDistribution: PreferSameZone", &backends, &places)
    };
    let world = World::over(&documents(["here", "there"]), &["--zone", "here"]);
    world.counts("svcmesh_endpoints{service=\"default/web\",state=\"elsewhere\"} 1");
    assert_eq!(answers(&world), ["a"; 6]);
    world.rewrite(&documents(["there", "here"]));
    until("the other endpoint is in this zone", || (answers(&world)[0] == "b").then_some(()));
    assert_eq!(answers(&world), ["b"; 6]);
    world.rewrite(&documents(["there", "there"]));
    until("no endpoint is in this zone", || answers(&world).contains(&"a".to_owned()).then_some(()));
    assert_eq!(answers(&world).iter().filter(|answer| *answer == "a").count(), 3, "all take turns");
}

#[test]
fn a_service_for_this_node_only_has_no_endpoint_where_none_is_on_it() {
    let backends = ["a", "b"].map(saying);
    let documents = |nodes: [&str; 2]| {
        let places = nodes.map(|node| format!("nodeName: {node}"));
        documents("internalTrafficPolicy: Local", &backends, &places)
    };
    let world = World::over(&documents(["other", "third"]), &["--node-name", "own"]);
    assert_eq!(ask(&mut world.client()).0, 503);
    world.records(&["MN"]);
    world.rewrite(&documents(["own", "other"]));
    until("an endpoint is on this node", || (ask(&mut world.client()).0 == 200).then_some(()));
    assert_eq!(answers(&world), ["a"; 6]);
}

/// The Service with one more field, and its endpoints with theirs.
fn documents(policy: &str, backends: &[Backend; 2], places: &[String; 2]) -> Vec<String> {
    let web = service("web", &["10.96.0.10"], PORT, "http");
    // The field follows those of `spec`, as the place follows those of the one endpoint.
    let mut documents = vec![web.replace("metadata: { name: web }", ROUND_ROBIN) + "  " + policy + "\n"];
    for (index, (backend, place)) in backends.iter().zip(places).enumerate() {
        documents.push(slice(index, backend.address()) + "  " + place + "\n");
    }
    documents
}

fn saying(name: &'static str) -> Backend {
    Backend::start(move |talk| {
        while talk.request().is_ok() {
            talk.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"));
        }
    })
}

/// What six requests are answered.
fn answers(world: &World) -> Vec<String> {
    let mut client = world.client();
    (0..6).map(|_| ask(&mut client).1).collect()
}

fn ask(client: &mut Wire) -> (u16, String) {
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    let response = client.response("GET").expect("each request is answered");
    (response.status(), response.body)
}

const ROUND_ROBIN: &str = "metadata: { name: web, annotations: { svcmesh.dev/load-balancer: rr } }";
