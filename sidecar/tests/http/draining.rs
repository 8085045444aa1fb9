//! Endpoints that leave their Service while connections to them are in use (S-22).

use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use socket2::{Domain, Socket, Type};
use tokio::sync::Barrier;

use super::backend::{Backend, Talk};
use super::http2::{Does, answer_of, connect, speaks_http2};
use super::support::{enter_own_network, until};
use super::wire::Wire;
use super::world::{READY, TERMINATING, UNREADY, World, web};

#[test]
fn what_is_under_way_goes_on_for_the_services_time_and_is_then_cut() {
    let (leaving, staying) = (Backend::start(|talk| drips(talk, "x")), Backend::answering(OK));
    let says = |first, second| web(DRAIN, "http", &[(leaving.address(), first), (staying.address(), second)]);
    let world = World::over(&says(READY, UNREADY), &[]);
    let all =
        [begun(world.client(), GET), begun(world.client(), UPGRADE), begun(world.proxy_client(), CONNECT)];
    world.replace(&says(TERMINATING, READY));
    let rests = rests_within(all, Duration::from_millis(900)..Duration::from_millis(2000));
    for rest in rests {
        let went_on = rest.matches('x').count();
        assert!(went_on > 10, "{went_on} drops in the second that it had");
        assert!(!rest.ends_with("0\r\n\r\n"), "as if this was all: {rest}");
    }
    assert_eq!(status(&world, GET), 200);
    assert_eq!(staying.connections(), 1);
    world.records(&["UD", "UD", "UD", "-"]);
    world.counts("svcmesh_failures_total{service=\"default/web\",code=\"UD\"} 3");
}

#[test]
fn a_request_that_was_cut_is_sent_to_another_endpoint_if_it_may_be() {
    let (leaving, staying) = (Backend::start(|talk| drop(talk.wire.rest())), Backend::answering(OK));
    let says = |first, second| web(DRAIN, "http", &[(leaving.address(), first), (staying.address(), second)]);
    let world = World::over(&says(READY, UNREADY), &[]);
    let (mut get, mut post) = (world.client(), world.client());
    get.send(GET);
    post.send(POST);
    until("both wait for an answer", || (leaving.connections() == 2).then_some(()));
    world.replace(&says(TERMINATING, READY));
    assert_eq!(get.response("GET").map(|response| response.status()), Ok(200));
    let refusal = post.response("POST").expect("an answer of our own");
    let why = refusal.header("proxy-status").unwrap_or_default();
    assert_eq!(refusal.status(), 502);
    assert!(why.contains("error=connection_terminated"), "{why}");
    assert_eq!(staying.take_requests().len(), 1);
    world.counts("svcmesh_retries_total{reason=\"UD\"} 1");
    world.counts("svcmesh_failures_total{service=\"default/web\",code=\"UD\"} 1");
}

#[test]
fn an_endpoint_that_comes_back_in_time_loses_nothing() {
    let backends = [Backend::start(|talk| drips(talk, "x")), Backend::start(|talk| drips(talk, "y"))];
    let third = Backend::answering(OK);
    let says = |first, second| {
        let endpoints = [(&backends[0], first), (&backends[1], second), (&third, READY)];
        web(DRAIN, "http", &endpoints.map(|(backend, conditions)| (backend.address(), conditions)))
    };
    let world = World::over(&says(READY, READY)[..3], &[]); // the third comes later
    let mut wires = [begun(world.client(), UPGRADE), begun(world.client(), UPGRADE)];
    if wires[0].peek().starts_with('y') {
        wires.swap(0, 1);
    }
    let [first, mut second] = wires;
    world.replace(&says(TERMINATING, TERMINATING));
    world.replace(&says(TERMINATING, READY));
    rests_within([first], Duration::from_millis(500)..Duration::from_millis(2000));
    // More than it had time for until then.
    assert_eq!(second.text(60), Ok("y".repeat(60)));
}

#[test]
fn the_time_of_a_service_that_disappears_is_what_it_said_last() {
    let leaving = Backend::start(|talk| drips(talk, "x"));
    let documents = web(DRAIN, "http", &[(leaving.address(), READY)]);
    let world = World::over(&documents, &[]);
    let upgraded = begun(world.client(), UPGRADE);
    world.replace(&documents[1..]);
    rests_within([upgraded], Duration::from_millis(900)..Duration::from_millis(2000));
    world.records(&["UD"]);
}

#[test]
fn a_service_that_changes_its_type_keeps_its_connections() {
    let backend = Backend::start(|talk| drips(talk, "x"));
    let documents = web(DRAIN, "http", &[(backend.address(), READY)]);
    let world = World::over(&documents, &[]);
    let mut upgraded = begun(world.client(), UPGRADE);
    let mut changed = documents;
    changed[0] = changed[0].replace("spec:\n", "spec:\n  type: NodePort\n");
    world.replace(&changed);
    assert_eq!(upgraded.text(40), Ok("x".repeat(40)));
    begun(world.client(), UPGRADE);
}

#[tokio::test]
async fn a_shared_connection_gets_no_new_stream_once_its_endpoint_has_left() {
    let met = Arc::new(Barrier::new(2));
    let leaving = Backend::start({
        let met = met.clone();
        move |talk| speaks_http2(talk, 100, |_, _| Does::Meet(met.clone()))
    });
    let staying = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let says = |first, second| web("", "grpc", &[(leaving.address(), first), (staying.address(), second)]);
    let world = World::over(&says(READY, UNREADY), &[]);
    let mut client = connect(&world).await;
    let first = tokio::spawn({
        let mut client = client.clone();
        async move { answer_of(&mut client, get()).await.0.status() }
    });
    let arrived = leaving.requests();
    let waiting = move || until("the first stream has arrived", || (arrived() == 1).then_some(()));
    tokio::task::spawn_blocking(waiting).await.expect("it does");
    world.replace(&says(TERMINATING, READY));
    for _ in 0..4 {
        assert_eq!(answer_of(&mut client, get()).await.0.status(), 200);
    }
    assert_eq!((leaving.take_requests().len(), staying.take_requests().len()), (1, 4));
    met.wait().await;
    assert_eq!(first.await.expect("no panic"), 200, "its last stream ended well");
}

#[test]
fn a_connection_that_opens_after_its_endpoint_has_left_is_not_used() {
    let slow = Crowded::new();
    let staying = Backend::start(|talk| drips(talk, "y"));
    let says = |first, second| web("", "http", &[(slow.address, first), (staying.address(), second)]);
    let world = World::over(&says(READY, UNREADY), &["--connect-timeout", "8s"]);
    let mut all = [(world.client(), GET), (world.client(), UPGRADE), (world.proxy_client(), CONNECT)];
    for (client, request) in &mut all {
        client.send(request);
    }
    until("all are being connected", || (slow.waiting() == all.len()).then_some(()));
    world.replace(&says(TERMINATING, READY));
    slow.accept_and_hear_nothing(all.len());
    for (client, _) in &mut all {
        assert!(client.head().is_ok_and(|head| head.status() < 400));
    }
    assert_eq!(staying.connections(), all.len());
    world.counts("svcmesh_retries_total{reason=\"UL\"} 3");
}

/// Answers, and goes on with a letter now and then until the other side has gone, or for six seconds, which no test waits for.
fn drips(talk: &mut Talk, letter: &str) {
    let Ok(request) = talk.request() else { return };
    talk.wire.send(match request.header("upgrade") {
        Some(_) => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        None => "HTTP/1.1 200 OK\r\n\r\n", // ends with its connection
    });
    for _ in 0..120 {
        if !talk.wire.is_quiet_for(Duration::from_millis(50)) {
            return;
        }
        talk.wire.send(letter);
    }
}

/// Sends a request and reads the head of its response, and something of what follows.
fn begun(mut client: Wire, request: &str) -> Wire {
    client.send(request);
    let heads = if request == CONNECT { 2 } else { 1 };
    for _ in 0..heads {
        assert!(client.head().is_ok_and(|head| head.status() < 400));
    }
    client.peek();
    client
}

/// What comes until all of them have ended, at the times that are expected.
fn rests_within<const N: usize>(wires: [Wire; N], expected: Range<Duration>) -> [String; N] {
    let begun = now();
    wires.map(|mut wire| {
        let rest = wire.rest();
        let after = now() - begun;
        assert!(expected.contains(&after), "ended after {after:?}");
        rest
    })
}

#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
fn now() -> Instant {
    Instant::now()
}

fn status(world: &World, request: &str) -> u16 {
    let mut client = world.client();
    client.send(request);
    client.response("GET").expect("each request is answered").status()
}

fn get() -> Request<()> {
    Request::get("http://web/").body(()).expect("a request")
}

/// An endpoint whose queue is full: the kernel takes no connection for it until somebody has accepted one, and those who wait ask again
/// after a second.
struct Crowded {
    socket: Socket,
    address: SocketAddr,
    _first: TcpStream,
}

impl Crowded {
    fn new() -> Crowded {
        enter_own_network();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("some port is free");
        socket.listen(0).expect("it is bound");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let first = TcpStream::connect(address).expect("one place is there always");
        Crowded { socket, address, _first: first }
    }

    /// How many are being connected (SYN_SENT, see proc_net_tcp in the kernel's documentation).
    fn waiting(&self) -> usize {
        let connections = std::fs::read_to_string("/proc/thread-self/net/tcp").expect("Linux has it");
        let to_here = format!(":{:04X} 02 ", self.address.port());
        connections.lines().filter(|line| line.contains(&to_here)).count()
    }

    /// Accepts all who wait, none of whom says anything.
    fn accept_and_hear_nothing(self, count: usize) {
        let _first = self.socket.accept().expect("the first one waits");
        for _ in 0..count {
            let (socket, _) = self.socket.accept().expect("the others ask again");
            assert_eq!(Wire::new(socket.into()).rest(), "");
        }
    }
}

/// The least that there is (S-22: AWS's annotations).
const DRAIN: &str = "service.beta.kubernetes.io/aws-load-balancer-connection-draining-enabled: \"true\", \
                     service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout: \"1\"";

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
const CONNECT: &str =
    "CONNECT web:8080 HTTP/1.1\r\nHost: web:8080\r\n\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
