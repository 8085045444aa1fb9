//! Follows all pods: places those without a node, and runs those of this node.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::scheduler::{self, Candidate};
use super::{Node, Pause, Result, Settings, pod};

/// Follows all pods for ever.
pub(crate) async fn run_pods(node: Arc<Node>, settings: &Settings) -> Result<()> {
    let mut pods = Pods { own: settings.nodes.clone(), node, known: HashMap::new(), running: HashMap::new() };
    let api: Api<Pod> = Api::all(pods.node.client.clone());
    let events = watcher(api, watcher::Config::default()).backoff(Pause);
    tokio::pin!(events);
    let mut again = interval(Duration::from_secs(1));
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listed = HashSet::new();
    loop {
        tokio::select! {
            event = events.try_next() => match event {
                Ok(Some(Event::Apply(pod))) => pods.take(pod),
                Ok(Some(Event::Delete(pod))) => pods.gone(&pod.metadata.uid.unwrap_or_default()),
                Ok(Some(Event::Init)) => listed.clear(),
                Ok(Some(Event::InitApply(pod))) => {
                    listed.extend(pod.metadata.uid.clone());
                    pods.take(pod);
                }
                Ok(Some(Event::InitDone)) => {
                    let missing: Vec<String> = pods.known.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                    missing.iter().for_each(|uid| pods.gone(uid));
                }
                Ok(None) => return Err("the watch of pods has ended".into()),
                Err(_) => {} // it is tried again
            },
            _ = again.tick() => pods.place_all(),
        }
    }
}

struct Pods {
    own: Vec<(String, String)>,
    node: Arc<Node>,
    known: HashMap<String, Arc<Pod>>,
    running: HashMap<String, watch::Sender<Option<Arc<Pod>>>>,
}

impl Pods {
    fn take(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else { return };
        let pod = Arc::new(pod);
        self.known.insert(uid.clone(), Arc::clone(&pod));
        if scheduler::is_waiting(&pod) {
            return self.place(&uid);
        }
        if let Some(running) = self.running.get(&uid) {
            running.send_replace(Some(pod));
            return;
        }
        let at = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if self.own.iter().any(|(name, _)| Some(name.as_str()) == at) {
            let (sender, updates) = watch::channel(Some(pod));
            self.running.insert(uid, sender);
            tokio::spawn(pod::run(Arc::clone(&self.node), updates));
        }
    }

    fn gone(&mut self, uid: &str) {
        self.known.remove(uid);
        if let Some(running) = self.running.remove(uid) {
            running.send_replace(None);
        }
    }

    fn place_all(&mut self) {
        let waiting = self.known.iter().filter(|(_, pod)| scheduler::is_waiting(pod));
        let waiting: Vec<String> = waiting.map(|(uid, _)| uid.clone()).collect();
        waiting.iter().for_each(|uid| self.place(uid));
    }

    /// Binds a pod to a node, which the API server tells us of.
    fn place(&mut self, uid: &str) {
        let Some(pod) = self.known.get(uid).cloned() else { return };
        let placed: Vec<&Pod> = self.known.values().map(|pod| &**pod).collect();
        let candidates: Vec<Candidate> =
            self.own.iter().map(|(name, zone)| candidate(name, zone, &placed)).collect();
        let Some(name) = scheduler::pick(&pod, &candidates, &placed).map(str::to_owned) else { return };
        let mut assumed = (*pod).clone();
        if let Some(spec) = &mut assumed.spec {
            spec.node_name = Some(name.clone());
        }
        self.known.insert(uid.to_owned(), Arc::new(assumed));
        let client = self.node.client.clone();
        tokio::spawn(async move {
            if let Err(error) = bind(&client, &pod, &name).await {
                eprintln!("cannot bind pod {:?}: {error}", pod.metadata.name);
            }
        });
    }
}

fn candidate(name: &str, zone: &str, placed: &[&Pod]) -> Candidate {
    let labels = BTreeMap::from([
        ("kubernetes.io/hostname".to_owned(), name.to_owned()),
        ("kubernetes.io/os".to_owned(), "linux".to_owned()),
        ("topology.kubernetes.io/zone".to_owned(), zone.to_owned()),
    ]);
    let here = |pod: &&&Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(name);
    Candidate { name: name.to_owned(), labels, pods: placed.iter().filter(here).count() }
}

async fn bind(client: &Client, pod: &Pod, node: &str) -> Result<()> {
    let (name, namespace) = (pod.metadata.name.as_deref(), pod.metadata.namespace.as_deref());
    let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or("default"));
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name, "namespace": namespace },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    let _status: Value = api.create_subresource("binding", name, &PostParams::default(), &binding).await?;
    Ok(())
}
