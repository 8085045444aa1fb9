//! What the sidecar tells endpoints of their requests is what core says for programs that have no types of hyper.

use std::net::{IpAddr, Ipv4Addr};

use svc_core::forwarding::{
    HttpVersion, Provenance, Telling, client_behind, is_forwarding, is_trusted, tell,
};
use svc_core::outcome::Failure;

use super::backend::Backend;
use super::world::World;

type Fields = &'static [(&'static str, &'static str)];

/// What is said, by whoever says it.
const SAID: &[Fields] = &[
    &[],
    &[("accept", "*/*"), ("x-request-id", "7")],
    &[("x-forwarded-for", "203.0.113.9")],
    &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "203.0.113.8, 127.0.0.9")],
    &[("x-forwarded-for", "127.0.0.8, 127.0.0.9")],
    &[("x-forwarded-for", "203.0.113.9, unknown"), ("x-real-ip", "203.0.113.9")],
    &[("x-forwarded-for", ""), ("x-forwarded-for", "\u{e9}, [2001:db8::1]:4711, ,")],
    &[("x-forwarded-for", "2001:db8::7, ::ffff:127.0.0.3")],
    &[("x_forwarded_for", "203.0.113.9"), ("x-forwarded_proto", "https"), ("x_real_ip", "1")],
    &[("forwarded", "for=203.0.113.9;proto=https, for=\"[2001:db8::1]:4711\"")],
    &[("forwarded", "For=203.0.113.9"), ("forwarded", "for=127.0.0.9;by=_x")],
    &[("forwarded", "for=\", for=203.0.113.9")],
    &[("forwarded", ""), ("x-forwarded-for", "203.0.113.9")],
    &[("x-forwarded-proto", "https")],
    &[("x-forwarded-proto", "WSS"), ("x-forwarded-host", "shop.example:8443")],
    &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")],
    &[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a, b"), ("x-forwarded-port", "443x")],
    &[("x-forwarded-host", "a"), ("x-forwarded-host", "a"), ("x-forwarded-port", "8443")],
    &[("x-forwarded-port", "80"), ("x-forwarded-port", "80"), ("x-forwarded-prefix", "/shop")],
    &[("x-forwarded-user", "root"), ("x-forwarded-client-cert", "By=evil")],
    &[("via", "1.0 fred, 1.1 p.example (nginx)"), ("via", ""), ("via", "2 x")],
    &[("via", "1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh")],
    &[
        ("via", "1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh"),
        ("via", "1.1 svcmesh, 2.0 svcmesh, 1.0 svcmesh, 1.1 svcmesh (x), 1.1 svcmesh"),
    ],
];

const HOSTS: [&str; 4] = ["web", "web.default:8080", "[fd00::1]:8080", "web:0"];

#[test]
fn core_and_the_sidecar_tell_the_same() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for trusted in ["192.0.2.0/24", "127.0.0.0/8"] {
        let world = World::of(&[&backend], &["--trusted-proxies", trusted]);
        for said in SAID {
            for host in HOSTS {
                for version in ["HTTP/1.1", "HTTP/1.0"] {
                    let seen = seen(&world, &backend, (host, version), said);
                    assert_eq!(seen, expected(trusted, (host, version), said), "{trusted} {host} {said:?}");
                }
            }
        }
    }
}

/// The fields that an endpoint gets, in order, or the status of the failure.
type Seen = Result<Vec<(String, String)>, u16>;

fn seen(world: &World, backend: &Backend, (host, version): (&str, &str), said: Fields) -> Seen {
    let lines: String = said.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut client = world.client();
    client.send(format!("GET / {version}\r\nHost: {host}\r\n{lines}\r\n"));
    let status = client.response("GET").expect("there is an answer").status();
    let request = backend.take_requests().pop();
    let mut fields = request.filter(|_| status == 200).ok_or(status)?.headers;
    fields.retain(|(name, _)| name != "host");
    fields.sort();
    Ok(fields)
}

/// The same by what core says.
fn expected(trusted: &str, (host, version): (&str, &str), said: Fields) -> Seen {
    let (peer, trusted) = (IpAddr::V4(Ipv4Addr::LOCALHOST), [trusted.parse().expect("a network")]);
    let is_trusted = is_trusted(peer, &trusted);
    let values = |wanted: &'static str| {
        said.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| value.as_bytes())
    };
    let behind = || client_behind(peer, &trusted, values("x-forwarded-for"), values("forwarded"));
    let from = Provenance {
        peer,
        trusted: is_trusted,
        client: if is_trusted { behind() } else { peer },
        scheme: "http",
        version: HttpVersion::named(version),
        authority: host,
    };
    let told = tell(said, &from, Telling { provenance: true, via: true })
        .map_err(|failure: Failure| failure.verdict().status)?;
    let is_set = |name: &str| told.set.iter().any(|(set, _)| *set == name);
    let stays = said.iter().filter(|(name, _)| !told.ends(name) && !is_set(name));
    let set = told.set.iter().map(|(name, value)| (*name, String::from_utf8_lossy(value).into_owned()));
    let all = stays.map(|(name, value)| (*name, (*value).to_owned())).chain(set);
    let mut fields: Vec<_> = all.map(|(name, value)| (name.to_owned(), value)).collect();
    assert!(is_trusted || fields.iter().filter(|(name, _)| is_forwarding(name)).count() == 5);
    fields.sort();
    Ok(fields)
}
