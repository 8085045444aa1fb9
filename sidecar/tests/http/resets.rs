//! What was broken off at one side arrives broken at the other (RST), and what ended there ends here (FIN): for whoever takes the end of
//! a connection for the end of what was said.

use std::time::Duration;

use rustix::process::Signal;

use super::backend::{Backend, Talk};
use super::wire::{Ending, Wire};
use super::world::World;

/// Answers one byte with two, and goes on as `then` says.
fn speaking(then: impl Fn(&mut Talk) + Send + Sync + 'static) -> Backend {
    Backend::start(move |talk| {
        if talk.wire.text(1).is_ok() {
            talk.wire.send("ok");
            then(talk);
        }
    })
}

/// An opaque connection to one of `backend`, on which both have spoken.
fn opened(world: &World) -> Wire {
    let mut client = world.client();
    client.send("x");
    assert_eq!(client.text(2).as_deref(), Ok("ok"));
    client
}

fn opaque(backend: &Backend, arguments: &[&str]) -> World {
    World::at("tcp", &[backend.address()], arguments)
}

#[test]
fn an_endpoints_reset_of_an_opaque_connection_is_one_to_its_client() {
    // What was said before a reset may be lost with it, anywhere on the way.
    let (heard, hears) = std::sync::mpsc::channel();
    let hears = std::sync::Mutex::new(hears);
    let backend = Backend::start(move |talk| {
        let _asked = talk.wire.text(1);
        talk.wire.send("half");
        let _heard = hears.lock().expect("nobody panics with it").recv();
        talk.wire.ends_with_reset();
    });
    let world = opaque(&backend, &[]);
    let mut client = world.client();
    client.send("x");
    assert_eq!(client.text(4).as_deref(), Ok("half"));
    heard.send(()).expect("the endpoint waits for it");
    assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset));
    world.records(&["UB"]);
}

#[test]
fn an_endpoints_end_of_an_opaque_connection_is_an_end_to_its_client() {
    let backend = speaking(|_| {});
    let world = opaque(&backend, &[]);
    let mut client = opened(&world);
    assert_eq!(client.until_it_ends(), (String::new(), Ending::End));
    client.finish();
    world.records(&["-"]);
}

#[test]
fn a_clients_reset_is_one_until_it_endspoint_and_its_end_is_an_end() {
    for ending in [Ending::Reset, Ending::End] {
        let (ended, seen) = std::sync::mpsc::channel();
        let backend = speaking(move |talk| ended.send(talk.wire.until_it_ends()).expect("the test waits"));
        let world = opaque(&backend, &[]);
        let client = opened(&world);
        if ending == Ending::Reset {
            client.ends_with_reset();
        }
        drop(client);
        assert_eq!(seen.recv_timeout(PATIENCE), Ok((String::new(), ending)));
    }
}

#[test]
fn a_reset_after_half_of_a_connection_has_ended_is_one_all_the_same() {
    let backend = speaking(|talk| {
        assert_eq!(talk.wire.until_it_ends().1, Ending::End);
        talk.wire.ends_with_reset();
    });
    let world = opaque(&backend, &[]);
    let mut client = opened(&world);
    client.finish();
    assert_eq!(client.until_it_ends().1, Ending::Reset);
}

#[test]
fn where_no_endpoint_can_be_had_an_opaque_client_is_reset() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free").local_addr();
    let nobody = nobody.expect("it was bound");
    for (app_protocol, endpoints) in [("tcp", vec![nobody]), ("tcp", vec![]), ("", vec![nobody])] {
        let world = World::at(app_protocol, &endpoints, &["--detect-timeout", "100ms"]);
        let mut client = world.client();
        client.send("\x01");
        assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset), "{app_protocol:?} {endpoints:?}");
    }
}

#[test]
fn what_we_cut_is_reset_at_both_ends() {
    type Cut = fn(&mut World);
    let idle: Cut = |_| {};
    let told_twice: Cut = |world| {
        for _ in 0..2 {
            world.signal(Signal::TERM);
            std::thread::sleep(SHORT);
        }
    };
    let killed: Cut = |world| world.signal(Signal::KILL);
    for (cut, arguments) in [
        (idle, &["--idle-timeout", "tcp=300ms"][..]),
        (told_twice, &[]),
        (told_twice, &["--drain-delay", "0", "--drain-timeout", "200ms"]),
        (killed, &[]),
    ] {
        let (ended, seen) = std::sync::mpsc::channel();
        let backend = speaking(move |talk| ended.send(talk.wire.until_it_ends()).expect("the test waits"));
        let mut world = opaque(&backend, arguments);
        let mut client = opened(&world);
        cut(&mut world);
        assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset), "{arguments:?}");
        assert_eq!(seen.recv_timeout(PATIENCE), Ok((String::new(), Ending::Reset)), "{arguments:?}");
    }
}

#[test]
fn the_connections_of_an_endpoint_whose_time_is_over_are_reset_at_both_ends() {
    let (ended, seen) = std::sync::mpsc::channel();
    let backend = speaking(move |talk| ended.send(talk.wire.until_it_ends()).expect("the test waits"));
    let world = World::asking(DRAIN, "tcp", &[backend.address()], &[]);
    let mut client = opened(&world);
    world.replace(&super::world::documents(DRAIN, "tcp", &[]));
    assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset));
    assert_eq!(seen.recv_timeout(PATIENCE), Ok((String::new(), Ending::Reset)));
}

#[test]
fn tunnels_that_began_as_http_are_reset_as_well() {
    for is_upgrade in [true, false] {
        for by_client in [true, false] {
            let (ended, seen) = std::sync::mpsc::channel();
            let backend = Backend::start(move |talk| {
                if is_upgrade {
                    let _asked = talk.request();
                    talk.wire.send(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                    );
                }
                let _ = talk.wire.text(1);
                talk.wire.send("ok");
                match by_client {
                    true => ended.send(talk.wire.until_it_ends().1).expect("the test waits"),
                    false => talk.wire.ends_with_reset(),
                }
            });
            let world = World::of(&[&backend], &[]);
            let mut client = match is_upgrade {
                true => world.client(),
                false => world.proxy_client(),
            };
            client.send(match is_upgrade {
                true => "GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                false => "CONNECT web:8080 HTTP/1.1\r\nHost: web:8080\r\n\r\n",
            });
            let head = client.head().expect("an answer");
            assert_eq!(head.status(), if is_upgrade { 101 } else { 200 });
            client.send("x");
            match by_client {
                true => {
                    assert_eq!(client.text(2).as_deref(), Ok("ok"));
                    client.ends_with_reset();
                    drop(client);
                    assert_eq!(seen.recv_timeout(PATIENCE), Ok(Ending::Reset), "{is_upgrade}");
                }
                false => assert_eq!(client.until_it_ends().1, Ending::Reset, "{is_upgrade}"),
            }
        }
    }
}

#[test]
fn an_answer_that_lasts_until_its_connection_ends_and_is_cut_is_whole_to_no_client() {
    for (version, whole) in [("1.0", false), ("1.1", false), ("1.0", true), ("1.1", true)] {
        let backend = Backend::start(move |talk| {
            let _asked = talk.request();
            talk.wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf");
            std::thread::sleep(SHORT);
            if !whole {
                talk.wire.ends_with_reset();
            }
        });
        let world = World::of(&[&backend], &[]);
        let mut client = world.client();
        client.send(format!("GET / HTTP/{version}\r\nHost: web\r\nConnection: close\r\n\r\n"));
        let (answer, ending) = client.until_it_ends();
        let seems_whole = ending == Ending::End && (version == "1.0" || answer.ends_with("\r\n0\r\n\r\n"));
        assert!(answer.contains("half"), "{answer}");
        assert_eq!(seems_whole, whole, "{version} {answer} {ending:?}");
    }
}

#[test]
fn a_request_that_its_client_gave_up_is_reset_at_its_endpoint() {
    let ((asked, asks), (ended, seen)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let backend = Backend::start(move |talk| {
        let _head = talk.head();
        asked.send(talk.wire.text(4)).expect("the test waits");
        ended.send(talk.wire.until_it_ends()).expect("the test waits");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(asks.recv().expect("it is asked").as_deref(), Ok("half"));
    drop(client);
    assert_eq!(seen.recv_timeout(PATIENCE), Ok((String::new(), Ending::Reset)));
}

const SHORT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(8);

/// An endpoint that has left may go on for a second.
const DRAIN: &str = "service.beta.kubernetes.io/aws-load-balancer-connection-draining-enabled: \"true\", \
                     service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout: \"1\"";
