//! One start of a container.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use rustix::process::Signal;

use super::Waiting;
use crate::node::fields::Place;
use crate::node::images::Image;
use crate::node::probe::{self, Subject};
use crate::node::runc::{self, Running};
use crate::node::volumes::{self, Mount, Source};
use crate::node::{Error, Node, Objects, Result, env, files, oci};

/// One start of a container.
pub(super) struct Launch {
    pub(super) node: Arc<Node>,
    pub(super) pod: Arc<Pod>,
    pub(super) spec: PodSpec,
    pub(super) container: Container,
    pub(super) run: i32,
    pub(super) place: Place,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) sandbox: Option<u32>,
    pub(super) home: PathBuf,
}

impl Launch {
    pub(super) async fn run(self) -> std::result::Result<Running, Waiting> {
        let because = |reason: &'static str| move |error: Error| (reason.to_owned(), error.to_string());
        let reference = self.container.image.as_deref().unwrap_or_default();
        let image = self.node.images.find(reference).map_err(because("ErrImagePull"))?;
        let (config, folder, id) = self.config(image).await.map_err(because("CreateContainerConfigError"))?;
        let user = config["process"]["user"]["uid"].as_u64().and_then(|user| u32::try_from(user).ok());
        let bundle = runc::Bundle {
            folder: &folder,
            id: &id,
            lower: &image.lower,
            config: &config,
            state: &self.node.home.join("runc"),
            user: user.unwrap_or(0),
        };
        let (running, log) = runc::start(bundle).await.map_err(because("RunContainerError"))?;
        self.node.logs.add(self.pod.metadata.uid.as_deref().unwrap_or_default(), &self.container.name, log);
        let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        if let Some(hook) = hook {
            let address = self.place.pod_ips.first().and_then(|ip| ip.parse().ok());
            let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let subject = Subject { container: self.container.clone(), running: running.clone(), address };
            let mut exit = running.exit.clone();
            let failed = tokio::select! {
                handled = probe::handle(&hook, &subject) => handled.is_err(),
                _ = exit.wait_for(Option::is_some) => false,
            };
            if failed {
                running.signal(Signal::KILL);
            }
        }
        Ok(running)
    }

    async fn config(&self, image: &Image) -> Result<(serde_json::Value, PathBuf, String)> {
        let node = &self.node;
        let objects = Objects::fetch(&node.client, &self.pod).await?;
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or("default");
        let services = node.variables(namespace, self.spec.enable_service_links.unwrap_or(true));
        let variables = env::variables(&self.container, &self.pod, &self.place, &objects, &services)?;
        let value =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let mut mounts = volumes::mounts(&self.container, &self.sources, |text| env::expand(text, value))?;
        for (file, destination) in [("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")] {
            if mounts.iter().all(|mount| mount.destination != destination) {
                let source = self.home.join(file);
                mounts.push(Mount { source, destination: destination.to_owned(), read_only: false });
            }
        }
        for mount in mounts.iter().filter(|mount| !mount.source.exists()) {
            fs::create_dir_all(&mount.source)?; // a subPath that is new
        }
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let id = format!("{uid}-{}-{}", self.container.name, self.run);
        let folder = oci::bundle(&node.home, uid, &self.container.name, self.run);
        fs::create_dir_all(&folder)?;
        let (hostname, _) = files::hostname(&self.pod, &node.domain);
        let around = oci::Surroundings {
            image,
            variables: &variables,
            mounts: &mounts,
            hostname: &hostname,
            sandbox: self.sandbox,
            root: &runc::root(&folder),
            cgroup: &format!("/{}/{id}", crate::node::CGROUP),
        };
        Ok((oci::config(&self.spec, &self.container, &around)?, folder, id))
    }
}
