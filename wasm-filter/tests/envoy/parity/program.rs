//! The filter in Envoy, as a program that tells a story.

use std::net::SocketAddr;
use std::time::Duration;

use svc_core::outcome::Failure;
use testing::parity::{Answer, Program, Request, filter, tells};

use super::super::client::Answer as Reply;
use super::super::head::Head;
use super::exchange::{Exchange, Next};
use super::scene::{Asked, Scene};

/// `handOff.header` of `deploy/envoy/override-host.yaml`.
const ENDPOINT: &str = "x-svcmesh-endpoint";

/// One listener of Envoy with its scene.
pub(super) struct Filter<'a> {
    listener: SocketAddr,
    scene: &'a Scene,
    questions: Vec<Asked>,
    /// By their numbers: the client that waits, and what the endpoint was asked.
    open: Vec<Option<(Exchange, Asked)>>,
    envoy_has_refused: bool,
}

impl<'a> Filter<'a> {
    /// Knows nothing yet.
    pub(super) fn begin(listener: SocketAddr, scene: &'a Scene) -> Filter<'a> {
        Filter { listener, scene, questions: Vec::new(), open: Vec::new(), envoy_has_refused: false }
    }

    /// Whether a request did not come as far as to the filter.
    pub(super) fn envoy_has_refused(&self) -> bool {
        self.envoy_has_refused
    }

    fn fails(&mut self, reply: &Reply) -> String {
        match reply.head.field("proxy-status") {
            Some(told) => filter::code(reply.status(), told).unwrap_or_else(|| panic!("{reply:?}")),
            None if reply.status() == 400 => {
                self.envoy_has_refused = true;
                Failure::BadRequest.verdict().code.to_owned()
            }
            None => panic!("nobody says why: {reply:?}"),
        }
    }
}

impl Program for Filter<'_> {
    fn learns(&mut self, document: &str) {
        if self.questions.is_empty() {
            self.questions = self.scene.questions();
        }
        for question in self.questions.drain(..) {
            question.answer(200, document);
        }
        // Whoever asks again has read the answer.
        self.questions = self.scene.questions();
    }

    fn waits(&mut self, time: Duration) {
        panic!("a story for anywhere waits {time:?}");
    }

    fn is_asked(&mut self, number: usize, request: &Request) -> Answer {
        assert_eq!(self.open.len(), number, "each has been counted");
        let mut exchange = Exchange::begin(request, self.listener);
        match exchange.next(self.scene) {
            Next::Endpoint(asked) => {
                let answer = goes(&asked.head, request);
                self.open.push(Some((exchange, asked)));
                answer
            }
            Next::Answer(reply) => {
                self.open.push(None);
                Answer::Fails(self.fails(&reply))
            }
        }
    }

    fn is_answered(&mut self, number: usize, status: u16) {
        let Some((exchange, asked)) = self.open[number].take() else { return };
        asked.answer(status, "");
        assert!(exchange.ends_with(status), "the client is not told {status}");
    }
}

/// What an endpoint is told, and which one was meant.
fn goes(head: &Head, request: &Request) -> Answer {
    let mut told = head.joined();
    let endpoint = told.remove(ENDPOINT).and_then(|address| address.parse().ok());
    told.retain(|name, value| !is_of_envoy(name, value, request));
    let is_said = |name: &str| request.headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
    let unknown: Vec<_> = told.keys().filter(|name| !tells(name) && !is_said(name)).collect();
    assert!(unknown.is_empty(), "nobody has said {unknown:?}: {head:?}");
    let told = told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Answer::Goes(endpoint.unwrap_or_else(|| panic!("no endpoint: {head:?}")), told)
}

/// Whether Envoy adds that to a request: a number, the address that its connection comes from, and the length of no body.
fn is_of_envoy(name: &str, value: &str, request: &Request) -> bool {
    match name {
        "x-request-id" => true,
        "x-envoy-external-address" => value == request.from.to_string(),
        "content-length" => value == "0",
        _ => false,
    }
}
