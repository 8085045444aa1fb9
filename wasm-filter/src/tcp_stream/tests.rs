use std::time::Duration;

use super::*;
use crate::fake::Fake;
use crate::root::Root;

const REQUIRE: &str = r#"{"filter": "tcp", "proxyProtocol": "require", "trustedProxies": ["10.0.0.0/8"]}"#;
const OBSERVE: &str = r#"{"filter": "tcp", "proxyProtocol": "observe", "trustedProxies": ["10.0.0.0/8"]}"#;
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 10.96.0.10 4711 80\r\n";

/// A plugin so configured, and a connection of `peer` to it.
struct Scene {
    host: Fake,
    root: Root<Fake>,
    stream: TcpStream<Fake>,
}

impl Scene {
    fn new(json: &str, peer: &str) -> Scene {
        let host = Fake::configured(json).with_property("source.address", peer);
        let mut root = Root::new(host.clone(), 1);
        assert!(root.configure(), "{:?}", host.log());
        let stream = TcpStream::new(host.clone(), 2, root.vm().unwrap());
        Scene { host, root, stream }
    }

    /// What the endpoint gets of `pieces`, which come one after the other before the client ends.
    fn carries(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut carried = Vec::new();
        for piece in pieces {
            let size = self.host.sends(piece);
            if self.stream.receive(size, false) == Flow::Continue {
                carried.extend(self.host.pass_on());
            }
        }
        let size = self.host.sends(b"");
        if self.stream.receive(size, true) == Flow::Continue {
            carried.extend(self.host.pass_on());
        }
        self.stream.end();
        carried
    }

    fn counted(&mut self, name: &str) -> u64 {
        self.root.tick();
        self.host.counted().get(name).copied().unwrap_or(0)
    }

    fn heard(&mut self, result: &str) -> u64 {
        self.counted(&format!("svcmesh_proxy_header_total;result={result}"))
    }
}

#[test]
fn a_header_is_taken_off_however_it_is_cut() {
    let bytes = [V1, b"hello"].concat();
    for cut in 0..=bytes.len() {
        let mut scene = Scene::new(REQUIRE, "10.0.0.9:999");
        assert_eq!(scene.stream.begin(), Flow::Pause);
        assert_eq!(scene.carries(&[&bytes[..cut], &bytes[cut..]]), b"hello", "cut at {cut}");
        assert_eq!(scene.host.set_properties()["svcmesh.client"], "192.0.2.1:4711");
        assert_eq!((scene.heard("accepted"), scene.host.is_closed()), (1, false));
        assert_eq!(scene.counted("svcmesh_bytes_total;service=;flow=request"), 5);
    }
}

#[test]
fn byte_by_byte_is_as_good() {
    let mut scene = Scene::new(REQUIRE, "10.0.0.9:999");
    let _waits = scene.stream.begin();
    let bytes = [V1, b"hello"].concat();
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(scene.carries(&pieces), b"hello");
}

#[test]
fn what_is_no_header_goes_nowhere() {
    for (peer, pieces, result) in [
        ("10.0.0.9:999", &[&b"GET / HTTP/1.1\r\n\r\n"[..]][..], "missing"),
        ("10.0.0.9:999", &[b"PROXY TCP4 192.0.2.1", b" x\r\n"], "malformed"),
        ("10.0.0.9:999", &[b"PROXY TCP4 192.0.2.1"], "malformed"),
        ("192.0.2.66:999", &[V1, b"hello"], "refused_untrusted"),
        ("no address", &[V1, b"hello"], "refused_untrusted"),
    ] {
        let mut scene = Scene::new(REQUIRE, peer);
        let _waits = scene.stream.begin();
        assert_eq!(scene.carries(pieces), b"", "{result}");
        assert_eq!((scene.heard(result), scene.host.is_closed()), (1, true), "{result}");
        assert!(!scene.host.set_properties().contains_key("svcmesh.client"));
    }
}

#[test]
fn who_comes_and_goes_is_a_check_and_no_failure() {
    let mut scene = Scene::new(REQUIRE, "10.0.0.9:999");
    let _waits = scene.stream.begin();
    assert_eq!(scene.carries(&[]), b"");
    assert!(!scene.host.is_closed());
    assert_eq!(scene.heard("missing"), 0);
}

#[test]
fn who_does_not_say_it_in_time_is_closed() {
    let mut scene = Scene::new(REQUIRE, "10.0.0.9:999");
    let _waits = scene.stream.begin();
    let size = scene.host.sends(b"PROXY ");
    assert_eq!(scene.stream.receive(size, false), Flow::Pause);
    scene.host.wait(Duration::from_secs(9));
    scene.root.tick();
    assert!(scene.host.closed_for().is_empty());
    scene.host.wait(Duration::from_secs(1));
    scene.root.tick();
    assert_eq!(scene.host.closed_for(), [2]);
    assert_eq!(scene.heard("timeout"), 1);
}

#[test]
fn in_shadow_mode_everything_goes_on_as_it_came() {
    for (peer, pieces, result) in [
        ("10.0.0.9:999", &[V1, b"hello"][..], "observed_accepted"),
        ("10.0.0.9:999", &[b"PROXY UNKNOWN\r", b"\nhello"], "observed_accepted"),
        ("10.0.0.9:999", &[b"P", b"OST / HTTP/1.1\r\n"], "observed_missing"),
        ("10.0.0.9:999", &[b"PROXY TCP4"], "observed_malformed"),
        ("192.0.2.66:999", &[V1, b"hello"], "observed_refused_untrusted"),
    ] {
        let mut scene = Scene::new(OBSERVE, peer);
        assert_eq!(scene.stream.begin(), Flow::Continue);
        assert_eq!(scene.carries(pieces), pieces.concat(), "{result}");
        assert_eq!((scene.heard(result), scene.host.is_closed()), (1, false), "{result}");
    }
}

#[test]
fn connections_and_bytes_are_counted_by_service() {
    let json = r#"{"filter": "tcp", "service": {"from": "fixed", "service": "shop/db", "port": 5432}}"#;
    let mut scene = Scene::new(json, "192.0.2.66:999");
    assert_eq!(scene.stream.begin(), Flow::Continue);
    scene.stream.answer(7);
    assert_eq!(scene.carries(&[V1]), V1);
    assert_eq!(scene.counted("svcmesh_connections_opened_total;service=shop/db"), 1);
    assert_eq!(scene.counted("svcmesh_connections_closed_total;service=shop/db"), 1);
    assert_eq!(scene.counted("svcmesh_bytes_total;service=shop/db;flow=request"), V1.len() as u64);
    assert_eq!(scene.counted("svcmesh_bytes_total;service=shop/db;flow=response"), 7);
}
