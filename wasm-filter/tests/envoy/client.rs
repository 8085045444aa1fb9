//! A client that keeps its connection.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::head::Head;

/// One connection.
pub(crate) struct Client(BufReader<TcpStream>);

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Client {
        Client::from([127, 0, 0, 1].into(), address)
    }

    /// One that comes from `source`.
    pub(crate) fn from(source: IpAddr, address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("all of 127.0.0.0/8 is ours");
        socket.connect(&address.into()).expect("Envoy listens");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("TCP has it");
        stream.set_read_timeout(Some(LIFE)).expect("a timeout above zero is legal");
        Client(BufReader::new(stream))
    }

    /// Asks `host` for `/`.
    pub(crate) fn get(&mut self, host: &str) -> Answer {
        self.ask(host, "/", &[])
    }

    /// Asks `host` for `path`, with these headers as well.
    pub(crate) fn ask(&mut self, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").expect("a string takes any text");
        }
        request.push_str("\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("Envoy reads");
        self.answer().expect("Envoy answers")
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("Envoy reads");
    }

    /// The connection itself, to wait for it.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// The same, for one that speaks another protocol; nothing was answered yet.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }

    /// Whether the other side has closed, having said nothing.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }

    /// Reads the next answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let head = read_head(&mut self.0)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let head = Head::parse(&head);
        let body = match head.field("transfer-encoding") {
            Some(_chunked) => self.chunks()?,
            None => self.bytes(head.length())?,
        };
        Ok(Answer { head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.0.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
            body.extend(self.bytes(size)?);
            self.bytes("\r\n".len())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The name of the backend that answered.
    pub(crate) fn backend(&self) -> &str {
        self.head.field("x-backend").unwrap_or_else(|| panic!("no backend answered: {self:?}"))
    }

    /// The head of the request that the backend was sent.
    pub(crate) fn received(&self) -> Head {
        self.backend();
        Head::parse(&self.body)
    }
}

/// Reads to the blank line, that included; nothing when the other side has closed.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

/// Far more than an answer takes here.
const LIFE: Duration = Duration::from_secs(20);
