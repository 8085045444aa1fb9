//! Routes that say in their metadata which Service they lead to.

use serde_json::{Value, json};

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::service;

#[test]
fn a_route_says_which_service_its_requests_are_for() {
    let (web, orders) = ([Backend::start("web")], [Backend::start("orders")]);
    let services = [service("web", &web), service("orders", &orders)];
    let envoy =
        Envoy::start(&Bootstrap::of(&services).plugin(json!({"service": {"from": "metadata"}})).edit(
            |envoy| {
                let routes = &mut envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
                    ["typed_config"]["route_config"]["virtual_hosts"][0]["routes"];
                let usual = routes[0].take();
                *routes = json!([
                    said(&usual, "/orders", "orders"),
                    said(&usual, "/lost", "nobody.default"),
                    usual,
                ]);
            },
        ));
    let mut client = envoy.client();
    assert_eq!(client.ask("web", "/orders/7", &[]).backend(), "orders");
    assert_eq!(client.ask("web", "/lost", &[]).status(), 502);
    assert_eq!(client.ask("web", "/", &[]).backend(), "web"); // a route that says nothing leaves it to the request
}

/// That route at another path, with its metadata.
fn said(route: &Value, prefix: &str, service: &str) -> Value {
    let mut route = route.clone();
    route["match"] = json!({ "prefix": prefix });
    route["metadata"] = json!({ "filter_metadata": { "svcmesh": { "service": service } } });
    route
}
