//! Follows the sources, and hands what they say to the publisher.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::address::ServiceName;
use svc_core::inventory::{Change, Rejection};
use svc_core::service::Rules;
use svc_core::table;

use super::certificates::{CertificateWatcher, Reloaded};
use super::dns::NameServers;
use super::environment::Environment;
use super::kubernetes::KubernetesSource;
use super::manifests::{ManifestSource, Manifests};
use super::publish::Publisher;
use super::source::{Source, next_of};
use crate::admin::Ready;
use crate::certificates::Certificates;
use crate::config::Config;
use crate::error::RunError;
use crate::metrics::{Learned, Metrics};
use crate::shared::Shared;

/// The sources of this process.
pub(crate) struct Discovery {
    publisher: Publisher,
    ready: Arc<Ready>,
    sources: Vec<Box<dyn Source>>,
    watcher: CertificateWatcher,
    /// Services with ports that are served at others, of which a warning has told.
    moved: BTreeSet<ServiceName>,
    rejections: Arc<ArcSwap<Vec<Rejection>>>,
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
}

impl Discovery {
    /// Reads every source once.
    ///
    /// # Errors
    /// The manifests are named and cannot be reached, or the files of certificates cannot be used.
    pub(crate) fn start(
        config: &Arc<Config>,
        publisher: Publisher,
        ready: Arc<Ready>,
        metrics: Arc<Metrics>,
        shared: &Shared,
    ) -> Result<Discovery, RunError> {
        let path = config.discovery.manifests.as_ref();
        let manifests = path.map(|path| Manifests::open(path, rules(config))).transpose();
        let mut manifests = manifests.map_err(RunError::because("cannot read the manifests"))?;
        let watcher = CertificateWatcher::start(config).map_err(RunError::because("cannot end TLS"))?;
        let mut discovery = Discovery {
            publisher,
            ready,
            sources: Vec::new(),
            watcher,
            moved: BTreeSet::new(),
            rejections: Arc::default(),
            certificates: shared.certificates.clone(),
            metrics: metrics.clone(),
        };
        for kind in &config.discovery.sources {
            let source: Box<dyn Source> = match kind {
                table::Source::Environment => Box::new(Environment::new(&config.discovery.namespace)),
                table::Source::Manifests => match manifests.take() {
                    Some(manifests) => Box::new(ManifestSource::new(manifests)),
                    None => continue,
                },
                table::Source::Dns => Box::new(NameServers::new(config, &shared.wanted, &metrics)),
                table::Source::Kubernetes => match config.discovery.api_server.clone() {
                    Some(server) => {
                        Box::new(KubernetesSource::new(server, config, rules(config), &shared.api_wanted))
                    }
                    None => continue, // the configuration has told
                },
                table::Source::Services => continue, // no flag names it
            };
            discovery.begin(source);
        }
        discovery.watcher.publish(&discovery.certificates); // Secrets are there now, or may come
        Ok(discovery)
    }

    /// What does not serve, and why.
    pub(crate) fn rejections(&self) -> Arc<ArcSwap<Vec<Rejection>>> {
        self.rejections.clone()
    }

    /// Takes in changes as they come, for ever. May be dropped at any time: what happened meanwhile is taken in the next time.
    pub(crate) async fn follow(&mut self) {
        loop {
            tokio::select! {
                (index, changes) = next_of(&mut self.sources) => self.learn(index, changes),
                () = self.watcher.touched() => self.reload_certificates(),
            }
        }
    }

    /// Reads everything again (SIGHUP).
    pub(crate) fn reload(&mut self) {
        self.reload_certificates();
        for index in 0..self.sources.len() {
            if let Some(changes) = self.sources[index].reload() {
                self.learn(index, changes);
            }
        }
    }

    /// Takes a source in, with what it can list.
    fn begin(&mut self, source: Box<dyn Source>) {
        let (index, kind) = (self.sources.len(), source.kind());
        self.sources.push(source);
        match self.sources[index].list() {
            Some(changes) => self.learn(index, changes),
            None if self.sources[index].answers_at_once() => self.ready.source_answered(kind),
            None => {}
        }
    }

    fn learn(&mut self, index: usize, changes: Vec<Change>) {
        let source = self.sources[index].kind();
        let secrets = self.publish_secrets(); // first: what else changed may name them
        let published = self.publisher.apply(source, changes);
        if published {
            self.note_moved();
        }
        let changed = published || secrets;
        self.ready.source_answered(source);
        let learned = match (self.note_rejections(), changed) {
            (0, true) => Learned::Applied,
            (0, false) => Learned::Unchanged,
            (_, true | false) => Learned::Refused,
        };
        self.metrics.updated(source, learned);
    }

    /// Tells of ports that are served at others, of each Service once, and as long as that is so where readiness is told.
    fn note_moved(&mut self) {
        let moved = self.publisher.moved();
        for moved in moved.iter().filter(|moved| !self.moved.contains(&moved.service)) {
            tracing::warn!(service = %moved.service, "{moved}");
        }
        self.ready.note(moved.iter().map(ToString::to_string).collect());
        self.moved = moved.into_iter().map(|moved| moved.service).collect();
    }

    fn publish_secrets(&mut self) -> bool {
        let changed = self.sources.iter_mut().find_map(|source| source.changed_secrets());
        let Some(secrets) = changed else { return false };
        self.certificates.publish(secrets);
        self.watcher.publish(&self.certificates);
        true
    }

    fn reload_certificates(&mut self) {
        let Reloaded { changed, refused } = self.watcher.reload();
        if changed {
            self.watcher.publish(&self.certificates);
        }
        self.metrics.certificates_reloaded(changed, refused);
        self.note_rejections();
    }

    /// Shows what does not serve, and warns of what did not do so before: tells how many objects these are.
    fn note_rejections(&mut self) -> usize {
        let mut now: Vec<Rejection> = self.sources.iter().flat_map(|source| source.rejections()).collect();
        now.extend(self.watcher.rejections().cloned());
        now.extend(self.publisher.inventory().rejections().cloned());
        let before = self.rejections.load();
        if **before == now {
            return 0;
        }
        let known: BTreeSet<_> = before.iter().collect();
        let new: Vec<_> = now.iter().filter(|rejection| !known.contains(rejection)).collect();
        for Rejection { object, file, reason } in &new {
            match object.starts_with("host ") {
                // Whoever asks for hosts would write the log.
                true => tracing::debug!(object, reason, "host refused"),
                false => tracing::warn!(object, file, reason, "object refused"),
            }
        }
        let new = new.len();
        self.rejections.store(Arc::new(now));
        new
    }
}

fn rules(config: &Config) -> Rules {
    let discovery = &config.discovery;
    Rules {
        service_cidrs: discovery.service_cidrs.clone(),
        allow_loopback_endpoints: discovery.allow_loopback_endpoints,
        default_namespace: discovery.namespace.clone(),
    }
}
