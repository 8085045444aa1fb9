//! The status of a pod, as the API server is told.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{AGAIN, Worker};
use crate::node::fields::Place;
use crate::node::status::{self, Known};

impl Worker {
    /// Hands the status to its writer, where it has changed.
    pub(super) fn publish(&mut self, place: &Place) {
        let mut before = (*self.pod).clone();
        let own = self.last.conditions.iter().flatten();
        let own: Vec<_> = own.filter(|condition| OWN.contains(&condition.type_.as_str())).cloned().collect();
        let others = before.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let others = others.into_iter().filter(|condition| !OWN.contains(&condition.type_.as_str()));
        let conditions = others.chain(own).collect();
        before.status = Some(PodStatus { conditions: Some(conditions), ..self.last.clone() });
        let known: Vec<Known> = self.members.iter().map(|member| member.known.clone()).collect();
        let status = status::status(&before, place, &known, self.ended, Timestamp::now());
        if status != self.last {
            self.last = status.clone();
            self.statuses.send_replace(Some(status));
        }
    }
}

/// Writes the latest status, until there is none to come.
pub(super) async fn write_status(
    api: Api<Pod>,
    name: String,
    uid: String,
    mut statuses: watch::Receiver<Option<PodStatus>>,
) {
    while statuses.changed().await.is_ok() {
        loop {
            let Some(status) = statuses.borrow_and_update().clone() else { break };
            let patch = json!({ "metadata": { "uid": uid }, "status": status });
            match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => break,
                Err(kube::Error::Api(refused)) if refused.code == 404 || refused.code == 409 => break,
                Err(kube::Error::Api(refused)) if refused.code == 422 => {
                    eprintln!("the status of pod {name} is refused: {}", refused.message);
                    break;
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// The conditions that a node writes.
const OWN: [&str; 4] = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
