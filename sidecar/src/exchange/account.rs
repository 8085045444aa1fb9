//! One record per connection and per request, whatever happens: its `Drop` is also an answer.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::body::Frame;
use hyper::http::response::Parts;
use hyper::{HeaderMap, Version};
use svc_core::grpc;
use svc_core::outcome::Failure;
use svc_core::stats::{GRPC_STATUS, Probe, is_its_own};
use svc_core::time::Now;

use super::attempt_guard::AttemptGuard;
use crate::access_log::{LogRecord, LoggedHead, RecordKind, RequestDetails};
use crate::client::facts::Arrival;
use crate::clock;
use crate::context::WorkerContext;
use crate::http::request_body::RequestBody;
use crate::metrics::{Protocol, SeriesKey};
use crate::upstream::Upstream;

/// The account of one request, of one opaque connection, or of one flow of datagrams.
#[must_use = "an account that is dropped at once says that the client went away"]
pub(crate) struct Account {
    context: Rc<WorkerContext>,
    arrival: Arrival,
    protocol: Protocol,
    pub(crate) begun: Now,
    /// `namespace/name`, once it is known.
    service: Option<Arc<str>>,
    /// The last attempt.
    attempt: Option<AttemptGuard>,
    status: u16,
    /// How a call of gRPC went, as far as its endpoint has said.
    call: Option<grpc::Status>,
    outcome: AccountOutcome,
    /// The request's body, which knows how much of it went.
    body: Option<Rc<RequestBody>>,
    /// How long an endpoint may take, where that is not for the client to say; and whether the client has said something, too.
    patience: (Option<Duration>, bool),
    reading: ClientReading,
    pub(crate) to_upstream_bytes: u64,
    pub(crate) to_client_bytes: u64,
    /// What of both the metrics know already.
    counted: MovedBytes,
    retries: u32,
    /// When it ended, where that is found out later.
    until: Option<Now>,
    /// When the connection became a tunnel: the request was over then.
    switched: Option<Now>,
    /// What only the access log wants; absent when there is none, so that nobody pays for it.
    details: Option<Box<RequestDetails>>,
}

/// How a client reads its answer: an endpoint gives up, too, when nobody takes what it has to say, and an answer is late when it is
/// not taken.
#[derive(Default)]
struct ClientReading {
    /// When it was given something last ([`clock::coarse_ms`]), unless it has asked for more since.
    given_ms: Option<u32>,
    /// It once took nothing for [`STALLED_MS`].
    stalled: bool,
}

/// Who reads at all does so sooner.
const STALLED_MS: u32 = 1000;

impl ClientReading {
    fn gives(&mut self) {
        self.stalled = self.has_stalled();
        self.given_ms = Some(clock::coarse_ms());
    }

    fn has_stalled(&self) -> bool {
        self.stalled || self.given_ms.is_some_and(|given_ms| clock::coarse_since(given_ms) >= STALLED_MS)
    }

    fn may_have_caused(&self, failure: Failure) -> bool {
        self.has_stalled() || (failure == Failure::Overdue && self.given_ms.is_some())
    }
}

/// Bytes both ways.
#[derive(Clone, Copy, Default)]
struct MovedBytes {
    to_upstream_bytes: u64,
    to_client_bytes: u64,
}

/// A hundredth of a second at 50 Mbit/s: two additions for as much as a socket takes at once.
const COUNTED_EVERY_BYTES: u64 = 64 * 1024;

enum AccountOutcome {
    /// Nobody has said yet: if it stays so, the client went away, or we did.
    Open,
    Done,
    Failed(Failure),
}

impl Account {
    pub(crate) fn open(context: &Rc<WorkerContext>, arrival: Arrival, protocol: Protocol) -> Account {
        Account {
            context: context.clone(),
            arrival,
            protocol,
            begun: clock::now(),
            service: None,
            attempt: None,
            status: 0,
            call: None,
            outcome: AccountOutcome::Open,
            body: None,
            patience: (None, false),
            reading: ClientReading::default(),
            to_upstream_bytes: 0,
            to_client_bytes: 0,
            counted: MovedBytes::default(),
            retries: 0,
            until: None,
            switched: None,
            details: None,
        }
    }

    pub(crate) fn set_details(&mut self, details: impl FnOnce() -> RequestDetails) {
        if self.context.recorder.takes_records() {
            self.details = Some(Box::new(details()));
        }
    }

    /// The request has a body, on its way to an endpoint.
    pub(crate) fn uploads(&mut self, body: Option<&Rc<RequestBody>>) {
        self.body = body.cloned();
    }

    /// Why the request's body broke off, if it did: it is then no endpoint that has failed.
    pub(crate) fn broken_upload(&self) -> Option<Failure> {
        self.body.as_ref().and_then(|body| body.broken())
    }

    /// The request was a CONNECT that is a tunnel now: what counts is the connection to the endpoint, and what it carries.
    pub(crate) fn tunnels(&mut self) {
        self.protocol = Protocol::Tcp;
    }

    /// The request is answered, and its connection or stream goes on in another protocol.
    pub(crate) fn switches(&mut self) {
        self.switched = Some(clock::now());
    }

    /// An endpoint may take so long; `client_waits` where the client has said how long it waits, too.
    pub(crate) fn waits(&mut self, patience: Option<Duration>, client_waits: bool) {
        self.patience = (patience, client_waits);
    }

    /// The client has read all that there is, and waits for its endpoint.
    pub(crate) fn awaits(&mut self) {
        self.reading.given_ms = None;
    }

    /// Whether it is of a gRPC call.
    pub(crate) fn is_grpc(&self) -> bool {
        self.protocol == Protocol::Grpc
    }

    /// The Service is known.
    pub(crate) fn serves(&mut self, service: &Arc<str>) {
        self.service = Some(service.clone());
    }

    /// An endpoint is about to be tried, at `now`.
    pub(crate) fn tries(&mut self, upstream: &Rc<Upstream>, probe: Option<Probe>, now: Now) {
        self.leave();
        let mut attempt = AttemptGuard::begin(upstream, probe, now);
        if self.patience.1 {
            attempt.heeds_client();
        }
        self.attempt = Some(attempt);
    }

    /// Lets the attempt know how much of the request its endpoint has had.
    fn measure(&mut self) {
        if let (Some(attempt), Some(body)) = (&mut self.attempt, &self.body) {
            attempt.has_had(body.whole_since());
        }
    }

    /// Nothing is asked of the endpoint any more.
    fn leave(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.end(&self.context);
        }
    }

    /// The endpoint has taken the connection, and what it does with the bytes is not ours to judge.
    pub(crate) fn connected(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.succeeded(clock::now());
        }
    }

    /// One side of the tunnel has said its last; may be told again.
    pub(crate) fn half_closed(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.half_closed();
        }
    }

    /// The head of an endpoint's answer is there.
    pub(crate) fn hears(&mut self, head: &Parts) {
        let is_grpc = self.protocol == Protocol::Grpc;
        self.measure();
        if is_grpc {
            self.hears_call(&head.headers);
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.hears(head, is_grpc, &self.context);
        }
    }

    /// A part of an endpoint's answer is there.
    pub(crate) fn hears_frame<T>(&mut self, frame: &Frame<T>) {
        self.reading.gives();
        if self.protocol != Protocol::Grpc {
            return;
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.hears_call(trailers);
            self.measure();
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.hears_frame(frame, &self.context);
        }
    }

    /// Takes note of how a call went, if these headers or trailers say so.
    fn hears_call(&mut self, fields: &HeaderMap) {
        if let Some(status) = fields.get(GRPC_STATUS) {
            self.call = Some(grpc::Status::parse(status.as_bytes()));
        }
    }

    fn blame(&mut self, failure: Failure) {
        self.measure();
        let Some(attempt) = &mut self.attempt else { return };
        let had = attempt.had_for(clock::now()).filter(|_| !self.reading.may_have_caused(failure));
        if is_its_own(failure, had, self.patience.0) {
            attempt.failed(&self.context);
        }
    }

    /// An endpoint failed, and another is tried.
    pub(crate) fn retried(&mut self, because: Failure) {
        self.blame(because);
        self.retries += 1;
        self.context.recorder.metrics.retried(because);
    }

    /// Bytes have moved: lets the metrics know from time to time. What lasts for hours must not seem to be idle until it ends.
    pub(crate) fn moved(&mut self) {
        let moved = self.to_upstream_bytes + self.to_client_bytes;
        if moved - self.counted.to_upstream_bytes - self.counted.to_client_bytes >= COUNTED_EVERY_BYTES {
            self.count_moved();
        }
    }

    fn count_moved(&mut self) {
        if let Some(attempt) = &self.attempt {
            let (series, counted) = (&attempt.upstream.series, &mut self.counted);
            series.to_upstream_bytes.fetch_add(self.to_upstream_bytes - counted.to_upstream_bytes, Relaxed);
            series.to_client_bytes.fetch_add(self.to_client_bytes - counted.to_client_bytes, Relaxed);
            *counted = MovedBytes {
                to_upstream_bytes: self.to_upstream_bytes,
                to_client_bytes: self.to_client_bytes,
            };
        }
    }

    /// Datagrams went to the endpoint. Another may get the next ones, so each one's bytes are counted as they go.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.to_upstream_bytes += bytes;
        if let Some(attempt) = &self.attempt {
            attempt.upstream.series.to_upstream_bytes.fetch_add(bytes, Relaxed);
        }
    }

    /// Datagrams came from the endpoint.
    pub(crate) fn heard(&mut self, bytes: u64, now: Now) {
        self.to_client_bytes += bytes;
        if let Some(attempt) = &mut self.attempt {
            attempt.upstream.series.to_client_bytes.fetch_add(bytes, Relaxed);
            attempt.succeeded(now);
        }
    }

    /// The endpoint did not take what it was sent at `asked`, whatever it took before.
    pub(crate) fn refused(&mut self, failure: Failure, asked: Now) {
        if let Some(attempt) = &mut self.attempt {
            attempt.ask_again(asked);
        }
        self.blame(failure);
    }

    /// Since when it is to find out if an ejected endpoint is well again, while it has not yet.
    pub(crate) fn probe_begun(&self) -> Option<Now> {
        self.attempt.as_ref().and_then(AttemptGuard::probe_begun)
    }

    /// A flow of datagrams ended at `until`.
    pub(crate) fn ended(&mut self, failure: Option<Failure>, until: Now) {
        match failure {
            Some(failure) => self.failed(failure),
            None => self.done(),
        }
        self.until = Some(until);
    }

    /// The head of the answer is on its way.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// All went well to the last byte.
    pub(crate) fn done(&mut self) {
        if let AccountOutcome::Open = self.outcome {
            self.outcome = AccountOutcome::Done;
        }
    }

    pub(crate) fn failed(&mut self, failure: Failure) {
        if self.status == 0 && self.is_request() {
            self.status = failure.verdict().status;
        }
        self.blame(failure);
        self.outcome = AccountOutcome::Failed(failure);
    }

    /// What is told of a failure, with the name that the endpoint had to prove.
    pub(crate) fn tell(&self, failure: Failure) -> String {
        let speech = self.attempt.as_ref().and_then(|attempt| attempt.upstream.speech.as_ref());
        let tls = speech.and_then(|speech| speech.rewrite.tls.as_ref());
        tls.map_or_else(|| failure.to_string(), |tls| failure.about(&tls.name))
    }

    /// Ends the account of something that never was a request or a connection to an endpoint.
    pub(crate) fn fail(mut self, failure: Failure) {
        self.failed(failure);
    }

    fn is_request(&self) -> bool {
        matches!(self.protocol, Protocol::Http1 | Protocol::Http2 | Protocol::Grpc)
    }

    /// What a call of gRPC has come to in the end, whoever says so.
    fn call(&self, failure: Option<Failure>) -> Option<grpc::Status> {
        let ended = || match failure {
            Some(failure) => grpc::Status::of_failure(failure),
            None => self.call.unwrap_or_else(|| grpc::Status::of_http(self.status)),
        };
        (self.protocol == Protocol::Grpc).then(ended)
    }

    fn record_metrics(&self, failure: Option<Failure>, took: Duration) {
        if let Some(failure) = failure {
            self.context.recorder.metrics.failed(&self.service.clone().unwrap_or_default(), failure);
        }
        let call = self.call(failure);
        let took = self.switched.map_or(took, |switched| switched.since(self.begun));
        let add = |series: &crate::metrics::Series| {
            match self.protocol {
                Protocol::Udp => series.used(), // its bytes are counted
                Protocol::Tcp | Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => {
                    let MovedBytes { to_upstream_bytes, to_client_bytes } = self.counted;
                    series.to_upstream_bytes.fetch_add(self.to_upstream_bytes - to_upstream_bytes, Relaxed);
                    series.to_client_bytes.fetch_add(self.to_client_bytes - to_client_bytes, Relaxed);
                }
            }
            series.answered(self.protocol, self.status, call, took);
        };
        match &self.attempt {
            Some(attempt) => add(&attempt.upstream.series),
            None => add(&self.context.recorder.metrics.series(SeriesKey {
                direction: self.arrival.direction,
                service: self.service.clone().unwrap_or_default(),
                endpoint: Arc::default(),
            })),
        }
    }

    fn record_log(&mut self, failure: Option<Failure>, took: Duration) {
        if !self.context.recorder.takes_records() {
            return;
        }
        let call = self.call(failure);
        let request = self.details.take().and_then(|details| {
            Some(LoggedHead {
                method: details.method?.to_string(), // what has none is no request
                path: details.path,
                host: details.host,
                version: details.version.map(version),
                scheme: details.scheme,
            })
        });
        self.context.recorder.record(LogRecord {
            time: clock::wall(),
            kind: if self.is_request() { RecordKind::Request } else { RecordKind::Connection },
            client: self.arrival.client.0,
            peer: self.arrival.proxy(),
            service: self.service.clone().filter(|service| !service.is_empty()),
            endpoint: self.attempt.as_ref().map(|attempt| attempt.upstream.addr),
            protocol: self.protocol.as_str(),
            request,
            status: (self.status != 0).then_some(self.status),
            call,
            code: failure.map(|failure| failure.verdict().code),
            bytes_in: self.to_upstream_bytes,
            bytes_out: self.to_client_bytes,
            duration: took,
            retries: self.retries,
        });
    }
}

/// A version as request lines have it.
fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(body) = &self.body {
            self.to_upstream_bytes = body.sent_bytes();
        }
        let failure = match self.outcome {
            AccountOutcome::Open if self.context.recorder.has_ended() => Some(Failure::Ended),
            AccountOutcome::Open => Some(Failure::ClientGone),
            AccountOutcome::Done => None,
            AccountOutcome::Failed(failure) => Some(failure),
        };
        let now = clock::now();
        let took = self.until.unwrap_or(now).since(self.begun);
        if let (0, true, Some(failure)) = (self.status, self.is_request(), failure) {
            self.status = failure.verdict().status;
        }
        if let (None, Some(attempt)) = (failure, &mut self.attempt) {
            attempt.succeeded(now);
        }
        self.leave();
        self.record_metrics(failure, took);
        self.record_log(failure, took);
    }
}
