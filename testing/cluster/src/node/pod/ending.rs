//! The end of a pod: its containers are stopped, and its object is deleted.

use std::time::Duration;

use kube::api::{DeleteParams, Preconditions};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::stop::Stop;
use super::surroundings::Surroundings;
use super::{AGAIN, Worker, seconds};
use crate::node::order;

impl Worker {
    /// Ends all containers, or brings their end nearer.
    pub(super) fn stop_all(&mut self, grace: Duration, around: &Surroundings) {
        let until = Instant::now() + grace;
        if let Some(deadline) = &self.stopping {
            deadline.send_if_modified(|known| {
                let nearer = until < *known;
                *known = until.min(*known);
                nearer
            });
            return;
        }
        let (sender, deadline) = watch::channel(until);
        for index in 0..self.members.len() {
            self.stop(index, deadline.clone(), around);
        }
        self.stopping = Some(sender);
    }

    pub(super) fn stop(&self, index: usize, deadline: watch::Receiver<Instant>, around: &Surroundings) {
        let Some(running) = self.members[index].running.clone() else { return };
        let others = order::stops_after(&self.kinds, index);
        let whole = self.is_deleted() || self.outcome.is_some();
        let after = self.members[others].iter().filter(|_| whole).filter_map(|member| member.running.clone());
        let image = self.members[index].container.image.as_deref().unwrap_or_default();
        let signal = self.node.images.find(image).map_or(Signal::TERM, |image| image.stop_signal);
        let stop =
            Stop { after: after.collect(), subject: self.subject(index, running, around), signal, deadline };
        tokio::spawn(stop.run());
    }

    pub(super) fn follow_deletion(&mut self, around: &Surroundings) {
        if self.updates.borrow().is_none() {
            self.stop_all(Duration::ZERO, around); // the object is gone already
        } else if self.is_deleted() {
            let grace = self.pod.metadata.deletion_grace_period_seconds;
            self.stop_all(grace.map_or(self.grace(), seconds), around);
        }
    }

    pub(super) fn grace(&self) -> Duration {
        seconds(self.spec.termination_grace_period_seconds.unwrap_or(30))
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some() || self.updates.borrow().is_none()
    }

    /// Lets the API server forget the pod, as it waits for its node to do.
    pub(super) async fn delete(&self) {
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(self.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        while self.updates.borrow().is_some() && self.updates.has_changed().is_ok() {
            match self.api().delete(&self.name, &parameters).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => return,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}
