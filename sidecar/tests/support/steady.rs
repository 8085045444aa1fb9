//! Clients of HTTP that ask at a steady rate, and what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Clients of HTTP, on and on.
pub(crate) struct SteadyLoad {
    stop: Arc<AtomicBool>,
    clients: Vec<(Version, JoinHandle<Seen>)>,
}

/// How four clients ask, each on a connection of its own.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) address: &'static str,
    pub(crate) host: &'static str,
}

/// What they saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answered: usize,
    pub(crate) failed: Vec<String>,
}

impl SteadyLoad {
    /// Asks with these methods in turn, a round of them about fifty times a second on each connection.
    pub(crate) fn start(clients: &[Client], methods: &'static [Method]) -> SteadyLoad {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |&client: &Client| {
            let stop = stop.clone();
            (client.version, thread::spawn(move || ask_on_and_on(client, methods, &stop)))
        };
        let clients = clients.iter().map(start).collect();
        SteadyLoad { stop, clients }
    }

    /// Ends them.
    pub(crate) fn end(self) -> impl Iterator<Item = (Version, Seen)> {
        self.stop.store(true, Relaxed);
        self.clients.into_iter().map(|(version, client)| (version, client.join().expect("it does not panic")))
    }
}

fn ask_on_and_on(client: Client, methods: &[Method], stop: &AtomicBool) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let one = async || {
        let mut seen = Seen::default();
        let mut asker = Asker::connect(client).await;
        while !stop.load(Relaxed) {
            for method in methods {
                match tokio::time::timeout(Duration::from_secs(5), asker.ask(method.clone())).await {
                    Ok(Ok(200)) => seen.answered += 1,
                    other => {
                        seen.failed.push(format!("{method} at {}: {other:?}", milliseconds()));
                        asker = Asker::connect(client).await;
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        seen
    };
    let all = runtime.block_on(async { tokio::join!(one(), one(), one(), one()) });
    [all.0, all.1, all.2, all.3].into_iter().fold(Seen::default(), |mut all, one| {
        all.answered += one.answered;
        all.failed.extend(one.failed);
        all
    })
}

/// One connection of a client.
struct Asker {
    sender: Sender,
    host: &'static str,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Asker {
    async fn connect(Client { version, address, host }: Client) -> Asker {
        let io = TokioIo::new(TcpStream::connect(address).await.expect("the sidecar listens"));
        if version == Version::HTTP_2 {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.expect("a preface can be sent");
            tokio::spawn(connection);
            return Asker { sender: Sender::Http2(sender), host };
        }
        let (sender, connection) = http1::handshake(io).await.expect("it needs nothing");
        tokio::spawn(connection);
        Asker { sender: Sender::Http1(sender), host }
    }

    /// Asks, and reads the whole answer; its status.
    async fn ask(&mut self, method: Method) -> Result<u16, hyper::Error> {
        let body = Full::from(if method == Method::POST { "ten bytes!" } else { "" });
        let (request, host) = (Request::builder().method(method), self.host);
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender
                    .send_request(request.uri("/").header("host", host).body(body).expect("a request"))
                    .await?
            }
            Sender::Http2(sender) => {
                let uri = format!("http://{host}/");
                sender.send_request(request.uri(uri).body(body).expect("a request")).await?
            }
        };
        let status = response.status().as_u16();
        response.into_body().collect().await?;
        Ok(status)
    }
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tests run in real time, which they share with their clients")]
pub(crate) fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    since.as_millis() as u64
}

const PAUSE: Duration = Duration::from_millis(20);
