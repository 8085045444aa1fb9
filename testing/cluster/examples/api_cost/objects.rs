//! The objects: Services with their slices as controllers write them, permissions, and service accounts.

use std::fs;
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use serde_json::{Value, json};
use svc_cluster::{Access, Result};

use crate::server::{Author, Server, URL};

const NAMESPACES: usize = 20;
const SERVICES_OF_NAMESPACE: usize = 100;
pub(crate) const SERVICES: usize = NAMESPACES * SERVICES_OF_NAMESPACE;
const ENDPOINTS: usize = 10;

/// The Services that each sidecar uses.
pub(crate) const USED: usize = 3;

/// The endpoints' port.
pub(crate) const PORT: u16 = 8080;

/// What has been written, and the service accounts to read it by.
#[derive(Debug)]
pub(crate) struct Objects {
    home: PathBuf,
}

pub(crate) fn title(version: &str) -> String {
    format!(
        "api: {SERVICES} Services × {ENDPOINTS} endpoints in {NAMESPACES} namespaces, API server {version}"
    )
}

impl Objects {
    /// Writes all of them.
    pub(crate) async fn write(server: &Server, home: &Path) -> Result<Objects> {
        let objects = Objects { home: home.to_owned() };
        for index in 0..NAMESPACES {
            let namespace = namespace(index);
            objects.write_account(server, &namespace).await?;
            grant(server, &namespace).await?;
        }
        objects.write_account(server, ALL).await?;
        grant_all(server).await?;
        let services = stream::iter(0..SERVICES).map(|index| write_service(server, index));
        services.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(objects)
    }

    /// A namespace and its service account, with the files that pods have of it.
    async fn write_account(&self, server: &Server, namespace: &str) -> Result<()> {
        let object = json!({ "metadata": { "name": namespace } });
        server.create("/api/v1/namespaces", Author::User, &object).await?;
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let account = json!({ "metadata": { "name": "default" } });
        server.create(&accounts, Author::Controller, &account).await?;
        let request = json!({ "spec": { "audiences": null, "expirationSeconds": 7200 } });
        let token = server.create(&format!("{accounts}/default/token"), Author::User, &request).await?;
        let token = token["status"]["token"].as_str().ok_or("no token in the answer")?;
        let folder = self.account(namespace);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("token"), token)?;
        fs::write(folder.join("namespace"), namespace)?;
        fs::copy(self.home.join("ca.crt"), folder.join("ca.crt"))?;
        Ok(())
    }

    /// A client with a connection of its own that may watch the slices of all namespaces.
    pub(crate) fn client_of_all(&self) -> Result<Client> {
        let account = self.account(ALL);
        let token = fs::read_to_string(account.join("token"))?;
        Access { server: URL.to_owned(), authority: account.join("ca.crt"), token }.client()
    }

    /// The folder of a namespace's service account, as pods have it.
    pub(crate) fn account(&self, namespace: &str) -> PathBuf {
        self.home.join("accounts").join(namespace)
    }

    /// A folder of manifests with these Services.
    pub(crate) fn manifests(&self, services: &[usize]) -> Result<PathBuf> {
        let folder = self.home.join("manifests");
        fs::create_dir_all(&folder)?;
        for &index in services {
            fs::write(folder.join(format!("{}.json", name(index))), service(index).to_string())?;
            fs::write(folder.join(format!("{}-slice.json", name(index))), slice(index, 0).to_string())?;
        }
        Ok(folder)
    }
}

/// What sidecars of a namespace are granted.
async fn grant(server: &Server, namespace: &str) -> Result<()> {
    let role = ROLE.replace("serviceaccounts:default", &format!("serviceaccounts:{namespace}"));
    for (object, resource) in role.split("\n---\n").zip(["roles", "rolebindings"]) {
        let path = format!("{RBAC}/namespaces/{namespace}/{resource}");
        server.create_yaml(&path, object).await?;
    }
    Ok(())
}

async fn grant_all(server: &Server) -> Result<()> {
    let rules = json!([{ "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"] }]);
    let role = json!({ "metadata": { "name": ALL }, "rules": rules });
    server.create(&format!("{RBAC}/clusterroles"), Author::User, &role).await?;
    let binding = json!({
        "metadata": { "name": ALL },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ALL },
        "subjects": [{ "kind": "ServiceAccount", "namespace": ALL, "name": "default" }],
    });
    server.create(&format!("{RBAC}/clusterrolebindings"), Author::User, &binding).await?;
    Ok(())
}

async fn write_service(server: &Server, index: usize) -> Result<()> {
    let path = format!("/api/v1/namespaces/{}/services", namespace_of(index));
    server.create(&path, Author::User, &service(index)).await?;
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace_of(index));
    server.create(&path, Author::Controller, &slice(index, 0)).await?;
    Ok(())
}

/// The Services that a watcher uses: of one namespace, so that all watchers together use them evenly.
pub(crate) fn used_by(watcher: usize) -> [usize; USED] {
    let (namespace, first) = (watcher % NAMESPACES, watcher / NAMESPACES);
    [0, 33, 66].map(|step| namespace * SERVICES_OF_NAMESPACE + (first + step) % SERVICES_OF_NAMESPACE)
}

pub(crate) fn namespace_of(service: usize) -> String {
    namespace(service / SERVICES_OF_NAMESPACE)
}

fn namespace(index: usize) -> String {
    format!("team-{index:02}")
}

pub(crate) fn name(service: usize) -> String {
    format!("service-{service:04}")
}

/// A Service as people write it.
fn service(index: usize) -> Value {
    let name = name(index);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace_of(index),
            "labels": { "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench" },
        },
        "spec": {
            "selector": { "app.kubernetes.io/name": name },
            "ports": [{ "name": "http", "port": 80, "targetPort": PORT, "appProtocol": "http" }],
        },
    })
}

/// Its slice as the controller writes it; `turn` tells its versions apart.
pub(crate) fn slice(index: usize, turn: usize) -> Value {
    let (name, namespace) = (name(index), namespace_of(index));
    let endpoint = |endpoint: usize| {
        let number = index * ENDPOINTS + endpoint;
        json!({
            "addresses": [format!("11.{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff)],
            "conditions": { "ready": turn.is_multiple_of(2) || endpoint > 0, "serving": true, "terminating": false },
            "nodeName": format!("node-{:03}", number * 7 % 500),
            "zone": format!("zone-{}", number % 3),
            "targetRef": {
                "kind": "Pod",
                "namespace": namespace,
                "name": format!("{name}-6d4cf56db6-{number:05}"),
                "uid": uid(number),
            },
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{name}-x7k2p"),
            "generateName": format!("{name}-"),
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": "bench",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": name,
            },
            "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": format!("2026-12-01T00:00:{:02}Z", turn % 60) },
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": name,
                "uid": uid(index),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": PORT, "protocol": "TCP", "appProtocol": "http" }],
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
    })
}

fn uid(number: usize) -> String {
    format!("3f2c8e1a-5b7d-4c90-a6e4-{number:012x}")
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// The namespace of the clients of all slices.
const ALL: &str = "kube-proxy";

const ROLE: &str = include_str!("../../../../deploy/rbac/namespaced/rbac.yaml");

/// Requests that write.
const AT_ONCE: usize = 8;
