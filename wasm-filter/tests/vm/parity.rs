//! The corpus, told by the built filter.

#[allow(dead_code, reason = "core looks at the marks of stories, too")]
#[path = "../../../core/tests/parity/corpus.rs"]
mod corpus;
#[path = "../../../core/tests/parity/story.rs"]
mod story;
#[path = "../../../core/tests/parity/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use svc_core::outcome::Failure;

use super::fields::{Fields, fields, text};
use super::host::{Outcome, Request, Vm};
use super::proxy::{Proxy, Reply};
use corpus::Case;
use story::{Answer, Program, tell};

#[test]
fn the_built_filter_tells_the_corpus() {
    let wrong: Vec<String> =
        corpus::corpus().iter().flat_map(|case| tell(case, &mut Filter::of(case))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The filter in its VM, beside a sidecar that the test plays.
struct Filter {
    vm: Vm,
    streams: Vec<u32>,
}

impl Filter {
    fn of(case: &Case) -> Filter {
        let said = |name: &str| case.world.settings.get(name).map_or("", String::as_str);
        let trusted: Vec<String> = story::trusted(case).iter().map(ToString::to_string).collect();
        let namespace = Some(said("namespace")).filter(|namespace| !namespace.is_empty());
        let configuration = json!({
            "namespace": namespace.unwrap_or("default"), "node": said("node"), "zone": said("zone"),
            "trustedProxies": trusted, "unknown": "refuse", "environment": false,
            // The question for news is always under way: it is answered when there is some.
            "update": { "cluster": "sidecar", "interval": "1ms", "timeout": "720h" },
        });
        let proxy = Proxy { chance: case.seed, ..Proxy::default() };
        Filter { vm: Vm::running(&configuration.to_string(), proxy), streams: Vec::new() }
    }
}

impl Program for Filter {
    fn learns(&mut self, document: &str) {
        if self.vm.calls().is_empty() {
            self.vm.tick();
        }
        let (call, _) = self.vm.calls().pop().expect("it asks for news");
        self.vm.answer_call(call, 200, &[], document);
        self.vm.proxy().now += Duration::from_millis(2);
        self.vm.tick();
    }

    fn waits(&mut self, time: Duration) {
        self.vm.wait(time);
    }

    fn is_asked(&mut self, number: usize, request: &corpus::Request) -> Answer {
        let corpus::Request { method, authority, version, from, headers, .. } = request;
        let pseudo = [(":authority", &**authority), (":method", method), (":path", "/"), (":scheme", "http")];
        let said: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let (stream, outcome) = self.vm.request(Request {
            peer: SocketAddr::new(*from, 4711),
            protocol: version,
            metadata: None,
            headers: fields(&[&pseudo, &said[..]].concat()),
        });
        assert_eq!(self.streams.len(), number, "each has been counted");
        self.streams.push(stream);
        match outcome {
            Outcome::Continued(headers) => goes(&headers),
            Outcome::Replied(reply) => {
                self.is_answered(number, reply.status as u16);
                Answer::Fails(code(&reply))
            }
        }
    }

    fn is_answered(&mut self, number: usize, status: u16) {
        self.vm.respond(self.streams[number], status, &[]);
        self.vm.end(self.streams[number]);
    }
}

fn goes(headers: &Fields) -> Answer {
    let endpoint = text(headers, "x-envoy-original-dst-host").expect("it goes to an endpoint");
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let name = if name == ":authority" { "host" } else { name };
        told.entry(name.to_owned()).or_default().push(String::from_utf8_lossy(value).into_owned());
    }
    let told = told.into_iter().map(|(name, values)| (name, values.join(", ")));
    Answer::Goes(endpoint.parse().expect("an address with its port"), told.collect())
}

/// The code of the failure that a client is told of in so many words.
fn code(reply: &Reply) -> String {
    let told = text(&reply.headers, "proxy-status").expect("a failure is explained");
    let says = |failure: &Failure| {
        let verdict = failure.verdict();
        let status = format!("svcmesh; error={}; details=\"{failure}\"", verdict.proxy_error);
        u32::from(verdict.status) == reply.status && status == told
    };
    let found = Failure::ALL.into_iter().find(says);
    found.unwrap_or_else(|| panic!("{reply:?}")).verdict().code.to_owned()
}
