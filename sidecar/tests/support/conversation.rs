//! One connection held by hand, from either end: a test says what is sent, and when.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::until;

/// An open connection.
pub(crate) struct Conversation {
    stream: TcpStream,
}

impl Conversation {
    /// Connects to `address`.
    pub(crate) fn with(address: &str) -> Conversation {
        Conversation::over(TcpStream::connect(address).expect("somebody listens"))
    }

    fn over(stream: TcpStream) -> Conversation {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        stream.set_nodelay(true).expect("every TCP socket can");
        Conversation { stream }
    }

    /// The address of the other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().expect("it is connected")
    }

    /// Sends `bytes`.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the connection is open");
    }

    /// Asks for `path`, keep-alive.
    pub(crate) fn ask(&mut self, path: &str) {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: web\r\n\r\n"));
    }

    /// Reads until what was read ends with `end`.
    pub(crate) fn hear(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            heard.extend(self.hear_bytes(1));
        }
        String::from_utf8(heard).expect("these peers speak text")
    }

    /// Reads exactly `count` bytes.
    pub(crate) fn hear_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("the peer says it all");
        bytes
    }

    /// Expects the other side to end the connection, without another byte.
    pub(crate) fn ends(&mut self) {
        match self.stream.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("not the end: {other:?}"),
        }
    }

    /// Expects the other side to break the connection off, without another byte.
    pub(crate) fn breaks(&mut self) {
        let read = self.stream.read(&mut [0]);
        assert!(
            read.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
            "no reset: {read:?}"
        );
    }

    /// Whether the other side has said or ended nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.set_nonblocking(true).expect("every socket can");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("every socket can");
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// The next connection to `listener`.
pub(crate) fn accepted(listener: &TcpListener) -> Conversation {
    listener.set_nonblocking(true).expect("every socket can");
    let (stream, _peer) = until("somebody connects", || listener.accept().ok());
    stream.set_nonblocking(false).expect("every socket can");
    Conversation::over(stream)
}

/// Longer than anything that is waited for here, shorter than the harness' patience.
const PATIENCE: Duration = Duration::from_secs(10);
