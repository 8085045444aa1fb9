//! The same watches by kube's client with the types of k8s-openapi, in a process of its own: what a sidecar would hold that was built on it.

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, watcher};
use serde::de::DeserializeOwned;
use svc_cluster::{Access, Result};

/// Watches Services and slices until it is killed.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Arguments {
    /// `https://HOST:PORT`.
    #[arg(long)]
    pub(crate) server: String,
    /// The folder of a service account.
    #[arg(long)]
    pub(crate) account: PathBuf,
    /// The namespace whose Services are watched.
    #[arg(long)]
    pub(crate) namespace: String,
    /// The Services whose slices are watched.
    pub(crate) services: Vec<String>,
}

/// Prints a line when all objects are known.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(arguments))?;
    Ok(ExitCode::FAILURE)
}

async fn watch(arguments: &Arguments) -> Result<()> {
    let Arguments { server, account, namespace, services } = arguments;
    let (authority, token) = (account.join("ca.crt"), std::fs::read_to_string(account.join("token"))?);
    let client = Access { server: server.clone(), authority, token }.client()?;
    let known = keep(Api::<Service>::namespaced(client.clone(), namespace), watcher::Config::default());
    let slices = services.iter().map(|service| {
        let of_service = watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
        keep(Api::<EndpointSlice>::namespaced(client.clone(), namespace), of_service)
    });
    let slices: Vec<_> = slices.collect();
    known.wait_until_ready().await?;
    for slices in &slices {
        slices.wait_until_ready().await?;
    }
    println!("synchronised");
    std::future::pending().await
}

/// Watches in the background.
fn keep<K>(api: Api<K>, config: watcher::Config) -> Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(api, config).default_backoff().reflect(writer));
        while events.next().await.is_some() {}
    });
    store
}
