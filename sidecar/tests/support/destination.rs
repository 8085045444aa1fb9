//! Listeners that tell each client where its connection was going, and where it ended up.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// A listener whose clients are told its name, and what conntrack remembers of their destination.
pub(crate) struct Told {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Told {
    /// Listens on `address`, an address and a port, and says `name` first.
    pub(crate) fn at(address: &str, name: &'static str) -> Told {
        let address: SocketAddr = address.parse().expect("an address and a port");
        let listener = TcpListener::bind(address).expect("addresses in a namespace are free");
        let closed = Arc::new(AtomicBool::new(false));
        let told = Told { address, closed: closed.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take_while(|_| !closed.load(Ordering::Relaxed)) {
                let _gone = tell(&stream, name);
            }
        });
        told
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let _wake = TcpStream::connect(self.address);
    }
}

/// `captured from 10.1.1.1:80`, or only `direct` where the connection came to where it was going.
fn tell(mut stream: &TcpStream, name: &str) -> std::io::Result<()> {
    let (socket, here) = (SockRef::from(stream), canonical(stream.local_addr()?));
    let original = if here.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    match original.ok().and_then(|original| original.as_socket()) {
        Some(original) if original != here => writeln!(stream, "{name} from {original}"),
        Some(_) | None => writeln!(stream, "{name}"),
    }
}

/// An IPv4 address as such, also on a socket of both families.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An address of either family and a port, as URLs have them.
pub(crate) fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Connects to `address` and reads what it is told; or the error that it met.
pub(crate) fn ask_where(address: &str) -> String {
    let address: SocketAddr = address.parse().expect("an address and a port");
    let told = TcpStream::connect_timeout(&address, Duration::from_secs(5)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut told = String::new();
        stream.read_to_string(&mut told).map(|_| told)
    });
    told.map_or_else(|error| error.kind().to_string(), |told| told.trim_end().to_owned())
}
