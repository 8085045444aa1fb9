//! The corpus, told by the built filter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use testing::parity::{self, Answer, Case, Program, corpus, filter, tell};

use super::fields::{Fields, fields, text};
use super::host::{Outcome, Request, Vm};
use super::proxy::{Proxy, Reply};

#[test]
fn the_built_filter_tells_the_corpus() {
    tell(&corpus(), Filter::of);
}

/// The filter in its VM, beside a sidecar that the test plays.
struct Filter {
    vm: Vm,
    streams: Vec<u32>,
}

impl Filter {
    fn of(case: &Case) -> Filter {
        let proxy = Proxy { chance: case.seed, ..Proxy::default() };
        Filter {
            vm: Vm::running(&filter::configuration(case, "sidecar").to_string(), proxy),
            streams: Vec::new(),
        }
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

    fn is_asked(&mut self, number: usize, request: &parity::Request) -> Answer {
        let parity::Request { method, authority, version, from, headers, .. } = request;
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

/// The code of the failure that a client is told of.
fn code(reply: &Reply) -> String {
    let told = text(&reply.headers, "proxy-status").expect("a failure is explained");
    filter::code(reply.status as u16, &told).unwrap_or_else(|| panic!("{reply:?}"))
}
