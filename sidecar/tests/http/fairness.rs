//! What a client did is never held against an endpoint; what an endpoint did is.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use hyper::Request;

use super::backend::Backend;
use super::http2::{Does, answer_to, connect, speaks_http2};
use super::support::until;
use super::wire::Wire;
use super::world::World;

/// Four endpoints that do the same, in turn.
fn four(each: impl Fn() -> Backend) -> [Backend; 4] {
    std::array::from_fn(|_| each())
}

fn world(backends: &[Backend; 4], annotations: &str, app_protocol: &str, arguments: &[&str]) -> World {
    let addresses: Vec<_> = backends.iter().map(Backend::address).collect();
    let annotations = format!("svcmesh.dev/load-balancer: rr{annotations}");
    World::asking(&annotations, app_protocol, &addresses, arguments)
}

/// Nobody is ejected, nor was anybody.
fn nobody_is_ejected(world: &World) {
    let ejections: u64 = world.measured("svcmesh_ejections_total").iter().sum();
    assert_eq!((ejections, world.admin("/services").matches("\"ejected\":true").count()), (0, 0));
}

/// Answers whole requests, and is silent else.
fn well() -> Backend {
    Backend::start(|talk| {
        while talk.request().is_ok() {
            talk.wire.send(OK);
        }
    })
}

/// Gives up a request that does not come to its end within half a second, and says so.
fn impatient(says: &'static str) -> Backend {
    Backend::start(move |talk| {
        while talk.head().is_ok() {
            thread::sleep(Duration::from_millis(300));
            talk.wire.send(says);
        }
    })
}

/// 40 clients that send this and nothing more; each is answered, by whomever, before it goes.
fn forty_send(world: &World, sent: &str) {
    let mut clients: Vec<Wire> = (0..40).map(|_| world.client()).collect();
    clients.iter_mut().for_each(|client| client.send(sent));
    clients.iter_mut().for_each(|client| drop(client.peek()));
}

const HALF_A_BODY: &str = "PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello";
const EXPECTING: &str = "PUT / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
const OPEN_CHUNKS: &str = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

#[test]
fn clients_that_do_not_send_their_bodies_eject_nobody() {
    for limit in [&["--try-timeout", "500ms"], &["--request-timeout", "500ms"]] {
        for sent in [HALF_A_BODY, EXPECTING, OPEN_CHUNKS] {
            let backends = four(well);
            let world = world(&backends, "", "http", limit);
            forty_send(&world, sent);
            nobody_is_ejected(&world);
        }
    }
}

#[test]
fn what_endpoints_say_to_half_a_request_ejects_nobody() {
    for says in [
        "HTTP/1.1 500 Incomplete\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 503 Tired\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "garbage\r\n\r\n",
    ] {
        for sent in [HALF_A_BODY, OPEN_CHUNKS] {
            let backends = four(|| impatient(says));
            let world = world(&backends, "", "http", &[]);
            forty_send(&world, sent);
            nobody_is_ejected(&world);
        }
    }
    let backends = four(|| {
        Backend::start(|talk| {
            let _head = talk.head();
            thread::sleep(Duration::from_millis(300)); // and it closes
        })
    });
    let world = world(&backends, "", "http", &[]);
    forty_send(&world, HALF_A_BODY);
    nobody_is_ejected(&world);
}

#[tokio::test]
async fn deadlines_that_clients_choose_eject_nobody() {
    for does in [|| Does::Answer, || Does::Fail("4")] {
        let backends = four(|| Backend::start(move |talk| speaks_http2(talk, 1000, move |_, _| does())));
        let world = world(&backends, "", "grpc", &[]);
        let mut client = connect(&world).await;
        for timeout in ["1n", "1u", "100u", "1m", "5m"] {
            for _ in 0..20 {
                let request = Request::post("http://web/echo.Echo/Say")
                    .header("content-type", "application/grpc")
                    .header("grpc-timeout", timeout);
                let request = request.body(()).expect("a request");
                let _either = answer_to(&mut client, request, "hello".into()).await;
            }
        }
        nobody_is_ejected(&world);
    }
}

#[test]
fn clients_that_leave_or_do_not_read_eject_nobody() {
    let backends = four(|| {
        Backend::start(|talk| {
            if talk.request().is_ok() {
                talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
                // A server that gives up whoever reads nothing for two seconds.
                let (mut left, mut blocked) = (1_000_000_000, 0);
                let mut socket = talk.wire.socket();
                while blocked < 100 && left > 0 {
                    match socket.write(&[b'x'; 16 * 1024]) {
                        Ok(bytes) => (left, blocked) = (left - bytes.min(left), 0),
                        Err(_) => {
                            thread::sleep(Duration::from_millis(20));
                            blocked += 1;
                        }
                    }
                }
                talk.wire.ends_with_reset();
            }
        })
    });
    let world = world(&backends, "", "http", &["--request-timeout", "6s"]);
    let clients: Vec<Wire> = (0..24)
        .map(|_| {
            let mut client = world.client();
            client.send(GET);
            client
        })
        .collect();
    thread::sleep(Duration::from_secs(7));
    for mut client in clients {
        client.rest(); // late, and finds it broken off
    }
    for _ in 0..40 {
        world.client().send(GET); // and leaves at once
    }
    nobody_is_ejected(&world);
}

#[test]
fn an_endpoint_that_fails_whole_requests_is_ejected_all_the_same() {
    for (method, body) in [("GET", ""), ("POST", "hello")] {
        let sent =
            format!("{method} / HTTP/1.1\r\nHost: web\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for failing in [failing as fn() -> Backend, resetting, silent] {
            let [_, b, c, d] = four(well);
            let backends = [failing(), b, c, d];
            let world = world(&backends, "", "http", &["--try-timeout", "200ms"]);
            until("it is ejected", || {
                let mut client = world.client();
                client.send(&sent);
                let _either = client.response(method);
                let ejections: u64 = world.measured("svcmesh_ejections_total").iter().sum();
                (ejections > 0).then_some(())
            });
        }
    }
}

fn failing() -> Backend {
    Backend::answering("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
}

fn resetting() -> Backend {
    Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.ends_with_reset();
    })
}

fn silent() -> Backend {
    Backend::start(|talk| drop(talk.wire.rest()))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
