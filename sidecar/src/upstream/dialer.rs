//! What is needed to connect to endpoints.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::address::Transport;
use svc_core::draws::Draws;
use svc_core::table::Table;

use crate::config::Config;
use crate::shared::Shared;

/// Deadlines and privileges, our own listeners, trust anchors, and chance.
pub(crate) struct Dialer {
    pub(crate) config: Arc<Config>,
    pub(crate) shared: Arc<Shared>,
    table: Arc<ArcSwap<Table>>,
    draws: Rc<Draws>,
}

impl Dialer {
    pub(crate) fn new(
        config: Arc<Config>,
        shared: Arc<Shared>,
        table: Arc<ArcSwap<Table>>,
        draws: Rc<Draws>,
    ) -> Dialer {
        Dialer { config, shared, table, draws }
    }

    /// Whether what is sent to `addr` would come back to us.
    pub(crate) fn is_own(&self, transport: Transport, addr: SocketAddr) -> bool {
        self.shared.is_own(transport, addr, &self.table.load())
    }

    /// The next draw of chance.
    pub(crate) fn draw(&self) -> u64 {
        self.draws.draw()
    }
}
