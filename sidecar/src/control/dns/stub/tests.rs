//! The resolver against name servers that the test plays, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use hickory_proto::op::{Edns, Message, MessageType};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record as Wire, RecordType};

use super::*;

/// A question as a server gets it.
struct Asked {
    message: Message,
    name: String,
    kind: RecordType,
    edns: bool,
    tcp: bool,
}

impl Asked {
    fn read(packet: &[u8], tcp: bool) -> Asked {
        let message = Message::from_vec(packet).expect("we ask well-formed questions");
        let query = message.queries.first().expect("there is a question");
        let name = query.name.to_ascii().trim_end_matches('.').to_owned();
        Asked { kind: query.query_type, edns: message.edns.is_some(), name, tcp, message }
    }

    /// An answer of a server that recurses, with these records.
    fn answer(&self, code: ResponseCode, records: &[(&str, RData)]) -> Message {
        let mut answer = Message::response(self.message.metadata.id, self.message.metadata.op_code);
        answer.metadata.response_code = code;
        answer.metadata.recursion_available = true;
        answer.queries = self.message.queries.clone();
        for (owner, data) in records {
            answer.add_answer(Wire::from_rdata(name(owner), 30, data.clone()));
        }
        answer
    }

    /// The address of whoever is asked for, in IPv4 alone.
    fn address(&self, last: u8) -> Message {
        let own = [(self.name.as_str(), a(last))];
        let records = if self.kind == RecordType::A { &own[..] } else { &[] };
        self.answer(ResponseCode::NoError, records)
    }

    fn code(&self, code: ResponseCode) -> Option<Vec<u8>> {
        bytes(self.answer(code, &[]))
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}

fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

fn srv(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 1, port, name(target)))
}

fn bytes(message: Message) -> Option<Vec<u8>> {
    Some(message.to_vec().unwrap())
}

fn truncated(mut message: Message) -> Option<Vec<u8>> {
    message.answers.clear();
    message.metadata.truncation = true;
    bytes(message)
}

/// A server that does as it is told, over UDP and TCP; over TCP, no answer closes the connection.
struct Played {
    addr: SocketAddr,
    /// By UDP with EDNS, by UDP without, by TCP.
    counts: Arc<[AtomicUsize; 3]>,
}

impl Played {
    fn new(says: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static) -> Played {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let addr = tcp.local_addr().unwrap();
        let (counts, says) = (Arc::new([const { AtomicUsize::new(0) }; 3]), Arc::new(says));
        let (counted, says_by_udp) = (counts.clone(), says.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while let Ok((length, client)) = udp.recv_from(&mut packet) {
                let asked = Asked::read(&packet[..length], false);
                counted[usize::from(!asked.edns)].fetch_add(1, Relaxed);
                if let Some(answer) = says_by_udp(&asked) {
                    udp.send_to(&answer, client).unwrap();
                }
            }
        });
        let counted = counts.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                counted[2].fetch_add(1, Relaxed);
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut packet = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut packet).unwrap();
                if let Some(answer) = says(&Asked::read(&packet, true)) {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length, &answer[..]].concat()).unwrap();
                }
            }
        });
        Played { addr, counts }
    }

    fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|index: usize| self.counts[index].load(Relaxed))
    }
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn stub(servers: &[SocketAddr]) -> Stub {
    Stub { servers: Servers::new(servers, false, ATTEMPT_MIN), metrics: Metrics::new() }
}

async fn ask(stub: &Stub, name: &str, kind: QueryType) -> Reply {
    stub.clone().answer(Question { name: name.into(), kind }).await
}

/// The last bytes of the addresses.
#[track_caller]
fn found(reply: Reply) -> Vec<u8> {
    let Reply::Found { records, .. } = reply else { panic!("{reply:?}") };
    let last = |record: &Record| match record.address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    records.iter().map(last).collect()
}

/// Answers over TCP alone.
fn by_tcp(last: u8) -> Played {
    Played::new(move |asked| {
        let answer = asked.address(last);
        if asked.tcp { bytes(answer) } else { truncated(answer) }
    })
}

/// Cuts its answers over UDP, and says nothing over TCP.
fn without_tcp() -> Played {
    Played::new(|asked| if asked.tcp { None } else { truncated(asked.address(9)) })
}

#[tokio::test]
async fn a_truncated_answer_comes_over_tcp_with_any_number_of_servers() {
    for count in 1..=4 {
        let servers: Vec<_> = (0..count).map(|_| by_tcp(1)).collect();
        let stub = stub(&servers.iter().map(|server| server.addr).collect::<Vec<_>>());
        assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1], "{count} servers");
    }
}

#[tokio::test]
async fn a_truncated_answer_comes_over_tcp_whatever_the_other_servers_do() {
    let silent = Played::new(|_| None);
    let refuses = Played::new(|asked| asked.code(ResponseCode::Refused));
    let (cut, whole) = (without_tcp(), by_tcp(1));
    for others in [
        vec![nobody()],
        vec![silent.addr],
        vec![refuses.addr],
        vec![cut.addr],
        vec![cut.addr, nobody(), refuses.addr],
    ] {
        for first in [true, false] {
            let mut servers = others.clone();
            servers.insert(if first { 0 } else { others.len() }, whole.addr);
            let stub = stub(&servers);
            assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1], "{others:?} {first}");
        }
    }
    assert_eq!(
        ask(&stub(&[cut.addr]), "x.example.com", QueryType::A).await,
        Reply::Failed(LookedUp::Error),
        "half an answer is none"
    );
}

#[tokio::test]
async fn an_answer_larger_than_asked_for_is_read_and_one_that_is_cut_comes_over_tcp() {
    let server = Played::new(|asked| {
        let count = if asked.name.starts_with("large") { 100 } else { 250 };
        let records: Vec<_> = (0..count).map(|last| ("x.example.com", a(last))).collect();
        let mut answer = asked.answer(ResponseCode::NoError, &[]);
        for (_, data) in records {
            answer.add_answer(Wire::from_rdata(name(&asked.name), 30, data));
        }
        let mut packet = answer.to_vec().unwrap();
        if !asked.tcp && asked.name.starts_with("cut") {
            packet.truncate(700); // without a word
        }
        Some(packet)
    });
    let stub = stub(&[server.addr]);
    assert_eq!(found(ask(&stub, "large.example.com", QueryType::A).await).len(), 100);
    assert_eq!(server.counts()[2], 0);
    assert_eq!(found(ask(&stub, "cut.example.com", QueryType::A).await).len(), 250);
    assert_eq!(found(ask(&stub, "huge.example.com", QueryType::A).await).len(), 250);
}

#[tokio::test]
async fn a_server_that_minds_edns_is_asked_without_and_remembered() {
    type Says = fn(&Asked) -> Option<Vec<u8>>;
    let kinds: [(&str, Says); 5] = [
        ("FORMERR", |asked| asked.code(ResponseCode::FormErr)),
        ("FORMERR without the question", |asked| {
            let mut answer = asked.answer(ResponseCode::FormErr, &[]);
            answer.queries.clear();
            bytes(answer)
        }),
        ("NOTIMP", |asked| asked.code(ResponseCode::NotImp)),
        ("BADVERS", |asked| {
            let mut answer = asked.answer(ResponseCode::BADVERS, &[]);
            answer.set_edns(Edns::new()); // with the upper bits of the code
            bytes(answer)
        }),
        ("drops it", |_| None),
    ];
    for (what, says) in kinds {
        let server = Played::new(move |asked| if asked.edns { says(asked) } else { bytes(asked.address(1)) });
        let stub = stub(&[server.addr]);
        assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1], "{what}");
        let with_edns = server.counts()[0];
        assert!((1..=2).contains(&with_edns), "{what}: {with_edns}");
        for _ in 0..5 {
            assert_eq!(found(ask(&stub, "y.example.com", QueryType::A).await), [1], "{what}");
        }
        assert_eq!(server.counts(), [with_edns, 6, 0], "{what}: it is known to mind EDNS");
    }
}

#[tokio::test]
async fn a_server_that_cannot_read_anything_is_not_taken_for_one_that_minds_edns() {
    let server = Played::new(|asked| asked.code(ResponseCode::FormErr));
    let stub = stub(&[server.addr]);
    for _ in 0..3 {
        assert_eq!(ask(&stub, "x.example.com", QueryType::A).await, Reply::Refused);
    }
    assert_eq!(server.counts(), [3, 3, 0]);
}

#[tokio::test]
async fn edns_and_truncation_go_together_on_one_old_server() {
    let server = Played::new(|asked| match (asked.edns, asked.tcp) {
        (true, _) => asked.code(ResponseCode::FormErr),
        (false, false) => truncated(asked.address(1)),
        (false, true) => bytes(asked.address(1)),
    });
    let stub = stub(&[nobody(), server.addr]);
    assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1]);
}

#[tokio::test]
async fn what_one_server_cannot_say_another_may() {
    type Says = fn(&Asked) -> Option<Vec<u8>>;
    let kinds: [(&str, Says); 7] = [
        ("SERVFAIL", |asked| asked.code(ResponseCode::ServFail)),
        ("REFUSED", |asked| asked.code(ResponseCode::Refused)),
        ("NOTAUTH", |asked| asked.code(ResponseCode::NotAuth)),
        ("a referral", |asked| {
            let mut answer = asked.answer(ResponseCode::NoError, &[]);
            answer.metadata.recursion_available = false;
            answer.add_authority(Wire::from_rdata(name(""), 30, RData::NS(NS(name("a.root-servers.net")))));
            bytes(answer)
        }),
        ("another id", |asked| {
            let mut answer = asked.address(9);
            answer.metadata.id ^= 1;
            bytes(answer)
        }),
        ("another question", |asked| {
            let mut answer = asked.address(9);
            answer.queries[0].name = name("y.example.com");
            bytes(answer)
        }),
        ("nonsense", |_| Some(vec![0xff; 40])),
    ];
    let good = Played::new(|asked| bytes(asked.address(1)));
    for (what, says) in kinds {
        let bad = Played::new(says);
        for servers in [[bad.addr, good.addr], [good.addr, bad.addr]] {
            let stub = stub(&servers);
            assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1], "{what}");
        }
    }
    let (servfail, refused) = (Played::new(kinds[0].1), Played::new(kinds[1].1));
    for (servers, expected) in [
        ([servfail.addr, refused.addr], Reply::Failed(LookedUp::ServFail)),
        ([refused.addr, nobody()], Reply::Failed(LookedUp::Error)),
        ([refused.addr, refused.addr], Reply::Refused),
    ] {
        assert_eq!(
            ask(&stub(&servers), "x.example.com", QueryType::A).await,
            expected,
            "there may be one that knows"
        );
    }
}

#[tokio::test]
async fn an_answer_by_somebody_who_guesses_does_not_keep_the_right_one_out() {
    let server = Played::new(|asked| bytes(asked.address(1)));
    let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = proxy.local_addr().unwrap();
    let real = server.addr;
    std::thread::spawn(move || {
        let (mut packet, onward) = ([0; 2048], UdpSocket::bind("127.0.0.1:0").unwrap());
        while let Ok((length, client)) = proxy.recv_from(&mut packet) {
            let asked = Asked::read(&packet[..length], false);
            for guess in 1..50 {
                let mut wrong = asked.address(9);
                wrong.metadata.id = wrong.metadata.id.wrapping_add(guess);
                proxy.send_to(&wrong.to_vec().unwrap(), client).unwrap();
            }
            let mut query = asked.address(9);
            query.metadata.message_type = MessageType::Query;
            proxy.send_to(&query.to_vec().unwrap(), client).unwrap();
            onward.send_to(&packet[..length], real).unwrap();
            let length = onward.recv(&mut packet).unwrap();
            proxy.send_to(&packet[..length], client).unwrap();
        }
    });
    assert_eq!(found(ask(&stub(&[addr]), "x.example.com", QueryType::A).await), [1]);
}

#[tokio::test]
async fn records_of_others_and_nonsense_behind_the_answer_are_left_alone() {
    let server = Played::new(|asked| {
        let mut answer = asked.answer(
            ResponseCode::NoError,
            &[
                ("other.example.com", a(9)),
                ("X.Example.COM", a(1)),
                ("x.example.com", RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 9))),
            ],
        );
        answer.queries[0].name = name("X.EXAMPLE.com");
        answer.add_additional(Wire::from_rdata(name("x.example.com"), 30, a(9)));
        let mut packet = answer.to_vec().unwrap();
        let count = packet.len();
        packet[count - 6] = 0xff; // the length of the data in the last record
        bytes(answer).filter(|_| asked.name.starts_with('y')).or(Some(packet))
    });
    let stub = stub(&[server.addr]);
    assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1]);
    assert_eq!(server.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn sixteen_aliases_are_followed_in_one_answer_and_over_many_and_only_a_circle_is_one() {
    /// As many aliases as the name says, in answers of `step`.
    fn chain(step: u32) -> impl Fn(&Asked) -> Option<Vec<u8>> {
        move |asked| {
            let mut number: u32 = asked.name.trim_start_matches('n').parse().unwrap();
            let mut records = Vec::new();
            for _ in 0..step.min(number) {
                records.push((format!("n{number}"), cname(&format!("n{}", number - 1))));
                number -= 1;
            }
            if number == 0 && asked.kind == RecordType::A {
                records.push(("n0".to_owned(), a(1)));
            }
            records.reverse(); // their order says nothing
            let records: Vec<_> =
                records.iter().map(|(owner, data)| (owner.as_str(), data.clone())).collect();
            bytes(asked.answer(ResponseCode::NoError, &records))
        }
    }
    for step in [1, 2, 5, 16, 20] {
        let server = Played::new(chain(step));
        let stub = stub(&[server.addr]);
        for count in [1, 8, 9, 16] {
            let reply = ask(&stub, &format!("n{count}"), QueryType::A).await;
            assert!(matches!(reply, Reply::Found { aliased: true, .. }), "{count} by {step}: {reply:?}");
        }
        let absent = ask(&stub, "n16", QueryType::Aaaa).await;
        assert!(matches!(absent, Reply::Denied { exists: true, .. }), "by {step}: {absent:?}");
        assert_eq!(ask(&stub, "n17", QueryType::A).await, Reply::Nowhere(Failure::NameFailed), "by {step}");
    }
    let circle = Played::new(|asked| {
        let next = if asked.name == "a" { "b" } else { "a" };
        bytes(asked.answer(ResponseCode::NoError, &[(&asked.name, cname(next))]))
    });
    assert_eq!(ask(&stub(&[circle.addr]), "a", QueryType::A).await, Reply::Nowhere(Failure::NameLoop));
}

#[tokio::test]
async fn an_alias_that_its_zone_says_ends_there_is_not_asked_on() {
    for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
        let server = Played::new(move |asked| {
            let mut answer = asked.answer(code, &[(&asked.name, cname("gone.example.com"))]);
            let soa = SOA::new(name("ns.example.com"), name("root.example.com"), 1, 2, 3, 4, 7);
            answer.add_authority(Wire::from_rdata(name("example.com"), 30, RData::SOA(soa)));
            bytes(answer)
        });
        let exists = code == ResponseCode::NoError;
        assert_eq!(
            ask(&stub(&[server.addr]), "x.example.com", QueryType::A).await,
            Reply::Denied { lifetime: Some(Duration::from_secs(7)), exists }
        );
        assert_eq!(server.counts(), [1, 0, 0]);
    }
}

#[tokio::test]
async fn services_of_the_next_priority_are_for_when_none_of_the_lowest_has_an_address() {
    let server = Played::new(|asked| {
        let records = [
            ("_http._tcp.x", srv(10, 80, "first.x")),
            ("_http._tcp.x", srv(20, 81, "second.x")),
            ("_http._tcp.x", srv(20, 82, "third.x")),
            ("_http._tcp.x", srv(30, 83, "fourth.x")),
            ("_http._tcp.y", srv(10, 80, "home.x")),
            ("_http._tcp.y", srv(20, 81, "second.x")),
            ("_http._tcp.z", srv(10, 80, "lame.x")),
            ("_http._tcp.z", srv(20, 81, "second.x")),
        ];
        let own: Vec<_> = records.into_iter().filter(|(owner, _)| *owner == asked.name).collect();
        match (asked.name.as_str(), asked.kind) {
            ("second.x", RecordType::A) => bytes(asked.address(2)),
            ("third.x", RecordType::A) => bytes(asked.address(3)),
            ("home.x", RecordType::A) => {
                bytes(asked.answer(ResponseCode::NoError, &[("home.x", RData::A(A::new(127, 0, 0, 1)))]))
            }
            ("lame.x", _) => asked.code(ResponseCode::ServFail),
            (_, RecordType::SRV) => bytes(asked.answer(ResponseCode::NoError, &own)),
            _ => asked.code(ResponseCode::NXDomain),
        }
    });
    let stub = stub(&[server.addr]);
    let Reply::Found { mut records, .. } = ask(&stub, "_http._tcp.x", QueryType::Srv).await else { panic!() };
    records.sort_unstable();
    let ports: Vec<_> = records.iter().map(|record| (record.port, record.priority)).collect();
    assert_eq!(ports, [(Some(81), 20), (Some(82), 20)]);
    let mut home = found(ask(&stub, "_http._tcp.y", QueryType::Srv).await);
    home.sort_unstable();
    assert_eq!(home, [1, 2], "an address that may not be used is told with what is used instead of it");
    let lame = ask(&stub, "_http._tcp.z", QueryType::Srv).await;
    assert!(
        matches!(&lame, Reply::Found { records, lifetime: Duration::ZERO, .. } if records.len() == 1),
        "{lame:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_dead_costs_a_second_and_then_nothing() {
    let (silent, good) = (Played::new(|_| None), Played::new(|asked| bytes(asked.address(1))));
    let stub = stub(&[silent.addr, good.addr]);
    for _ in 0..3 {
        assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1]);
    }
    let asked = silent.counts();
    for _ in 0..20 {
        assert_eq!(found(ask(&stub, "x.example.com", QueryType::A).await), [1]);
    }
    assert_eq!(silent.counts(), asked, "it is asked after the others");
}

#[tokio::test]
async fn a_lifetime_with_its_highest_bit_set_is_none() {
    let server = Played::new(|asked| {
        let mut answer = asked.address(1);
        answer.answers[0].ttl = 1 << 31;
        bytes(answer)
    });
    let reply = ask(&stub(&[server.addr]), "x.example.com", QueryType::A).await;
    assert!(matches!(reply, Reply::Found { lifetime: Duration::ZERO, .. }), "{reply:?}");
}
