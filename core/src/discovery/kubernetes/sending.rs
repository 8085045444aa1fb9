//! The requests that are due.

use alloc::string::String;

use super::api::{Action, RequestId};
use super::group::GROUP_PATH;
use super::watch::Watch;
use super::watches::{WatchKey, What};
use super::{Asker, Kubernetes};
use crate::time::Now;

impl Kubernetes {
    pub(super) fn send_due(&mut self, now: Now) {
        if self.group.is_due(now) {
            let id = self.send(GROUP_PATH.into(), Asker::Group);
            self.group.sent(id, now);
        }
        if self.watches.reader.place.is_open()
            && self.place_list.is_due(now)
            && let Some(of) = WatchKey::all(What::Slices, &self.namespace).collection(self.watches.api)
        {
            let path = self.place_list.pages().path(&of);
            let id = self.send(path, Asker::Place);
            self.place_list.sent(id, now);
        }
        while let Some((ip, path)) = self.lookups.next(now) {
            let id = self.send(path, Asker::Address(ip));
            self.lookups.sent(ip, id, now);
        }
        let mut asks_again = false;
        for key in self.watches.keys() {
            let Some(of) = key.collection(self.watches.api) else { continue };
            let is_synced = self.watches.watch(&key).is_some_and(Watch::is_synced);
            if self.slices_refused
                && self.is_own_slices(&key)
                && !is_synced
                && core::mem::replace(&mut asks_again, true)
            {
                continue; // one asks for all
            }
            if self.asked.len() >= STREAMS_MAX
                || !self.watches.watch(&key).is_some_and(|watch| watch.is_due(now))
            {
                continue;
            }
            let id = RequestId(self.last_id + 1);
            let draws = &self.draws;
            let path = self.watches.with(&key, |watch, _| watch.send(id, &of, now, draws));
            path.into_iter().for_each(|path| {
                self.send(path, Asker::Watch(key.clone()));
            });
        }
    }

    fn send(&mut self, path: String, asker: Asker) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.asked.insert(id, asker);
        self.out.actions.push(Action::Send { id, path, accept: "application/json" });
        id
    }
}

/// Requests under way: API servers allow 100 to 250 on a connection.
const STREAMS_MAX: usize = 90;
