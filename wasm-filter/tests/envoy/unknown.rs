//! Requests for Services that are not there, or that have nobody to answer.

use serde_json::json;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::{service, web};

#[test]
fn an_unknown_name_is_refused_where_that_is_wanted() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let mut client = envoy.client();
    for host in ["nobody", "nobody.default.svc.cluster.local", "web.elsewhere", "192.0.2.1:80"] {
        let answer = client.get(host);
        assert_eq!(answer.status(), 502, "{host}");
        let reason = answer.head.field("proxy-status").unwrap_or_default();
        assert!(reason.starts_with("svcmesh; error=destination_not_found; details="), "{host}: {reason}");
    }
    assert_eq!(client.get("web").status(), 200);
}

#[test]
fn an_unknown_name_is_left_to_envoy_where_that_is_wanted() {
    let elsewhere = Backend::start("elsewhere");
    let bootstrap = Bootstrap::read("override-host.yaml").cluster("web", &[elsewhere.address()]);
    let envoy = Envoy::start(&bootstrap.plugin(json!({"unknown": "pass"})));
    let forged = [("x-svcmesh-endpoint", "127.0.0.1:9"), ("x-envoy-original-dst-host", "127.0.0.1:9")];
    let answer = envoy.client().ask("nobody", "/", &forged);
    assert_eq!(answer.backend(), "elsewhere");
    let received = answer.received();
    assert_eq!(received.field("host"), Some("nobody"));
    // What chooses an endpoint was the filter's to set, and it did not.
    assert_eq!(received.field("x-envoy-original-dst-host"), None);
}

#[test]
fn a_service_without_endpoints_is_unavailable() {
    let envoy = Envoy::start(&Bootstrap::of(&[service("web", &[])]));
    let answer = envoy.client().get("web");
    assert_eq!(answer.status(), 503);
    let reason = answer.head.field("proxy-status").unwrap_or_default();
    assert!(reason.starts_with("svcmesh; error=destination_unavailable; details="), "{reason}");
}

#[test]
fn a_service_is_not_reached_at_a_port_that_it_does_not_have() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let answer = envoy.client().get("web:81");
    assert_eq!(answer.status(), 502);
    let reason = answer.head.field("proxy-status").unwrap_or_default();
    assert!(reason.starts_with("svcmesh; error=destination_not_found; details="), "{reason}");
}

#[test]
fn services_in_the_variables_of_the_vm_are_known() {
    let application = Backend::start("application");
    let port = application.address().port().to_string();
    let bootstrap = Bootstrap::of(&[]).variable("ORDERS_SERVICE_HOST", "127.0.0.1");
    let envoy = Envoy::start(&bootstrap.variable("ORDERS_SERVICE_PORT", &port));
    let answer = envoy.client().get(&format!("orders:{port}"));
    assert_eq!(answer.backend(), "application");
}
