//! What the contexts of one plugin share within a VM.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use svc_core::address::Transport;
use svc_core::table::Table;
use svc_core::time::Now;
use svc_proto::plugin::{Plugin, ServiceFrom};

use crate::counts::Counts;

/// The configuration, the snapshot in force, what is kept of Service ports, and counts.
pub struct Mesh {
    pub(crate) plugin: Plugin,
    pub(crate) table: RefCell<Arc<Table>>,
    pub(crate) counts: Counts,
    /// Connections that have yet to say whom they are for, and until when.
    greetings: RefCell<BTreeMap<u32, Now>>,
}

impl Mesh {
    pub(crate) fn new(plugin: Plugin, table: Arc<Table>) -> Mesh {
        Mesh { plugin, table: RefCell::new(table), counts: Counts::default(), greetings: RefCell::default() }
    }

    /// The label of the Service that connections to `destination` are for; empty where that is nobody's.
    pub(crate) fn service_at(&self, destination: Option<SocketAddr>) -> Arc<str> {
        if let ServiceFrom::Fixed { namespace, name, .. } = &self.plugin.service {
            return format!("{namespace}/{name}").into();
        }
        let table = self.table.borrow();
        let target = destination.and_then(|addr| table.by_destination(Transport::Tcp, addr));
        target.map(|target| target.service.name.label()).unwrap_or_default()
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
        let late: Vec<u32> =
            greetings.iter().filter(|(_, until)| **until <= now).map(|(context, _)| *context).collect();
        greetings.retain(|_, until| *until > now);
        late
    }
}
