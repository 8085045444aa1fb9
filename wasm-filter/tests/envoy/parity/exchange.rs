//! A client's end of one request to Envoy, on a connection of its own.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;

use testing::parity::Request;

use super::super::client::{Answer, Client};
use super::http2::Http2;
use super::scene::{Asked, Scene, ready};

/// The client, which waits for its answer.
pub(super) enum Exchange {
    Http1(Client),
    Http2(Http2),
}

/// What comes first.
pub(super) enum Next {
    /// Envoy asks the endpoint.
    Endpoint(Asked),
    /// Envoy answers.
    Answer(Answer),
}

impl Exchange {
    /// Sends the request to Envoy at `address`.
    pub(super) fn begin(request: &Request, address: SocketAddr) -> Exchange {
        let mut client = Client::from(request.from, address);
        let Request { method, authority, version, headers, .. } = request;
        if version == "HTTP/2" {
            let mut fields =
                vec![(":method", &**method), (":scheme", "http"), (":path", "/"), (":authority", authority)];
            fields.extend(headers.iter().map(|(name, value)| (&**name, &**value)));
            return Exchange::Http2(Http2::ask(client.into_stream(), &fields));
        }
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        client.send(format!("{method} / {version}\r\nHost: {authority}\r\n{headers}\r\n").as_bytes());
        Exchange::Http1(client)
    }

    /// Waits for what comes of it. By HTTP/2 Envoy always has something to say: there the endpoint must be asked.
    pub(super) fn next(&mut self, scene: &Scene) -> Next {
        match self {
            Exchange::Http1(client)
                if !ready([client.stream().as_fd(), scene.endpoint_listener().as_fd()])[1] =>
            {
                Next::Answer(client.answer().expect("Envoy answers"))
            }
            Exchange::Http1(_) | Exchange::Http2(_) => Next::Endpoint(scene.request()),
        }
    }

    /// Waits for the answer of the endpoint, which is `status`.
    pub(super) fn ends_with(self, status: u16) -> bool {
        match self {
            Exchange::Http1(mut client) => client.answer().expect("Envoy passes it on").status() == status,
            Exchange::Http2(client) => status == 200 && client.ends_with_200(),
        }
    }
}
