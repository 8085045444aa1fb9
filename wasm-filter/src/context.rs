//! What the contexts of one plugin share within a VM.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use svc_core::address::{ServiceName, Transport};
use svc_core::dispatch::{DispatchSettings, Memo, ServiceRef};
use svc_core::draws::Draws;
use svc_core::endpoints::EndpointId;
use svc_core::forwarding::Telling;
use svc_core::hash::HashMap;
use svc_core::outcome::Failure;
use svc_core::port::{AttemptHandle, Pinning, WorkerPorts};
use svc_core::table::{Table, Target};
use svc_core::time::Now;
use svc_proto::plugin::{LogLevel, Plugin, ServiceFrom};

use crate::counts::Counts;
use crate::host::{Host, Level};

/// The configuration, the snapshot in force, what is kept of Service ports, and counts.
pub struct VmContext {
    pub(crate) plugin: Plugin,
    pub(crate) table: RefCell<Arc<Table>>,
    /// What authorities have led to in that snapshot.
    memo: RefCell<Memo>,
    pub(crate) ports: RefCell<WorkerPorts>,
    /// The addresses of the endpoints that were picked of that snapshot, as hosts are told them.
    written: RefCell<HashMap<EndpointId, Rc<str>>>,
    /// Chance in what becomes of requests.
    pub(crate) draws: Draws,
    /// Chance in when to ask for news, which must change nothing in what becomes of requests.
    pub(crate) jitter: Draws,
    pub(crate) counts: Counts,
    last_tick: Cell<Now>,
    /// Connections that have yet to say whom they are for, and until when.
    greetings: RefCell<HashMap<u32, Now>>,
}

impl VmContext {
    pub(crate) fn new(plugin: Plugin, table: Arc<Table>, seed: u64) -> VmContext {
        VmContext {
            plugin,
            table: RefCell::new(table),
            memo: RefCell::default(),
            ports: RefCell::new(WorkerPorts::new(Pinning { entries_max: PINS_MAX, seed })),
            written: RefCell::default(),
            draws: Draws::new(seed),
            jitter: Draws::new(!seed),
            counts: Counts::default(),
            last_tick: Cell::default(),
            greetings: RefCell::default(),
        }
    }

    /// Puts another snapshot in force. Requests that are under way keep what they found in the one before.
    pub(crate) fn follow(&self, table: Arc<Table>, now: Now) {
        self.ports.borrow_mut().follow(&table, now);
        self.written.take();
        self.table.replace(table);
    }

    /// It is `now`.
    pub(crate) fn tick(&self, now: Now) {
        self.last_tick.set(now);
        self.ports.borrow_mut().sweep(SWEPT_AT_ONCE, now);
    }

    /// The time, as exactly as costs no call of the host.
    pub(crate) fn last_tick(&self) -> Now {
        self.last_tick.get()
    }

    /// What the operator decides about requests.
    pub(crate) fn settings(&self) -> DispatchSettings<'_> {
        let telling = Telling { provenance: self.plugin.forwarding_headers, via: self.plugin.via_header };
        DispatchSettings { trusted_proxies: &self.plugin.trusted_proxies, telling }
    }

    /// The Service port that a request is for.
    pub(crate) fn resolve(&self, service_ref: ServiceRef<'_>) -> Result<Arc<Target>, Failure> {
        self.memo.borrow_mut().resolve(service_ref, &self.table.borrow()).cloned()
    }

    /// The address of the endpoint that is visited. To write one takes longer than to pick an endpoint.
    pub(crate) fn written(&self, attempt: &AttemptHandle) -> Rc<str> {
        let mut written = self.written.borrow_mut();
        if let Some(known) = written.get(&attempt.id()) {
            return Rc::clone(known);
        }
        let new: Rc<str> = attempt.addr().0.to_string().into();
        written.insert(attempt.id(), Rc::clone(&new));
        new
    }

    /// Writes to the proxy's log what is to be there.
    pub(crate) fn log(&self, host: &impl Host, level: Level, message: &str) {
        let least = match self.plugin.log {
            LogLevel::Trace | LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warn => Level::Warn,
            LogLevel::Error => Level::Error,
        };
        if level >= least {
            host.log(level, message);
        }
    }

    /// The Service that connections to `destination` are for.
    pub(crate) fn service_at(&self, destination: Option<SocketAddr>) -> Option<ServiceName> {
        if let ServiceFrom::Fixed { namespace, name, .. } = &self.plugin.service {
            return Some(ServiceName::new(namespace.clone(), name.clone()));
        }
        let table = self.table.borrow();
        let target = table.by_destination(Transport::Tcp, destination?)?;
        Some(target.service.name.clone())
    }

    /// The connection of that context has to begin with a header, from `now` on.
    pub(crate) fn await_greeting(&self, context: u32, now: Now) {
        self.greetings.borrow_mut().insert(context, Now(now.0 + self.plugin.proxy_protocol_timeout));
    }

    /// It has, or it is gone.
    pub(crate) fn forget_greeting(&self, context: u32) {
        self.greetings.borrow_mut().remove(&context);
    }

    /// Those whose time is over, who are asked no more.
    pub(crate) fn late(&self, now: Now) -> Vec<u32> {
        let mut greetings = self.greetings.borrow_mut();
        greetings.extract_if(|_, until| *until <= now).map(|(context, _)| context).collect()
    }
}

/// The most clients that are pinned of a Service port: 65,536 × 40 bytes = 2.6 MiB in each worker.
const PINS_MAX: usize = 65_536;

/// With one round a second, a full port is looked through in two minutes.
const SWEPT_AT_ONCE: usize = 512;
