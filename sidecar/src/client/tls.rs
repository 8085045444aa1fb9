//! Ends TLS that a client begins: a handshake within the time that a request head has, then the bytes inside are the connection's.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConnection};
use svc_core::outcome::Failure;
use svc_core::protocol::ProtocolHint;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::clients::Clients;
use super::tracker::{Graceful, supervise};
use crate::config::ShownBy;
use crate::http::pulse::{ConnDeadlines, Pulse};
use crate::metrics::{Direction, HandshakeResult};
use crate::net::TcpStream;
use crate::net::linger::linger;
use crate::net::stream::Stream;

/// A connection whose client has shaken hands.
pub(crate) struct Secured {
    pub(crate) stream: Stream,
    /// The client and we agreed on HTTP (ALPN, RFC 7301).
    pub(crate) is_http: bool,
}

/// Shakes hands. `None`: the client came and went without a byte, as probes do.
///
/// What a ClientHello may take is bounded by rustls, at 64 KiB: 640 MiB if each of 10_000 clients filled its own within the deadline.
///
/// # Errors
/// The client is too slow, does not speak TLS, or wants what we do not have; or there is nothing to show it.
pub(crate) async fn accept(
    tcp: TcpStream,
    hint: ProtocolHint,
    shown: &ShownBy,
    clients: &Clients,
) -> Result<Option<Secured>, Failure> {
    let pulse = Pulse::new();
    pulse.read(); // the time of a head begins with the connection: a client that says nothing has no more
    let header = clients.config.deadlines.header;
    let connection_guard = clients.tracker.enter(pulse, ConnDeadlines { header, idle: Duration::ZERO });
    let seen = PendingHandshake::default();
    let shaking = pin!(shake(tcp, hint, shown, clients, &seen));
    let shaking = pin!(Shaking {
        shaking,
        spoke: &seen.spoke,
        waits: connection_guard.is_draining(),
        proxy_header: false
    });
    match (supervise(shaking, &connection_guard, |_| {}).await, seen.refused.get()) {
        (Ok(shaken), _) => shaken,
        (Err(_), Some(refused)) => Err(refused),
        (Err(Failure::HeaderTimeout), None) => Err(Failure::HandshakeTimeout),
        (Err(other), None) => Err(other),
    }
}

/// What is known of a client whose handshake has not come to its end.
#[derive(Default)]
struct PendingHandshake {
    /// It has said something.
    spoke: Cell<bool>,
    /// It was refused, and is given time to hear so: whatever ends that, this is why.
    refused: Cell<Option<Failure>>,
}

impl PendingHandshake {
    fn refuses(&self, failure: Failure) -> Failure {
        self.refused.set(Some(failure));
        failure
    }
}

async fn shake(
    mut tcp: TcpStream,
    hint: ProtocolHint,
    shown: &ShownBy,
    clients: &Clients,
    seen: &PendingHandshake,
) -> Result<Option<Secured>, Failure> {
    let mut first = [0; 1];
    if !matches!(tcp.peek(&mut first).await, Ok(1..)) {
        return Ok(None);
    }
    seen.spoke.set(true);
    if first[0] != HANDSHAKE {
        let failure = seen.refuses(Failure::NotEncrypted);
        refuse_plain(&mut tcp, first[0], failure).await;
        return Err(failure);
    }
    // Boxed: a client that says nothing yet must not hold what a handshake takes.
    Box::pin(shake_hands(tcp, hint, shown, clients, seen)).await.map(Some)
}

async fn shake_hands(
    tcp: TcpStream,
    hint: ProtocolHint,
    shown: &ShownBy,
    clients: &Clients,
    seen: &PendingHandshake,
) -> Result<Secured, Failure> {
    let terms = clients.shared.certificates.terms(shown).ok_or(Failure::NothingToShow)?;
    let peer = tcp.peer_addr();
    let failed = |error: &io::Error| {
        tracing::debug!(?peer, %error, "TLS handshake failed");
        seen.refuses(failure(error))
    };
    let mut hello = LazyConfigAcceptor::new(Acceptor::default(), tcp);
    let hello = match (&mut hello).await {
        Ok(hello) => hello,
        Err(error) => {
            let failure = failed(&error);
            take_leave(hello.take_io()).await;
            return Err(failure);
        }
    };
    let config = terms.for_client(hint, &hello.client_hello());
    match hello.into_stream(config).into_fallible().await {
        Ok(stream) => {
            let session = stream.get_ref().1;
            clients.metrics.shook_hands(Direction::Inbound, kind(session));
            let is_http = session.alpn_protocol().is_some();
            Ok(Secured { stream: Stream::secured(TlsStream::Server(stream)), is_http })
        }
        Err((error, tcp)) => {
            let failure = failed(&error);
            take_leave(Some(tcp)).await;
            Err(failure)
        }
    }
}

fn kind(session: &ServerConnection) -> HandshakeResult {
    match session.handshake_kind() {
        Some(HandshakeKind::Resumed) => HandshakeResult::Resumed,
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => HandshakeResult::Full,
    }
}

fn failure(error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            Failure::ClientCertificate
        }
        Some(_) => Failure::HandshakeFailed,
        None => Failure::ClientGone,
    }
}

/// A client that speaks without TLS hears so, if it is likely to speak HTTP.
async fn refuse_plain(tcp: &mut TcpStream, first: u8, failure: Failure) {
    if first.is_ascii_uppercase() {
        let text = format!("{}: {failure}\n", svc_proto::names::PROXY_NAME);
        let head = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let _ = tcp.write_all(answer.as_bytes()).await; // if it is gone, it is gone
        linger(tcp).await;
    }
}

/// Lets the client read the alert that says what was wrong.
async fn take_leave(tcp: Option<TcpStream>) {
    if let Some(mut tcp) = tcp {
        linger(&mut tcp).await;
    }
}

/// A drain does not wait for a client that has said nothing since before it began.
struct Shaking<'a, F> {
    shaking: Pin<&'a mut F>,
    spoke: &'a Cell<bool>,
    waits: bool,
    proxy_header: bool,
}

impl<F: Future<Output = Result<Option<Secured>, Failure>>> Future for Shaking<'_, F> {
    type Output = Result<Option<Secured>, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.shaking.as_mut().poll(cx) {
            Poll::Pending if self.proxy_header && !self.spoke.get() => Poll::Ready(Ok(None)),
            polled @ (Poll::Ready(_) | Poll::Pending) => polled,
        }
    }
}

impl<F> Graceful for Shaking<'_, F> {
    fn finish(mut self: Pin<&mut Self>) {
        self.proxy_header = !self.waits;
    }
}

const HANDSHAKE: u8 = 0x16; // RFC 8446 §5.1
