//! What all containers of a pod share: its sandbox, its addresses and its volumes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use rustix::mount::UnmountFlags;
use tokio::time::sleep;

use super::{AGAIN, Worker};
use crate::node::fields::Place;
use crate::node::network::{self, Addresses, Sandbox};
use crate::node::volumes::{self, Content, Source};
use crate::node::{Objects, Result, files};

/// What all containers of a pod share.
pub(super) struct Surroundings {
    pub(super) place: Place,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) in_memory: Vec<PathBuf>,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) addresses: Option<Addresses>,
}

impl Worker {
    /// Makes sandbox and volumes, and tries until it has them or the pod is deleted.
    pub(super) async fn settle(&mut self) -> Option<Surroundings> {
        loop {
            if self.is_deleted() {
                return None;
            }
            match self.try_settle().await {
                Ok(surroundings) => return Some(surroundings),
                Err(error) => {
                    for member in &mut self.members {
                        member.known.waiting = Some(("ContainerCreating".to_owned(), error.to_string()));
                    }
                    self.publish(&Place { pod_ips: Vec::new(), host_ip: network::NODE.to_string() });
                }
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                _ = self.updates.changed() => self.take_update(),
            }
        }
    }

    async fn try_settle(&self) -> Result<Surroundings> {
        let home = self.home();
        fs::create_dir_all(home.join("volumes"))?;
        let objects = Objects::fetch(&self.node.client, &self.pod).await?;
        let tokens = self.tokens().await?;
        let (addresses, sandbox, pod_ips) = if self.spec.host_network == Some(true) {
            (None, None, vec![network::NODE.to_string()])
        } else {
            let addresses = self.node.allocator.take()?;
            match Sandbox::start(addresses).await {
                Ok(sandbox) => {
                    let ips = addresses.all().iter().map(ToString::to_string).collect();
                    (Some(addresses), Some(sandbox), ips)
                }
                Err(error) => {
                    self.node.allocator.give_back(addresses);
                    return Err(error);
                }
            }
        };
        let place = Place { pod_ips, host_ip: network::NODE.to_string() };
        let mut surroundings =
            Surroundings { place, sources: BTreeMap::new(), in_memory: Vec::new(), sandbox, addresses };
        if let Err(error) = self.make_volumes(&mut surroundings, &objects, &tokens) {
            self.release(surroundings).await;
            return Err(error);
        }
        Ok(surroundings)
    }

    fn make_volumes(
        &self,
        surroundings: &mut Surroundings,
        objects: &Objects,
        tokens: &BTreeMap<String, String>,
    ) -> Result<()> {
        let home = self.home();
        let context = self.spec.security_context.as_ref();
        let group = context.and_then(|context| context.fs_group).and_then(|group| u32::try_from(group).ok());
        for volume in self.spec.volumes.iter().flatten() {
            let content = volumes::content(volume, &self.pod, &surroundings.place, objects, tokens)?;
            let folder = home.join("volumes").join(&volume.name);
            let source = volumes::make(&content, &folder, group)?;
            if content == (Content::Empty { in_memory: true }) {
                surroundings.in_memory.push(folder);
            }
            surroundings.sources.insert(volume.name.clone(), source);
        }
        let node = &self.node;
        fs::write(home.join("hosts"), files::hosts(&self.pod, &surroundings.place, &node.domain))?;
        let resolv =
            files::resolv_conf(&self.spec, &self.namespace, &node.domain, &node.name_server.to_string());
        fs::write(home.join("resolv.conf"), resolv)?;
        Ok(())
    }

    /// The service account's tokens that the volumes ask for, by audience.
    async fn tokens(&self) -> Result<BTreeMap<String, String>> {
        let mut tokens = BTreeMap::new();
        let account = self.spec.service_account_name.as_deref().unwrap_or("default");
        let api: Api<ServiceAccount> = Api::namespaced(self.node.client.clone(), &self.namespace);
        for asked in volumes::tokens(&self.pod) {
            let audience = asked.audience.clone().unwrap_or_default();
            let request = TokenRequest {
                spec: TokenRequestSpec {
                    audiences: Some(&audience)
                        .filter(|audience| !audience.is_empty())
                        .cloned()
                        .into_iter()
                        .collect(),
                    expiration_seconds: asked.expiration_seconds,
                    bound_object_ref: Some(BoundObjectReference {
                        api_version: Some("v1".to_owned()),
                        kind: Some("Pod".to_owned()),
                        name: Some(self.name.clone()),
                        uid: Some(self.uid.clone()),
                    }),
                },
                ..TokenRequest::default()
            };
            let answer = api.create_token_request(account, &PostParams::default(), &request).await?;
            tokens.insert(audience, answer.status.ok_or("a token request without an answer")?.token);
        }
        Ok(tokens)
    }

    pub(super) async fn clean(&self, surroundings: Option<Surroundings>) {
        if let Some(surroundings) = surroundings {
            self.release(surroundings).await;
        }
        self.node.logs.forget(&self.uid);
        let _gone = fs::remove_dir_all(self.home());
    }

    async fn release(&self, surroundings: Surroundings) {
        if let Some(sandbox) = surroundings.sandbox {
            sandbox.stop().await;
        }
        if let Some(addresses) = surroundings.addresses {
            self.node.allocator.give_back(addresses);
        }
        for folder in surroundings.in_memory {
            let _gone = rustix::mount::unmount(folder, UnmountFlags::DETACH);
        }
    }
}
