//! The life of one pod: its sandbox and volumes, its containers in their order, its status, its end.

mod ending;
mod launch;
mod member;
mod reporting;
mod stop;
mod surroundings;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use kube::Api;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Node;
use super::network::{self, Addresses};
use super::order::{self, Kind, RestartPolicy, Stage};
use super::probe::{self, Finding, Subject};
use super::runc::{Exit, Running};
use launch::Launch;
use member::Member;
use reporting::write_status;
use surroundings::Surroundings;

/// Runs a pod until its object is gone. `updates` ends in `None` when it is.
pub(crate) async fn run(node: Arc<Node>, updates: watch::Receiver<Option<Arc<Pod>>>) {
    let Some(pod) = updates.borrow().clone() else { return };
    let Some(mut worker) = Worker::new(node, pod, updates) else { return };
    let (statuses, writing) = watch::channel(None);
    let writer = tokio::spawn(write_status(worker.api(), worker.name.clone(), worker.uid.clone(), writing));
    worker.statuses = statuses;
    let surroundings = worker.settle().await;
    if let Some(surroundings) = &surroundings {
        worker.live(surroundings).await;
    }
    worker.statuses = watch::channel(None).0; // the writer ends after the last status
    let _written = writer.await;
    worker.delete().await;
    worker.clean(surroundings).await;
}

/// What a container's tasks tell.
enum Event {
    Launched(usize, std::result::Result<Running, Waiting>),
    Found(usize, i32, Finding),
    Exited(usize, i32, Exit),
}

/// Why a container does not run: a reason in one word, and a message.
type Waiting = (String, String);

struct Worker {
    node: Arc<Node>,
    updates: watch::Receiver<Option<Arc<Pod>>>,
    pod: Arc<Pod>,
    spec: PodSpec,
    uid: String,
    name: String,
    namespace: String,
    policy: RestartPolicy,
    members: Vec<Member>,
    kinds: Vec<Kind>,
    events: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    statuses: watch::Sender<Option<PodStatus>>,
    last: PodStatus,
    /// Set once the containers are being stopped; with the time when that must be done.
    stopping: Option<watch::Sender<Instant>>,
    /// How the pod ends by itself, known before its native sidecars are stopped.
    outcome: Option<bool>,
    ended: Option<bool>,
}

impl Worker {
    fn new(node: Arc<Node>, pod: Arc<Pod>, updates: watch::Receiver<Option<Arc<Pod>>>) -> Option<Worker> {
        let spec = pod.spec.clone()?;
        let init = spec.init_containers.iter().flatten().map(|container| {
            let kind = match container.restart_policy.as_deref() {
                Some("Always") => Kind::Sidecar,
                Some(_) | None => Kind::Init,
            };
            (container, kind)
        });
        let members: Vec<Member> = init
            .chain(spec.containers.iter().map(|container| (container, Kind::App)))
            .map(|(container, kind)| Member::new(container, kind))
            .collect();
        let policy = match spec.restart_policy.as_deref() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some(_) | None => RestartPolicy::Always,
        };
        Some(Worker {
            uid: pod.metadata.uid.clone()?,
            name: pod.metadata.name.clone()?,
            namespace: pod.metadata.namespace.clone()?,
            kinds: members.iter().map(|member| member.known.kind).collect(),
            last: pod.status.clone().unwrap_or_default(),
            statuses: watch::channel(None).0,
            events: mpsc::unbounded_channel(),
            stopping: None,
            outcome: None,
            ended: None,
            node,
            updates,
            pod,
            spec,
            policy,
            members,
        })
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.node.client.clone(), &self.namespace)
    }

    fn home(&self) -> PathBuf {
        self.node.home.join("pods").join(&self.uid)
    }

    /// From the first container to the end of the last.
    async fn live(&mut self, around: &Surroundings) {
        loop {
            self.step(around);
            self.publish(&around.place);
            if self.is_over() {
                return;
            }
            let wake = self.wake();
            tokio::select! {
                event = self.events.1.recv() => if let Some(event) = event {
                    self.handle(event, around);
                    while let Ok(event) = self.events.1.try_recv() {
                        self.handle(event, around);
                    }
                },
                changed = self.updates.changed() => {
                    self.take_update();
                    if changed.is_err() {
                        return; // the node ends
                    }
                    self.follow_deletion(around);
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Its containers have ended, and it is deleted.
    fn is_over(&self) -> bool {
        self.is_deleted() && self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.members.iter().all(|member| member.running.is_none() && member.known.stage != Stage::Starting)
    }

    /// Starts the containers that are due, and detects the end of the pod.
    fn step(&mut self, around: &Surroundings) {
        if self.stopping.is_some() {
            if self.is_quiet() {
                self.ended = self.outcome;
            }
            return;
        }
        let stages: Vec<Stage> = self.members.iter().map(|member| member.known.stage).collect();
        let step = order::next(self.policy, &self.kinds, &stages);
        if let Some(succeeded) = step.ended {
            self.outcome = Some(succeeded);
            self.stop_all(self.grace(), around);
            if self.is_quiet() {
                self.ended = self.outcome;
            }
            return;
        }
        let now = Instant::now();
        for index in step.start {
            if self.members[index].not_before <= now {
                self.launch(index, around);
                if self.kinds[index] == Kind::App {
                    break; // the next one waits for its postStart hook
                }
            }
        }
    }

    fn wake(&self) -> Instant {
        let now = Instant::now();
        let later = self.members.iter().map(|member| member.not_before).filter(|time| *time > now);
        later.min().unwrap_or(now + Duration::from_secs(3600))
    }

    fn launch(&mut self, index: usize, around: &Surroundings) {
        let member = &mut self.members[index];
        if member.runs > 0 {
            member.known.restarts += 1;
        }
        let run = member.runs;
        member.runs += 1;
        member.known.stage = Stage::Starting;
        member.known.waiting = None;
        let launch = Launch {
            node: Arc::clone(&self.node),
            pod: Arc::clone(&self.pod),
            spec: self.spec.clone(),
            container: member.container.clone(),
            run,
            place: around.place.clone(),
            sources: around.sources.clone(),
            sandbox: around.sandbox.as_ref().map(|sandbox| sandbox.pid),
            home: self.home(),
        };
        let events = self.events.0.clone();
        tokio::spawn(async move { events.send(Event::Launched(index, Box::pin(launch.run()).await)) });
    }

    fn handle(&mut self, event: Event, around: &Surroundings) {
        match event {
            Event::Launched(index, Ok(running)) => self.launched(index, running, around),
            Event::Launched(index, Err(waiting)) => {
                let member = &mut self.members[index];
                member.known.stage = Stage::New;
                member.known.waiting = Some(waiting);
                member.runs -= 1;
                member.failures += 1;
                member.not_before = Instant::now() + pause(member.failures);
            }
            Event::Found(index, run, finding) if self.members[index].runs == run => {
                self.found(index, finding, around)
            }
            Event::Exited(index, run, exit) if self.members[index].runs == run => self.exited(index, exit),
            Event::Found(..) | Event::Exited(..) => {} // of a run before
        }
    }

    fn launched(&mut self, index: usize, running: Running, around: &Surroundings) {
        let member = &mut self.members[index];
        let run = member.runs;
        let started = member.container.startup_probe.is_none();
        member.known.stage = Stage::Running { started };
        member.known.ready = started && member.container.readiness_probe.is_none();
        member.known.id = Some(running.id.clone());
        member.known.started = Some(running.started);
        member.running = Some(running.clone());
        let (events, ended) = (self.events.0.clone(), running.clone());
        tokio::spawn(async move { events.send(Event::Exited(index, run, ended.ended().await)) });
        if self.kinds[index] != Kind::Init {
            let (findings, mut found) = mpsc::unbounded_channel();
            let subject = self.subject(index, running, around);
            let events = self.events.0.clone();
            let probes = tokio::spawn(async move {
                let forward = async {
                    while let Some(finding) = found.recv().await {
                        let _gone = events.send(Event::Found(index, run, finding));
                    }
                };
                tokio::join!(probe::watch(subject, findings), forward);
            });
            self.members[index].probes = Some(probes.abort_handle());
        }
        if let Some(deadline) = self.stopping.as_ref().map(watch::Sender::subscribe) {
            self.stop(index, deadline, around);
        }
    }

    fn subject(&self, index: usize, running: Running, around: &Surroundings) -> Subject {
        let address = around.addresses.map_or(network::NODE, Addresses::v4);
        Subject { container: self.members[index].container.clone(), running, address: IpAddr::V4(address) }
    }

    fn found(&mut self, index: usize, finding: Finding, around: &Surroundings) {
        let member = &mut self.members[index];
        match finding {
            Finding::Started => {
                if let Stage::Running { started } = &mut member.known.stage {
                    *started = true;
                }
            }
            Finding::Ready(ready) => member.known.ready = ready,
            Finding::Unhealthy if self.stopping.is_none() => {
                let probes = [&member.container.liveness_probe, &member.container.startup_probe];
                let own =
                    probes.into_iter().flatten().find_map(|probe| probe.termination_grace_period_seconds);
                let grace = own.map_or(self.grace(), seconds);
                let (sender, deadline) = watch::channel(Instant::now() + grace);
                drop(sender); // it does not change
                self.stop(index, deadline, around);
            }
            Finding::Unhealthy => {}
        }
    }

    fn exited(&mut self, index: usize, exit: Exit) {
        let member = &mut self.members[index];
        member.running = None;
        if let Some(probes) = member.probes.take() {
            probes.abort();
        }
        member.known.stage = Stage::Ended { code: exit.code };
        member.known.ready = false;
        member.known.ended = Some(exit.at);
        let lived = member.known.started.map(|started| exit.at.duration_since(started).unsigned_abs());
        if lived.is_some_and(|lived| lived >= FORGIVEN_AFTER) {
            member.failures = 0;
        }
        let stages: Vec<Stage> = self.members.iter().map(|member| member.known.stage).collect();
        let again =
            self.stopping.is_none() && order::next(self.policy, &self.kinds, &stages).start.contains(&index);
        if again {
            let member = &mut self.members[index];
            member.known.last = Some(member.known.terminated(exit.code));
            member.not_before = Instant::now() + pause(member.failures);
            if member.failures > 0 {
                let message = format!("back-off restarting failed container {}", member.container.name);
                member.known.waiting = Some(("CrashLoopBackOff".to_owned(), message));
            }
            member.failures += 1;
        }
    }

    fn take_update(&mut self) {
        if let Some(pod) = self.updates.borrow_and_update().clone() {
            self.pod = pod;
        }
    }
}

/// Before what failed for reasons of the cluster's is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// A container that ran as long starts without a pause.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// 0, 10, 20, 40 … 300 seconds, as kubelet waits.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => Duration::from_secs(10 << (failures - 1).min(5)).min(Duration::from_secs(300)),
    }
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_fails_again_and_again_waits_longer_and_longer() {
        let pauses = [0, 1, 2, 3, 4, 5, 6, 40].map(|failures| pause(failures).as_secs());
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
    }
}
