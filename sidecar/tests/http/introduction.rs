//! Endpoints that want to be told whom a connection is for: by a PROXY header before its first byte (S-20, S-30).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::Request;
use socket2::{Domain, Socket, Type};
use svc_proto::proxy_header::{Addresses, Header, Origin, Step, Version, decode};

use super::backend::{Backend, Talk};
use super::http2::{self, Does, speaks_http2};
use super::support::{enter_own_network, until};
use super::wire::Wire;
use super::world::{PORT, World, documents, ours};

/// The headers that a backend's connections began with, as text: `v1 127.0.0.1:4711 10.96.0.10:8080`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    /// Reads the header that `talk` begins with.
    fn hear(&self, talk: &mut Talk) {
        let mut bytes = Vec::new();
        let text = loop {
            match decode(&bytes) {
                Ok(Step::Done { value, .. }) => break shown(&value),
                Ok(Step::More { need }) => match talk.wire.take(need) {
                    Ok(more) => bytes.extend(more),
                    Err(broken) => break format!("{broken:?} after {bytes:?}"),
                },
                Err(malformed) => break format!("{malformed}: {:?}", String::from_utf8_lossy(&bytes)),
            }
        };
        self.0.lock().expect("nobody panics with it").push(text);
    }
}

fn shown(header: &Header<'_>) -> String {
    let version = if header.version == Version::V1 { "v1" } else { "v2" };
    match header.origin {
        Origin::Local => format!("{version} local"),
        Origin::Unknown => format!("{version} unknown"),
        Origin::Client(Addresses { source, destination, .. }) => format!("{version} {source} {destination}"),
    }
}

/// What a header of `version` says of `client`, which goes to `web`.
fn of(version: &str, client: &Wire) -> String {
    format!("{version} {} 10.96.0.10:{PORT}", client.near())
}

/// Hears a header, and then answers each request with `ok`.
fn polite() -> (Backend, Heard) {
    let heard = Heard::default();
    let backend = Backend::start({
        let heard = heard.clone();
        move |talk| {
            heard.hear(talk);
            while talk.request().is_ok() {
                talk.wire.send(OK);
            }
        }
    });
    (backend, heard)
}

fn get(client: &mut Wire) {
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()));
}

fn world(annotations: &str, app_protocol: &str, addresses: &[SocketAddr]) -> World {
    World::asking(&ours(annotations), app_protocol, addresses, &[])
}

#[test]
fn each_client_has_a_connection_of_its_own_for_all_of_its_requests() {
    for version in ["v1", "v2"] {
        let (backend, heard) = polite();
        let world = world(&format!("proxy-protocol: {version}"), "http", &[backend.address()]);
        let mut clients = [world.client(), world.client_at([127, 0, 0, 9].into())];
        for _ in 0..3 {
            clients.iter_mut().for_each(get);
        }
        assert_eq!(heard.all(), clients.each_ref().map(|client| of(version, client)));
        assert_eq!(backend.take_requests().len(), 6);
    }
}

#[test]
fn the_annotation_of_aws_means_version_1_to_every_port() {
    let (backend, heard) = polite();
    let annotation = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: \"*\"";
    let world = World::asking(annotation, "http", &[backend.address()], &[]);
    let mut client = world.client();
    get(&mut client);
    assert_eq!(heard.all(), [of("v1", &client)]);
}

#[test]
fn a_connection_ends_with_its_client() {
    let ended = Arc::new(Mutex::new(0));
    let backend = Backend::start({
        let (heard, ended) = (Heard::default(), ended.clone());
        move |talk| {
            heard.hear(talk);
            while talk.request().is_ok() {
                talk.wire.send(OK);
            }
            *ended.lock().unwrap() += 1;
        }
    });
    let world = world("proxy-protocol: v1", "http", &[backend.address()]);
    let (mut first, mut second) = (world.client(), world.client());
    get(&mut first);
    get(&mut second);
    drop(first);
    until("its connection ends", || (*ended.lock().unwrap() == 1).then_some(()));
    get(&mut second);
    assert_eq!((backend.connections(), *ended.lock().unwrap()), (2, 1));
}

#[test]
fn what_is_sent_again_is_introduced_again() {
    let heard = Heard::default();
    let rude = Backend::start({
        let heard = heard.clone();
        move |talk| {
            heard.hear(talk);
            let _ = talk.request(); // and no answer
        }
    });
    let (good, after) = polite();
    let world = world("proxy-protocol: v2\nload-balancer: rr", "http", &[rude.address(), good.address()]);
    let mut clients = [world.client(), world.client()];
    clients.iter_mut().for_each(get);
    let told = after.all();
    assert_eq!(told, clients.each_ref().map(|client| of("v2", client)));
    let in_vain = heard.all();
    assert!(!in_vain.is_empty() && in_vain.iter().all(|header| told.contains(header)), "{in_vain:?}");
    assert_eq!(world.retries(), in_vain.len() as u64);
}

#[test]
fn streams_of_one_client_share_a_connection_that_no_other_client_gets() {
    let heard = Heard::default();
    let backend = Backend::start({
        let heard = heard.clone();
        move |talk| {
            heard.hear(talk);
            speaks_http2(talk, 100, |_, _| Does::Answer);
        }
    });
    let world = world("proxy-protocol: v2", "kubernetes.io/h2c", &[backend.address()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = [http2::connect(&world).await, http2::connect(&world).await];
        for _ in 0..3 {
            for client in &mut clients {
                let request = Request::get("http://web/").body(()).unwrap();
                assert_eq!(http2::answer_of(client, request).await.1, "ok");
            }
        }
    });
    let told = heard.all();
    assert_eq!(told.len(), 2);
    assert_ne!(told[0], told[1]);
    assert!(told.iter().all(|told| told.starts_with("v2 127.0.0.1:")), "{told:?}");
}

#[test]
fn a_server_that_speaks_first_knows_whom_it_speaks_to() {
    let heard = Heard::default();
    let backend = Backend::start({
        let heard = heard.clone();
        move |talk| {
            heard.hear(talk);
            talk.wire.send("220 ready\r\n");
            let line = talk.wire.text(6).unwrap_or_default();
            talk.wire.send(format!("250 {line}"));
        }
    });
    let world = world("proxy-protocol: v1", "tcp", &[backend.address()]);
    let mut client = world.client();
    assert_eq!(client.text(11).as_deref(), Ok("220 ready\r\n"));
    assert_eq!(heard.all(), [of("v1", &client)]);
    client.send("HELO x");
    assert_eq!(client.rest(), "250 HELO x");
}

#[test]
fn a_connection_that_another_endpoint_refused_is_introduced_to_the_next() {
    enter_own_network();
    let nobody = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    nobody.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap(); // and does not listen
    let refused = nobody.local_addr().unwrap().as_socket().unwrap();
    let (backend, heard) = polite();
    let world = world("proxy-protocol: v1\nload-balancer: rr", "tcp", &[refused, backend.address()]);
    let mut clients = [world.client(), world.client()];
    clients.iter_mut().for_each(get);
    let (mut told, mut expected) = (heard.all(), clients.each_ref().map(|client| of("v1", client)));
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn an_upgrade_and_a_tunnel_of_the_forward_proxy_begin_with_a_header_too() {
    let heard = Heard::default();
    let backend = Backend::start({
        let heard = heard.clone();
        move |talk| {
            heard.hear(talk);
            match talk.request() {
                Ok(request) if request.header("upgrade").is_some() => {
                    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n";
                    talk.wire.send(format!("{switching}Upgrade: websocket\r\n\r\nwelcome"));
                }
                Ok(_) => talk.wire.send(OK),
                Err(_) => {}
            }
            let _until_the_client_goes = talk.request();
        }
    });
    let world = world("proxy-protocol: v2", "http", &[backend.address()]);
    let mut upgraded = world.client();
    upgraded.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(upgraded.response("GET").map(|response| response.status()), Ok(101));
    assert_eq!(upgraded.text(7).as_deref(), Ok("welcome"));
    let mut connected = world.proxy_client();
    connected.send(format!("CONNECT web.default:{PORT} HTTP/1.1\r\nHost: web.default:{PORT}\r\n\r\n"));
    assert_eq!(connected.head().map(|response| response.status()), Ok(200));
    get(&mut connected);
    let mut forwarded = world.proxy_client();
    forwarded.send(format!("GET http://web.default:{PORT}/ HTTP/1.1\r\nHost: web.default:{PORT}\r\n\r\n"));
    assert_eq!(forwarded.response("GET").map(|response| response.body), Ok("ok".to_owned()));
    assert_eq!(heard.all(), [&upgraded, &connected, &forwarded].map(|client| of("v2", client)));
}

#[test]
fn checks_say_that_nobody_is_behind_them_but_not_at_another_port() {
    for (check, version, expected) in [
        ("http:/live", "v1", "v1 unknown"),
        ("http:/live", "v2", "v2 local"),
        ("tcp", "v1", "v1 unknown"),
        ("tcp", "v2", "v2 local"),
    ] {
        let (backend, heard) = polite();
        let annotations =
            format!("proxy-protocol: {version}\nhealth-check: {check},interval=1s,timeout=500ms");
        let world = world(&annotations, "http", &[backend.address()]);
        until("it is asked", || heard.all().first().map(|first| assert_eq!(first, expected)));
        until("again", || (heard.all().len() > 1).then_some(()));
        get(&mut world.client());
    }
    let elsewhere = Backend::answering(OK);
    let (backend, heard) = polite();
    let port = elsewhere.address().port();
    let prefix = "service.beta.kubernetes.io/aws-load-balancer-";
    let annotations = format!(
        "{prefix}proxy-protocol: \"*\", {prefix}healthcheck-port: \"{port}\", {prefix}healthcheck-protocol: http, \
         {prefix}healthcheck-interval: \"5\", {prefix}healthcheck-timeout: \"2\""
    );
    let _world = World::asking(&annotations, "http", &[backend.address()], &[]);
    until("the other port is asked", || elsewhere.take_requests().pop());
    assert_eq!(heard.all(), [""; 0]);
}

#[test]
fn a_client_keeps_connections_to_the_eight_endpoints_it_used_last() {
    let backends: Vec<_> = (0..9).map(|_| polite()).collect();
    let addresses: Vec<_> = backends.iter().map(|(backend, _)| backend.address()).collect();
    let connections = |count: usize| {
        let world = world("proxy-protocol: v1\nload-balancer: rr", "http", &addresses[..count]);
        let before: usize = backends.iter().map(|(backend, _)| backend.connections()).sum();
        let mut client = world.client();
        (0..3 * count).for_each(|_| get(&mut client));
        backends.iter().map(|(backend, _)| backend.connections()).sum::<usize>() - before
    };
    assert_eq!(connections(8), 8);
    assert_eq!(connections(9), 27); // in turn, each comes again when it has just been let go of
}

#[test]
fn a_service_that_changes_its_mind_is_told_in_the_new_way_at_once() {
    let (backend, heard) = polite();
    let asking =
        |version: &str| documents(&ours(&format!("proxy-protocol: {version}")), "http", &[backend.address()]);
    let world = World::over(&asking("v1"), &[]);
    let mut client = world.client();
    get(&mut client);
    world.replace(&asking("v2"));
    get(&mut client);
    assert_eq!(heard.all(), [of("v1", &client), of("v2", &client)]);
}

#[test]
fn an_endpoint_that_leaves_lets_go_of_the_connections_of_all_clients() {
    let ended = Arc::new(Mutex::new(0));
    let leaving = Backend::start({
        let (heard, ended) = (Heard::default(), ended.clone());
        move |talk| {
            heard.hear(talk);
            while talk.request().is_ok() {
                talk.wire.send(OK);
            }
            *ended.lock().unwrap() += 1;
        }
    });
    let (staying, heard) = polite();
    let asking = |address| documents(&ours("proxy-protocol: v1"), "http", &[address]);
    let world = World::over(&asking(leaving.address()), &[]);
    let mut clients = [world.client(), world.client()];
    clients.iter_mut().for_each(get);
    world.replace(&asking(staying.address()));
    until("both connections end", || (*ended.lock().unwrap() == 2).then_some(()));
    clients.iter_mut().for_each(get);
    world.replace(&asking(leaving.address()));
    world.replace(&asking(staying.address()));
    clients.iter_mut().for_each(get);
    assert_eq!(heard.all().len(), 4);
}

#[test]
fn connections_that_wait_for_their_client_leave_room_for_others() {
    let (backend, _) = polite();
    let world = world("proxy-protocol: v1\nmax-connections: 1", "http", &[backend.address()]);
    let mut clients = [world.client(), world.client(), world.client()];
    clients.iter_mut().for_each(get); // one after the other: an idle connection is no load
    assert_eq!(backend.connections(), 3);
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
