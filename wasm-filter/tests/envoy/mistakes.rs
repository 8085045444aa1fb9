//! Configurations that cannot be meant.

use serde_json::json;

use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::service;

#[test]
fn envoy_does_not_start_with_mistakes_and_logs_all_of_them() {
    let wrong = json!({
        "nameSpace": "shop",
        "unknown": "perhaps",
        "handOff": {"by": "guess"},
        "trustedProxies": ["10.0.0.0/33"],
        "update": {"cluster": "sidecar", "interval": "soon"},
    });
    let (status, log) = Envoy::refusal(&Bootstrap::of(&[]).plugin(wrong));
    assert!(!status.success(), "{log}");
    for mistake in [
        "nameSpace",
        "unknown `perhaps`",
        "handOff.by `guess`",
        "trustedProxies[0]",
        "update.interval `soon`",
    ] {
        assert!(log.contains(mistake), "no word of {mistake}:\n{log}");
    }
}

#[test]
fn what_is_no_json_is_a_mistake() {
    let (status, log) = Envoy::refusal(&Bootstrap::of(&[]).set_plugin_text("{\"unknown\": ".into()));
    assert!(!status.success(), "{log}");
    assert!(log.contains("[critical][wasm]") || log.contains("[error][wasm]"), "{log}");
}

#[test]
fn a_service_that_is_no_service_is_a_mistake() {
    let mut wrong = service("web", &[]);
    wrong["ports"] = "80".into();
    let (status, log) = Envoy::refusal(&Bootstrap::of(&[wrong]));
    assert!(!status.success(), "{log}");
    assert!(log.contains("services[0]"), "{log}");
}
