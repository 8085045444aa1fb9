//! Services and EndpointSlices of the API → core's facts, and the table that follows from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use svc_core::address::ServiceName;
use svc_core::findings::Pod;
use svc_core::inventory::{Change, Inventory, Settings, SliceKey};
use svc_core::service::{Interner, Invalid, Rules, Slice, object, read_endpoint_slice, read_service};
use svc_core::table::{Source, Table};

use crate::cluster::Cluster;
use crate::error::Error;

/// The objects that a command is about.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// One namespace; all of them without.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
    /// Only the slices of this Service.
    pub(crate) service: Option<String>,
}

/// Objects as the API has them.
pub(crate) struct Objects {
    pub(crate) services: Vec<object::Service>,
    pub(crate) slices: Vec<object::EndpointSlice>,
}

/// The facts of objects, and the table that follows from them.
pub(crate) struct Facts {
    pub(crate) table: Arc<Table>,
    /// By Service.
    pub(crate) slices: BTreeMap<ServiceName, Vec<Arc<Slice>>>,
    /// Objects that were skipped, and why.
    pub(crate) warnings: Vec<String>,
}

/// Lists Services and slices.
pub(crate) async fn list(cluster: &Cluster, scope: &Scope) -> Result<Objects, Error> {
    let services = ListParams {
        label_selector: scope.labels.clone(),
        field_selector: scope.fields.clone(),
        ..ListParams::default()
    };
    let owner = |name: &String| format!("{}={name}", svc_proto::names::label::SERVICE_NAME);
    let slices = ListParams { label_selector: scope.service.as_ref().map(owner), ..ListParams::default() };
    Ok(Objects {
        services: all(cluster, "services", "/api/v1", services, scope).await?,
        slices: all(cluster, "endpointslices", "/apis/discovery.k8s.io/v1", slices, scope).await?,
    })
}

/// Lists pods.
pub(crate) async fn pods(cluster: &Cluster, scope: &Scope) -> Result<Vec<Pod>, Error> {
    all(cluster, "pods", "/api/v1", ListParams::default(), scope).await
}

/// All objects of a list, page by page.
async fn all<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &str,
    group: &str,
    parameters: ListParams,
    scope: &Scope,
) -> Result<Vec<T>, Error> {
    let mut parameters = parameters.limit(PAGE);
    let path = match &scope.namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{resource}"),
        None => format!("{group}/{resource}"),
    };
    let mut items = Vec::new();
    loop {
        let request =
            Request::new(path.as_str()).list(&parameters).map_err(|error| Error::new(error.to_string()))?;
        let page: List<T> = cluster
            .client
            .request(request)
            .await
            .map_err(|error| Error::request(&error, resource, scope.namespace.as_deref()))?;
        items.extend(page.items);
        match page.metadata.next.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(items),
        }
    }
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMetadata,
    items: Vec<T>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// As many as kubectl asks for at once.
const PAGE: u32 = 500;

/// Reads objects as a sidecar does.
pub(crate) fn read(objects: &Objects) -> Facts {
    let rules = Rules::default();
    let (mut changes, mut warnings, mut interner) = (Vec::new(), Vec::new(), Interner::default());
    let mut by_service: BTreeMap<ServiceName, Vec<Arc<Slice>>> = BTreeMap::new();
    for service in &objects.services {
        match read_service(service, &rules) {
            Ok(read) => {
                let name = read.fact.name.clone();
                changes.push(Change::Endpoints(name.clone(), true));
                changes.push(Change::Service(name, Some(Arc::new(read.fact))));
            }
            Err(invalid) => warnings.push(skipped(&invalid)),
        }
    }
    for slice in &objects.slices {
        match read_endpoint_slice(slice, &rules, &mut interner) {
            Ok(read) => {
                for slice in read.fact.into_iter().map(Arc::new) {
                    let namespace = slice.service.namespace.clone();
                    let key =
                        SliceKey { namespace, name: slice.name.clone(), part: 0, from_endpoints: false };
                    by_service.entry(slice.service.clone()).or_default().push(Arc::clone(&slice));
                    changes.push(Change::Slice(key, Some(slice)));
                }
            }
            Err(invalid) => warnings.push(skipped(&invalid)),
        }
    }
    let settings = Settings { sources: [Source::Kubernetes].into(), ..Settings::default() };
    let mut inventory = Inventory::new(settings);
    inventory.apply(Source::Kubernetes, changes);
    Facts { table: inventory.table(), slices: by_service, warnings }
}

fn skipped(invalid: &Invalid) -> String {
    format!("skipped: {invalid}")
}
