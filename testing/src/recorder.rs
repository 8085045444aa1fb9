//! A backend that keeps every byte it is sent: what the far side of a proxy really sees.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Listens, records, and answers each connection's every request head with the same response.
pub struct Recorder {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What each connection was sent, in the order in which they came.
    connections: Mutex<Vec<Vec<u8>>>,
    closed: AtomicBool,
}

impl Recorder {
    /// Listens on `address`. `response` is sent as it is, once for each blank line that ends a head.
    pub fn start(address: &str, response: &'static str) -> Recorder {
        let listener = TcpListener::bind(address).expect("addresses in a namespace are free");
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, response, &shared)
        });
        Recorder { address: address.to_owned(), shared }
    }

    /// What each connection was sent so far, as text (a byte that is none shows as U+FFFD).
    pub fn received(&self) -> Vec<String> {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let _wake = TcpStream::connect(&self.address);
    }
}

fn accept(listener: &TcpListener, response: &'static str, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        let number = {
            let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.push(Vec::new());
            connections.len() - 1
        };
        thread::spawn(move || record(stream, response, &shared, number));
    }
}

fn record(mut stream: TcpStream, response: &str, shared: &Shared, number: usize) {
    stream.set_read_timeout(Some(LIFE)).expect("a timeout above zero is legal");
    let mut buffer = [0; 4096];
    let mut answered = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let heads = {
            let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections[number].extend_from_slice(&buffer[..count]);
            connections[number].windows(4).filter(|window| window == b"\r\n\r\n").count()
        };
        for _ in answered..heads {
            let _closed = stream.write_all(response.as_bytes());
        }
        answered = heads;
    }
}

/// The longest that a connection may stay silent: longer than any deadline of a test.
const LIFE: Duration = Duration::from_secs(30);
