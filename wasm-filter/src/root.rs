//! The plugin in one VM: it is configured once, learns of changes at its ticks, and is what all streams are born of.

use std::rc::Rc;
use std::time::Duration;

use svc_core::outcome::Failure;
use svc_core::proxy_protocol::{ProxyHeaderError, ProxyHeaderResult};
use svc_proto::plugin::{Filter, Plugin as Configuration};

use crate::context::VmContext;
use crate::counts::Series;
use crate::discovery::Discovery;
use crate::host::{CallId, Level, Plugin};

/// The plugin itself.
pub struct Root<H> {
    host: H,
    context: u32,
    /// None before it is configured, or where that failed.
    running: Option<Running>,
}

struct Running {
    vm: Rc<VmContext>,
    discovery: Discovery,
}

impl<H: Plugin> Root<H> {
    /// Not configured yet; `context` is its own.
    pub fn new(host: H, context: u32) -> Root<H> {
        Root { host, context, running: None }
    }

    /// Reads the configuration; false when it has mistakes, each of which is logged.
    pub fn configure(&mut self) -> bool {
        let plugin = match Configuration::parse(&self.host.configuration()) {
            Ok(plugin) => plugin,
            Err(mistakes) => {
                mistakes.0.iter().for_each(|mistake| self.host.log(Level::Error, &mistake.to_string()));
                return false;
            }
        };
        let seed = self.host.chance();
        let discovery = Discovery::begin(&plugin, &self.host);
        self.host.tick_every(TICK);
        let vm = Rc::new(VmContext::new(plugin, discovery.table(), seed));
        self.running = Some(Running { vm, discovery });
        true
    }

    /// A second is over.
    pub fn tick(&mut self) {
        let Some(Running { vm, discovery }) = &mut self.running else { return };
        let now = self.host.now();
        discovery.tick(vm, &self.host, now);
        for context in vm.late(now) {
            let refusal = ProxyHeaderError::Late;
            vm.counts.count(Series::ProxyHeaders(ProxyHeaderResult::from(refusal)));
            vm.counts.count(Series::Failures(Failure::from(refusal).verdict().code));
            if self.host.act_for(context) {
                self.host.close_downstream();
            }
            self.host.act_for(self.context);
        }
        vm.tick(now);
        vm.counts.flush(&self.host);
    }

    /// A request to a cluster is over: its answer is there, or there will be none.
    pub fn answered(&mut self, call: CallId, body_bytes: usize) {
        if let Some(Running { vm, discovery }) = &mut self.running {
            discovery.answered(call, body_bytes, vm, &self.host);
        }
    }

    /// What streams are born with.
    pub fn vm(&self) -> Option<Rc<VmContext>> {
        self.running.as_ref().map(|running| running.vm.clone())
    }

    /// What the plugin is to the proxy.
    pub fn filter(&self) -> Filter {
        self.running.as_ref().map_or(Filter::Http, |running| running.vm.plugin.filter)
    }
}

/// How often counts are told and changes are looked for: a second is what a scrape can tell apart, and one call in it is no cost.
const TICK: Duration = Duration::from_secs(1);
