//! Watchers: sidecars, and clients of all slices.

use std::fmt;
use std::fs::File;
use std::process::Stdio;

use futures::future::{join_all, try_join_all};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::header::{ACCEPT, USER_AGENT};
use kube::Client;
use kube::client::Body;
use svc_cluster::Result;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::Measure;
use crate::http::until_ok;
use crate::objects::{self, Objects, USED};
use crate::server::{HOST, PORT, Server};

/// A way of watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Ours.
    Sidecar,
    /// kube-proxy's: one list and one watch of all slices, in protobuf.
    AllSlices,
    /// The same in JSON, as sidecars read.
    AllSlicesInJson,
}

/// Running watchers, which have synchronised.
pub(crate) enum Watchers {
    Sidecars(Vec<Sidecar>),
    OfAllSlices(Vec<AllSlices>),
}

impl Way {
    pub(crate) const ALL: [Way; 3] = [Way::Sidecar, Way::AllSlices, Way::AllSlicesInJson];

    /// The largest number that is of interest.
    pub(crate) fn most(self) -> usize {
        match self {
            Way::Sidecar | Way::AllSlices => usize::MAX,
            Way::AllSlicesInJson => 50,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Way::Sidecar => "sidecar: Services of a namespace, 3 in use",
            Way::AllSlices => "all slices, protobuf (kube-proxy's way)",
            Way::AllSlicesInJson => "all slices, JSON",
        })
    }
}

impl Watchers {
    /// Starts so many at once, and waits until each has its first state.
    pub(crate) async fn start(
        way: Way,
        count: usize,
        server: &Server,
        objects: &Objects,
        arguments: &Measure,
    ) -> Result<Watchers> {
        let accept = match way {
            Way::Sidecar => {
                let sidecars = (0..count).map(|watcher| Sidecar::with_api(watcher, objects, arguments));
                let sidecars = sidecars.collect::<Result<Vec<Sidecar>>>()?;
                try_join_all(sidecars.iter().map(|sidecar| sidecar.call(&sidecar.services))).await?;
                return Ok(Watchers::Sidecars(sidecars));
            }
            Way::AllSlices => "application/vnd.kubernetes.protobuf",
            Way::AllSlicesInJson => "application/json",
        };
        let version = server.slices_version().await?;
        let starts = (0..count).map(|_| AllSlices::start(objects, accept, &version));
        let watchers = stream::iter(starts).buffer_unordered(LISTS_AT_ONCE).try_collect();
        Ok(Watchers::OfAllSlices(watchers.await?))
    }

    /// How many of them watch the slices of this Service.
    pub(crate) fn watching(&self, service: usize) -> usize {
        match self {
            Watchers::Sidecars(sidecars) => {
                sidecars.iter().filter(|sidecar| sidecar.services.contains(&service)).count()
            }
            Watchers::OfAllSlices(watchers) => watchers.len(),
        }
    }
}

/// A running sidecar.
pub(crate) struct Sidecar {
    process: Child,
    address: String,
    services: [usize; USED],
}

impl Sidecar {
    /// One that discovers by the API, in the namespace of the Services that it is going to use.
    pub(crate) fn with_api(watcher: usize, objects: &Objects, arguments: &Measure) -> Result<Sidecar> {
        let services = objects::used_by(watcher);
        let account = objects.account(&objects::namespace_of(services[0])).display().to_string();
        let sources = ["--discovery", "kubernetes", "--service-account", &account, "--zone", "zone-0"];
        Sidecar::start(watcher, &sources, arguments)
    }

    /// One with these sources.
    pub(crate) fn start(watcher: usize, sources: &[&str], arguments: &Measure) -> Result<Sidecar> {
        let address = format!("127.70.{}.{}", watcher / 250, watcher % 250 + 1);
        let log = File::create(arguments.home.join(format!("sidecar-{watcher}.log")))?;
        let (admin, proxy) = (format!("{address}:{ADMIN}"), format!("{address}:{PROXY}"));
        let listeners =
            ["--outbound", "off", "--inbound", "off", "--admin", &admin, "--forward-proxy", &proxy];
        let process = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(&arguments.sidecar)
            .arg("run")
            .args(listeners)
            .args(sources)
            .env("KUBERNETES_SERVICE_HOST", HOST)
            .env("KUBERNETES_SERVICE_PORT", PORT.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Sidecar { process, address, services: objects::used_by(watcher) })
    }

    /// Sends a request to each of these Services, once it is ready.
    pub(crate) async fn call(&self, services: &[usize]) -> Result<()> {
        until_ok(&format!("{}:{ADMIN}", self.address), "/readyz").await?;
        let proxy = format!("{}:{PROXY}", self.address);
        let calls = services.iter().map(|&service| {
            let (name, namespace) = (objects::name(service), objects::namespace_of(service));
            let (proxy, url) = (proxy.clone(), format!("http://{name}.{namespace}/"));
            async move { until_ok(&proxy, &url).await }
        });
        join_all(calls).await.into_iter().collect()
    }

    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.process.id().ok_or("the sidecar has ended")?)
    }
}

const ADMIN: u16 = 15020;
const PROXY: u16 = 15002;

/// A client with a connection of its own.
pub(crate) struct AllSlices(JoinHandle<()>);

impl AllSlices {
    /// Lists all slices from the server's cache, and watches them from `version` on.
    async fn start(objects: &Objects, accept: &'static str, version: &str) -> Result<AllSlices> {
        let client = objects.client_of_all()?;
        let mut list = ask(&client, "resourceVersion=0", accept).await?;
        while let Some(frame) = list.frame().await {
            frame?;
        }
        let mut watch =
            ask(&client, &format!("watch=true&allowWatchBookmarks=true&resourceVersion={version}"), accept)
                .await?;
        let task = tokio::spawn(async move { while let Some(Ok(_)) = watch.frame().await {} });
        Ok(AllSlices(task))
    }
}

impl Drop for AllSlices {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ask(client: &Client, query: &str, accept: &'static str) -> Result<Body> {
    let request = Request::get(format!("{ALL_SLICES}?{query}"));
    let request = request.header(ACCEPT, accept).header(USER_AGENT, "bench").body(Body::empty())?;
    let response = client.send(request).await?;
    match response.status().as_u16() {
        200 => Ok(response.into_body()),
        status => Err(format!("{status} for {query}").into()),
    }
}

/// More at once, and clients give up: a list takes the server some 40 ms.
const LISTS_AT_ONCE: usize = 50;

pub(crate) const ALL_SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
