//! PROXY headers, one a row: the bytes that a load balancer sends, and what the application gets of them.
//!
//! The application's Service asks for version 1: its connection tells, before the payload, whom the sidecar believes it is for.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::support::*;

/// How the bytes come.
#[derive(Clone, Copy)]
enum By {
    /// In one piece, with the payload right behind.
    Once,
    /// One by one.
    Bytes,
    /// In two pieces, cut there.
    Cut(usize),
}

use By::{Bytes, Cut, Once};

/// What comes of a connection.
enum Then {
    /// The application gets this, and then the payload.
    Passes(&'static str),
    /// It is closed without a byte, and the application hears nothing.
    Closes,
}

use Then::{Closes, Passes};

type Row = (&'static str, Vec<u8>, By, Then, &'static str);

/// What the rows of version 1 say where they say it well, and how it is passed on.
const GOOD: &str = "PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n";
const GOOD_6: &str = "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
const NOBODY: &str = "PROXY UNKNOWN\r\n";

fn version_1() -> Vec<Row> {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let unknown = |bytes: usize| line(&format!("UNKNOWN {}", "x".repeat(bytes - "PROXY UNKNOWN \r\n".len())));
    let six =
        "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535";
    vec![
        ("IPv4", line(&GOOD[6..GOOD.len() - 2]), Once, Passes(GOOD), "accepted"),
        ("IPv6", line(&GOOD_6[6..GOOD_6.len() - 2]), Once, Passes(GOOD_6), "accepted"),
        ("byte by byte", GOOD.into(), Bytes, Passes(GOOD), "accepted"),
        ("CR and LF apart", GOOD.into(), Cut(GOOD.len() - 1), Passes(GOOD), "accepted"),
        ("the payload apart", GOOD.into(), Cut(GOOD.len()), Passes(GOOD), "accepted"),
        ("the first letter apart", GOOD.into(), Cut(1), Passes(GOOD), "accepted"),
        (
            "ports 0 and 65535",
            line("TCP4 1.1.1.1 2.2.2.2 0 65535"),
            Once,
            Passes("PROXY TCP4 1.1.1.1 2.2.2.2 0 65535\r\n"),
            "accepted",
        ),
        (
            "the longest IPv6",
            line(six),
            Once,
            Passes(
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            ),
            "accepted",
        ),
        ("UNKNOWN alone", line("UNKNOWN"), Once, Passes(NOBODY), "accepted"),
        ("UNKNOWN with addresses", line("UNKNOWN ::1 ::1 1 1"), Once, Passes(NOBODY), "accepted"),
        ("UNKNOWN with anything, 107 bytes", unknown(107), Once, Passes(NOBODY), "accepted"),
        ("the same byte by byte", unknown(107), Bytes, Passes(NOBODY), "accepted"),
        ("108 bytes", unknown(108), Once, Closes, "malformed"),
        ("a port with a sign", line("TCP4 1.1.1.1 2.2.2.2 +80 80"), Once, Closes, "malformed"),
        ("a port with zeros", line("TCP4 1.1.1.1 2.2.2.2 0080 80"), Once, Closes, "malformed"),
        ("a port too large", line("TCP4 1.1.1.1 2.2.2.2 80 65536"), Once, Closes, "malformed"),
        ("a port missing", line("TCP4 1.1.1.1 2.2.2.2 80"), Once, Closes, "malformed"),
        ("an address with zeros", line("TCP4 01.1.1.1 2.2.2.2 80 80"), Once, Closes, "malformed"),
        ("an address with a scope", line("TCP6 fe80::1%eth0 fe80::2 80 80"), Once, Closes, "malformed"),
        ("IPv6 said to be IPv4", line("TCP4 ::1 ::2 80 80"), Once, Closes, "malformed"),
        ("IPv4 said to be IPv6", line("TCP6 1.1.1.1 2.2.2.2 80 80"), Once, Closes, "malformed"),
        ("two spaces", line("TCP4  1.1.1.1 2.2.2.2 80 80"), Once, Closes, "malformed"),
        ("a space at the end", line("TCP4 1.1.1.1 2.2.2.2 80 80 "), Once, Closes, "malformed"),
        ("LF alone", b"PROXY TCP4 1.1.1.1 2.2.2.2 80 80\n".into(), Once, Closes, "malformed"),
        ("CR alone", b"PROXY TCP4 1.1.1.1 2.2.2.2 80 80\rx".into(), Once, Closes, "malformed"),
        ("another protocol", line("UDP4 1.1.1.1 2.2.2.2 80 80"), Once, Closes, "malformed"),
        ("small letters", b"proxy tcp4 1.1.1.1 2.2.2.2 80 80\r\n".into(), Once, Closes, "missing"),
    ]
}

/// A header of version 2: command, family, what follows the length.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a header is short");
    v2_of_length(command, family, length, rest)
}

fn v2_of_length(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length.to_be_bytes(), rest].concat()
}

/// 192.0.2.202:12345 to 10.0.42.7:7.
const FOUR: [u8; 12] = [192, 0, 2, 202, 10, 0, 42, 7, 0x30, 0x39, 0, 7];

fn version_2() -> Vec<Row> {
    let mut six = [0; 36];
    six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    six[16..20].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    (six[15], six[31], six[33], six[34], six[35]) = (1, 2, 1, 0xff, 0xff);
    let with = |rest: &[u8]| v2(0x21, 0x11, &[&FOUR[..], rest].concat());
    let full = [&[0xe0, 0x3f, 0xe1][..], &[7; 16 * 1024 - 16 - 12 - 3]].concat(); // to 16 KiB
    let unique = |text: &[u8]| [&[0x05, 0, text.len() as u8][..], text].concat();
    let right = with(&checksum(true));
    let mut bad_signature = v2(0x21, 0x11, &FOUR);
    bad_signature[11] = b'\r';
    vec![
        ("IPv4 (2)", v2(0x21, 0x11, &FOUR), Once, Passes(GOOD), "accepted"),
        ("IPv6 (2)", v2(0x21, 0x21, &six), Once, Passes(GOOD_6), "accepted"),
        ("byte by byte (2)", v2(0x21, 0x11, &FOUR), Bytes, Passes(GOOD), "accepted"),
        ("the payload apart (2)", v2(0x21, 0x11, &FOUR), Cut(28), Passes(GOOD), "accepted"),
        ("cut within the length", v2(0x21, 0x11, &FOUR), Cut(15), Passes(GOOD), "accepted"),
        ("LOCAL", v2(0x20, 0x00, &[]), Once, Passes(NOBODY), "local"),
        ("LOCAL with addresses", v2(0x20, 0x11, &FOUR), Once, Passes(NOBODY), "local"),
        ("LOCAL with anything", v2(0x20, 0x47, b"any thing"), Once, Passes(NOBODY), "local"),
        ("UNSPEC", v2(0x21, 0x00, &[]), Once, Passes(NOBODY), "accepted"),
        ("IPv4 over an unspecified transport", v2(0x21, 0x10, &FOUR), Once, Passes(NOBODY), "accepted"),
        ("a UNIX socket", v2(0x21, 0x31, &[b'/'; 216]), Once, Passes(NOBODY), "accepted"),
        ("a UNIX socket cut short", v2(0x21, 0x31, &[b'/'; 215]), Once, Closes, "malformed"),
        ("datagrams on a stream", v2(0x21, 0x12, &FOUR), Once, Closes, "malformed"),
        ("an unknown command", v2(0x22, 0x11, &FOUR), Once, Closes, "malformed"),
        ("an unknown version", v2(0x31, 0x11, &FOUR), Once, Closes, "malformed"),
        ("an unknown family", v2(0x21, 0x41, &FOUR), Once, Closes, "malformed"),
        ("an unknown transport", v2(0x21, 0x13, &FOUR), Once, Closes, "malformed"),
        ("addresses cut short", v2(0x21, 0x11, &FOUR[..11]), Once, Closes, "malformed"),
        ("64 KiB", v2_of_length(0x21, 0x11, 0xffff, &FOUR), Once, Closes, "malformed"),
        ("16 KiB", with(&full), Once, Passes(GOOD), "accepted"),
        ("16 KiB in two pieces", with(&full), Cut(9000), Passes(GOOD), "accepted"),
        ("the id of a VPC endpoint", with(b"\xea\x00\x05\x01vpce"), Once, Passes(GOOD), "accepted"),
        (
            "TLS within TLVs",
            with(b"\x20\x00\x0d\x01\0\0\0\0\x21\x00\x05TLSv1"),
            Once,
            Passes(GOOD),
            "accepted",
        ),
        ("two TLVs of a type", with(&[unique(b"a"), unique(b"b")].concat()), Once, Passes(GOOD), "accepted"),
        ("a TLV beyond the header", with(b"\xea\x00\x06\x01vpce"), Once, Closes, "malformed"),
        ("one byte after the TLVs", with(b"\x04\x00\x00\x04"), Once, Closes, "malformed"),
        ("two bytes after the TLVs", with(b"\x04\x00"), Once, Closes, "malformed"),
        ("a checksum", right, Once, Passes(GOOD), "accepted"),
        ("a wrong checksum", with(&checksum(false)), Once, Closes, "malformed"),
        ("a checksum of three bytes", with(b"\x03\x00\x03\0\0\0"), Once, Closes, "malformed"),
        ("another signature", bad_signature, Once, Closes, "missing"),
    ]
}

/// The TLV of the CRC-32C of a header with [`FOUR`] and nothing else.
fn checksum(right: bool) -> Vec<u8> {
    let header = v2(0x21, 0x11, &[&FOUR[..], b"\x03\x00\x04\0\0\0\0"].concat());
    let crc = crc32c(&header) ^ u32::from(!right);
    [&b"\x03\x00\x04"[..], &crc.to_be_bytes()].concat()
}

/// Bit by bit (RFC 9260 appendix A has the polynomial).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// What follows belongs to the application, whatever it looks like.
fn behind() -> Vec<Row> {
    let after = |rest: &[u8]| [GOOD.as_bytes(), rest].concat();
    vec![
        (
            "another header",
            after(GOOD.as_bytes()),
            Once,
            Passes(
                "PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\nPROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n",
            ),
            "accepted",
        ),
        (
            "TLVs after the end",
            [v2(0x21, 0x11, &FOUR), b"\x04\x00\x01x".into()].concat(),
            Once,
            Passes("PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n\x04\0\x01x"),
            "accepted",
        ),
        (
            "a TLS handshake",
            after(b"\x16\x03\x01\x00\x05\x01\0\0\x01\x03"),
            Once,
            Passes("PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n\x16\x03\x01\x00\x05\x01\0\0\x01\x03"),
            "accepted",
        ),
        ("no header, a request", b"GET / HTTP/1.1\r\n\r\n".into(), Once, Closes, "missing"),
        ("no header, another word with P", b"POST / HTTP/1.1\r\n\r\n".into(), Once, Closes, "missing"),
        (
            "no header, a TLS handshake",
            b"\x16\x03\x01\x00\x05\x01\0\0\x01\x03".into(),
            Once,
            Closes,
            "missing",
        ),
        ("no header, another end of line", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".into(), Once, Closes, "missing"),
    ]
}

#[test]
fn each_header_is_taken_or_refused_as_its_specification_says() {
    isolated(|| {
        let world = World::start(&["--proxy-protocol-in", "require"]);
        let rows: Vec<Row> = [version_1(), version_2(), behind()].into_iter().flatten().collect();
        assert!(rows.len() >= 60, "{}", rows.len());
        for (what, bytes, by, then, result) in rows {
            let before = (world.heard().len(), world.counted());
            let mut client = world.connect(TRUSTED);
            send(&mut client, &bytes, by);
            let answer = rest(&mut client);
            let heard = world.heard().split_off(before.0);
            match then {
                Passes(header) => assert_eq!(heard, [format!("{header}payload")], "{what}"),
                Closes => assert_eq!((heard.as_slice(), answer.as_slice()), (&[][..], &[][..]), "{what}"),
            }
            let expected = one_more(before.1, result);
            assert_eq!(world.counted(), expected, "{what}");
        }
    });
}

#[test]
fn whoever_is_late_or_leaves_or_is_not_trusted_reaches_nobody() {
    isolated(|| {
        let world = World::start(&["--proxy-protocol-in", "require", "--header-timeout", "1s"]);
        let half = &GOOD.as_bytes()[..20];
        for (what, from, bytes, finishes, result, code) in [
            ("says nothing", TRUSTED, &b""[..], false, Some("timeout"), Some("CW")),
            ("says half", TRUSTED, half, false, Some("timeout"), Some("CW")),
            ("says half and leaves", TRUSTED, half, true, Some("malformed"), Some("CW")),
            ("comes and goes, as checks do", TRUSTED, b"", true, None, None),
            (
                "is an untrusted peer with a header",
                UNTRUSTED,
                GOOD.as_bytes(),
                false,
                Some("refused_untrusted"),
                Some("CD"),
            ),
            (
                "is an untrusted peer without one",
                UNTRUSTED,
                b"GET / HTTP/1.1\r\n\r\n",
                false,
                Some("refused_untrusted"),
                Some("CD"),
            ),
            (
                "is an untrusted peer who says nothing",
                UNTRUSTED,
                b"",
                false,
                Some("refused_untrusted"),
                Some("CD"),
            ),
        ] {
            let (before, records) = (world.counted(), world.sidecar.access_log().len());
            let mut client = world.connect(from);
            let _refused_meanwhile = client.write_all(bytes);
            if finishes {
                let _refused_meanwhile = client.shutdown(Shutdown::Write);
            }
            assert_eq!(rest(&mut client), b"", "{what}");
            let expected = match result {
                Some(result) => one_more(before, result),
                None => before,
            };
            assert_eq!(world.counted(), expected, "{what}");
            if let Some(code) = code {
                let last = until("it is recorded", || world.sidecar.access_log().into_iter().nth(records));
                assert_eq!(last["failure.code"], code, "{what}");
            }
            assert_eq!(world.sidecar.access_log().len(), records + usize::from(code.is_some()), "{what}");
        }
        assert_eq!(world.heard(), [""; 0]);
    });
}

#[test]
fn a_shadow_counts_and_changes_nothing() {
    isolated(|| {
        let flags = ["--proxy-protocol-in", "observe", "--detect-timeout", "500ms"];
        let world = World::start(&flags);
        for (what, from, bytes, result) in [
            ("a good header", TRUSTED, GOOD.as_bytes(), "observed_accepted"),
            ("a check", TRUSTED, &v2(0x20, 0, b""), "observed_local"),
            ("no header", TRUSTED, b"hello ", "observed_missing"),
            ("a bad header", TRUSTED, b"PROXY TCP4 1.1.1.1\n", "observed_malformed"),
            ("half a header", TRUSTED, b"PROXY TCP4 1.1.1.1", "observed_timeout"),
            ("an untrusted peer", UNTRUSTED, GOOD.as_bytes(), "observed_refused_untrusted"),
        ] {
            let before = (world.heard().len(), world.counted());
            let mut client = world.connect(from);
            client.write_all(bytes).expect("the connection is open");
            until(what, || (world.counted() == one_more(before.1, result)).then_some(()));
            send(&mut client, b"", Once);
            rest(&mut client);
            let heard = world.heard().split_off(before.0);
            // The Service asks for headers: its application knows what to make of any.
            assert_eq!(heard, [format!("{}payload", String::from_utf8_lossy(bytes))], "{what}");
        }
        let log = world.sidecar.access_log();
        assert!(log.iter().all(|line| line.get("peer.address").is_none()), "{log:?}");
    });
}

#[test]
fn a_shadow_takes_a_good_header_off_where_the_application_asks_for_none() {
    isolated(|| {
        let world = World::of(TCP, &["--proxy-protocol-in", "observe", "--detect-timeout", "500ms"]);
        for (from, bytes, expected) in [
            (TRUSTED, GOOD.as_bytes(), "payload"),
            (TRUSTED, b"PROXY x\r\n", "PROXY x\r\npayload"),
            (UNTRUSTED, GOOD.as_bytes(), "PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\npayload"),
        ] {
            let before = world.heard().len();
            let mut client = world.connect(from);
            send(&mut client, bytes, Once);
            rest(&mut client);
            assert_eq!(world.heard().split_off(before), [expected]);
        }
        let log = world.sidecar.access_log();
        assert!(log.iter().all(|line| line.get("peer.address").is_none()), "{log:?}");
    });
}

#[test]
fn without_the_flag_the_bytes_are_the_applications() {
    isolated(|| {
        let world = World::start(&[]);
        for bytes in [GOOD.as_bytes(), b"PROXY x\r\n", &v2(0x21, 0x11, &FOUR)] {
            let before = world.heard().len();
            let mut client = world.connect(TRUSTED);
            send(&mut client, bytes, Once);
            rest(&mut client);
            assert_eq!(
                world.heard().split_off(before),
                [format!("{}payload", String::from_utf8_lossy(bytes))]
            );
        }
        assert_eq!(world.counted().iter().sum::<u64>(), 0);
    });
}

#[test]
fn what_version_2_says_beside_addresses_reaches_an_application_that_asks_for_it() {
    isolated(|| {
        let world = World::of(V2, &["--proxy-protocol-in", "require"]);
        let tlvs = b"\xea\x00\x05\x01vpce\x02\x00\x06a.test\xe1\x00\x01x";
        let sent = v2(0x21, 0x11, &[&FOUR[..], tlvs].concat());
        let mut client = world.connect(TRUSTED);
        send(&mut client, &sent, Once);
        rest(&mut client);
        // Nothing has to be changed, so nothing is: what was heard is what was sent.
        let expected = [&sent[..], b"payload"].concat();
        assert_eq!(world.heard(), [String::from_utf8_lossy(&expected)]);
    });
}

#[test]
fn a_drain_does_not_wait_for_who_has_said_nothing() {
    isolated(|| {
        let mut world = World::start(&["--proxy-protocol-in", "require", "--drain-delay", "0"]);
        let mut silent = world.connect(TRUSTED);
        let mut checked = world.connect(TRUSTED);
        send(&mut checked, GOOD.as_bytes(), Once);
        rest(&mut checked); // the other was accepted before it
        world.sidecar.process().signal(Signal::TERM);
        assert_eq!(rest(&mut silent), b"");
        assert!(world.sidecar.process().wait(Duration::from_secs(5)).success());
    });
}

/// The sidecar before the application, a recorder.
struct World {
    sidecar: Sidecar,
    application: Recorder,
}

/// The peers: one may speak for others, one may not.
const TRUSTED: [u8; 4] = [127, 0, 0, 2];
const UNTRUSTED: [u8; 4] = [127, 0, 0, 3];

/// What the application's Service asks for.
const V1: &str = "annotations: { svcmesh.dev/proxy-protocol: v1 }";
const V2: &str = "annotations: { svcmesh.dev/proxy-protocol: v2 }";
const TCP: &str = "annotations: {}";

impl World {
    /// Before an application that asks for headers.
    fn start(flags: &[&str]) -> World {
        World::of(V1, flags)
    }

    fn of(annotations: &str, flags: &[&str]) -> World {
        let web = service("web", &["10.96.0.10"], 80, "tcp");
        let web = web.replacen("name: web", &format!("name: web, {annotations}"), 1);
        let manifests = Manifests::of(&[web, slice("web", &["127.0.0.1"], 8080)]);
        let application = Recorder::start("127.0.0.1:9000", "");
        let fixed = ["--inbound", "off", "--inbound-map", "8080=127.0.0.1:9000"];
        let trust = ["--trusted-proxies", "127.0.0.2/32", "--allow-loopback-endpoints"];
        let sidecar = Sidecar::start(manifests, &[&fixed[..], &trust, flags].concat());
        World { sidecar, application }
    }

    fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("all of 127.0.0.0/8 is ours");
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], 8080)).into()).expect("the sidecar listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(8))).expect("a timeout above zero is legal");
        stream.set_nodelay(true).expect("every TCP socket can");
        stream
    }

    /// What each connection of the application has been sent.
    fn heard(&self) -> Vec<String> {
        self.application.received()
    }

    fn counted(&self) -> [u64; RESULTS.len()] {
        RESULTS.map(|result| {
            let sample = format!("svcmesh_proxy_header_total{{result=\"{result}\"}}");
            self.sidecar.measured(&sample).iter().sum()
        })
    }
}

const RESULTS: [&str; 12] = [
    "accepted",
    "local",
    "refused_untrusted",
    "missing",
    "malformed",
    "timeout",
    "observed_accepted",
    "observed_local",
    "observed_refused_untrusted",
    "observed_missing",
    "observed_malformed",
    "observed_timeout",
];

fn one_more(mut counts: [u64; RESULTS.len()], result: &str) -> [u64; RESULTS.len()] {
    counts[RESULTS.iter().position(|other| *other == result).expect("one of them")] += 1;
    counts
}

/// Sends `bytes`, the payload, and the end. What is refused meanwhile is not sent to its end.
fn send(client: &mut TcpStream, bytes: &[u8], by: By) {
    let all = [bytes, b"payload"].concat();
    let pieces: Vec<&[u8]> = match by {
        Once => vec![&all],
        Bytes => all.chunks(1).collect(),
        Cut(at) => vec![&all[..at], &all[at..]],
    };
    for piece in pieces {
        let _refused_meanwhile = client.write_all(piece);
        if !matches!(by, Once) {
            std::thread::sleep(Duration::from_millis(2)); // each is a segment of its own
        }
    }
    let _refused_meanwhile = client.shutdown(Shutdown::Write);
}

/// What comes until the connection ends.
fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let ended = client.read_to_end(&mut rest);
    let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "the connection is still open");
    rest
}
