//! The state of one container of a pod.

use k8s_openapi::api::core::v1::Container;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::node::order::{Kind, Stage};
use crate::node::runc::Running;
use crate::node::status::Known;

/// One container.
pub(super) struct Member {
    pub(super) container: Container,
    pub(super) known: Known,
    pub(super) running: Option<Running>,
    pub(super) probes: Option<AbortHandle>,
    /// Not to be started before.
    pub(super) not_before: Instant,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) runs: i32,
}

impl Member {
    pub(super) fn new(container: &Container, kind: Kind) -> Member {
        Member {
            known: Known {
                name: container.name.clone(),
                image: container.image.clone().unwrap_or_default(),
                kind,
                stage: Stage::New,
                ready: false,
                restarts: 0,
                waiting: None,
                id: None,
                started: None,
                ended: None,
                last: None,
            },
            container: container.clone(),
            running: None,
            probes: None,
            not_before: Instant::now(),
            failures: 0,
            runs: 0,
        }
    }
}
