//! The HTTP/2 connection to the API server, and the requests on it.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::iter::successors;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use svc_core::capture::Privileges;
use svc_core::discovery::kubernetes::{End, RequestId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::credentials::Credentials;
use crate::clock::timeout;
use crate::net::{socket, transparent};

/// An event of the connection.
#[derive(Debug)]
pub(super) enum Event {
    /// With its local address.
    Connected(Sender, IpAddr),
    /// The connection has ended, or could not be opened, for this reason.
    Lost(String),
    Head(RequestId, u16, Option<Duration>),
    Data(RequestId, Bytes),
    End(RequestId, End),
}

/// The connection. Dropped, it is closed, and its requests are aborted.
pub(super) struct Connection {
    credentials: Credentials,
    sender: Option<http2::SendRequest<Empty<Bytes>>>,
    events: mpsc::Receiver<Event>,
    told: mpsc::Sender<Event>,
    driver: AbortHandle,
    requests: HashMap<RequestId, AbortHandle>,
}

impl Connection {
    /// Opens a connection in the background: the first event says how that went.
    pub(super) fn open(credentials: &Credentials, privileges: Privileges) -> Connection {
        let (told, events) = mpsc::channel(EVENTS_MAX);
        let driver = tokio::spawn(drive(credentials.clone(), privileges, told.clone())).abort_handle();
        let (credentials, requests) = (credentials.clone(), HashMap::new());
        Connection { credentials, sender: None, events, told, driver, requests }
    }

    /// The next event. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        let event = self.events.recv().await.expect("the connection has a sender of its own");
        match &event {
            Event::Connected(sender, _) => self.sender = Some(sender.clone()),
            Event::End(id, _) => {
                self.requests.remove(id);
            }
            Event::Lost(_) | Event::Head(..) | Event::Data(..) => {}
        }
        event
    }

    /// Sends GET `path`. Without a connection there is no answer: its loss is an event of its own.
    pub(super) fn send(&mut self, id: RequestId, path: &str, accept: &'static str) {
        let Some(sender) = self.sender.clone() else { return };
        let uri = format!("https://{}{path}", self.credentials.authority());
        let request = self.credentials.authorization().and_then(|authorization| {
            let request = Request::get(uri)
                .header(AUTHORIZATION, authorization)
                .header(ACCEPT, accept)
                .header(USER_AGENT, AGENT);
            request.body(Empty::new()).map_err(io::Error::other)
        });
        let told = self.told.clone();
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, path, "cannot read the token of the service account");
                let told = async move { told.send(Event::End(id, End::Cut)).await };
                tokio::spawn(told);
                return;
            }
        };
        let task = tokio::spawn(ask(sender, request, id, told));
        self.requests.insert(id, task.abort_handle());
    }

    /// Aborts a request.
    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(request) = self.requests.remove(&id) {
            request.abort();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        self.requests.values().for_each(AbortHandle::abort);
    }
}

/// Opens the connection, and drives it to its end.
async fn drive(credentials: Credentials, privileges: Privileges, told: mpsc::Sender<Event>) {
    let opened = timeout(CONNECT_TIMEOUT, Box::pin(handshake(&credentials, privileges))).await;
    let reason = match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Err(error) => format!("cannot connect to {}: {error}", credentials.authority()),
        Ok((sender, local, connection)) => {
            if told.send(Event::Connected(sender, local)).await.is_err() {
                return;
            }
            match connection.await {
                Ok(()) => CLOSED.into(),
                Err(error) => reason_of(&error),
            }
        }
    };
    let _nobody_listens = told.send(Event::Lost(reason)).await;
}

type Sender = http2::SendRequest<Empty<Bytes>>;
type Driver = http2::Connection<
    TokioIo<tokio_rustls::client::TlsStream<crate::net::TcpStream>>,
    Empty<Bytes>,
    TokioExecutor,
>;

async fn handshake(
    credentials: &Credentials,
    privileges: Privileges,
) -> io::Result<(Sender, IpAddr, Driver)> {
    let config = credentials.tls()?;
    let tcp = transparent::connect(credentials.address().await?, privileges).await?;
    socket::prepare(&tcp);
    let local = tcp.local_addr()?.ip().to_canonical();
    let tls = TlsConnector::from(config).connect(credentials.server_name()?, tcp).await?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    let opened = Box::pin(builder.handshake(TokioIo::new(tls))).await;
    opened.map(|(sender, driver)| (sender, local, driver)).map_err(io::Error::other)
}

/// Sends a request, and forwards its answer as events.
async fn ask(
    mut sender: Sender,
    request: Request<Empty<Bytes>>,
    id: RequestId,
    told: mpsc::Sender<Event>,
) -> Option<()> {
    let end = match sender.send_request(request).await {
        Err(_) => End::Cut,
        Ok(response) => {
            told.send(Event::Head(id, response.status().as_u16(), retry_after(&response))).await.ok()?;
            let mut body = response.into_body();
            loop {
                match body.frame().await {
                    None => break End::Whole,
                    Some(Err(_)) => break End::Cut,
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            told.send(Event::Data(id, data)).await.ok()?;
                        }
                    }
                }
            }
        }
    };
    told.send(Event::End(id, end)).await.ok()
}

/// `Retry-After` in seconds, the form that API servers use (RFC 9110 §10.2.3).
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The error with its causes. Processes that are killed end their connections without a word of TLS.
fn reason_of(error: &hyper::Error) -> String {
    let causes: Vec<_> = successors(Some(error as &dyn Error), |&error| error.source()).collect();
    let mut io = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if io.any(|error| matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)) {
        return CLOSED.into();
    }
    causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

const CLOSED: &str = "closed by the server";

/// Two or three round trips and a signature, on a loaded server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A server that is gone without a reset is detected within 40 s.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long the answer to a PING may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Flow-control windows: 256 KiB for the connection, a quarter for each answer, so that one watch cannot stall the others.
const WINDOW: u32 = 256 * 1024;
const STREAM_WINDOW: u32 = 64 * 1024;

/// Events that wait to be read: 16 pieces of answers of 16 KiB each, 256 KiB.
const EVENTS_MAX: usize = 16;

const AGENT: &str = concat!("svcmesh-sidecar/", env!("CARGO_PKG_VERSION"));
