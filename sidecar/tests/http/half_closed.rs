//! Clients that say their last before they are answered (`shutdown(SHUT_WR)`): they wait for their answer, and get it. Those that have
//! broken the connection off do not wait.

use std::time::Duration;

use super::backend::Backend;
use super::wire::{Ending, Message};
use super::world::World;

/// Answers each request with its body, after a while.
fn slow() -> Backend {
    Backend::start(|talk| {
        while let Ok(Message { body, .. }) = talk.request() {
            std::thread::sleep(SHORT);
            talk.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    })
}

#[test]
fn a_client_that_has_said_its_last_gets_its_answer() {
    for app_protocol in ["http", ""] {
        let backend = slow();
        let world = World::at(app_protocol, &[backend.address()], &[]);
        for (request, answer) in [
            ("GET / HTTP/1.1\r\nHost: web\r\n\r\n", ""),
            ("GET / HTTP/1.0\r\nHost: web\r\n\r\n", ""),
            ("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody", "body"),
            (
                "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
                "body",
            ),
        ] {
            let mut client = world.client();
            client.send(request);
            client.finish();
            let response = client.response("GET").map(|response| (response.status(), response.body));
            assert_eq!(response, Ok((200, answer.to_owned())), "{app_protocol:?} {request:?}");
            assert_eq!(client.until_it_ends(), (String::new(), Ending::End));
        }
        world.records(&["-", "-", "-", "-"]);
    }
}

#[test]
fn each_of_the_requests_that_came_before_a_clients_last_word_is_answered() {
    let backend = slow();
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: web\r\n\r\nPOST /2 HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\n\r\n2GET /3 HTTP/1.1\r\nHost: web\r\n\r\n",
    );
    client.finish();
    for body in ["", "2", ""] {
        assert_eq!(client.response("GET").map(|response| response.body).as_deref(), Ok(body));
    }
    assert_eq!(client.until_it_ends(), (String::new(), Ending::End));
}

#[test]
fn an_answer_in_pieces_arrives_whole_at_a_client_that_has_said_its_last() {
    let backend = Backend::start(|talk| {
        let _asked = talk.request();
        talk.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..5 {
            std::thread::sleep(SHORT / 3);
            talk.wire.send("5\r\npiece\r\n");
        }
        talk.wire.send("0\r\n\r\n");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    client.finish();
    assert_eq!(client.response("GET").map(|response| response.body), Ok("piece".repeat(5)));
}

#[test]
fn a_request_that_ends_within_its_body_is_not_sent_as_if_it_were_whole() {
    let (ended, seen) = std::sync::mpsc::channel();
    let backend = Backend::start(move |talk| {
        let _asked = talk.head();
        ended.send(talk.wire.until_it_ends()).expect("the test waits");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n");
    client.finish();
    let (body, ending) = seen.recv_timeout(8 * PATIENCE).expect("the endpoint is let go");
    assert_eq!((body.trim_end(), ending), ("4\r\nbody", Ending::Reset));
    world.records(&["CA"]);
}

#[test]
fn a_client_that_breaks_its_connection_off_is_not_waited_for() {
    for app_protocol in ["http", ""] {
        let ((asked, asks), (ended, seen)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let backend = Backend::start(move |talk| {
            asked.send(talk.request().is_ok()).expect("the test waits");
            ended.send(talk.wire.until_it_ends()).expect("the test waits");
        });
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let mut client = world.client();
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        assert_eq!(asks.recv(), Ok(true));
        client.ends_with_reset();
        drop(client);
        assert_eq!(seen.recv_timeout(8 * PATIENCE), Ok((String::new(), Ending::Reset)), "{app_protocol:?}");
        world.records(&["CA"]);
    }
}

const SHORT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(1);
