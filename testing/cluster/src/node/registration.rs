//! The objects that a cluster has from its start: its nodes, and the Service of its name server.

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use super::{DNS_PORT, KUBELET_PORT, Result, Settings, network};

/// Creates the Node objects, and the Service of the name server.
pub(crate) async fn register(client: &Client, settings: &Settings) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for (name, zone) in &settings.nodes {
        let labels = json!({ "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": zone });
        create(
            &nodes,
            name,
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } }),
        )
        .await?;
        let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "4000" });
        let status = json!({ "status": {
            "addresses": [{ "type": "InternalIP", "address": network::NODE }, { "type": "Hostname", "address": name }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": KUBELET_PORT } },
            "capacity": room, "allocatable": room,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": "2020-01-01T00:00:00Z", "lastTransitionTime": "2020-01-01T00:00:00Z" }],
        } });
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    }
    let services: Api<Service> = Api::namespaced(client.clone(), "kube-system");
    let ports = json!([{ "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "dns-tcp", "port": 53, "protocol": "TCP" }]);
    let name = "kube-dns";
    let spec = json!({ "clusterIP": settings.name_server, "ports": ports });
    create(
        &services,
        name,
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec }),
    )
    .await?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "kube-system");
    let labels = json!({ "kubernetes.io/service-name": name });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": { "name": name, "labels": labels },
        "addressType": "IPv4", "ports": ports_of_slice(), "endpoints": [{ "addresses": [network::NODE], "conditions": { "ready": true } }],
    });
    create(&slices, name, slice).await
}

fn ports_of_slice() -> Value {
    json!([{ "name": "dns", "port": DNS_PORT, "protocol": "UDP" }, { "name": "dns-tcp", "port": DNS_PORT, "protocol": "TCP" }])
}

async fn create<K>(api: &Api<K>, name: &str, object: Value) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object)?;
    match Box::pin(api.create(&PostParams::default(), &object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()), // it is there
        Err(error) => Err(format!("cannot create `{name}`: {error}").into()),
    }
}
