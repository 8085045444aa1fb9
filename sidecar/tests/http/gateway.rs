//! What a Service says is sent again: its annotation `retry`.

use hyper::Request;

use super::backend::Backend;
use super::http2::{Does, answer_of, connect, speaks_http2};
use super::world::{World, ours};

/// Sends `request` on a connection of its own: the status and body of the answer.
fn answer(world: &World, request: &str) -> (u16, String) {
    let mut client = world.client();
    client.send(request);
    let response = client.response("GET").expect("each request is answered");
    (response.status(), response.body)
}

fn answers(world: &World, request: &str) -> [u16; 4] {
    let mut statuses = [(); 4].map(|()| answer(world, request).0);
    statuses.sort_unstable();
    statuses
}

#[test]
fn an_answer_of_503_is_tried_elsewhere_where_a_service_asks_for_it() {
    let (sick, well) = (Backend::answering(SORRY), Backend::answering(OK));
    let world = World::with(
        "retry: connect|reset|gateway-error\nload-balancer: rr\neject: off",
        &[&sick, &well],
        &[],
    );
    assert_eq!(answers(&world, GET), [200; 4]);
    assert_eq!(sick.connections(), 1, "a short refusal does not cost its connection");
    let refused = sick.take_requests().len();
    assert!(refused >= 2, "{refused}");
    world.counts(&format!("svcmesh_retries_total{{reason=\"UG\"}} {refused}"));
    assert_eq!(answers(&world, POST), [200, 200, 503, 503], "what is not idempotent is not");
    world.records(&["-"; 8]);
}

#[test]
fn and_is_an_answer_like_any_other_where_it_does_not() {
    let (sick, well) = (Backend::answering(SORRY), Backend::answering(OK));
    let world = World::with("load-balancer: rr", &[&sick, &well], &[]);
    assert_eq!(answers(&world, GET), [200, 200, 503, 503]);
}

#[test]
fn the_last_answer_is_passed_on_when_attempts_or_endpoints_end() {
    for (retry, sent) in [("gateway-error,attempts=2", 2), ("gateway-error,attempts=5", 3)] {
        let backends = [(); 3].map(|()| Backend::answering(SORRY));
        let world = World::with(&format!("retry: {retry}"), &backends.each_ref(), &[]);
        assert_eq!(answer(&world, GET), (503, "sorry".to_owned()));
        let seen: usize = backends.iter().map(|backend| backend.take_requests().len()).sum();
        assert_eq!(seen, sent, "{retry}");
        world.records(&["-"]);
    }
}

#[test]
fn a_refusal_that_does_not_end_costs_its_connection_and_no_time() {
    let sick = Backend::start(|talk| {
        while talk.request().is_ok() {
            talk.wire.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nso");
        }
    });
    let well = Backend::answering(OK);
    let world = World::with("retry: gateway-error\nload-balancer: rr", &[&sick, &well], &[]);
    assert_eq!(answers(&world, GET), [200; 4]);
    let refused = sick.take_requests().len();
    assert!(refused >= 2 && sick.connections() == refused, "{refused}");
}

#[test]
fn a_reset_is_final_where_a_service_names_other_conditions() {
    let dead = [(); 2].map(|()| Backend::start(|talk| drop(talk.request())));
    let world = World::with("retry: connect", &dead.each_ref(), &[]);
    assert_eq!(answers(&world, GET), [502; 4]);
    let seen: usize = dead.iter().map(|backend| backend.take_requests().len()).sum();
    assert_eq!(seen, 4);
}

#[test]
fn an_upgrade_that_was_refused_with_503_is_asked_for_elsewhere() {
    let sick = Backend::answering(SORRY);
    let well = Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello");
        talk.wire.rest();
    });
    let world = World::with("retry: gateway-error\nload-balancer: rr", &[&sick, &well], &[]);
    for _ in 0..2 {
        let mut client = world.client();
        client.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(101));
        assert_eq!(client.text(5).as_deref(), Ok("hello"));
    }
    assert!(!sick.take_requests().is_empty());
}

#[tokio::test]
async fn unavailable_alone_is_tried_elsewhere_where_a_service_asks_for_it() {
    for (retry, expected) in
        [("retry: gateway-error", [Some("0"); 2]), ("retry: reset", [Some("14"), Some("0")])]
    {
        let sick = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Unavailable));
        let well = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
        let world = World::asking(
            &ours(&format!("{retry}\nload-balancer: rr")),
            "grpc",
            &[sick.address(), well.address()],
            &[],
        );
        let mut client = connect(&world).await;
        let mut said = Vec::new();
        for _ in 0..2 {
            let call = Request::post("http://web/").header("content-type", "application/grpc").body(());
            said.push(answer_of(&mut client, call.expect("a request")).await);
        }
        // Trailers-Only: what is the head of a response to HTTP is gRPC's trailers.
        let mut statuses: Vec<Option<String>> = said
            .into_iter()
            .map(|(head, _, trailing)| {
                let leading =
                    head.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
                leading.or(trailing)
            })
            .collect();
        statuses.sort_by_key(|status| status.as_deref() == Some("0"));
        assert_eq!(statuses, expected.map(|status| status.map(str::to_owned)), "{retry:?}");
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SORRY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry";
