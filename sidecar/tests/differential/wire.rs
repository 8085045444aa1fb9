//! One end of an HTTP/1 connection that reads strictly, as fast as streams by the hundred thousand want it: bodies are summed up, not kept.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::plan::{Dice, Sum};

pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    at: usize,
}

/// A head: its first line, and its fields with names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// Why there is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection ended before the first byte of one.
    Closed,
    /// The connection ended within one.
    Cut,
    /// It can be read in two ways, or in none.
    Strange(String),
}

/// How a body is framed.
enum Framing {
    Length(usize),
    Chunked,
    Unsaid,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).expect("a TCP socket");
        Wire { stream, read: Vec::new(), at: 0 }
    }

    /// Sends `bytes` in a few pieces; a peer that has closed hears no more.
    pub(crate) async fn send(&mut self, bytes: &[u8], dice: &Dice) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = if dice.percent(70) { rest.len() } else { 1 + dice.below(rest.len()) };
            if self.stream.write_all(&rest[..piece]).await.is_err() {
                return;
            }
            rest = &rest[piece..];
            tokio::task::yield_now().await;
        }
    }

    /// Says that nothing more follows.
    pub(crate) async fn finish(&mut self) {
        let _gone = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("a TCP socket");
    }

    /// A head alone.
    pub(crate) async fn head(&mut self) -> Result<Head, End> {
        if self.at == self.read.len() && !self.more().await.unwrap_or(false) {
            return Err(End::Closed);
        }
        let start = self.line().await?;
        Ok(Head { start, fields: self.fields().await? })
    }

    /// The body of a request.
    pub(crate) async fn request_body(&mut self, head: &Head) -> Result<Sum, End> {
        match head.framing()? {
            Framing::Unsaid => Ok(Sum::NOTHING),
            framing @ (Framing::Length(_) | Framing::Chunked) => self.body(framing).await,
        }
    }

    /// The body of a response to anything but HEAD.
    pub(crate) async fn response_body(&mut self, head: &Head) -> Result<Sum, End> {
        match head.status() {
            100..200 | 204 | 304 => Ok(Sum::NOTHING),
            _ => self.body(head.framing()?).await,
        }
    }

    async fn body(&mut self, framing: Framing) -> Result<Sum, End> {
        let mut sum = Sum::NOTHING;
        match framing {
            Framing::Length(bytes) => self.take(bytes, &mut sum).await?,
            Framing::Chunked => self.chunks(&mut sum).await?,
            Framing::Unsaid => loop {
                sum.add(&self.read[self.at..]);
                self.at = self.read.len();
                match self.more().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => return Err(End::Cut),
                }
            },
        }
        Ok(sum)
    }

    async fn chunks(&mut self, sum: &mut Sum) -> Result<(), End> {
        loop {
            let line = self.line().await?;
            let bytes =
                usize::from_str_radix(&line, 16).map_err(|_| End::Strange(format!("chunk {line:?}")))?;
            if bytes == 0 {
                return self.fields().await.map(drop);
            }
            self.take(bytes, sum).await?;
            let end = self.line().await?;
            if !end.is_empty() {
                return Err(End::Strange(format!("after a chunk: {end:?}")));
            }
        }
    }

    async fn take(&mut self, mut bytes: usize, sum: &mut Sum) -> Result<(), End> {
        while bytes > 0 {
            let there = (self.read.len() - self.at).min(bytes);
            sum.add(&self.read[self.at..self.at + there]);
            self.at += there;
            bytes -= there;
            if bytes > 0 && !self.more().await.unwrap_or(false) {
                return Err(End::Cut);
            }
        }
        Ok(())
    }

    async fn fields(&mut self) -> Result<Vec<(String, String)>, End> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            let field =
                line.split_once(':').filter(|(name, _)| !name.is_empty() && name.bytes().all(is_token));
            let (name, value) = field.ok_or_else(|| End::Strange(format!("field {line:?}")))?;
            fields.push((name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A line without its CRLF, which alone ends one.
    async fn line(&mut self) -> Result<String, End> {
        loop {
            let unread = &self.read[self.at..];
            if let Some(end) = unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&unread[..end]).into_owned();
                self.at += end + 2;
                return match line.contains(['\r', '\n', '\0']) {
                    true => Err(End::Strange(format!("line {line:?}"))),
                    false => Ok(line),
                };
            }
            if !self.more().await.unwrap_or(false) {
                return Err(End::Cut);
            }
        }
    }

    /// Reads on. `false`: the peer has ended its side; an error: the connection was reset.
    async fn more(&mut self) -> Result<bool, ErrorKind> {
        self.read.drain(..self.at);
        self.at = 0;
        self.read.reserve(16 * 1024);
        self.stream.read_buf(&mut self.read).await.map(|count| count > 0).map_err(|error| error.kind())
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Head {
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.fields.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn closes(&self) -> bool {
        self.values("connection").any(|value| value.eq_ignore_ascii_case("close"))
    }

    fn framing(&self) -> Result<Framing, End> {
        let lengths: Vec<&str> = self.values("content-length").collect();
        let codings: Vec<&str> = self.values("transfer-encoding").collect();
        match (&*lengths, &*codings) {
            ([], []) => Ok(Framing::Unsaid),
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map(Framing::Length).map_err(|_| End::Strange(format!("length {length}")))
            }
            ([], ["chunked"]) => Ok(Framing::Chunked),
            _ => Err(End::Strange(format!("framing {lengths:?} {codings:?}"))),
        }
    }
}
