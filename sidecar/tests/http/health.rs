//! Endpoints that fail are left out, and come back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use hyper::Request;

use super::backend::Backend;
use super::http2::{self, Does, speaks_http2};
use super::support::{enter_own_network, until, within};
use super::world::World;

/// A backend that answers with the status it was told last, and what tells it.
fn moody() -> (Backend, Arc<AtomicU16>) {
    let mood = Arc::new(AtomicU16::new(200));
    let backend = Backend::start({
        let mood = mood.clone();
        move |talk| {
            while talk.request().is_ok() {
                talk.wire.send(format!("HTTP/1.1 {} Mood\r\nContent-Length: 0\r\n\r\n", mood.load(Relaxed)));
            }
        }
    });
    (backend, mood)
}

/// The status of one request.
fn get(world: &World) -> u16 {
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    client.response("GET").expect("each request is answered").status()
}

/// `web` with these annotations, its endpoints in turn.
fn world(annotations: &str, app_protocol: &str, addresses: &[SocketAddr]) -> World {
    World::over(&documents(annotations, app_protocol, addresses), &[])
}

fn documents(annotations: &str, app_protocol: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let in_turn = format!("svcmesh.dev/load-balancer: rr, {annotations}");
    super::world::documents(&in_turn, app_protocol, addresses)
}

fn addresses(backends: &[&Backend]) -> Vec<SocketAddr> {
    backends.iter().map(|backend| backend.address()).collect()
}

fn count_out(world: &World) -> usize {
    world.admin("/services").matches("\"ejected\":true").count()
}

#[test]
fn an_endpoint_that_fails_is_left_out_and_comes_back_when_it_is_well() {
    let ((bad, mood), (good, _)) = (moody(), moody());
    let world = world("", "http", &addresses(&[&bad, &good]));
    mood.store(500, Relaxed);
    let failures = (0..40).filter(|_| get(&world) == 500).count();
    assert!((5..=10).contains(&failures), "{failures} requests reached it");
    assert_eq!(count_out(&world), 1);
    world.counts("svcmesh_ejections_total{service=\"default/web\",reason=\"consecutive\"} 1");
    world.counts("svcmesh_endpoints{service=\"default/web\",state=\"ready\"} 1");
    world.counts("svcmesh_endpoints{service=\"default/web\",state=\"ejected\"} 1");
    mood.store(200, Relaxed);
    bad.take_requests();
    within(Duration::from_secs(5), "it gets requests again", || {
        assert_eq!(get(&world), 200);
        (bad.requests()() >= 2).then_some(())
    });
    assert_eq!(count_out(&world), 0);
}

#[test]
fn an_endpoint_that_refuses_connections_is_not_tried_again_and_again() {
    let (good, _) = moody();
    let dead = nobody();
    let asking = "svcmesh.dev/eject: \"base=30s\"";
    let world = world(asking, "http", &[dead, good.address()]);
    (0..50).for_each(|_| assert_eq!(get(&world), 200));
    assert_eq!(world.measured("svcmesh_retries_total{reason=\"UR\"}"), [5]);
}

#[test]
fn of_endpoints_that_all_fail_half_are_used() {
    let backends: Vec<_> = (0..4).map(|_| moody()).collect();
    backends.iter().for_each(|(_, mood)| mood.store(503, Relaxed));
    let all: Vec<&Backend> = backends.iter().map(|(backend, _)| backend).collect();
    let asking = "svcmesh.dev/eject: \"base=30s,max=30s\"";
    let world = world(asking, "http", &addresses(&all));
    (0..60).for_each(|_| assert_eq!(get(&world), 503));
    assert_eq!(count_out(&world), 2);
    let late = |backend: &&Backend| {
        backend.take_requests();
        let count = backend.requests();
        (0..4).for_each(|_| assert_eq!(get(&world), 503));
        count()
    };
    let used: Vec<bool> = all.iter().map(late).map(|count| count > 0).collect();
    assert_eq!(used.iter().filter(|used| **used).count(), 2, "{used:?}");
}

#[test]
fn nobody_is_left_out_where_the_service_asks_for_that() {
    let ((bad, mood), (good, _)) = (moody(), moody());
    let world = world("svcmesh.dev/eject: \"off\"", "http", &addresses(&[&bad, &good]));
    mood.store(500, Relaxed);
    let failures = (0..40).filter(|_| get(&world) == 500).count();
    assert_eq!((failures, count_out(&world)), (20, 0));
}

#[test]
fn what_a_client_does_wrong_is_not_held_against_an_endpoint() {
    let ((bad, mood), (good, _)) = (moody(), moody());
    let world = world("", "http", &addresses(&[&bad, &good]));
    for status in [400, 404, 501, 505] {
        mood.store(status, Relaxed);
        let answers = (0..40).filter(|_| get(&world) == status).count();
        assert_eq!((answers, count_out(&world)), (20, 0), "{status}");
    }
}

#[test]
fn an_endpoint_that_asks_to_be_spared_gets_little() {
    let busy = Backend::answering("HTTP/1.1 429 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let (good, _) = moody();
    let world = world("", "http", &addresses(&[&busy, &good]));
    let refused = (0..200).filter(|_| get(&world) == 429).count();
    // Half of them by turns; with an eighth of its share each turn is its own with chance 1/8, and one more request comes before the next.
    // That is 22 of 200, with a deviation of 4.4: more than 50 come once in ten million runs.
    assert!((1..=50).contains(&refused), "{refused} requests of 200 reached it");
    assert_eq!(count_out(&world), 0, "it is not ill");
}

#[test]
fn a_new_endpoint_of_a_service_that_serves_starts_slowly_where_that_is_asked_for() {
    let ((old, _), (new, _)) = (moody(), moody());
    let of = |endpoints: &[&Backend]| documents("svcmesh.dev/slow-start: 60s", "http", &addresses(endpoints));
    let world = World::over(&of(&[&old]), &[]);
    assert_eq!(get(&world), 200);
    world.rewrite(&of(&[&old, &new]));
    world.counts("svcmesh_endpoints{service=\"default/web\",state=\"ready\"} 2");
    (0..200).for_each(|_| assert_eq!(get(&world), 200));
    let count = new.take_requests().len();
    assert!((1..=40).contains(&count), "{count} requests of 200 reached it");
}

/// A backend that is as well as it was told last, but only at `/live`.
fn checked() -> (Backend, Arc<AtomicU16>) {
    let mood = Arc::new(AtomicU16::new(200));
    let backend = Backend::start({
        let mood = mood.clone();
        move |talk| {
            while let Ok(request) = talk.wire.request() {
                let checks = request.start.starts_with("GET /live?full ");
                let status = if checks { mood.load(Relaxed) } else { 200 };
                if !checks {
                    talk.keeper()(request);
                }
                talk.wire.send(format!("HTTP/1.1 {status} Mood\r\nContent-Length: 0\r\n\r\n"));
            }
        }
    });
    (backend, mood)
}

const CHECK: &str =
    "svcmesh.dev/health-check: \"http:/live?full,interval=1s,timeout=500ms,healthy=2,unhealthy=2\"";

#[test]
fn an_endpoint_that_fails_its_check_gets_nothing_until_it_passes() {
    let ((bad, mood), (good, _)) = (checked(), checked());
    let world = world(CHECK, "http", &addresses(&[&bad, &good]));
    (0..4).for_each(|_| assert_eq!(get(&world), 200));
    assert_eq!((bad.take_requests().len(), count_out(&world)), (2, 0));
    mood.store(500, Relaxed);
    until("it is left out", || (count_out(&world) == 1).then_some(()));
    world.counts("svcmesh_ejections_total{service=\"default/web\",reason=\"health-check\"} 1");
    bad.take_requests();
    (0..10).for_each(|_| assert_eq!(get(&world), 200));
    assert_eq!(bad.take_requests().len(), 0);
    mood.store(302, Relaxed);
    until("it is used again", || (count_out(&world) == 0).then_some(()));
    (0..4).for_each(|_| assert_eq!(get(&world), 200));
    assert_eq!(bad.take_requests().len(), 2);
}

#[test]
fn endpoints_that_all_fail_their_checks_are_all_used() {
    let ((one, mood), (other, other_mood)) = (checked(), checked());
    [mood, other_mood].iter().for_each(|mood| mood.store(500, Relaxed));
    let world = world(CHECK, "http", &addresses(&[&one, &other]));
    until("both fail", || (count_out(&world) == 2).then_some(()));
    (0..4).for_each(|_| assert_eq!(get(&world), 200));
    assert_eq!([one, other].map(|backend| backend.take_requests().len()), [2, 2]);
}

#[test]
fn an_endpoint_where_nobody_listens_is_found_before_anybody_asks_for_it() {
    let (good, _) = moody();
    let check = "svcmesh.dev/health-check: \"tcp,interval=1s,unhealthy=2\"";
    let world = world(check, "http", &[nobody(), good.address()]);
    until("it is left out", || (count_out(&world) == 1).then_some(()));
    (0..10).for_each(|_| assert_eq!(get(&world), 200));
    assert!(world.measured("svcmesh_retries_total").is_empty());
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    enter_own_network();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound")
}

#[test]
fn an_endpoint_has_no_more_at_once_than_the_service_asks_for() {
    let busy = Backend::start(|talk| while talk.request().is_ok() {});
    let world = world("svcmesh.dev/max-connections: \"2\"", "http", &addresses(&[&busy]));
    let mut clients = [world.client(), world.client()];
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n"));
    let requests = busy.requests();
    until("both are there", || (requests() == 2).then_some(()));
    assert_eq!((get(&world), requests()), (503, 2));
    world.records(&["ML"]);
}

#[tokio::test]
async fn an_endpoint_whose_calls_fail_in_their_trailers_is_left_out_until_one_does_not() {
    let fails = Arc::new(AtomicBool::new(true));
    let bad = Backend::start({
        let fails = fails.clone();
        move |talk| {
            speaks_http2(talk, 100, |_, _| if fails.load(Relaxed) { Does::Fail("14") } else { Does::Answer });
        }
    });
    let good = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = world("", "grpc", &addresses(&[&bad, &good]));
    let mut client = http2::connect(&world).await;
    let mut failures = 0;
    for _ in 0..40 {
        failures += usize::from(call(&mut client).await == "14");
    }
    assert!((5..=10).contains(&failures), "{failures} calls reached it");
    assert_eq!(count_out(&world), 1);
    fails.store(false, Relaxed);
    bad.take_requests();
    let seen = bad.requests();
    while seen() < 2 {
        assert_eq!(call(&mut client).await, "0");
    }
    until("it is one of them again", || (count_out(&world) == 0).then_some(()));
}

/// The status of one call.
async fn call(client: &mut h2::client::SendRequest<bytes::Bytes>) -> String {
    let request = Request::post("http://web/shop.Cart/Get").header("content-type", "application/grpc");
    let request = request.body(()).expect("a request");
    let (_, _, status) = http2::answer_of(client, request).await;
    status.expect("each call has a status")
}
