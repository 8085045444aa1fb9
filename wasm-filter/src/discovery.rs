//! How the plugin learns of Services: from its configuration and the environment once, from a sidecar or gateway again and again.

use std::sync::Arc;

use svc_core::discovery::document::Documents;
use svc_core::discovery::env;
use svc_core::inventory::{Change, Inventory, Settings};
use svc_core::service::Rules;
use svc_core::table::{Source, Table};
use svc_core::topology::Here;
use svc_proto::plugin::Plugin as Configuration;

use crate::host::{Level, Plugin};

/// What is known of Services.
pub(crate) struct Discovery {
    inventory: Inventory,
}

impl Discovery {
    /// Knows what the configuration and the environment tell; what is wrong there is logged.
    pub(crate) fn begin(plugin: &Configuration, host: &impl Plugin) -> Discovery {
        let mut discovery = Discovery { inventory: Inventory::new(settings(plugin)) };
        discovery.read_configured(plugin, host);
        if plugin.environment {
            discovery.read_environment(plugin, host);
        }
        for rejection in discovery.inventory.rejections() {
            host.log(Level::Warn, &format!("{} does not serve: {}", rejection.object, rejection.reason));
        }
        discovery
    }

    /// The snapshot that follows from all that.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.inventory.table()
    }

    fn read_configured(&mut self, plugin: &Configuration, host: &impl Plugin) {
        let mut documents = documents(CONFIGURED, plugin);
        let news = documents.read_services(plugin.services.iter().map(String::as_str));
        news.apply(&mut self.inventory);
        for rejection in documents.rejections() {
            host.log(Level::Warn, &format!("{} does not serve: {}", rejection.object, rejection.reason));
        }
    }

    fn read_environment(&mut self, plugin: &Configuration, host: &impl Plugin) {
        let variables = host.environment();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let discovered = env::parse(variables, &plugin.namespace);
        for warning in discovered.warnings {
            host.log(Level::Warn, &format!("environment variable ignored: {warning}"));
        }
        let known = discovered.services.into_iter().map(Arc::new);
        let changes = known.map(|service| Change::Service(service.name.clone(), Some(service)));
        self.inventory.apply(Source::Environment, changes.collect());
    }
}

fn settings(plugin: &Configuration) -> Settings {
    Settings {
        sources: vec![Source::Services, CONFIGURED, Source::Environment, Source::Dns],
        namespace: plugin.namespace.clone(),
        cluster_domain: plugin.cluster_domain.clone(),
        service_cidrs: plugin.service_cidrs.clone(),
        allow_loopback_endpoints: plugin.allow_loopback_endpoints,
        here: Here { node: plugin.node.clone(), zone: plugin.zone.clone() },
        ..Settings::default()
    }
}

fn documents(source: Source, plugin: &Configuration) -> Documents {
    let rules = Rules {
        service_cidrs: plugin.service_cidrs.clone(),
        allow_loopback_endpoints: plugin.allow_loopback_endpoints,
        default_namespace: plugin.namespace.clone(),
    };
    Documents::new(source, rules, plugin.cluster_domain.clone())
}

/// What the configuration itself tells stands where a sidecar has its manifests.
const CONFIGURED: Source = Source::Manifests;
