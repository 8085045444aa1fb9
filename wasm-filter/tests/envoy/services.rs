//! Services as the filter is told of them: the items of `services` in a version-1 document.

use serde_json::{Value, json};

use super::backend::Backend;

/// `web` in the namespace `default`, port 80, over `backends` in turn.
pub(crate) fn web(backends: &[Backend]) -> Value {
    service("web", backends)
}

/// The same of any name.
pub(crate) fn service(name: &str, backends: &[Backend]) -> Value {
    json!({
        "namespace": "default", "name": name, "type": "ClusterIP", "source": "manifests",
        "clusterIPs": [], "externalIPs": [], "ingress": [], "loopbackVip": null, "skippedPorts": [],
        "externalName": null, "policy": "rr",
        "sessionAffinity": {"type": "None", "timeoutSeconds": null},
        "internalTrafficPolicy": "Cluster", "trafficDistribution": null,
        "annotations": {"svcmesh.dev/load-balancer": "rr"},
        "ports": [{"name": "", "port": 80, "nodePort": null, "protocol": "TCP", "appProtocol": "http"}],
        "endpoints": backends.iter().map(endpoint).collect::<Vec<Value>>(),
    })
}

/// `service` with these fields in the place of its own.
pub(crate) fn with(mut service: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("no fields: {fields}") };
    for (name, value) in fields {
        service[name] = value;
    }
    service
}

fn endpoint(backend: &Backend) -> Value {
    json!({
        "address": backend.address().ip(), "port": backend.address().port(), "portName": "",
        "ready": true, "serving": true, "terminating": false, "ejected": false, "weight": 1,
        "node": null, "zone": null, "hints": null, "hostname": null,
    })
}
