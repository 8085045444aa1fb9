//! Follows the sources, and hands what they say to the publisher.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::discovery::env;
use svc_core::inventory::{Change, Rejection};
use svc_core::service::Rules;
use svc_core::table::Source;

use super::manifests::{Manifests, OpenError, Touched, Watch};
use super::publish::Publisher;
use crate::admin::Ready;
use crate::config::{self, Config};
use crate::metrics::{Learned, Metrics};

/// The sources of this process.
pub(crate) struct Discovery {
    publisher: Publisher,
    ready: Arc<Ready>,
    manifests: Option<(Manifests, Watch)>,
    rejections: Arc<ArcSwap<Vec<Rejection>>>,
    metrics: Arc<Metrics>,
}

impl Discovery {
    /// Reads every source once.
    ///
    /// # Errors
    /// The manifests are named and cannot be reached.
    pub(crate) fn start(
        config: &Config,
        publisher: Publisher,
        ready: Arc<Ready>,
        metrics: Arc<Metrics>,
    ) -> Result<Discovery, OpenError> {
        let path = config.discovery.manifests.as_ref();
        let manifests = path.map(|path| Manifests::open(path, rules(config))).transpose()?;
        let manifests = manifests.map(|manifests| {
            let watch = manifests.watch();
            (manifests, watch)
        });
        let mut discovery = Discovery { publisher, ready, manifests, rejections: Arc::default(), metrics };
        for source in &config.discovery.sources {
            match source {
                Source::Environment => discovery.read_environment(config),
                Source::Manifests => discovery.read_manifests(&Touched::All),
            }
        }
        Ok(discovery)
    }

    /// What does not serve, and why.
    pub(crate) fn rejections(&self) -> Arc<ArcSwap<Vec<Rejection>>> {
        self.rejections.clone()
    }

    /// Takes in changes as they come, for ever. May be dropped at any time: what happened meanwhile is taken in the next time.
    pub(crate) async fn follow(&mut self) {
        loop {
            let touched = match &mut self.manifests {
                Some((_, watch)) => watch.touched().await,
                None => pending().await,
            };
            self.read_manifests(&touched);
        }
    }

    /// Reads everything again (SIGHUP). The environment cannot have changed.
    pub(crate) fn reload(&mut self) {
        if let Some((manifests, _)) = &mut self.manifests {
            let changes = manifests.reload();
            self.learn(Source::Manifests, changes);
        }
    }

    fn read_environment(&mut self, config: &Config) {
        let variables: Vec<_> = config::environment().collect();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let discovered = env::parse(variables, &config.discovery.namespace);
        for warning in discovered.warnings {
            tracing::warn!(%warning, "environment variable ignored");
        }
        let known = |service: svc_core::service::Service| {
            Change::Service(service.name.clone(), Some(Arc::new(service)))
        };
        self.learn(Source::Environment, discovered.services.into_iter().map(known).collect());
    }

    fn read_manifests(&mut self, touched: &Touched) {
        let changes =
            self.manifests.as_mut().map(|(manifests, _)| manifests.refresh(touched)).unwrap_or_default();
        self.learn(Source::Manifests, changes);
    }

    fn learn(&mut self, source: Source, changes: Vec<Change>) {
        let changed = self.publisher.apply(source, changes);
        self.ready.source_answered(source);
        let learned = match (self.note_rejections(), changed) {
            (0, true) => Learned::Applied,
            (0, false) => Learned::Unchanged,
            (_, true | false) => Learned::Refused,
        };
        self.metrics.updated(source, learned);
    }

    /// Shows what does not serve, and warns of what did not do so before: tells how many objects these are.
    fn note_rejections(&mut self) -> usize {
        let mut now: Vec<Rejection> =
            self.manifests.as_ref().map(|(manifests, _)| manifests.rejections()).unwrap_or_default();
        now.extend(self.publisher.inventory().rejections().cloned());
        let before = self.rejections.load();
        if **before == now {
            return 0;
        }
        let known: BTreeSet<_> = before.iter().collect();
        let new: Vec<_> = now.iter().filter(|rejection| !known.contains(rejection)).collect();
        for Rejection { object, file, reason } in &new {
            tracing::warn!(object, file, reason, "object refused");
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
