//! How the plugin learns of Services: from its configuration and the environment once, from a sidecar or gateway again and again.

use std::sync::Arc;

use svc_core::discovery::document::Documents;
use svc_core::discovery::env;
use svc_core::endpoints::Here;
use svc_core::inventory::{Inventory, Rejection, Settings};
use svc_core::service::{Rules, Scope};
use svc_core::table::{Source, Table};
use svc_core::time::Now;
use svc_proto::plugin::Plugin as Configuration;

use crate::context::VmContext;
use crate::host::{CallId, Level, Plugin};

mod asking;

use asking::Asking;

/// What is known of Services, and who is asked for more.
pub(crate) struct Discovery {
    inventory: Inventory,
    asking: Option<Asking>,
}

impl Discovery {
    /// Knows what the configuration and the environment tell; what is wrong there is logged.
    pub(crate) fn begin(plugin: &Configuration, host: &impl Plugin) -> Discovery {
        let asking = plugin.update.clone().map(|update| Asking::new(update, plugin, host.now()));
        let mut discovery = Discovery { inventory: Inventory::new(settings(plugin)), asking };
        discovery.read_configured(plugin, host);
        if plugin.environment {
            discovery.read_environment(plugin, host);
        }
        log_rejections(discovery.inventory.rejections(), host);
        discovery
    }

    /// The snapshot that follows from all that.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.inventory.table()
    }

    /// Asks for changes, where it is time to.
    pub(crate) fn tick(&mut self, context: &VmContext, host: &impl Plugin, now: Now) {
        if let Some(asking) = &mut self.asking {
            asking.tick(context, host, now);
        }
    }

    /// An answer is there, or there will be none.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        body_bytes: usize,
        context: &VmContext,
        host: &impl Plugin,
    ) {
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.waits_for(call)) else { return };
        if let Some(table) = asking.answered(body_bytes, &mut self.inventory, context, host) {
            context.follow(table, host.now());
        }
    }

    fn read_configured(&mut self, plugin: &Configuration, host: &impl Plugin) {
        let mut documents = documents(CONFIGURED, plugin);
        let news = documents.read_services(plugin.services.iter().map(String::as_str));
        news.apply(&mut self.inventory);
        log_rejections(documents.rejections(), host);
    }

    fn read_environment(&mut self, plugin: &Configuration, host: &impl Plugin) {
        let variables = host.environment();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let discovered = env::parse(variables, &plugin.namespace);
        for warning in &discovered.warnings {
            host.log(Level::Warn, &format!("environment variable ignored: {warning}"));
        }
        self.inventory.apply(Source::Environment, discovered.into_changes());
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
    Documents::new(source, rules, Scope::CHOICE, plugin.cluster_domain.clone())
}

/// Tells how many there are.
fn log_rejections<'a>(rejections: impl IntoIterator<Item = &'a Rejection>, host: &impl Plugin) -> usize {
    let log = |Rejection { object, reason, .. }: &Rejection| {
        host.log(Level::Warn, &format!("{object} does not serve: {reason}"));
    };
    rejections.into_iter().map(log).count()
}

/// What the configuration itself tells stands where a sidecar has its manifests.
const CONFIGURED: Source = Source::Manifests;
