//! The Service that most tests use: `web`, port 80, over endpoints on the node.

use std::net::TcpListener;

use crate::support::*;

/// Makes `web` listen at 127.66.0.1.
pub(crate) const VIP: &[&str] = &["--loopback-vips", "web.default=127.66.0.1"];

/// Where it listens.
pub(crate) const WEB: &str = "127.66.0.1:80";

/// The manifests of `web` over the first `endpoints` addresses of the node.
pub(crate) fn web(app_protocol: &str, endpoints: u8) -> Manifests {
    Manifests::of(&[documents(app_protocol, 1..=endpoints)])
}

/// The Service `web`, which is served in turn, and its endpoints, by their numbers.
pub(crate) fn documents(app_protocol: &str, endpoints: impl IntoIterator<Item = u8>) -> String {
    let addresses: Vec<String> = endpoints.into_iter().map(Pod::backend_v4).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let web = service("web", &["10.96.0.10"], 80, app_protocol);
    [web.replacen("name: web", &format!("name: web, {IN_TURN}"), 1), slice("web", &addresses, 80)]
        .join("---\n")
}

/// Three nginx on the node, which answer `a`, `b` and `c`.
pub(crate) fn three_nginx(pod: &Pod) -> [Nginx; 3] {
    [("a", 1), ("b", 2), ("c", 3)].map(|(name, number)| nginx(pod, name, number))
}

/// The one of them with that number.
pub(crate) fn nginx(pod: &Pod, name: &str, number: u8) -> Nginx {
    pod.node.enter(|| Nginx::named(name, &format!("{}:80", Pod::backend_v4(number))))
}

/// An endpoint of `web` played by the test itself: listens at the node's address of that number.
pub(crate) fn backend(pod: &Pod, number: u8) -> TcpListener {
    let listener = pod.node.enter(|| TcpListener::bind((Pod::backend_v4(number).as_str(), 80)));
    listener.expect("addresses in a namespace are free")
}

/// A client's connection to `web`, and the endpoint's end of it.
pub(crate) struct Opened {
    pub(crate) client: Conversation,
    pub(crate) served: Conversation,
}

impl Opened {
    /// Opens it, and moves a first few bytes, so that an endpoint has been chosen.
    pub(crate) fn through(backend: &TcpListener) -> Opened {
        let mut client = Conversation::with(WEB);
        client.say("first ");
        let mut served = accepted(backend);
        served.hear("first ");
        Opened { client, served }
    }

    /// Moves a few bytes each way.
    pub(crate) fn exchange(&mut self) {
        self.client.say("ping");
        self.served.hear("ping");
        self.served.say("pong");
        self.client.hear("pong");
    }
}

/// A client that has asked, and the endpoint that has been asked, on a new connection each.
pub(crate) fn asked(backend: &TcpListener) -> (Conversation, Conversation) {
    let mut client = Conversation::with(WEB);
    client.ask("/");
    let mut served = accepted(backend);
    served.hear("\r\n\r\n");
    (client, served)
}

/// Answers a request; what the client sees of it.
pub(crate) fn answer(served: &mut Conversation, client: &mut Conversation) -> String {
    served.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    client.hear("\r\n\r\nok")
}
