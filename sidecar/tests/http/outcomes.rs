//! What is told of requests and connections once they have ended: by `/metrics`, and by the access log.

use hyper::Request;
use serde_json::Value;

use super::backend::Backend;
use super::http2::{Does, answer_of, connect, speaks_http2};
use super::support::until;
use super::world::World;
use socket2::{Domain, Socket, Type};

/// The records, once there are `count`.
fn records(world: &World, count: usize) -> Vec<Value> {
    until(&format!("{count} records"), || Some(world.log()).filter(|log| log.len() >= count))
}

/// Nobody listens there, nor can: the port stays taken until this process ends.
fn refusing() -> std::net::SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("some port is free");
    let addr = socket.local_addr().expect("it is bound").as_socket().expect("it has an IP address");
    std::mem::forget(socket);
    addr
}

fn call() -> Request<()> {
    let call = Request::post("http://web/cart.Cart/Add").header("content-type", "application/grpc");
    call.body(()).expect("a request")
}

#[tokio::test]
async fn a_call_is_counted_and_logged_with_its_grpc_status() {
    for (does, status, number) in [
        ((|| Does::Answer) as fn() -> Does, "0", 0),
        (|| Does::Fail("5"), "5", 5),
        (|| Does::Fail("13"), "13", 13),
        (|| Does::Unavailable, "14", 14), // Trailers-Only
        (|| Does::Fail("17"), "2", 2),
        (|| Does::Fail("no number"), "2", 2),
        (|| Does::Bare, "2", 2),
    ] {
        let backend = Backend::start(move |talk| speaks_http2(talk, 100, |_, _| does()));
        let world = World::at("grpc", &[backend.address()], &[]);
        let mut client = connect(&world).await;
        answer_of(&mut client, call()).await;
        let endpoint = backend.address();
        world.counts(&format!(
            "svcmesh_requests_total{{direction=\"outbound\",service=\"default/web\",endpoint=\"{endpoint}\",protocol=\"grpc\",\
             code=\"200\",grpc_status=\"{status}\"}} 1"
        ));
        let record = &records(&world, 1)[0];
        assert_eq!(
            (&record["response.status"], &record["response.grpc_status"]),
            (&Value::from(200), &Value::from(number)),
            "{record}"
        );
    }
}

#[tokio::test]
async fn a_service_without_endpoints_has_samples_of_its_own() {
    let world = World::at("http", &[], &[]);
    let mut client = world.client();
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(503));
    let samples = [
        "svcmesh_requests_total{direction=\"outbound\",service=\"default/web\",endpoint=\"\",protocol=\"http/1.1\",code=\"503\",\
         grpc_status=\"\"} 1",
        "svcmesh_failures_total{service=\"default/web\",code=\"MN\"} 1",
    ];
    for sample in samples.iter().chain(&samples) {
        world.counts(sample); // a scrape makes nothing go
    }
    let mut client = connect(&world).await;
    let (response, _, _) = answer_of(&mut client, call()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    world.counts(
        "svcmesh_requests_total{direction=\"outbound\",service=\"default/web\",endpoint=\"\",protocol=\"grpc\",code=\"200\",\
         grpc_status=\"14\"} 1",
    );
    let record = &records(&world, 2)[1];
    assert_eq!(
        (&record["response.grpc_status"], &record["failure.code"]),
        (&14.into(), &"MN".into()),
        "{record}"
    );
}

#[test]
fn a_connect_tunnel_is_a_connection_and_no_request() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.proxy_client();
    client.send("CONNECT web:8080 HTTP/1.1\r\nHost: web:8080\r\n\r\n");
    assert_eq!(client.head().map(|head| head.status()), Ok(200));
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    client.finish();
    let record = &records(&world, 1)[0];
    assert_eq!((&record["kind"], &record["protocol"]), (&"connection".into(), &"tcp".into()), "{record}");
    assert_eq!((&record["request.method"], &record["request.path"]), (&"CONNECT".into(), &"web:8080".into()));
    assert_eq!(
        (&record["bytes.in"], &record["bytes.out"]),
        (&GET.len().into(), &OK.len().into()),
        "{record}"
    );
    assert_eq!(world.measured("svcmesh_requests_total"), [0; 0]);
    assert_eq!(world.measured("svcmesh_request_duration_seconds_count"), [0; 0]);
    assert_eq!(world.measured("svcmesh_connections_opened_total"), [1]);
    // One that is refused was answered like any other request.
    let mut client = world.proxy_client();
    client.send("CONNECT web:81 HTTP/1.1\r\nHost: web:81\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    until("it is counted", || (world.measured("svcmesh_requests_total") == [1]).then_some(()));
}

#[test]
fn an_upgraded_connection_is_a_request_that_took_until_its_101() {
    let backend = Backend::start(|talk| {
        let _handshake = talk.request();
        talk.wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
        while talk.wire.bytes(1).is_ok() {}
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_eq!(client.head().map(|head| head.status()), Ok(101));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    client.finish();
    let took_us = records(&world, 1)[0]["duration.us"].as_u64();
    assert!(took_us > Some(1_000_000), "its connection took longer: {took_us:?}");
    let within_a_second = "svcmesh_request_duration_seconds_bucket{le=\"1.0\"";
    until("it is counted", || (world.measured(within_a_second) == [1]).then_some(()));
}

#[test]
fn an_attempt_that_nobody_makes_is_no_retry() {
    for app_protocol in ["http", "tcp"] {
        let world = World::at(app_protocol, &[refusing()], &[]);
        let mut client = world.client();
        client.send(GET);
        let _answered_or_closed = client.response("GET");
        let record = &records(&world, 1)[0];
        assert_eq!((&record["failure.code"], &record["retries"]), (&"UR".into(), &0.into()), "{record}");
        assert_eq!(world.retries(), 0, "{app_protocol}");
        let world = World::at(app_protocol, &[refusing(), refusing()], &[]);
        let mut client = world.client();
        client.send(GET);
        let _answered_or_closed = client.response("GET");
        let record = &records(&world, 1)[0];
        assert_eq!((&record["retries"], world.retries()), (&1.into(), 1), "{app_protocol}: {record}");
    }
}

#[test]
fn what_went_of_a_request_that_failed_is_counted() {
    let backend = Backend::start(|talk| {
        let _head = talk.head();
        let _body = talk.wire.take(1000);
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000)));
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(502));
    let record = &records(&world, 1)[0];
    assert_eq!((&record["failure.code"], &record["bytes.in"]), (&"UH".into(), &1000.into()), "{record}");
    let sample = format!(
        "svcmesh_bytes_total{{direction=\"outbound\",service=\"default/web\",endpoint=\"{}\",flow=\"to_upstream\"}} 1000",
        backend.address()
    );
    world.counts(&sample);
}

#[test]
fn bytes_of_what_lasts_are_counted_while_it_does() {
    for app_protocol in ["http", "tcp"] {
        let backend = Backend::start(|talk| {
            let _head = talk.head();
            talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
            talk.wire.send("x".repeat(1_000_000));
            let _until_the_client_goes = talk.wire.bytes(1);
        });
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let mut client = world.client();
        client.send(GET);
        assert_eq!(client.head().map(|head| head.status()), Ok(200));
        assert!(client.bytes(1_000_000).is_ok());
        let sample = format!(
            "svcmesh_bytes_total{{direction=\"outbound\",service=\"default/web\",endpoint=\"{}\",flow=\"to_client\"}}",
            backend.address()
        );
        until("most of it is counted", || {
            world.measured(&sample).iter().any(|bytes| *bytes > 900_000).then_some(())
        });
        assert_eq!(world.log().len(), 0, "it has not ended");
    }
}

#[test]
fn a_client_that_says_nothing_and_resets_is_a_check_and_no_failure() {
    for app_protocol in ["http", "tcp"] {
        let backend = Backend::start(|talk| while talk.wire.bytes(1).is_ok() {});
        let world = World::at(app_protocol, &[backend.address()], &[]);
        for _ in 0..3 {
            let check = world.client();
            check.ends_with_reset();
            drop(check);
        }
        let open = "svcmesh_client_connections_open";
        until("all are gone", || (world.measured(open) == [0]).then_some(()));
        for _ in 0..3 {
            let before = backend.connections();
            let check = world.client();
            until("it has come in", || (world.measured(open) == [1]).then_some(()));
            if app_protocol == "tcp" {
                until("the endpoint is connected to", || (backend.connections() > before).then_some(()));
            }
            check.ends_with_reset();
            drop(check);
            until("it is gone", || (world.measured(open) == [0]).then_some(()));
        }
        let failed: u64 = world.measured("svcmesh_failures_total").iter().sum();
        assert_eq!(failed, 0, "{app_protocol}");
        assert!(world.log().iter().all(|record| record["failure.code"].is_null()), "{:?}", world.log());
    }
}

#[test]
fn a_client_that_resets_after_it_has_spoken_has_gone() {
    let (arrived, arrives) = std::sync::mpsc::channel();
    let backend = Backend::start(move |talk| {
        arrived.send(talk.wire.text(5)).expect("the test waits for it");
        while talk.wire.bytes(1).is_ok() {}
    });
    let world = World::at("tcp", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("hello");
    assert_eq!(arrives.recv().expect("it arrives").as_deref(), Ok("hello"));
    client.ends_with_reset();
    drop(client);
    world.records(&["CA"]);
}

#[test]
fn a_refused_connection_leaves_a_record_and_no_status() {
    let backend = Backend::answering(OK);
    let world = World::at("tcp", &[backend.address()], &["--max-connections=1"]);
    let _first = world.client();
    until("it is in", || (backend.connections() == 1).then_some(()));
    let mut second = world.client();
    assert!(second.is_closed());
    let record = &records(&world, 1)[0];
    assert_eq!((&record["kind"], &record["failure.code"]), (&"connection".into(), &"ML".into()), "{record}");
    assert!(record["response.status"].is_null(), "nobody was sent a status: {record}");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
