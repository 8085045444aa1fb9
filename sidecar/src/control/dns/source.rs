//! DNS as a source: the name servers that resolv.conf names are asked for what somebody wants.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use svc_core::dns::names::SearchPath;
use svc_core::inventory::Change;
use svc_core::table;

use super::{Cluster, DnsCache, DnsSource, Stub};
use crate::config::Config;
use crate::control::source::{NextChanges, Source};
use crate::metrics::Metrics;
use crate::shared::interest::DnsInterest;

/// DNS, as resolv.conf says; nothing where that could not be read at the start.
pub(crate) struct NameServers {
    dns: Option<DnsSource<Stub>>,
    resolv_conf: PathBuf,
    metrics: Arc<Metrics>,
}

impl NameServers {
    pub(crate) fn new(config: &Config, wanted: &Arc<DnsInterest>, metrics: &Arc<Metrics>) -> NameServers {
        let resolv_conf = config.dns.resolv_conf.clone();
        let dns = open(&resolv_conf, metrics).map(|(resolver, search)| {
            let cache = DnsCache::new(search, Cluster::of(config), config.dns.bounds);
            DnsSource::new(resolver, cache, wanted.clone(), metrics.clone())
        });
        NameServers { dns, resolv_conf, metrics: metrics.clone() }
    }
}

impl Source for NameServers {
    fn kind(&self) -> table::Source {
        table::Source::Dns
    }

    fn list(&mut self) -> Option<Vec<Change>> {
        None
    }

    fn next(&mut self) -> NextChanges<'_> {
        match &mut self.dns {
            Some(dns) => Box::pin(dns.next()),
            None => Box::pin(pending()),
        }
    }

    /// Asks from now on as resolv.conf says now; what is known stays in force.
    fn reload(&mut self) -> Option<Vec<Change>> {
        if let Some(dns) = &mut self.dns
            && let Some((resolver, search)) = open(&self.resolv_conf, &self.metrics)
        {
            dns.replace(resolver, search);
        }
        None
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
