//! Asking a sidecar or gateway for its `/services`, again and again: core says when, and what an answer comes to.

use std::sync::Arc;

use svc_core::discovery::document::Documents;
use svc_core::discovery::poll::{Pace, Poll, PollAction, PollOutcome, PollRequest};
use svc_core::inventory::Inventory;
use svc_core::table::{Source, Table};
use svc_core::time::Now;
use svc_proto::names::header;
use svc_proto::plugin::{Plugin as Configuration, Token, Update};

use super::{documents, log_rejections};
use crate::context::VmContext;
use crate::counts::Series;
use crate::host::{CallId, Level, Plugin};

/// Who is asked, and what they have said.
pub(super) struct Asking {
    of: Update,
    poll: Poll,
    call: Option<CallId>,
    documents: Documents,
}

impl Asking {
    /// Nobody has been asked yet.
    pub(super) fn new(of: Update, plugin: &Configuration, now: Now) -> Asking {
        let pace = Pace { interval: of.interval, timeout: of.timeout };
        let documents = documents(Source::Services, plugin);
        Asking { of, poll: Poll::new(pace, now), call: None, documents }
    }

    /// Asks, where it is time to.
    pub(super) fn tick(&mut self, context: &VmContext, host: &impl Plugin, now: Now) {
        let failures = self.poll.count(PollOutcome::Failed);
        let asked = self.poll.tick(now, context.jitter.draw());
        if let Some(ask) = asked {
            self.call = call(&self.of, ask, host);
            if self.call.is_none() {
                host.log(Level::Warn, &format!("cannot ask cluster `{}` for Services", self.of.cluster));
                self.poll.failed(now, context.jitter.draw());
            }
        }
        let failed = self.poll.count(PollOutcome::Failed) - failures;
        context.counts.add(Series::Updates(PollOutcome::Failed), failed);
    }

    /// Whether that call is the question that is under way.
    pub(super) fn waits_for(&self, call: CallId) -> bool {
        self.call == Some(call)
    }

    /// The answer is there, or there will be none: the table that follows from it, where that is another one.
    pub(super) fn answered(
        &mut self,
        body_bytes: usize,
        inventory: &mut Inventory,
        context: &VmContext,
        host: &impl Plugin,
    ) -> Option<Arc<Table>> {
        self.call = None;
        let now = host.now();
        let status = answer(":status", host).and_then(|status| status.parse().ok()).unwrap_or(0);
        let before = PollOutcome::ALL.map(|outcome| self.poll.count(outcome));
        let mut table = None;
        if self.poll.answered(status, now, context.jitter.draw()) == PollAction::Take {
            let outcome = self.take(body_bytes, inventory, &mut table, host);
            self.poll.took(outcome, answer("etag", host).as_deref(), now, context.jitter.draw());
        }
        for (outcome, before) in PollOutcome::ALL.into_iter().zip(before) {
            context.counts.add(Series::Updates(outcome), self.poll.count(outcome) - before);
        }
        table
    }

    /// Reads a document. What was known holds on where it is none.
    fn take(
        &mut self,
        body_bytes: usize,
        inventory: &mut Inventory,
        table: &mut Option<Arc<Table>>,
        host: &impl Plugin,
    ) -> PollOutcome {
        if body_bytes > BODY_BYTES_MAX {
            let message = format!("a document of {body_bytes} bytes is too long: {BODY_BYTES_MAX} at most");
            host.log(Level::Warn, &message);
            return PollOutcome::Failed;
        }
        let news = match self.documents.read(&host.answer_body(body_bytes)) {
            Ok(news) => news,
            Err(unreadable) => {
                host.log(Level::Warn, &unreadable.to_string());
                return PollOutcome::Failed;
            }
        };
        *table = news.apply(inventory);
        let refused = self.documents.rejections().chain(inventory.rejections());
        match (log_rejections(refused, host), &table) {
            (0, Some(_)) => PollOutcome::Applied,
            (0, None) => PollOutcome::Unchanged,
            _ => PollOutcome::Refused,
        }
    }
}

fn call(of: &Update, ask: PollRequest<'_>, host: &impl Plugin) -> Option<CallId> {
    let mut head = vec![
        (":method", "GET"),
        (":path", of.path.as_str()),
        (":authority", of.authority.as_str()),
        ("accept", "application/json"),
    ];
    head.extend(ask.etag.map(|etag| ("if-none-match", etag)));
    head.extend(of.token.as_ref().map(|Token(token)| (header::TOKEN, token.as_str())));
    host.call(&of.cluster, &head, ask.timeout)
}

fn answer(name: &str, host: &impl Plugin) -> Option<String> {
    String::from_utf8(host.answer_header(name)?).ok()
}

/// 500 Services × 100 endpoints × 300 bytes are 15 MB. A VM's memory does not shrink again, and each worker has one.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::fake::Fake;
    use crate::host::CallId;
    use crate::root::Root;

    const UPDATE: &str =
        r#"{"update": {"cluster": "sidecar", "interval": "5s", "timeout": "2s", "token": "t"}}"#;
    const ONE: &str = r#"{"version": 1, "rejected": [], "services": [{"namespace": "default", "name": "web", "type": "ClusterIP",
        "clusterIPs": ["10.96.0.10"], "ports": [{"name": "", "port": 80, "protocol": "TCP"}], "endpoints": []}]}"#;

    struct Scene {
        host: Fake,
        root: Root<Fake>,
    }

    impl Scene {
        fn new() -> Scene {
            let host = Fake::configured(UPDATE);
            let mut root = Root::new(host.clone(), 1);
            assert!(root.configure(), "{:?}", host.log());
            Scene { host, root }
        }

        /// Ticks for that many seconds; the last question, if there was one.
        fn tick(&mut self, seconds: u64) -> Option<String> {
            let before = self.host.asked().len();
            for _ in 0..seconds {
                self.root.tick();
                self.host.wait(Duration::from_secs(1));
            }
            self.host.asked().get(before..).and_then(|asked| asked.last().cloned())
        }

        fn answer(&mut self, fields: &[(&str, &str)], body: &str) {
            self.host.set_answer(fields, body);
            self.root.answered(CallId(self.host.asked().len() as u32), body.len());
        }

        fn knows_web(&self) -> bool {
            let context = self.root.vm().unwrap();
            let table = context.table.borrow().clone();
            table.by_host("web").is_some()
        }

        fn counted(&mut self, result: &str) -> u64 {
            self.root.tick();
            let name = format!("svcmesh_discovery_updates_total;source=services;result={result}");
            self.host.counted().get(&name).copied().unwrap_or(0)
        }
    }

    #[test]
    fn what_changed_is_known_from_the_next_answer_on() {
        let mut scene = Scene::new();
        let asked = scene.tick(1).unwrap();
        assert_eq!(
            asked,
            "sidecar 2s :method: GET, :path: /services, :authority: svcmesh, accept: application/json, svcmesh-token: t"
        );
        assert!(!scene.knows_web());
        scene.answer(&[(":status", "200"), ("etag", "\"1\"")], ONE);
        assert!(scene.knows_web());
        assert!(scene.tick(8).unwrap().contains("if-none-match: \"1\""));
        scene.answer(&[(":status", "304")], "");
        assert!(scene.knows_web());
        scene.tick(8);
        scene.answer(&[(":status", "200")], r#"{"version": 1, "rejected": [], "services": []}"#);
        assert!(!scene.knows_web());
        assert_eq!((scene.counted("applied"), scene.counted("unchanged")), (2, 1));
    }

    #[test]
    fn what_is_no_answer_changes_nothing() {
        let mut scene = Scene::new();
        scene.tick(1);
        scene.answer(&[(":status", "200")], ONE);
        for (status, body) in
            [("200", "{"), ("200", r#"{"version": 2, "services": []}"#), ("503", ""), ("x", "")]
        {
            scene.tick(60);
            scene.answer(&[(":status", status)], body);
            assert!(scene.knows_web(), "{status} {body}");
        }
        scene.tick(60);
        scene.answer(&[], "");
        assert!(scene.knows_web());
        assert!(scene.counted("failed") >= 5);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_left_alone() {
        let mut scene = Scene::new();
        scene.tick(1);
        scene.host.set_answer(&[(":status", "200")], ONE);
        scene.root.answered(CallId(77), ONE.len());
        assert!(!scene.knows_web());
    }
}
