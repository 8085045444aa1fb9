//! TLS around what is no HTTP, and around nothing: bytes both ways, half-closed connections, and idle ones.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::SockRef;

use crate::support::*;
use crate::tls::{nothing, records};

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A sidecar in front of the application at port 9000, and what its clients need to believe it.
struct World {
    sidecar: Sidecar,
    config: ClientConfig,
}

impl World {
    fn over(manifests: Manifests, more: &[&str]) -> World {
        let authority = Authority::new();
        let [certificate, key] = authority.files("web", &["web.example"]);
        let mut roots = RootCertStore::empty();
        let pem = authority.pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("it is PEM"))
            .expect("it is a certificate");
        let map = [
            "--inbound",
            "off",
            "--inbound-map",
            "8443=127.0.0.1:9000,tls",
            "--allow-loopback-endpoints=true",
        ];
        let files = ["--tls-cert", &certificate, "--tls-key", &key];
        World {
            sidecar: Sidecar::start(manifests, &[&map[..], &files, more].concat()),
            config: ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
        }
    }

    /// The application speaks neither HTTP nor first or second: that is for it to say.
    fn opaque() -> World {
        World::over(
            Manifests::of(&[service("db", &["10.96.0.10"], 80, "tcp"), slice("db", &["127.0.0.1"], 8443)]),
            &[],
        )
    }

    fn client(&self, protocols: &[&str]) -> Client {
        self.client_over(TcpStream::connect("127.0.0.1:8443").expect("the sidecar listens"), protocols)
    }

    fn client_over(&self, stream: TcpStream, protocols: &[&str]) -> Client {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = "web.example".try_into().expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("the name is one");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout above zero is legal");
        StreamOwned::new(session, stream)
    }
}

/// The application, for one connection.
fn serve<T: Send + 'static>(act: impl FnOnce(TcpStream) -> T + Send + 'static) -> thread::JoinHandle<T> {
    let listener = TcpListener::bind("127.0.0.1:9000").expect("addresses in a namespace are free");
    thread::spawn(move || act(listener.accept().expect("the sidecar connects").0))
}

/// Ends the client's direction, and only that.
fn end(client: &mut Client) {
    client.conn.send_close_notify();
    client.flush().expect("the sidecar reads");
}

const BULK_BYTES: usize = 16 << 20;

fn bulk() -> Vec<u8> {
    (0..BULK_BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn a_server_may_speak_first_and_the_client_last() {
    isolated(|| {
        let world = World::opaque();
        let application = serve(|mut stream| {
            stream.write_all(b"220 ready\r\n").expect("the client reads");
            stream.shutdown(Shutdown::Write).expect("the connection is open");
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).expect("the client ends too");
            assert!(heard == bulk(), "{} bytes", heard.len());
        });
        let mut client = world.client(&[]);
        let mut greeting = String::new();
        client.read_to_string(&mut greeting).expect("a clean end: the sidecar says close_notify");
        assert_eq!(greeting, "220 ready\r\n");
        client.write_all(&bulk()).expect("the application still reads");
        end(&mut client);
        application.join().expect("the application saw what it expects");
    });
}

#[test]
fn bulk_goes_both_ways_and_what_is_sent_after_the_clients_end_arrives() {
    isolated(|| {
        let world = World::opaque();
        let application = serve(|mut stream| {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).expect("close_notify ends the client's direction");
            stream.write_all(&heard).expect("the client still reads");
        });
        let mut client = world.client(&[]);
        client.write_all(&bulk()).expect("the application reads");
        end(&mut client);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).expect("a clean end");
        assert!(heard == bulk(), "{} bytes came back", heard.len());
        application.join().expect("the application saw what it expects");
    });
}

#[test]
fn an_end_without_close_notify_is_a_break_and_a_break_has_no_close_notify() {
    isolated(|| {
        let world = World::opaque();
        for resets in [false, true] {
            let (arrived, arrives) = channel();
            let application = serve(move |mut stream| {
                stream.read_exact(&mut [0; 4]).expect("it comes");
                arrived.send(()).expect("the test waits");
                stream.read_to_end(&mut Vec::new()).expect_err("what was cut has no end").kind()
            });
            let mut client = world.client(&[]);
            client.write_all(b"half").expect("the application reads");
            arrives.recv().expect("a reset may take with it what is on its way");
            if resets {
                SockRef::from(&client.sock).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
            }
            drop(client); // the socket alone: no close_notify
            assert_eq!(application.join().expect("it saw an error"), ErrorKind::ConnectionReset);
        }
        let application = serve(|stream| {
            thread::sleep(Duration::from_millis(200));
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
        });
        let mut client = world.client(&[]);
        let heard = client.read(&mut [0]);
        assert_eq!(heard.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
        application.join().expect("it only ends");
    });
}

#[test]
fn a_client_of_tls_that_has_said_its_last_gets_its_answer_and_one_that_sends_all_first_gets_it_too() {
    isolated(|| {
        let world = World::over(nothing(), &[]);
        let asked = |request: String, body_bytes: usize, answer: &'static str| {
            let application = serve(move |mut stream| {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a request comes");
                    head.extend(byte);
                }
                thread::sleep(Duration::from_millis(200));
                stream.write_all(answer.as_bytes()).expect("the sidecar reads");
            });
            let mut client = world.client(&["http/1.1"]);
            client.write_all(request.as_bytes()).expect("the sidecar reads");
            client.write_all(&vec![b'x'; body_bytes]).expect("the sidecar reads to the end");
            end(&mut client);
            let mut heard = String::new();
            client.read_to_string(&mut heard).expect("a clean end");
            application.join().expect("the application saw what it expects");
            heard
        };
        let heard = asked(
            "GET / HTTP/1.1\r\nHost: web\r\n\r\n".into(),
            0,
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate",
        );
        assert!(heard.ends_with("late"), "{heard}");
        for _ in 0..10 {
            let length = 8 << 20;
            let request = format!("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: {length}\r\n\r\n");
            let heard = asked(
                request,
                length,
                "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
            );
            assert!(heard.starts_with("HTTP/1.1 413 ") && heard.ends_with("no"), "{heard}");
        }
    });
}

#[test]
fn bytes_in_a_protocol_that_nobody_here_knows_are_carried() {
    isolated(|| {
        let world = World::over(nothing(), &[]);
        let application = serve(|mut stream| {
            let mut heard = [0; 4];
            stream.read_exact(&mut heard).expect("the client speaks");
            stream.write_all(&heard).expect("the client reads");
        });
        let mut client = world.client(&["postgresql"]);
        client.write_all(&[0, 0, 0, 8]).expect("the application reads");
        let mut heard = [0; 4];
        client.read_exact(&mut heard).expect("the application answers");
        assert_eq!(heard, [0, 0, 0, 8]);
        assert_eq!(client.conn.alpn_protocol(), None);
        application.join().expect("the application saw what it expects");
    });
}

#[test]
fn what_was_agreed_on_in_a_handshake_is_all_that_is_spoken() {
    isolated(|| {
        let world = World::over(nothing(), &[]);
        let http1 = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 262144\r\n\r\n";
        let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        // SETTINGS, and GOAWAY of stream 0 with PROTOCOL_ERROR (RFC 9113 §6.8).
        let go_away = [&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0][..], &[0; 11], &[1]].concat();
        let told = [
            ("h2", http1, &go_away[..]),
            ("http/1.1", http2, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"),
        ];
        for (agreed, said, told) in told {
            let mut client = world.client(&[agreed]);
            client.write_all(said.as_bytes()).expect("the sidecar reads");
            let _as_far_as_it_goes = client.write_all(&[b'x'; 256 * 1024]); // more than is read before it answers
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).expect("a clean end");
            assert_eq!(client.conn.alpn_protocol(), Some(agreed.as_bytes()));
            assert!(heard.starts_with(told), "{agreed}: {:?}", String::from_utf8_lossy(&heard));
        }
        records(&world.sidecar, &["CR", "CR"]);
    });
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    isolated(|| {
        let world =
            World::over(nothing(), &["--proxy-protocol-in", "require", "--trusted-proxies", "127.0.0.0/8"]);
        let tell = "location / { return 200 '$http_x_forwarded_for,$http_x_forwarded_proto.'; }";
        let _application = Nginx::serving("application", "127.0.0.1:9000", tell);
        let mut stream = TcpStream::connect("127.0.0.1:8443").expect("the sidecar listens");
        stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n").expect("the sidecar reads");
        let mut client = world.client_over(stream, &["http/1.1"]);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
            .expect("the sidecar reads");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("a clean end");
        assert!(answer.ends_with("\r\n192.0.2.7,https."), "{answer}");
    });
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    isolated(|| {
        let mut world = World::over(nothing(), &[]);
        let _application = Nginx::named("application", "127.0.0.1:9000");
        let ask = |client: &mut Client| {
            client.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").expect("the sidecar reads");
            let mut heard = Vec::new();
            while !heard.ends_with(b"application\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("the application answers");
                heard.extend(byte);
            }
        };
        let mut connections: Vec<Client> = Vec::new();
        for _ in 0..100 {
            connections.push(world.client(&["http/1.1"])); // what there is once, there is now
            ask(connections.last_mut().expect("it was pushed"));
        }
        let before = world.sidecar.process().rss_kib();
        for _ in 0..1000 {
            let mut client = world.client(&["http/1.1"]);
            ask(&mut client);
            connections.push(client);
        }
        let each_bytes = (world.sidecar.process().rss_kib() - before) * 1024 / 1000;
        eprintln!("an idle connection within TLS holds {each_bytes} bytes");
        assert!(each_bytes < IDLE_BYTES_MAX, "{each_bytes}");
    });
}

/// Twice what is held, so that a buffer of 16 KiB (a TLS record) would be seen.
const IDLE_BYTES_MAX: u64 = 32 * 1024;
