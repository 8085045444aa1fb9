//! A backend that says what a test tells it to, and keeps what it was sent.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::support::enter_own_network;
use super::wire::{Broken, Message, Wire};

/// A backend at a port of its own.
pub(crate) struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Message>>,
    connections: AtomicUsize,
    closed: AtomicBool,
}

/// One connection to a backend.
pub(crate) struct Talk {
    pub(crate) wire: Wire,
    /// Which connection it is, from 0.
    pub(crate) number: usize,
    shared: Arc<Shared>,
}

impl Backend {
    /// Holds `talk` on each connection.
    pub(crate) fn start(talk: impl Fn(&mut Talk) + Send + Sync + 'static) -> Backend {
        Backend::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), talk)
    }

    /// The same where one was before.
    pub(crate) fn start_at(address: SocketAddr, talk: impl Fn(&mut Talk) + Send + Sync + 'static) -> Backend {
        enter_own_network();
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &Arc::new(talk), &shared)
        });
        Backend { address, shared }
    }

    /// Gives each request the same response.
    pub(crate) fn answering(response: &'static str) -> Backend {
        Backend::start(move |talk| {
            while talk.request().is_ok() {
                talk.wire.send(response);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests since the last call. One that could be read in two ways shows as `ambiguous: …`.
    pub(crate) fn take_requests(&self) -> Vec<Message> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the requests that [`Backend::take_requests`] would take.
    pub(crate) fn requests(&self) -> impl Fn() -> usize + Send + 'static {
        let shared = self.shared.clone();
        move || shared.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.closed.store(true, Relaxed);
        let _wake = TcpStream::connect(self.address);
    }
}

fn accept(
    listener: &TcpListener,
    talk: &Arc<impl Fn(&mut Talk) + Send + Sync + 'static>,
    shared: &Arc<Shared>,
) {
    for stream in listener.incoming().flatten() {
        if shared.closed.load(Relaxed) {
            return;
        }
        let number = shared.connections.fetch_add(1, Relaxed);
        let (talk, shared) = (talk.clone(), shared.clone());
        thread::spawn(move || talk(&mut Talk { wire: Wire::new(stream), number, shared }));
    }
}

impl Talk {
    /// The next request, which is kept.
    pub(crate) fn request(&mut self) -> Result<Message, Broken> {
        let request = self.wire.request();
        match &request {
            Ok(request) => self.keep(request.clone()),
            Err(Broken::Ambiguous(text)) => {
                self.keep(Message { start: format!("ambiguous: {text}"), ..Message::default() });
            }
            Err(Broken::Closed | Broken::Silent | Broken::Truncated(_)) => {}
        }
        request
    }

    /// The head of the next request, which is kept.
    pub(crate) fn head(&mut self) -> Result<Message, Broken> {
        let head = self.wire.head()?;
        self.keep(head.clone());
        Ok(head)
    }

    fn keep(&self, request: Message) {
        self.keeper()(request);
    }

    /// Keeps requests that something else reads.
    pub(crate) fn keeper(&self) -> impl Fn(Message) + Send + 'static {
        let shared = self.shared.clone();
        move |request| shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request)
    }
}
