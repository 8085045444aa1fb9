//! One TCP connection: whom it is for, by the PROXY header that it begins with (S-20, S-30), and how much it carries.

use std::net::SocketAddr;
use std::rc::Rc;

use svc_core::address::ServiceName;
use svc_core::forwarding::is_trusted;
use svc_core::outcome::Failure;
use svc_core::proxy_protocol::{ProxyHeaderError, ProxyHeaderResult, read_header};
use svc_proto::plugin::ProxyProtocol;
use svc_proto::proxy_header::{Addresses, HEADER_BYTES_MAX, Origin, Step};

use crate::context::VmContext;
use crate::counts::Series;
use crate::host::{Flow, Level, Tcp};

/// What is kept of one connection.
pub struct TcpStream<H> {
    host: H,
    id: u32,
    context: Rc<VmContext>,
    stage: Stage,
    service: Option<ServiceName>,
    /// To the endpoint, and back.
    bytes: [u64; 2],
}

/// How far it has come.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// It has to say first whom it is for.
    Header,
    /// What it says first goes on as it comes, and is looked at; these bytes so far.
    Watched(Vec<u8>),
    /// Its bytes are the application's.
    Passing,
    /// It is being closed: not a byte goes on.
    Refused,
}

impl<H: Tcp> TcpStream<H> {
    /// A connection that nothing is known of yet; `id` is its context.
    pub fn new(host: H, id: u32, context: Rc<VmContext>) -> TcpStream<H> {
        TcpStream { host, id, context, stage: Stage::Passing, service: None, bytes: [0; 2] }
    }

    /// A client has connected.
    pub fn begin(&mut self) -> Flow {
        self.service = self.context.service_at(self.address("destination"));
        self.context.counts.count(Series::Opened(self.service.clone()));
        let mode = self.context.plugin.proxy_protocol;
        if mode == ProxyProtocol::Off {
            return Flow::Continue;
        }
        let peer = self.address("source");
        let trusted = peer.is_some_and(|peer| is_trusted(peer.ip(), &self.context.plugin.trusted_proxies));
        match (mode, trusted) {
            (ProxyProtocol::Require, false) => self.refuse(ProxyHeaderError::Untrusted),
            (ProxyProtocol::Require, true) => {
                self.stage = Stage::Header;
                self.context.await_greeting(self.id, self.host.now());
                Flow::Pause // nobody connects to an endpoint for whoever has not said this
            }
            (_, false) => {
                self.count(ProxyHeaderResult::from(ProxyHeaderError::Untrusted).observed());
                Flow::Continue
            }
            (_, true) => {
                self.stage = Stage::Watched(Vec::new());
                Flow::Continue
            }
        }
    }

    /// The client has sent something; `size` bytes of it have not been taken yet.
    pub fn receive(&mut self, size: usize, ended: bool) -> Flow {
        match &mut self.stage {
            Stage::Passing => self.pass(size),
            Stage::Refused => Flow::Pause,
            Stage::Header => self.greet(size, ended),
            Stage::Watched(seen) => {
                let room = HEADER_BYTES_MAX - seen.len().min(HEADER_BYTES_MAX);
                seen.extend(self.host.downstream_data(size.min(room)));
                let seen = std::mem::take(seen);
                self.watch(seen, ended);
                self.pass(size)
            }
        }
    }

    /// The endpoint has sent something.
    pub fn answer(&mut self, size: usize) {
        let [_, response] = &mut self.bytes;
        *response += size as u64;
    }

    /// It is over.
    pub fn end(&mut self) {
        self.context.forget_greeting(self.id);
        for (flow, bytes) in ["request", "response"].into_iter().zip(std::mem::take(&mut self.bytes)) {
            if bytes > 0 {
                self.context.counts.add(Series::Bytes { service: self.service.clone(), flow }, bytes);
            }
        }
        self.context.counts.count(Series::Closed(self.service.clone()));
    }

    fn pass(&mut self, size: usize) -> Flow {
        let [request, _] = &mut self.bytes;
        *request += size as u64;
        Flow::Continue
    }

    fn greet(&mut self, size: usize, ended: bool) -> Flow {
        let bytes = self.host.downstream_data(size.min(HEADER_BYTES_MAX));
        match read_header(&bytes) {
            Ok(Step::More { .. }) if !ended => Flow::Pause,
            Ok(Step::More { .. }) if bytes.is_empty() => Flow::Continue, // came and went, as checks do
            Ok(Step::More { .. }) => self.refuse(ProxyHeaderError::Malformed),
            Err(refusal) => self.refuse(refusal),
            Ok(Step::Done { value, used }) => {
                self.count(value.origin.into());
                self.tell(value.origin);
                self.host.drop_downstream_data(used);
                self.context.forget_greeting(self.id);
                self.stage = Stage::Passing;
                self.pass(size.saturating_sub(used))
            }
        }
    }

    /// Counts what [`TcpStream::greet`] would make of these first bytes, once that can be told.
    fn watch(&mut self, bytes: Vec<u8>, ended: bool) {
        let seen = match read_header(&bytes) {
            Ok(Step::More { .. }) if !ended => {
                self.stage = Stage::Watched(bytes);
                return;
            }
            Ok(Step::More { .. }) if bytes.is_empty() => None,
            Ok(Step::More { .. }) => Some(ProxyHeaderError::Malformed.into()),
            Err(refusal) => Some(refusal.into()),
            Ok(Step::Done { value, .. }) => Some(value.origin.into()),
        };
        if let Some(seen) = seen {
            self.count(ProxyHeaderResult::observed(seen));
        }
        self.stage = Stage::Passing;
    }

    /// Leaves the client's address for the access log.
    fn tell(&self, origin: Origin) {
        if let Origin::Client(Addresses { source, .. }) = origin {
            self.host.set_property(&[CLIENT], source.to_string().as_bytes());
        }
    }

    fn refuse(&mut self, refusal: ProxyHeaderError) -> Flow {
        self.stage = Stage::Refused;
        self.context.forget_greeting(self.id);
        self.context.counts.count(Series::ProxyHeaders(refusal.into()));
        self.context.counts.count(Series::Failures(Failure::from(refusal).verdict().code));
        self.context.log(
            &self.host,
            Level::Debug,
            &format!("a connection was refused for want of a PROXY header: {refusal}"),
        );
        self.host.close_downstream();
        Flow::Pause
    }

    fn count(&self, result: ProxyHeaderResult) {
        self.context.counts.count(Series::ProxyHeaders(result));
    }

    fn address(&self, side: &str) -> Option<SocketAddr> {
        let text = self.host.property(&[side, "address"])?;
        str::from_utf8(&text).ok()?.parse().ok()
    }
}

/// In Envoy's access log, `%FILTER_STATE(wasm.svcmesh.client:PLAIN)%`.
const CLIENT: &str = "svcmesh.client";

#[cfg(test)]
mod tests;
