//! Pods, as far as they matter to Services.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::service::object::Metadata;

/// `v1` Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct Pod {
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: PodSpec,
    #[serde(default)]
    pub status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct PodSpec {
    #[serde(default)]
    pub containers: Vec<Container>,
    #[serde(default)]
    pub init_containers: Vec<Container>,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct Container {
    #[serde(default)]
    pub ports: Vec<ContainerPort>,
    pub restart_policy: Option<String>,
}

/// One of a container's `ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct ContainerPort {
    pub name: Option<String>,
    pub protocol: Option<String>,
}

/// `status` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct PodStatus {
    pub phase: Option<String>,
}

impl Pod {
    /// Whether it runs or will: endpoints are made of such pods only.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Whether a container that lasts as long as the pod has a port of that name.
    pub(super) fn has_port(&self, name: &str, protocol: &str) -> bool {
        let sidecars =
            self.spec.init_containers.iter().filter(|init| init.restart_policy.as_deref() == Some("Always"));
        let mut ports = self.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
        ports.any(|port| {
            port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
        })
    }
}
