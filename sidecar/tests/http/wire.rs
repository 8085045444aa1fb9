//! One end of an HTTP/1 connection that reads strictly: a message that could be read in two ways is none.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A raw connection, of a client or of a backend.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    /// A reset was reported to what was sent: the kernel tells of it once.
    is_reset: bool,
}

/// A request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Names in lower case, in the order of their arrival.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) trailers: Vec<(String, String)>,
}

/// Why there is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The other side closed, before the first byte of a message.
    Closed,
    /// The other side closed or reset within a message; what came of it.
    Truncated(String),
    /// Nothing came in time.
    Silent,
    /// It could be read in two ways, or in none.
    Ambiguous(String),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The other side had said all: FIN.
    End,
    /// It was broken off: RST.
    Reset,
}

/// Longer than anything here takes, short enough to fail by.
const PATIENCE: Duration = Duration::from_secs(8);

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        stream.set_nodelay(true).expect("a TCP socket");
        Wire { stream, read: Vec::new(), is_reset: false }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed_meanwhile = self.sends(bytes);
    }

    /// Sends, and tells whether that worked.
    pub(crate) fn sends(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = self.stream.write_all(bytes.as_ref());
        self.is_reset |= sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        sent.is_ok()
    }

    /// Makes a reset of the connection's end.
    pub(crate) fn ends_with_reset(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a TCP socket");
    }

    /// Waits for so long for each piece.
    pub(crate) fn has_patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout above zero is legal");
    }

    /// Says that nothing more follows.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Our own address.
    pub(crate) fn near(&self) -> SocketAddr {
        self.stream.local_addr().expect("the connection is open")
    }

    /// The socket, for a runtime that reads it instead.
    pub(crate) fn socket(&self) -> TcpStream {
        let socket = self.stream.try_clone().expect("file descriptors are to be had");
        socket.set_nonblocking(true).expect("a TCP socket");
        socket
    }

    /// The next request.
    pub(crate) fn request(&mut self) -> Result<Message, Broken> {
        let mut message = self.head()?;
        match message.framing()? {
            Framing::Length(length) => message.body = self.text(length)?,
            Framing::Chunked => self.chunks(&mut message)?,
            Framing::Unsaid => {}
        }
        Ok(message)
    }

    /// The next response, interim ones too. One `to` HEAD, like 1xx, 204 and 304, has no body.
    pub(crate) fn response(&mut self, to: &str) -> Result<Message, Broken> {
        let mut message = self.head()?;
        let status = message.status();
        if to == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(message);
        }
        match message.framing()? {
            Framing::Length(length) => message.body = self.text(length)?,
            Framing::Chunked => self.chunks(&mut message)?,
            Framing::Unsaid => message.body = self.rest(),
        }
        Ok(message)
    }

    /// A head alone.
    pub(crate) fn head(&mut self) -> Result<Message, Broken> {
        while self.read.is_empty() {
            self.more().map_err(|broken| match broken {
                Broken::Closed | Broken::Truncated(_) => Broken::Closed,
                Broken::Silent | Broken::Ambiguous(_) => broken,
            })?;
        }
        let start = self.line()?;
        Ok(Message { start, headers: self.fields()?, ..Message::default() })
    }

    /// Exactly `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.read.len() < count {
            self.more()?;
        }
        Ok(self.read.drain(..count).collect())
    }

    /// The same, and what follows is left for a runtime that reads it.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        assert!(self.read.is_empty(), "it has been read already");
        let mut bytes = vec![0; count];
        let taken = self.stream.read_exact(&mut bytes);
        taken.map(|()| bytes).map_err(|error| Broken::Truncated(error.to_string()))
    }

    /// Exactly `count` bytes, as text.
    pub(crate) fn text(&mut self, count: usize) -> Result<String, Broken> {
        Ok(String::from_utf8_lossy(&self.bytes(count)?).into_owned())
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> String {
        while self.more().is_ok() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads to the end: what came, and how it ended.
    pub(crate) fn until_it_ends(&mut self) -> (String, Ending) {
        let mut buffer = [0; 16 * 1024];
        let ending = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.is_reset => break Ending::Reset,
                Ok(0) => break Ending::End,
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break Ending::Reset,
                Err(error) => panic!("neither more nor the end: {error}"),
            }
        };
        (String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned(), ending)
    }

    /// Waits until something can be read; what it begins with.
    pub(crate) fn peek(&mut self) -> String {
        while self.read.is_empty() && self.more().is_ok() {}
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Whether the other side says nothing for that long, and does not close.
    pub(crate) fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout above zero is legal");
        let quiet = self.read.is_empty() && self.more() == Err(Broken::Silent);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        quiet
    }

    /// Whether the other side has closed, and said nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read.is_empty() && matches!(self.more(), Err(Broken::Truncated(_)))
    }

    fn chunks(&mut self, message: &mut Message) -> Result<(), Broken> {
        loop {
            let size = self.line()?;
            let bytes = usize::from_str_radix(&size, 16).map_err(|_| Broken::Ambiguous(size))?;
            if bytes == 0 {
                message.trailers = self.fields()?;
                return Ok(());
            }
            message.body += &self.text(bytes)?;
            let end = self.line()?;
            if !end.is_empty() {
                return Err(Broken::Ambiguous(end));
            }
        }
    }

    fn fields(&mut self) -> Result<Vec<(String, String)>, Broken> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let field =
                line.split_once(':').filter(|(name, _)| !name.is_empty() && name.bytes().all(is_token));
            let (name, value) = field.ok_or_else(|| Broken::Ambiguous(line.clone()))?;
            fields.push((name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A line without its CRLF, which alone ends one.
    fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.text(end)?;
                self.read.drain(..2);
                return match line.contains(['\r', '\n', '\0']) {
                    true => Err(Broken::Ambiguous(line)),
                    false => Ok(line),
                };
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Broken::Silent),
            Ok(_) | Err(_) => Err(Broken::Truncated(String::from_utf8_lossy(&self.read).into_owned())),
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

enum Framing {
    Length(usize),
    Chunked,
    Unsaid,
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    /// All values of a header, joined as by RFC 9110 §5.3; nothing when there is none.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(" + "))
    }

    fn framing(&self) -> Result<Framing, Broken> {
        let said = (self.header("content-length"), self.header("transfer-encoding"));
        match said {
            (None, None) => Ok(Framing::Unsaid),
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map(Framing::Length).map_err(|_| Broken::Ambiguous(length))
            }
            (None, Some(coding)) if coding == "chunked" => Ok(Framing::Chunked),
            (Some(_), _) | (_, Some(_)) => Err(Broken::Ambiguous(format!("{said:?}"))),
        }
    }
}

/// `GET / | name: value | name: value | body | trailer: value`: the start line without its version, then what else there is,
/// but for `host: web` and for what the sidecar itself adds.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.start.strip_suffix(" HTTP/1.1").unwrap_or(&self.start))?;
        let mut headers = self.headers.clone();
        headers.sort(); // between different names the order means nothing (RFC 9110 §5.3)
        for (name, value) in &headers {
            let usual = name == "host" && value == "web";
            if !usual && !ADDED.contains(&name.as_str()) {
                write!(f, " | {name}: {value}")?;
            }
        }
        if !self.body.is_empty() {
            write!(f, " | {}", self.body)?;
        }
        self.trailers.iter().try_for_each(|(name, value)| write!(f, " | {name}: {value}"))
    }
}

/// What the sidecar adds to each request; [`crate::forwarding`] looks at these.
pub(crate) const ADDED: [&str; 6] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip", "via"];
