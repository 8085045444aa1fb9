//! What the filter's two hosts have in common: how it is told of a story's world, and how it tells of a failure.

use serde_json::{Value, json};
use svc_core::outcome::Failure;

use super::Case;

/// The filter's configuration for a story. It hears of Services from `cluster`. The question for news is always under way: it is
/// answered when there is some.
pub fn configuration(case: &Case, cluster: &str) -> Value {
    let said = |name: &str| case.world.settings.get(name).map_or("", String::as_str);
    let namespace = Some(said("namespace")).filter(|namespace| !namespace.is_empty());
    let trusted: Vec<String> = case.trusted().iter().map(ToString::to_string).collect();
    json!({
        "namespace": namespace.unwrap_or("default"), "node": said("node"), "zone": said("zone"),
        "trustedProxies": trusted, "unknown": "refuse", "environment": false,
        "update": { "cluster": cluster, "interval": "1ms", "timeout": "720h" },
    })
}

/// The code of the failure that a client is told of in so many words: the answer's status, and its `Proxy-Status`.
pub fn code(status: u16, told: &str) -> Option<String> {
    let says = |failure: &Failure| {
        let verdict = failure.verdict();
        let words = format!("svcmesh; error={}; details=\"{failure}\"", verdict.proxy_error);
        verdict.status == status && words == told
    };
    let found = Failure::ALL.into_iter().find(says)?;
    Some(found.verdict().code.to_owned())
}
