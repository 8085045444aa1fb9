//! The corpus, told by core itself: one worker that shares nothing, and asks nobody. The sidecar and the filter tell the same stories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use svc_core::discovery::document::Documents;
use svc_core::dispatch::{DispatchSettings, Request as Head, ServiceRef, dispatch, resolve};
use svc_core::draws::Draws;
use svc_core::endpoints::Here;
use svc_core::forwarding::{HttpVersion, Telling};
use svc_core::inventory::{self, Inventory};
use svc_core::outcome::Failure;
use svc_core::port::{AttemptHandle, Pinning, WorkerPorts};
use svc_core::service::{Rules, Scope};
use svc_core::stats;
use svc_core::table::{Source, Table};
use svc_core::time::Now;
use testing::parity::{Answer, Case, Program, Request, Step, corpus, tell};

#[test]
fn core_tells_the_corpus() {
    tell(&corpus(), |case| Core::of(case, case.seed));
}

#[test]
fn what_is_told_anywhere_depends_on_neither_time_nor_chance() {
    let cases = corpus();
    let anywhere = || cases.iter().filter(|case| case.anywhere);
    for case in anywhere() {
        assert!(!case.steps.iter().any(|(_, step)| matches!(step, Step::Wait(_))), "{} waits", case.place);
    }
    for seed in [0, 3, 0x9e37_79b9_7f4a_7c15, u64::MAX] {
        eprintln!("seed {seed}"); // shown when a story is told differently
        tell(anywhere(), |case| Core::of(case, seed));
    }
}

#[test]
fn the_corpus_is_as_large_as_it_is_said_to_be() {
    let cases = corpus();
    let titles: BTreeSet<_> = cases.iter().map(|case| &case.title).collect();
    assert_eq!(titles.len(), cases.len(), "two stories have one title");
    let anywhere = cases.iter().filter(|case| case.anywhere).count();
    assert!(cases.len() >= 200 && anywhere >= 60, "{} cases, {anywhere} of them for anywhere", cases.len());
}

/// One worker.
struct Core {
    trusted: Vec<IpNet>,
    now: Now,
    draws: Draws,
    documents: Documents,
    inventory: Inventory,
    table: Arc<Table>,
    ports: WorkerPorts,
    attempts: Vec<Option<AttemptHandle>>,
}

impl Core {
    fn of(case: &Case, seed: u64) -> Core {
        let said = |name: &str| case.world.settings.get(name).map(|text| Arc::from(text.as_str()));
        let settings = inventory::Settings {
            sources: [Source::Services, Source::Dns].into(),
            namespace: said("namespace").unwrap_or("default".into()),
            here: Here { node: said("node"), zone: said("zone") },
            ..inventory::Settings::default()
        };
        Core {
            trusted: case.trusted(),
            now: Now::default(),
            draws: Draws::new(seed),
            documents: Documents::new(
                Source::Services,
                Rules::default(),
                Scope::ALL,
                settings.cluster_domain.clone(),
            ),
            inventory: Inventory::new(settings),
            table: Arc::default(),
            ports: WorkerPorts::new(Pinning { entries_max: 1000, seed: 0 }),
            attempts: Vec::new(),
        }
    }

    fn dispatch(&mut self, request: &Request) -> Result<Answer, Failure> {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in &request.headers {
            fields.push((name.to_lowercase(), value.as_bytes().to_vec()));
        }
        let table = self.table.clone();
        let target = resolve(ServiceRef::Authority(&request.authority), &table)?;
        let head = Head {
            method: &request.method,
            authority: &request.authority,
            scheme: "http",
            version: version(&request.version),
            peer: request.from,
            fields: fields.as_slice(),
        };
        let telling = Telling { provenance: true, via: true };
        let settings = DispatchSettings { trusted_proxies: &self.trusted, telling };
        let sent = dispatch(target, &mut self.ports, &head, settings, self.now, || self.draws.draw())?;
        let host = sent.authority.as_deref().unwrap_or(&request.authority).to_owned();
        let is_set = |name: &str| sent.told.set.iter().any(|(set, _)| *set == name);
        let stays = fields.iter().filter(|(name, _)| !sent.told.ends(name) && !is_set(name));
        let stays = stays.map(|(name, value)| (name.clone(), text(value)));
        let set = sent.told.set.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
        let told = stays.chain(set).chain([("host".to_owned(), host)]).collect();
        let address = sent.attempt.addr().0;
        self.attempts.push(Some(sent.attempt));
        Ok(Answer::Goes(address, told))
    }
}

impl Program for Core {
    fn learns(&mut self, document: &str) {
        let news = self.documents.read(document.as_bytes()).expect("it is a document");
        let rejections: Vec<_> = self.documents.rejections().collect();
        assert!(rejections.is_empty(), "{rejections:?}");
        if let Some(table) = news.apply(&mut self.inventory) {
            self.table = table;
        }
        self.ports.follow(&self.table, self.now);
    }

    fn waits(&mut self, time: Duration) {
        self.now = Now(self.now.0 + time);
    }

    fn is_asked(&mut self, _number: usize, request: &Request) -> Answer {
        self.dispatch(request).unwrap_or_else(|failure| {
            self.attempts.push(None);
            Answer::Fails(failure.verdict().code.to_owned())
        })
    }

    fn is_answered(&mut self, number: usize, status: u16) {
        let Some(mut attempt) = self.attempts[number].take() else { return };
        let (now, draws) = (self.now, &self.draws);
        let head = stats::AnswerHead { status, is_grpc: false, field: |_: &str| None };
        let _ = attempt.hears(head, || 0, now, || draws.draw());
        let _ = attempt.succeeded(now);
        attempt.end(now, || draws.draw());
    }
}

fn version(text: &str) -> HttpVersion {
    match text {
        "HTTP/1.0" => HttpVersion::Http10,
        "HTTP/2" => HttpVersion::Http2,
        _ => HttpVersion::Http11,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
