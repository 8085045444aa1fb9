//! Any bytes of a client, through a whole sidecar: its endpoint sees, each time, whole requests that stand in these bytes, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sidecar::config::{self, Config, Surroundings};
use testing::network::enter_own_network;

/// Sends `bytes`, then that nothing more follows; reads what comes back; compares what the endpoint saw with what stands in them.
pub(crate) fn check(bytes: &[u8]) {
    static WORLD: LazyLock<World> = LazyLock::new(World::start);
    let mut client = TcpStream::connect(WORLD.service).expect("the sidecar listens");
    client.set_read_timeout(Some(PATIENCE)).expect("it is above zero");
    let _refused_early = client.write_all(bytes).and_then(|()| client.shutdown(Shutdown::Write));
    let _reset = client.read_to_end(&mut Vec::new());
    let seen = std::mem::take(&mut *WORLD.seen.lock().unwrap_or_else(PoisonError::into_inner));
    let mut seen: Vec<Vec<u8>> = seen
        .into_iter()
        .map(|body| body.unwrap_or_else(|strange| panic!("the endpoint was sent {strange:?}")))
        .collect();
    let mut late = WORLD.late.lock().unwrap_or_else(PoisonError::into_inner);
    match bytes.strip_prefix(PREFACE) {
        None => {
            let sent = bodies(bytes);
            while !sent.starts_with(&seen) {
                let first = seen.remove(0);
                let found = late.iter().position(|other| *other == first);
                late.remove(found.unwrap_or_else(|| panic!("{first:?}, then {seen:?} in place of {sent:?}")));
            }
            late.extend_from_slice(&sent[seen.len()..]);
        }
        Some(frames) => {
            let mut sent = streams(frames);
            for body in seen {
                let position = |of: &[Vec<u8>]| of.iter().position(|other| *other == body);
                match (position(&sent), position(&late)) {
                    (Some(stream), _) => _ = sent.remove(stream),
                    (None, Some(earlier)) => _ = late.remove(earlier),
                    (None, None) => panic!("no stream ended with {body:?}: {sent:?}"),
                }
            }
            late.append(&mut sent);
        }
    }
    let excess = late.len().saturating_sub(LATE_MAX);
    late.drain(..excess);
}

/// Bodies of whole requests that the endpoint may still be sent: a client that has closed its side sees an end before that.
const LATE_MAX: usize = 8;

/// What a client of HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bodies of the streams that END_STREAM ends, by the frames alone (RFC 9113 §4.1, §6.1).
fn streams(mut frames: &[u8]) -> Vec<Vec<u8>> {
    let (mut open, mut ended) = (BTreeMap::<u32, Vec<u8>>::new(), Vec::new());
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames = rest;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        match kind {
            DATA => {
                let padding = match flags & PADDED {
                    0 => 0..payload.len(),
                    _ => {
                        let pad = payload.first().map_or(0, |pad| usize::from(*pad));
                        1.min(payload.len())..payload.len().saturating_sub(pad).max(1.min(payload.len()))
                    }
                };
                open.entry(stream).or_default().extend_from_slice(&payload[padding]);
            }
            HEADERS => _ = open.entry(stream).or_default(),
            _ => continue,
        }
        if flags & END_STREAM != 0 {
            ended.extend(open.remove(&stream));
        }
    }
    ended
}

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// A sidecar in this process, so that a fuzzer sees its branches, in front of one endpoint that records.
struct World {
    service: SocketAddr,
    seen: Arc<Mutex<Vec<Result<Vec<u8>, String>>>>,
    /// Bodies of earlier inputs that the endpoint was not seen to be sent, the oldest first.
    late: Mutex<Vec<Vec<u8>>>,
}

impl World {
    fn start() -> World {
        enter_own_network();
        let endpoint = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = endpoint.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        thread::spawn({
            let seen = seen.clone();
            move || {
                for stream in endpoint.incoming().flatten() {
                    let seen = seen.clone();
                    thread::spawn(move || record(stream, &seen));
                }
            }
        });
        // While the endpoint holds its port nobody else makes this address of it.
        let ip = format!("127.66.{}.{}", port >> 8, port & 0xff);
        let service = SocketAddr::new(ip.parse().expect("four numbers"), PORT);
        let folder = tempfile::tempdir().expect("the temporary folder is writable").keep();
        fs::write(folder.join("web.yaml"), manifest(port)).expect("the folder is ours");
        let vips = format!("web.default={ip}");
        let folder = folder.display().to_string();
        let flags = [&FLAGS[..], &["--loopback-vips", &vips, "--manifests", &folder]].concat();
        let flags = config::command().no_binary_name(true).get_matches_from(flags);
        let config = Config::read(&flags, &Surroundings::default()).expect("the flags are right");
        thread::spawn(move || sidecar::run(config));
        while TcpStream::connect(service).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        World { service, seen, late: Mutex::default() }
    }
}

fn manifest(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec:\n  clusterIP: 10.96.0.10\n  ports: [{{ port: {PORT}, \
         appProtocol: http }}]\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: web-1\n  \
         labels: {{ kubernetes.io/service-name: web }}\naddressType: IPv4\nports: [{{ port: {port} }}]\nendpoints:\n\
         - addresses: [127.0.0.1]\n"
    )
}

/// Answers each whole request of a connection, and records its body.
fn record(mut stream: TcpStream, seen: &Mutex<Vec<Result<Vec<u8>, String>>>) {
    let mut read = Vec::new();
    loop {
        let (message, rest) = match message(&read, From::Proxy) {
            Read::Whole(body, rest) => (Ok(body), rest),
            Read::Strange(what) => (Err(what), 0),
            Read::More => {
                let mut piece = [0; 4096];
                match stream.read(&mut piece) {
                    Ok(count @ 1..) => read.extend_from_slice(&piece[..count]),
                    Ok(_) | Err(_) => return,
                }
                continue;
            }
        };
        let goes_on = message.is_ok();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        let answered = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if !goes_on || answered.is_err() {
            return;
        }
        read.drain(..rest);
    }
}

/// The bodies of the whole messages at the beginning of `bytes`, up to the first that could be read in two ways.
fn bodies(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest; // RFC 9112 §2.2
    }
    while let Read::Whole(body, rest) = message(bytes, From::Client) {
        bodies.push(body);
        bytes = &bytes[rest..];
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
    }
    bodies
}

/// Who has written a message: a proxy makes one unambiguous that a client may have left ambiguous.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Proxy,
}

/// What a strict reader makes of the beginning of some bytes.
enum Read {
    /// A message with this body, and where the next one begins.
    Whole(Vec<u8>, usize),
    More,
    Strange(String),
}

fn message(bytes: &[u8], from: From) -> Read {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Read::More };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let after = end + 4;
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    if head.replace("\r\n", "").contains(['\r', '\n', '\0']) || start.starts_with("CONNECT ") {
        return Read::Strange(head);
    }
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Read::Strange(head) };
        let value = value.trim_matches([' ', '\t']);
        match &*name.to_ascii_lowercase() {
            "content-length" => match value.parse::<usize>() {
                Ok(bytes) if length.is_none() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    length = Some(bytes);
                }
                Ok(bytes) if length == Some(bytes) => {}
                Ok(_) | Err(_) => return Read::Strange(head),
            },
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !chunked => chunked = true,
            "transfer-encoding" => return Read::Strange(head),
            _ => {}
        }
    }
    match (length, chunked) {
        (Some(_), true) if from == From::Proxy => Read::Strange(head),
        (Some(_), true) => match chunks(bytes, after) {
            Read::Whole(body, _) => Read::Whole(body, bytes.len()), // the connection's last (RFC 9112 §6.1)
            cut @ (Read::More | Read::Strange(_)) => cut,
        },
        (None, true) => chunks(bytes, after),
        (length, false) => match bytes.get(after..after.saturating_add(length.unwrap_or(0))) {
            Some(body) => Read::Whole(body.to_vec(), after + body.len()),
            None => Read::More,
        },
    }
}

fn chunks(bytes: &[u8], mut at: usize) -> Read {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Read::More };
        let line = String::from_utf8_lossy(&bytes[at..at + end]).into_owned();
        let digits = line.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
        let size = usize::from_str_radix(digits, 16).ok();
        let Some(size) = size.filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
            return Read::Strange(line);
        };
        at += end + 2;
        if size == 0 {
            return trailers(bytes, at, body);
        }
        let Some(piece) = bytes.get(at..at.saturating_add(size).saturating_add(2)) else { return Read::More };
        let Some(data) = piece.strip_suffix(b"\r\n") else { return Read::Strange(line) };
        body.extend_from_slice(data);
        at += size + 2;
    }
}

fn trailers(bytes: &[u8], mut at: usize, body: Vec<u8>) -> Read {
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Read::More };
        at += end + 2;
        if end == 0 {
            return Read::Whole(body, at);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

const PORT: u16 = 8080;

const FLAGS: [&str; 7] = [
    "--allow-loopback-endpoints=true",
    "--discovery=manifests",
    "--outbound=off",
    "--inbound=off",
    "--forward-proxy=off",
    "--admin=off",
    "--log=off",
];

/// A client that is not answered and not cut waits no longer.
const PATIENCE: Duration = Duration::from_secs(2);
