//! The application beside us, as connections from elsewhere reach it: each of its ports is a route to one endpoint.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::EndpointAddr;
use svc_core::inbound::{application, serving};
use svc_core::table::{Table, Target};

use super::route::Route;
use crate::client::facts::LocalTarget;

/// The ports of the application that a worker has met.
#[derive(Default)]
pub(crate) struct Applications {
    met: RefCell<HashMap<LocalTarget, Application>>,
    /// When there are this many, those that nobody uses go.
    room: Cell<usize>,
}

struct Application {
    route: Rc<Route>,
    /// The Service port that it serves, in the table that was looked at last.
    serving: Option<Arc<Target>>,
    /// The table has been another one since.
    outdated: bool,
}

/// Whoever connects chooses the port. 1024 of them × 1 KiB is what a scan of all ports can cost; an application has a few, times its clients
/// where it is to see their addresses. More there are only of those in use, and twice that: `--max-connections` bounds them.
const MET_MAX: usize = 1024;

impl Applications {
    /// The route to the application behind `local_target`; `new` when it has not been met, or serves another Service than before.
    pub(crate) fn route(
        &self,
        local_target: LocalTarget,
        table: &Table,
        new: impl FnOnce(Arc<Target>) -> Rc<Route>,
    ) -> Rc<Route> {
        let mut met = self.met.borrow_mut();
        let known = met.get_mut(&local_target);
        if let Some(known) = known.as_ref().filter(|known| !known.outdated) {
            return known.route.clone();
        }
        let before = known.as_ref().and_then(|known| known.serving.as_ref());
        let serves = serving(table, EndpointAddr(local_target.known_as), before).cloned();
        let target = application(EndpointAddr(local_target.at), serves.as_deref());
        match known {
            Some(known) if *known.route.target == target => {
                (known.serving, known.outdated) = (serves, false);
                known.route.clone()
            }
            Some(_) | None => {
                self.make_room(&mut met);
                let route = new(Arc::new(target));
                let application = Application { route: route.clone(), serving: serves, outdated: false };
                if let Some(before) = met.insert(local_target, application) {
                    before.leave();
                }
                route
            }
        }
    }

    /// Lets go of those that nobody uses, once there are many. Where all are in use, as with many clients that the application is to see,
    /// it looks again when there are twice as many: one more costs the same however many there are.
    fn make_room(&self, met: &mut HashMap<LocalTarget, Application>) {
        if met.len() >= self.room.get().max(MET_MAX) {
            met.retain(|_, known| known.is_in_use());
            self.room.set(met.len() * 2);
        }
    }

    /// There is another table: what each serves is looked up again, when it is next asked for.
    pub(crate) fn follow(&self) {
        self.met.borrow_mut().values_mut().for_each(|known| known.outdated = true);
    }

    /// Closes connections to the application that have been idle for too long.
    pub(crate) fn reap(&self) {
        self.met.borrow().values().for_each(|known| known.route.each_upstream(|upstream| upstream.reap()));
    }

    /// Cuts the connections on which it has been silent for too long.
    pub(crate) fn cut_silent(&self, silence_max: Duration) {
        let cut =
            |known: &Application| known.route.each_upstream(|upstream| upstream.cut_silent(silence_max));
        self.met.borrow().values().for_each(cut);
    }
}

impl Application {
    fn is_in_use(&self) -> bool {
        Rc::strong_count(&self.route) > 1
    }

    /// What is under way goes on; nothing is kept.
    fn leave(&self) {
        self.route.each_upstream(|upstream| upstream.leave());
    }
}
