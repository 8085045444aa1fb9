//! The node of a cluster on one machine: what a scheduler, kubelets, kube-proxy and CoreDNS do, for tests.
//!
//! It runs several `Node` objects at once: they differ by name and zone, and share this machine's network. Pods are containers of runc, in
//! namespaces of their own. Simplifications:
//!
//! - **Images** are root filesystems of this machine ([`Settings::images`]); nothing is pulled, a tag means nothing.
//! - **Scheduler:** node selectors, required node affinity, zones of spread constraints; no resources, taints, priorities, pod affinity. A
//!   pod that fits nowhere is tried again, and not told so.
//! - **Volumes:** emptyDir, hostPath, ConfigMap, Secret, downward API, projected; written once, when the pod starts, as plain files: no
//!   later change of an object, and no newer token, reaches a running pod.
//! - **Probes** over TLS, ephemeral containers, user namespaces, `shareProcessNamespace`, devices and `terminationMessagePath` are not
//!   there. The seccomp profile `RuntimeDefault` refuses a list of calls, shorter than containerd's.
//! - **kubelet's API** is `/containerLogs`: no exec, attach, port-forward, metrics. `pods/proxy` is the API server's own doing. No
//!   Events are written.
//! - **Cluster IPs:** ClusterIP and NodePort; affinity by a hash of the client's address, without a time-out; no external IPs, load
//!   balancers, traffic policies or hints; UDP flows to an endpoint that is gone are not cut.
//! - **DNS:** no upstream: names outside of the cluster's domain do not exist. No names of pods by their address.
//! - A node does not outlive its process: all pods end with it, by its PID namespace.

mod assignment;
mod dns;
mod env;
mod fields;
mod files;
mod images;
mod logs;
mod network;
mod objects;
mod oci;
mod order;
mod pod;
mod probe;
mod registration;
mod runc;
mod scheduler;
mod security;
mod server;
mod services;
mod status;
mod vips;
mod volumes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, reflector::reflector};
use kube::{Api, Client, Resource};
use tokio::sync::Notify;
use tokio::time::sleep;

pub(crate) use crate::{Error, Result};
use images::Images;
use logs::Logs;
use network::Allocator;
use objects::Objects;

/// The settings of a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it keeps its files.
    pub home: PathBuf,
    /// Names and zones of its `Node` objects.
    pub nodes: Vec<(String, String)>,
    /// Images beside `busybox` and `nginx`: a name, and a root filesystem or programs.
    pub images: Vec<(String, Vec<PathBuf>)>,
    /// The domain of Services.
    pub domain: String,
    /// The cluster IP of the name server.
    pub name_server: Ipv4Addr,
}

/// The address of the node, which the API server advertises.
pub const ADDRESS: Ipv4Addr = network::NODE;

/// The state that all pods share.
pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) home: PathBuf,
    pub(crate) images: Images,
    pub(crate) allocator: Allocator,
    pub(crate) logs: Arc<Logs>,
    pub(crate) domain: String,
    pub(crate) name_server: Ipv4Addr,
    services: Store<Service>,
}

impl Node {
    fn variables(&self, namespace: &str, links: bool) -> Vec<(String, String)> {
        let services = self.services.state();
        services::variables(services.iter().map(|service| &**service), namespace, links)
    }
}

/// Prepares the network namespace of the caller for pods. To be called once, before anything listens at [`ADDRESS`].
///
/// # Errors
/// It takes root, and the programs `ip` and `sh`.
pub async fn prepare() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?; // containers become our children when runc ends
    sweep();
    network::start().await
}

/// Runs pods for ever. `ready` is called once pods can run.
///
/// # Errors
/// The API server refuses the node, or its network cannot be made.
pub async fn run(client: Client, settings: Settings, ready: impl FnOnce()) -> Result<()> {
    std::fs::create_dir_all(&settings.home)?;
    Box::pin(registration::register(&client, &settings)).await?;
    let changed = Arc::new(Notify::new());
    let services: Store<Service> = follow(&client, Some(Arc::clone(&changed)));
    let slices: Store<EndpointSlice> = follow(&client, Some(Arc::clone(&changed)));
    let pods: Store<Pod> = follow(&client, None);
    services.wait_until_ready().await?;
    slices.wait_until_ready().await?;
    pods.wait_until_ready().await?;
    let logs = Arc::new(Logs::default());
    let node = Arc::new(Node {
        images: Images::new(&settings.home.join("images"), &settings.images)?,
        allocator: Allocator::default(),
        logs: Arc::clone(&logs),
        domain: settings.domain.clone(),
        name_server: settings.name_server,
        services: services.clone(),
        home: settings.home.clone(),
        client: client.clone(),
    });
    let find = move |namespace: &str, name: &str| {
        let reference = ObjectRef::new(name).within(namespace);
        pods.get(&reference).and_then(|pod| pod.metadata.uid.clone())
    };
    let kubelet = server::serve(at(KUBELET_PORT), logs, Arc::new(find));
    let zone = Arc::new(Zone { services: services.clone(), slices: slices.clone() });
    let names = dns::serve(at(DNS_PORT), zone, settings.domain.clone());
    let rules = keep_rules(services, slices, changed);
    ready();
    tokio::select! {
        ended = kubelet => ended,
        ended = names => ended,
        ended = rules => ended,
        ended = assignment::run_pods(node, &settings) => ended,
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(network::NODE), port)
}

const KUBELET_PORT: u16 = 10250;
const DNS_PORT: u16 = 53;

/// The parent of all containers' control groups.
pub(crate) const CGROUP: &str = "svcmesh-cluster";

/// Removes the control groups that nodes left behind which were killed. One in use cannot be removed, and one that is new is left alone.
fn sweep() {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let groups = hierarchies.flat_map(|hierarchy| std::fs::read_dir(hierarchy.path().join(CGROUP)));
    for group in groups.flatten().flatten() {
        let age =
            group.metadata().and_then(|group| group.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > LEFT_BEHIND) {
            let _in_use = std::fs::remove_dir(group.path());
        }
    }
}

/// Longer than a container takes to enter its new control group.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// All objects of a kind, kept up to date.
fn follow<K>(client: &Client, changed: Option<Arc<Notify>>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).backoff(Pause);
    tokio::spawn(reflector(writer, events).for_each(move |_| {
        if let Some(changed) = &changed {
            changed.notify_one();
        }
        std::future::ready(())
    }));
    store
}

/// The pause before a watch that failed is tried again.
///
/// kube's own grows to 30 s: tests let the API server go, and continue soon after its return.
#[derive(Clone, Copy)]
struct Pause;

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(500))
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {}
}

/// Services and slices, as names are looked up in them.
struct Zone {
    services: Store<Service>,
    slices: Store<EndpointSlice>,
}

impl dns::Zone for Zone {
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.get(&ObjectRef::new(name).within(namespace))
    }

    fn services(&self) -> Vec<Arc<Service>> {
        self.services.state()
    }

    fn slices(&self) -> Vec<Arc<EndpointSlice>> {
        self.slices.state()
    }
}

/// Writes the rules anew after each burst of changes.
async fn keep_rules(
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    changed: Arc<Notify>,
) -> Result<()> {
    let mut last = String::new();
    loop {
        let (all, known) = (services.state(), slices.state());
        let mut all: Vec<&Service> = all.iter().map(|service| &**service).collect();
        all.sort_by_key(|service| (&service.metadata.namespace, &service.metadata.name));
        let known: Vec<&EndpointSlice> = known.iter().map(|slice| &**slice).collect();
        let rules = vips::rules(all, &known);
        if rules != last {
            vips::apply(&rules).await?;
            last = rules;
        }
        changed.notified().await;
        sleep(BURST).await;
    }
}

/// Long enough for the slices of a rollout to come together, short beside the time that a pod takes to end.
const BURST: Duration = Duration::from_millis(20);
