//! Services that are another name for a host.

use serde_json::json;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::{service, with};

#[test]
fn the_host_that_answers_hears_its_own_name() {
    let outside = [Backend::start("outside")];
    let external = json!({"type": "ExternalName", "externalName": "api.example.com"});
    let envoy = Envoy::start(&Bootstrap::of(&[with(service("web", &outside), external)]));
    let received = envoy.client().get("web").received();
    assert_eq!(received.field("host"), Some("api.example.com"));
    assert_eq!(received.field("x-forwarded-host"), Some("web"));
}
