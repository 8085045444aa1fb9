//! One name server: datagrams first, TCP for what does not fit in one, and EDNS only as long as it is understood.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::message::{DnsAnswer, EdnsUse, Packet, SentQuery};
use super::question::Question;
use crate::clock::{Instant, sleep_until};
use crate::net::{TcpStream, UdpSocket};
use crate::sync::lock;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unanswered {
    /// It says that this is not for it to say.
    Refused,
    /// It says nothing, or cannot be reached.
    Silent,
    Unreachable,
    /// It says that it cannot say now.
    ServFail,
}

/// A server, and what is known of it.
#[derive(Debug)]
pub(super) struct Server {
    addr: SocketAddr,
    tcp_only: bool,
    known: Mutex<ServerEdns>,
}

#[derive(Debug, Default)]
struct ServerEdns {
    /// It does not understand EDNS; until then it is not tried again.
    plain_until: Option<Instant>,
    /// Questions in a row that it has not answered at all.
    silences: u32,
    /// It is asked after the others.
    last_until: Option<Instant>,
}

impl Server {
    pub(super) fn new(addr: SocketAddr, tcp_only: bool) -> Server {
        Server { addr, tcp_only, known: Mutex::default() }
    }

    /// Its answer to one question: that there is something, or nothing. Waits for as long as it is silent: the caller ends that.
    ///
    /// # Errors
    /// It cannot be reached, or cannot say.
    pub(super) async fn ask(&self, question: &Question) -> Result<DnsAnswer, Unanswered> {
        let answered = self.exchange(question).await;
        if let Ok(answer) = &answered {
            self.has_answered();
            tracing::debug!(server = %self.addr, name = %question.name, code = %answer.code, "DNS answered");
        }
        judge(answered.inspect_err(|error| {
            tracing::debug!(server = %self.addr, name = %question.name, %error, "DNS could not be asked");
        }))
    }

    /// It has let a question pass, when another server did not.
    pub(super) fn was_silent(&self) {
        let mut known = self.known();
        known.silences = known.silences.saturating_add(1);
        if known.silences >= SILENCES_MAX {
            known.last_until = Some(Instant::now() + LAST_FOR);
        }
    }

    /// Whether the others are asked before it.
    pub(super) fn comes_last(&self) -> bool {
        self.known().last_until.is_some_and(|until| Instant::now() < until)
    }

    /// In its dialect, over TCP where a datagram does not hold the answer.
    async fn exchange(&self, question: &Question) -> io::Result<DnsAnswer> {
        let dialect = self.dialect();
        let (answer, dialect) = match self.tcp_only {
            true => (self.by_tcp(question, dialect).await?, dialect),
            false => self.by_udp(question, dialect).await?,
        };
        match answer {
            Some(answer) if !answer.truncated => Ok(answer),
            Some(_) | None => match self.by_tcp(question, dialect).await? {
                Some(answer) if !answer.truncated => Ok(answer),
                Some(_) | None => Err(io::Error::other("an answer over TCP is cut, or cannot be read")),
            },
        }
    }

    /// `None`: what can be read of the answer in a datagram is not enough.
    async fn by_udp(
        &self,
        question: &Question,
        dialect: EdnsUse,
    ) -> io::Result<(Option<DnsAnswer>, EdnsUse)> {
        let (answer, spoken) = self.converse(question, dialect).await?;
        if spoken == EdnsUse::Plain || !answer.as_ref().is_some_and(minds_edns) {
            return Ok((answer, spoken));
        }
        let (answer, _) = self.converse(question, EdnsUse::Plain).await?;
        if !answer.as_ref().is_some_and(minds_edns) {
            self.speaks_plainly();
        }
        Ok((answer, EdnsUse::Plain))
    }

    /// Sends the question until one of its packets is answered, and says in which dialect that one was. A server that drops EDNS answers
    /// only what is sent without, while a slow one answers the first packet first.
    async fn converse(
        &self,
        question: &Question,
        dialect: EdnsUse,
    ) -> io::Result<(Option<DnsAnswer>, EdnsUse)> {
        let queries = [SentQuery::new(question, dialect), SentQuery::new(question, EdnsUse::Plain)];
        let [first, plain] = queries.map(|query| query.map_err(io::Error::other));
        let (first, plain) = (first?, plain?);
        let socket = connect(self.addr).await?;
        let mut buffer = vec![0; RECEIVE_BYTES];
        let begun = Instant::now();
        let mut sends = SENDS.into_iter().map(|(after, of_first)| (begun + after, of_first)).peekable();
        loop {
            let next = sends.peek().map(|(at, _)| *at);
            tokio::select! {
                biased;
                received = socket.recv(&mut buffer) => {
                    let packet = &buffer[..received?];
                    for query in [&first, &plain] {
                        match query.read(packet) {
                            Packet::Unrelated => {}
                            Packet::Garbled => return Ok((None, query.dialect)),
                            Packet::Answer(answer) => {
                                if dialect == EdnsUse::Edns && query.dialect == EdnsUse::Plain && !minds_edns(&answer) {
                                    self.speaks_plainly();
                                }
                                return Ok((Some(answer), query.dialect));
                            }
                        }
                    }
                }
                () = sleep_until(next.unwrap_or(begun)), if next.is_some() => {
                    let of_first = sends.next().is_some_and(|(_, of_first)| of_first);
                    socket.send(if of_first { &first.bytes } else { &plain.bytes }).await?;
                }
            }
        }
    }

    /// `None`: it cannot be read.
    async fn by_tcp(&self, question: &Question, dialect: EdnsUse) -> io::Result<Option<DnsAnswer>> {
        let answer =
            over_tcp(self.addr, &SentQuery::new(question, dialect).map_err(io::Error::other)?).await?;
        if dialect == EdnsUse::Plain || !answer.as_ref().is_some_and(minds_edns) {
            return Ok(answer);
        }
        let plain = SentQuery::new(question, EdnsUse::Plain).map_err(io::Error::other)?;
        let answer = over_tcp(self.addr, &plain).await?;
        if !answer.as_ref().is_some_and(minds_edns) {
            self.speaks_plainly();
        }
        Ok(answer)
    }

    fn dialect(&self) -> EdnsUse {
        match self.known().plain_until {
            Some(until) if Instant::now() < until => EdnsUse::Plain,
            Some(_) | None => EdnsUse::Edns,
        }
    }

    /// RFC 6891 §6.2.2: what is known of a server's EDNS is kept for a while.
    fn speaks_plainly(&self) {
        tracing::debug!(server = %self.addr, "a name server does not understand EDNS");
        self.known().plain_until = Some(Instant::now() + PLAIN_FOR);
    }

    fn has_answered(&self) {
        let mut known = self.known();
        (known.silences, known.last_until) = (0, None);
    }

    fn known(&self) -> MutexGuard<'_, ServerEdns> {
        lock(&self.known)
    }
}

/// A socket at a port that nobody can guess (RFC 5452 §9.2), which hears nobody but the server.
async fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// RFC 1035 §4.2.2: the length goes before. One question for each connection: what does not fit in a datagram is rare.
async fn over_tcp(server: SocketAddr, query: &SentQuery) -> io::Result<Option<DnsAnswer>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &query.bytes[..]].concat()).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut packet = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut packet).await?;
    match query.read(&packet) {
        Packet::Answer(answer) => Ok(Some(answer)),
        Packet::Garbled => Ok(None),
        Packet::Unrelated => Err(io::Error::other("it answers what was not asked")),
    }
}

/// RFC 6891 §7: a server that does not know the OPT record says that it cannot read the question, or not do that.
fn minds_edns(answer: &DnsAnswer) -> bool {
    use ResponseCode::{BADSIG, BADVERS, FormErr, NotImp};
    matches!(answer.code, FormErr | NotImp | BADVERS | BADSIG) // 16 is both of the latter, and nobody signs here
}

/// Whether an answer counts, or another server may know more.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other codes say that it cannot say")]
fn judge(answered: io::Result<DnsAnswer>) -> Result<DnsAnswer, Unanswered> {
    let Ok(answer) = answered else { return Err(Unanswered::Unreachable) };
    match answer.code {
        ResponseCode::NoError if answer.referral => Err(Unanswered::Refused), // it does not recurse
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        ResponseCode::ServFail => Err(Unanswered::ServFail),
        _ => Err(Unanswered::Refused),
    }
}

/// When a question is sent again, and whether as at first or without EDNS. Two losses in a row are rare enough to take them for a server
/// that drops EDNS; the last is later than 5 s, so that one that answers after these has been waited for.
const SENDS: [(Duration, bool); 5] = [
    (Duration::ZERO, true),
    (Duration::from_millis(400), true),
    (Duration::from_millis(800), false),
    (Duration::from_millis(1_600), true),
    (Duration::from_millis(3_200), false),
];

/// Three times what is asked for: some servers do not care. What is cut by it cannot be read, and is asked for over TCP.
const RECEIVE_BYTES: usize = 4096;

/// As long as unbound keeps what it knows of a server.
const PLAIN_FOR: Duration = Duration::from_secs(900);

/// One may be a lost packet, or a name that takes the server long. A name is asked for in two types at once.
const SILENCES_MAX: u32 = 3;

/// How long a silent server is asked after the others: then one question finds out.
const LAST_FOR: Duration = Duration::from_secs(30);
