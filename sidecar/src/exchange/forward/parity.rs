//! The corpus, told by the sidecar: its own way of a request from hyper's server up to where it would be sent, with the case's chance and clock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use svc_core::discovery::document::Documents;
use svc_core::inventory::{self, Inventory};
use svc_core::service::{Rules, Scope};
use svc_core::table::Source;
use svc_core::time::Now;
use testing::parity::{self, Answer as Told, Case, Program, corpus, tell};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::*;
use crate::client::facts::{Arrival, ClientInfo};
use crate::clock;
use crate::config::{Config, Surroundings, command};
use crate::http::h2::backlog::QueuedPiece;
use crate::http::h2::recv::RecvBody;
use crate::http::interim::Respond;
use crate::memory::Holder;
use crate::metrics::{Direction, Metrics};

#[test]
fn the_sidecar_tells_the_corpus() {
    tell(&corpus(), Worker::of);
}

/// A worker of the sidecar, with the clock in the test's hand.
struct Worker {
    runtime: Runtime,
    now: Now,
    documents: Documents,
    inventory: Inventory,
    context: Rc<WorkerContext>,
    /// Each client has one connection.
    origins: HashMap<IpAddr, Rc<ClientOrigin>>,
    accounts: Vec<Option<Account>>,
}

impl Worker {
    fn of(case: &Case) -> Worker {
        clock::set(Now::default());
        let config = Arc::new(config(case));
        let settings =
            inventory::Settings { sources: vec![Source::Services, Source::Dns], ..config.inventory() };
        let domain = settings.cluster_domain.clone();
        let context =
            WorkerContext::new(config, Arc::default(), Metrics::new(), None, Arc::default(), case.seed);
        Worker {
            runtime: Builder::new_current_thread().build().expect("a runtime without drivers"),
            now: Now::default(),
            documents: Documents::new(Source::Services, Rules::default(), Scope::ALL, domain),
            inventory: Inventory::new(settings),
            context,
            origins: HashMap::new(),
            accounts: Vec::new(),
        }
    }

    fn origin(&mut self, client: IpAddr) -> Rc<ClientOrigin> {
        let Worker { context, origins, .. } = self;
        let new = || {
            let arrival = Arrival::of(SocketAddr::new(client, 4711), Direction::Outbound);
            Rc::new(ClientOrigin::new(
                ClientInfo { arrival, destination: Destination::Request, proxy_header: None },
                Holder::default(),
                None,
                &context.router,
            ))
        };
        origins.entry(client).or_insert_with(new).clone()
    }

    fn answer(&mut self, sent: Result<Sent, Failure>) -> Told {
        match sent {
            Ok(Sent { account, to, headers }) => {
                self.accounts.push(Some(account));
                Told::Goes(to, lines(&headers))
            }
            Err(failure) => {
                self.accounts.push(None);
                Told::Fails(failure.verdict().code.to_owned())
            }
        }
    }
}

impl Program for Worker {
    fn learns(&mut self, document: &str) {
        let news = self.documents.read(document.as_bytes()).expect("it is a document");
        if let Some(table) = news.apply(&mut self.inventory) {
            self.context.router.table.store(table);
        }
        self.context.router.follow();
    }

    fn waits(&mut self, time: Duration) {
        self.now = Now(self.now.0 + time);
        clock::set(self.now);
    }

    fn is_asked(&mut self, _number: usize, request: &parity::Request) -> Told {
        let (origin, context) = (self.origin(request.from), self.context.clone());
        let sent = LocalSet::new().block_on(&self.runtime, ask(request, origin, context));
        self.answer(sent)
    }

    fn is_answered(&mut self, number: usize, status: u16) {
        let Some(mut account) = self.accounts[number].take() else { return };
        let (head, ()) = Response::builder().status(status).body(()).expect("a status").into_parts();
        account.hears(&head);
        account.answered(status);
        account.done();
    }
}

fn config(case: &Case) -> Config {
    let mut arguments = vec!["run".to_owned(), "--discovery".to_owned(), "env".to_owned()];
    for (name, value) in &case.world.settings {
        let flag = match name.as_str() {
            "trustedProxies" => "--trusted-proxies",
            "node" => "--node-name",
            "zone" => "--zone",
            "namespace" => "--namespace",
            unknown => panic!("{unknown} is no setting"),
        };
        arguments.extend([flag.to_owned(), value.clone()]);
    }
    let flags = command().get_matches_from(arguments);
    Config::read(&flags, &Surroundings::default()).expect("the arguments are right")
}

/// A request that is ready to be sent.
struct Sent {
    account: Account,
    to: SocketAddr,
    headers: HeaderMap,
}

type Found = Rc<RefCell<Option<Result<Sent, Failure>>>>;

/// Puts a request before a server, and sees what becomes of it.
async fn ask(
    request: &parity::Request,
    origin: Rc<ClientOrigin>,
    context: Rc<WorkerContext>,
) -> Result<Sent, Failure> {
    let found = Found::default();
    let service = service_fn({
        let (found, origin, context) = (found.clone(), origin.clone(), context.clone());
        move |request: Request<Incoming>| {
            let (origin, context, found) = (origin.clone(), context.clone(), found.clone());
            async move {
                *found.borrow_mut() = Some(prepare(request.map(ClientBody::Http1), &origin, &context).await);
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        }
    });
    let (client, server) = tokio::io::duplex(64 * 1024);
    if request.version == "HTTP/2" {
        tokio::task::spawn_local(serve_http2(server, found.clone(), origin, context));
        ask_by_http2(request, client).await;
    } else {
        let server = TokioIo::new(server);
        tokio::task::spawn_local(http1::Builder::new().serve_connection(server, service));
        ask_by_http1(request, client).await;
    }
    found.take().expect("a server has read it")
}

async fn serve_http2(
    server: DuplexStream,
    found: Found,
    origin: Rc<ClientOrigin>,
    context: Rc<WorkerContext>,
) {
    let mut connection =
        h2::server::Builder::new().handshake::<_, QueuedPiece>(server).await.expect("both speak HTTP/2");
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, stream) = request.into_parts();
        let respond = Respond::new(respond);
        let body = ClientBody::of_stream(
            (!stream.is_end_stream()).then(|| Rc::new(RefCell::new(RecvBody::new(stream, &head.headers)))),
            respond.clone(),
        );
        *found.borrow_mut() = Some(prepare(Request::from_parts(head, body), &origin, &context).await);
        respond.stream().send_response(Response::new(()), true).expect("the client waits for it");
    }
}

async fn ask_by_http1(request: &parity::Request, mut client: DuplexStream) {
    let parity::Request { method, authority, version, headers, .. } = request;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{method} / {version}\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n");
    client.write_all(text.as_bytes()).await.expect("the server is there");
    client.read_to_end(&mut Vec::new()).await.expect("the server answers and closes");
}

async fn ask_by_http2(request: &parity::Request, client: DuplexStream) {
    let (mut sender, connection) = h2::client::handshake(client).await.expect("both speak HTTP/2");
    tokio::task::spawn_local(connection);
    let uri = format!("http://{}/", request.authority);
    let mut head = Request::builder().method(request.method.as_str()).uri(uri).version(Version::HTTP_2);
    for (name, value) in &request.headers {
        head = head.header(name, value);
    }
    let (response, _) = sender.send_request(head.body(()).expect("a request"), true).expect("it can be sent");
    response.await.expect("the server answers");
}

/// The way of [`exchange`] and [`carry`], up to where an endpoint would be sent the request.
async fn prepare(
    request: Request<ClientBody>,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
) -> Result<Sent, Failure> {
    let dialect = Dialect::of(request.version(), request.headers());
    let mut account = Account::open(context, origin.arrival, protocol(&request, dialect));
    let routed = origin.route(&request, &context.router).await?;
    let prepared = Prepared::new(request, routed, dialect, origin, context, &mut account)?;
    let Prepared { route, caller, outgoing, .. } = &prepared;
    let mut attempts = Attempts::new(route, *caller, origin, account.begun, context);
    let upstream = attempts.begin(outgoing, &mut account)?;
    let (head, _) = outgoing.http1(upstream.host());
    Ok(Sent { to: upstream.addr, headers: headers(head.as_bytes()), account })
}

/// The headers of a head that lacks its last, empty line.
fn headers(head: &[u8]) -> HeaderMap {
    let head = [head, b"\r\n"].concat();
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(&head).expect("a request").is_complete());
    let mut headers = HeaderMap::new();
    for field in &*request.headers {
        let name: HeaderName = field.name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(field.value).expect("a value"));
    }
    headers
}

/// Several values of one name are joined, as stories have them.
fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = |name: &HeaderName| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        (name.to_string(), values.collect::<Vec<_>>().join(", "))
    };
    headers.keys().map(line).collect()
}
