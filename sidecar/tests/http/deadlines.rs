//! How long a request may take, by flag, by annotation, and by what a gRPC client says.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use tokio::sync::Barrier;

use super::backend::Backend;
use super::http2::{Does, answer_of, connect, speaks_http2};
use super::wire::Broken;
use super::world::{World, ours};

/// Reads requests, and answers none.
fn silent() -> Backend {
    Backend::start(|talk| while talk.request().is_ok() {})
}

/// Answers after 600 ms, as much later than the deadlines here as they are later than nothing.
fn slow() -> Backend {
    Backend::start(|talk| {
        while talk.request().is_ok() {
            std::thread::sleep(Duration::from_millis(600));
            talk.wire.send(OK);
        }
    })
}

fn status(world: &World, request: &str) -> u16 {
    let mut client = world.client();
    client.send(request);
    client.response("GET").expect("each request is answered").status()
}

#[test]
fn a_request_that_nobody_answers_is_a_504_at_its_deadline() {
    let backends = [silent(), silent()];
    let world = World::of(&backends.each_ref(), &["--request-timeout", "300ms"]);
    for request in [GET, POST] {
        assert_eq!(status(&world, request), 504);
    }
    let seen: usize = backends.iter().map(|backend| backend.take_requests().len()).sum();
    assert_eq!(seen, 2, "the deadline is that of all tries");
    world.records(&["UW", "UW"]);
}

#[test]
fn a_try_that_takes_too_long_is_made_again_elsewhere_if_that_is_the_same_as_once() {
    let backends = [silent(), Backend::answering(OK)];
    let world = World::with("load-balancer: rr", &backends.each_ref(), &["--try-timeout", "200ms"]);
    for _ in 0..2 {
        assert_eq!(status(&world, GET), 200);
    }
    let silent = backends[0].take_requests().len();
    assert!(silent >= 1);
    world.counts(&format!("svcmesh_retries_total{{reason=\"UW\"}} {silent}"));
    let mut statuses = [(); 2].map(|()| status(&world, POST));
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 504]);
    assert_eq!(backends[0].take_requests().len(), 1, "POST is sent once");
}

#[test]
fn a_service_says_how_long_its_requests_take_whatever_the_flags_say() {
    let backend = slow();
    let hasty = World::with("timeout: 200ms", &[&backend], &[]);
    assert_eq!(status(&hasty, GET), 504);
    let hasty = World::with("try-timeout: 200ms", &[&backend], &["--try-timeout", "5s"]);
    assert_eq!(status(&hasty, GET), 504);
    let patient = World::with("timeout: 0", &[&backend], &["--request-timeout", "200ms"]);
    assert_eq!(status(&patient, GET), 200);
}

#[test]
fn a_response_that_does_not_end_in_time_breaks_off() {
    let backend = Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
        assert!(talk.wire.is_closed(), "nobody reads the rest");
    });
    let world = World::of(&[&backend], &["--request-timeout", "300ms"]);
    let mut client = world.client();
    client.send(GET);
    assert_eq!(client.response("GET"), Err(Broken::Truncated("hel".to_owned())));
    world.records(&["UO"]);
}

#[test]
fn an_answer_within_its_deadline_keeps_its_connections() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &["--request-timeout", "300ms"]);
    let mut client = world.client();
    for _ in 0..3 {
        client.send(GET);
        assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()));
        std::thread::sleep(Duration::from_millis(200)); // 600 ms in all
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_stream_that_does_not_end_in_time_is_cancelled_at_both_ends() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Stall));
    let world = World::asking(&ours("timeout: 300ms"), "kubernetes.io/h2c", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let request = Request::get("http://web/").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a request that h2 sends");
    let mut body = response.await.expect("a head").into_body();
    assert_eq!(body.data().await.expect("a beginning").expect("two bytes"), "ok");
    let reason = body.data().await.expect("more than a beginning").expect_err("no end");
    assert_eq!(reason.reason(), Some(h2::Reason::CANCEL));
    world.records(&["UO"]);
}

#[tokio::test]
async fn a_grpc_client_says_how_long_it_waits_and_the_endpoint_hears_how_much_is_left() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = World::at("grpc", &[backend.address()], &["--request-timeout", "4s"]);
    let mut client = connect(&world).await;
    for timeout in ["3S", "1H"] {
        answer_of(&mut client, call(timeout)).await;
    }
    let told: Vec<Duration> = backend.take_requests().iter().map(left).collect();
    for (left, most) in told.iter().zip([Duration::from_secs(3), Duration::from_secs(4)]) {
        assert!(*left < most && *left > most - Duration::from_secs(2), "{told:?}");
    }
}

fn left(request: &super::wire::Message) -> Duration {
    let told = request.header("grpc-timeout").expect("the endpoint is told");
    svc_core::grpc_timeout::parse(told.as_bytes()).expect("a timeout")
}

#[tokio::test]
async fn a_grpc_call_that_nobody_answers_ends_when_its_client_said() {
    let backend = Backend::start(|talk| {
        let never = Arc::new(Barrier::new(2));
        speaks_http2(talk, 100, move |_, _| Does::Meet(never.clone()));
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let (response, _, _) = answer_of(&mut client, call("300m")).await;
    let status = response.headers().get("grpc-status").map(|status| status.as_bytes());
    assert_eq!(status, Some(&b"4"[..]), "DEADLINE_EXCEEDED");
    world.records(&["CG"]);
}

fn call(timeout: &str) -> Request<()> {
    let call = Request::post("http://web/").header("content-type", "application/grpc");
    call.header("grpc-timeout", timeout).body(()).expect("a request")
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
