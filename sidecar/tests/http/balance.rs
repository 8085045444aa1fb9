//! Which endpoint gets a request, or a connection, by the policy of its Service.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::backend::Backend;
use super::world::World;

#[test]
fn requests_go_to_who_answers_sooner_where_nothing_is_asked_for() {
    // What a busy machine adds to the fast one is little beside that.
    let [slow, fast] = [Duration::from_millis(400), Duration::ZERO].map(|takes| {
        Backend::start(move |talk| {
            while talk.request().is_ok() {
                thread::sleep(takes);
                talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        })
    });
    let world = World::asking("", "http", &[slow.address(), fast.address()], &[]);
    let mut client = world.client();
    for _ in 0..60 {
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        client.response("GET").expect("it is answered");
    }
    // As long as only one of them is known, the next to be asked is anybody: that sixteen in a row were slow would be bad luck.
    let asked = slow.take_requests().len();
    assert!(asked < 16, "{asked} of 60 were sent to the slow one");
    assert_eq!(fast.take_requests().len(), 60 - asked);
}

#[test]
fn a_half_closed_connection_hardly_counts_for_lc() {
    let (heard, ends) = mpsc::channel();
    let backends = ["a", "b"].map(|name| {
        let heard = heard.clone();
        Backend::start(move |talk| {
            talk.wire.send(name);
            talk.wire.rest();
            heard.send(name).expect("the test waits for it");
            thread::park(); // its own side stays open
        })
    });
    let addresses = backends.each_ref().map(Backend::address);
    let world = World::asking("svcmesh.dev/load-balancer: lc", "tcp", &addresses, &[]);
    let connect = || {
        let mut client = world.client();
        let name = client.text(1).expect("the backend speaks first");
        (client, name)
    };
    let first_of_list = connect();
    let mut other = connect();
    assert_ne!(first_of_list.1, other.1);
    other.0.finish();
    assert_eq!(ends.recv_timeout(PATIENCE), Ok(&*other.1));
    assert_eq!(connect().1, other.1, "two of equal load, the first of the list would have been next");
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
