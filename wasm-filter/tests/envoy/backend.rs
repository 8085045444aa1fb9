//! A backend that answers every request with the head of it that arrived.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::client::read_head;
use super::head::Head;

/// Listens at a port of its own. Dropped, it refuses connections, and those it had are closed.
pub(crate) struct Backend {
    name: &'static str,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    requests: AtomicUsize,
    status: AtomicU16,
    closed: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Backend {
    /// Says `name` in the header `x-backend` of its answers.
    pub(crate) fn start(name: &'static str) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            requests: AtomicUsize::new(0),
            status: AtomicU16::new(200),
            closed: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, name, &shared)
        });
        Backend { name, address, shared }
    }

    /// Three, as most tests have them.
    pub(crate) fn three() -> [Backend; 3] {
        ["pod-a", "pod-b", "pod-c"].map(Backend::start)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has been sent.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Answers with `status` from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let _wake = TcpStream::connect(self.address);
        for connection in &*self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner) {
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, name: &'static str, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let handle = stream.try_clone().expect("a descriptor more");
        shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, name, &shared));
    }
}

/// Until the other side closes.
fn serve(stream: TcpStream, name: &str, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream)? {
        io::copy(&mut io::Read::take(&mut stream, Head::parse(&head).length() as u64), &mut io::sink())?;
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let status = shared.status.load(Ordering::Relaxed);
        let answer = format!(
            "HTTP/1.1 {status} As Told\r\nx-backend: {name}\r\ncontent-length: {}\r\n\r\n{head}",
            head.len()
        );
        stream.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}
