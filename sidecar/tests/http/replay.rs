//! Bodies that are sent again: whole, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use hyper::Request;

use super::backend::{Backend, Talk};
use super::http2::{Does, answer_to, connect, speaks_http2};
use super::wire::Message;
use super::world::World;

/// Two endpoints, which close the connection of the first request that either is sent.
struct Backends([Backend; 2]);

impl Backends {
    fn start() -> Backends {
        Backends::whose_first_request(|talk| drop(talk.wire.request()))
    }

    fn whose_first_request(fails: fn(&mut Talk)) -> Backends {
        let first = Arc::new(AtomicBool::new(true));
        Backends([(); 2].map(|()| {
            let first = first.clone();
            Backend::start(move |talk| {
                if first.swap(false, Relaxed) {
                    return fails(talk);
                }
                while talk.request().is_ok() {
                    talk.wire.send(OK);
                }
            })
        }))
    }

    fn world(&self) -> World {
        World::of(&self.0.each_ref(), &[])
    }

    /// What came to the other endpoint.
    fn seen(&self) -> Vec<Message> {
        self.0.iter().flat_map(Backend::take_requests).collect()
    }
}

/// Sends a PUT with a body of `bytes`: its status, and what of the body the second endpoint saw.
fn put(bytes: usize) -> (u16, Vec<usize>) {
    let backends = Backends::start();
    let world = backends.world();
    let mut client = world.client();
    client.send(format!("PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: {bytes}\r\n\r\n"));
    client.send("x".repeat(bytes));
    let status = client.response("PUT").expect("each request is answered").status();
    (status, backends.seen().iter().map(|request| request.body.len()).collect())
}

#[test]
fn a_body_of_64_kib_is_sent_again() {
    assert_eq!(put(64 * 1024), (200, vec![64 * 1024]));
}

#[test]
fn a_body_of_one_byte_more_is_not() {
    assert_eq!(put(64 * 1024 + 1), (502, vec![]));
}

#[test]
fn chunks_and_trailers_are_sent_again() {
    let backends = Backends::start();
    let world = backends.world();
    let mut client = world.client();
    client.send("PUT / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
    client.send("2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\nHost: elsewhere\r\n\r\n");
    assert_eq!(client.response("PUT").map(|response| response.status()), Ok(200));
    let seen: Vec<String> = backends.seen().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["PUT / | trailer: x-sum | transfer-encoding: chunked | hello | x-sum: 1"]);
}

#[test]
fn a_body_that_was_asked_for_once_is_not_waited_for_again() {
    let backends = Backends::whose_first_request(|talk| {
        let _head = talk.wire.head();
        talk.wire.send("HTTP/1.1 100 Continue\r\n\r\n");
        let _body = talk.wire.text(5);
    });
    let world = backends.world();
    let mut client = world.client();
    client.send("PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.response("PUT").map(|response| response.status()), Ok(100));
    client.send("hello");
    assert_eq!(client.response("PUT").map(|response| response.status()), Ok(200));
    let seen: Vec<String> = backends.seen().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["PUT / | content-length: 5 | hello"], "and no Expect");
}

#[tokio::test]
async fn a_stream_that_was_refused_is_sent_again_with_its_body() {
    let backend = Backend::start(|talk| {
        speaks_http2(talk, 100, |connection, _| if connection == 0 { Does::Refuse } else { Does::Answer });
    });
    let world = World::at("kubernetes.io/h2c", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let request = Request::post("http://web/").body(()).expect("a request");
    let (response, body, _) = answer_to(&mut client, request, Bytes::from_static(b"hello")).await;
    assert_eq!((response.status().as_u16(), body.as_str()), (200, "ok"));
    let bodies: Vec<String> = backend.take_requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["hello"]);
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// On a connection that was used before, a failure may mean that it was old; the beginning of a body must not pass for all of it then.
#[test]
fn a_body_that_breaks_off_is_not_sent_again_as_if_it_were_whole() {
    for method in ["POST", "PUT"] {
        for (rest, code) in [("", "CA"), ("x\r\n", "CR")] {
            let backend = Backend::answering(OK);
            let world = World::of(&[&backend], &[]);
            let mut client = world.client();
            client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
            assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
            client.send(format!(
                "{method} / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            ));
            client.send(rest);
            client.finish();
            client.rest();
            world.records(&["-", code]);
            let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
            assert_eq!(seen, ["GET /"], "{method} {rest:?}");
        }
    }
}
