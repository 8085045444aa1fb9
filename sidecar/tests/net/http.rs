//! HTTP/1.1, HTTP/2 and upgrades through the sidecar.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;

use crate::support::*;
use crate::web::{VIP, three_nginx, web};

#[test]
fn thirty_requests_on_one_connection_are_ten_for_each_endpoint() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let _sidecar = Sidecar::start(web("http", 3), VIP);
        let answer = curl(&["http://127.66.0.1/[1-30]"]);
        assert_eq!((answer.status, answer.connections), (200, 1));
        for name in ["a", "b", "c"] {
            assert_eq!(answer.body.lines().filter(|line| *line == name).count(), 10, "{}", answer.body);
        }
    });
}

#[test]
fn the_forward_proxy_finds_a_service_by_any_of_its_names() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        // Without DNS, which would be asked for `nobody`, and is not there.
        let _sidecar = Sidecar::start(web("http", 3), &["--discovery", "manifests"]);
        for name in ["web", "web.default", "web.default.svc", "WEB.default.svc.cluster.local."] {
            let answer = curl(&["--proxy", "http://127.0.0.1:15002", &format!("http://{name}/")]);
            assert_eq!(answer.status, 200, "{name}");
        }
        let tunnel = ["--proxytunnel", "--proxy", "http://127.0.0.1:15002", "http://web/"];
        assert_eq!(curl(&tunnel).status, 200);
        assert_eq!(curl(&["--proxy", "http://127.0.0.1:15002", "http://nobody/"]).status, 502);
    });
}

#[test]
fn http2_requests_spread_and_none_is_lost() {
    isolated(|| {
        let pod = Pod::here();
        let backends = [1, 2, 3].map(|number| {
            let listen = format!("{}:80 http2", Pod::backend_v4(number));
            pod.node.enter(|| Nginx::serving("h2", &listen, "location / { return 200 x; }"))
        });
        let _sidecar = Sidecar::start(web("kubernetes.io/h2c", 3), VIP);
        let load = h2load("http://127.66.0.1/", 3000, 4, 16);
        assert_eq!(load, Load { responses: 3000, refused: 0, broken: 0 });
        for backend in &backends {
            let requests = backend.requests();
            assert!((900..=1100).contains(&requests), "{requests} of 3000 requests");
        }
    });
}

#[test]
fn an_http2_client_reaches_an_http1_endpoint() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let _sidecar = Sidecar::start(web("http", 3), VIP);
        let load = h2load("http://127.66.0.1/", 1000, 4, 16);
        assert_eq!(load, Load { responses: 1000, refused: 0, broken: 0 });
    });
}

#[test]
fn websocket_messages_pass_both_ways() {
    isolated(|| {
        let pod = Pod::here();
        let _server = pod.node.enter(|| WebSocketServer::start(&Pod::backend_v4(1), 80));
        let manifests = Manifests::of(&[
            service("chat", &["10.96.0.10"], 80, "kubernetes.io/ws"),
            slice("chat", &[&Pod::backend_v4(1)], 80),
        ]);
        let _sidecar = Sidecar::start(manifests, &["--loopback-vips", "chat.default=127.66.0.1"]);
        assert_eq!(websocket_client("ws://127.66.0.1/", &["300"]), "300");
    });
}

#[test]
fn large_bodies_pass_both_ways_in_little_memory() {
    isolated(|| {
        let pod = Pod::here();
        let store = store(&pod);
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
        noise(&sent);
        for protocol in ["http", "tcp"] {
            let mut sidecar = Sidecar::start(web(protocol, 1), VIP);
            let stored = curl(&["-T", &sent.display().to_string(), "http://127.66.0.1/store"]).body;
            assert!(same(&sent, Path::new(&stored)), "{protocol}: the upload was stored as `{stored}`");
            let url = format!("http://127.66.0.1{stored}");
            assert_eq!(curl(&["-o", &received.display().to_string(), &url]).status, 200);
            assert!(same(&sent, &received), "{protocol}: the download changed");
            let rss_kib = sidecar.process().peak_rss_kib();
            assert!(rss_kib < RSS_KIB_MAX, "{protocol}: {rss_kib} KiB of memory");
            fs::remove_file(stored).expect("it was there to be compared");
        }
        drop(store);
    });
}

const RSS_KIB_MAX: u64 = 40 << 10;

/// Twenty-five times what the sidecar may hold.
const BODY_BYTES: u64 = 1 << 30;

/// An nginx that keeps what is sent to `/store` and answers with the file's path, under which it serves it too.
fn store(pod: &Pod) -> Nginx {
    let server = "root /;
        location = /store { client_body_in_file_only on; proxy_pass_request_body off; proxy_set_header Content-Length '';
                            proxy_set_header X-File $request_body_file; proxy_pass http://127.0.0.1:81/; }
        } server { listen 127.0.0.1:81; location / { return 200 $http_x_file; }";
    pod.node.enter(|| Nginx::serving("store", &format!("{}:80", Pod::backend_v4(1)), server))
}

fn noise(file: &Path) {
    let mut random = File::open("/dev/urandom").expect("every Linux has it").take(BODY_BYTES);
    io::copy(&mut random, &mut File::create(file).expect("the folder is ours")).expect("the disk has room");
}

fn same(one: &Path, other: &Path) -> bool {
    Command::new("cmp").args([one, other]).status().expect("diffutils is essential on Debian").success()
}
