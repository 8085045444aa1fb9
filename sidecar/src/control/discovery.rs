//! Follows the sources, and hands what they say to the publisher.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::address::ServiceName;
use svc_core::discovery::env;
use svc_core::discovery::names::SearchPath;
use svc_core::inventory::{Change, Rejection};
use svc_core::service::Rules;
use svc_core::table::Source;

use super::certificates::{CertificateWatcher, Reloaded};
use super::dns::{Cluster, DnsCache, DnsSource, Stub};
use super::manifests::{FolderWatch, Manifests, Touched};
use super::publish::Publisher;
use crate::admin::Ready;
use crate::certificates::Certificates;
use crate::config::{self, Config};
use crate::error::RunError;
use crate::metrics::{Learned, Metrics};
use crate::shared::Shared;
use crate::shared::dns_interest::DnsInterest;

/// The sources of this process.
pub(crate) struct Discovery {
    publisher: Publisher,
    ready: Arc<Ready>,
    manifests: Option<(Manifests, FolderWatch)>,
    keeper: CertificateWatcher,
    dns: Option<DnsSource<Stub>>,
    resolv_conf: PathBuf,
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
        config: &Config,
        publisher: Publisher,
        ready: Arc<Ready>,
        metrics: Arc<Metrics>,
        shared: &Shared,
    ) -> Result<Discovery, RunError> {
        let path = config.discovery.manifests.as_ref();
        let manifests = path.map(|path| Manifests::open(path, rules(config))).transpose();
        let manifests = manifests.map_err(RunError::because("cannot read the manifests"))?;
        let keeper = CertificateWatcher::start(config).map_err(RunError::because("cannot end TLS"))?;
        let manifests = manifests.map(|manifests| {
            let watch = manifests.watch();
            (manifests, watch)
        });
        let mut discovery = Discovery {
            publisher,
            ready,
            manifests,
            keeper,
            dns: None,
            resolv_conf: config.dns.resolv_conf.clone(),
            moved: BTreeSet::new(),
            rejections: Arc::default(),
            certificates: shared.certificates.clone(),
            metrics,
        };
        for source in &config.discovery.sources {
            match source {
                Source::Environment => discovery.read_environment(config),
                Source::Manifests => discovery.read_manifests(&Touched::All),
                Source::Dns => discovery.begin_dns(config, &shared.wanted),
                Source::Services => {} // no flag names it
            }
        }
        discovery.keeper.publish(&discovery.certificates); // Secrets are there now, or may come
        Ok(discovery)
    }

    /// What does not serve, and why.
    pub(crate) fn rejections(&self) -> Arc<ArcSwap<Vec<Rejection>>> {
        self.rejections.clone()
    }

    /// Takes in changes as they come, for ever. May be dropped at any time: what happened meanwhile is taken in the next time.
    pub(crate) async fn follow(&mut self) {
        loop {
            match news(&mut self.manifests, &self.keeper, &mut self.dns).await {
                SourceNews::Manifests(touched) => self.read_manifests(&touched),
                SourceNews::Certificates => self.reload_certificates(),
                SourceNews::Dns(changes) => self.learn(Source::Dns, changes),
            }
        }
    }

    /// Reads everything again (SIGHUP). The environment cannot have changed.
    pub(crate) fn reload(&mut self) {
        self.reload_certificates();
        if let Some((manifests, _)) = &mut self.manifests {
            let changes = manifests.reload();
            self.learn(Source::Manifests, changes);
        }
        if let Some(dns) = &mut self.dns
            && let Some((resolver, search)) = open(&self.resolv_conf, &self.metrics)
        {
            dns.replace(resolver, search);
        }
    }

    /// There is nothing to list, so this source has answered as soon as it can be asked, or cannot.
    fn begin_dns(&mut self, config: &Config, wanted: &Arc<DnsInterest>) {
        self.dns = open(&self.resolv_conf, &self.metrics).map(|(resolver, search)| {
            let book = DnsCache::new(search, Cluster::of(config), config.dns.bounds);
            DnsSource::new(resolver, book, wanted.clone(), self.metrics.clone())
        });
        self.ready.source_answered(Source::Dns);
    }

    fn read_environment(&mut self, config: &Config) {
        let variables: Vec<_> = config::environment().collect();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let discovered = env::parse(variables, &config.discovery.namespace);
        for warning in &discovered.warnings {
            tracing::warn!(%warning, "environment variable ignored");
        }
        self.learn(Source::Environment, discovered.into_changes());
    }

    fn read_manifests(&mut self, touched: &Touched) {
        let changes =
            self.manifests.as_mut().map(|(manifests, _)| manifests.refresh(touched)).unwrap_or_default();
        self.learn(Source::Manifests, changes);
    }

    fn learn(&mut self, source: Source, changes: Vec<Change>) {
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
        let changed = self.manifests.as_mut().and_then(|(manifests, _)| manifests.changed_secrets());
        let Some(secrets) = changed else { return false };
        self.certificates.publish(secrets);
        self.keeper.publish(&self.certificates);
        true
    }

    fn reload_certificates(&mut self) {
        let Reloaded { changed, refused } = self.keeper.reload();
        if changed {
            self.keeper.publish(&self.certificates);
        }
        self.metrics.certificates_reloaded(changed, refused);
        self.note_rejections();
    }

    /// Shows what does not serve, and warns of what did not do so before: tells how many objects these are.
    fn note_rejections(&mut self) -> usize {
        let mut now: Vec<Rejection> =
            self.manifests.as_ref().map(|(manifests, _)| manifests.rejections()).unwrap_or_default();
        now.extend(self.keeper.rejections().cloned());
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

enum SourceNews {
    Manifests(Touched),
    Certificates,
    Dns(Vec<Change>),
}

/// What the first source to say something says. Sources that are not there say nothing.
async fn news(
    manifests: &mut Option<(Manifests, FolderWatch)>,
    keeper: &CertificateWatcher,
    dns: &mut Option<DnsSource<Stub>>,
) -> SourceNews {
    let files = async {
        match manifests {
            Some((_, watch)) => watch.touched().await,
            None => pending().await,
        }
    };
    let names = async {
        match dns {
            Some(dns) => dns.next().await,
            None => pending().await,
        }
    };
    tokio::select! {
        touched = files => SourceNews::Manifests(touched),
        () = keeper.touched() => SourceNews::Certificates,
        changes = names => SourceNews::Dns(changes),
    }
}

/// DNS as resolv.conf says, or a warning.
fn open(resolv_conf: &Path, metrics: &Arc<Metrics>) -> Option<(Stub, SearchPath)> {
    let opened = Stub::open(resolv_conf, metrics.clone());
    opened
        .inspect_err(|error| {
            tracing::warn!(path = %resolv_conf.display(), %error, "cannot read whom to ask for names");
        })
        .ok()
}

fn rules(config: &Config) -> Rules {
    let discovery = &config.discovery;
    Rules {
        service_cidrs: discovery.service_cidrs.clone(),
        allow_loopback_endpoints: discovery.allow_loopback_endpoints,
        default_namespace: discovery.namespace.clone(),
    }
}
