//! The Service that most tests use: `web`, port 80, over endpoints on the node.

use std::net::TcpListener;

use crate::support::*;

/// Makes `web` listen at 127.66.0.1.
pub(crate) const VIP: &[&str] = &["--loopback-vips", "web.default=127.66.0.1"];

/// The manifests of `web` over the first `endpoints` addresses of the node.
pub(crate) fn web(app_protocol: &str, endpoints: u8) -> Manifests {
    let addresses: Vec<String> = (1..=endpoints).map(Pod::backend_v4).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    Manifests::of(&[service("web", &["10.96.0.10"], 80, app_protocol), slice("web", &addresses, 80)])
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
