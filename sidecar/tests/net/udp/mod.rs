//! Datagrams through a loopback VIP: the Service `echo`, UDP port 7, over endpoints on the node.

mod captured;
mod endpoints;
mod flows;
mod limits;
mod servers;
mod sockets;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::*;

/// Makes `echo` listen at 127.66.0.7.
const VIP: &[&str] = &["--loopback-vips", "echo.default=127.66.0.7"];

/// Where it listens.
const ECHO: &str = "127.66.0.7:7";

/// The Service `echo` and its endpoints, by their numbers.
fn documents(endpoints: impl IntoIterator<Item = u8>) -> String {
    let addresses: Vec<String> = endpoints.into_iter().map(Pod::backend_v4).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    [udp_service("echo", "10.96.0.7", 7), udp_slice("echo", &addresses, 7)].join("---\n")
}

/// Makes a Service of one family one of both.
const DUAL: &str = "clusterIPs: [\"10.96.0.7\", \"fd00:10:96::7\"]\n  ipFamilyPolicy: RequireDualStack";

/// The same with this line in the Service's `spec`.
fn documents_with(spec: &str, endpoints: impl IntoIterator<Item = u8>) -> String {
    documents(endpoints).replacen("spec:\n", &format!("spec:\n  {spec}\n"), 1)
}

/// The same with this annotation.
fn annotated(annotation: &str, endpoints: impl IntoIterator<Item = u8>) -> String {
    let metadata = format!("name: echo, annotations: {{ svcmesh.dev/{annotation} }}");
    documents(endpoints).replacen("name: echo", &metadata, 1)
}

fn udp_service(name: &str, cluster_ip: &str, port: u16) -> String {
    service(name, &[cluster_ip], port, "x").replace("appProtocol: x", "protocol: UDP")
}

fn udp_slice(service: &str, addresses: &[&str], port: u16) -> String {
    slice(service, addresses, port)
        .replace(&format!("{{ port: {port} }}"), &format!("{{ port: {port}, protocol: UDP }}"))
}

/// An endpoint of `echo`: sends each datagram back with its own number in the place of the first byte.
struct Echo {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(pod: &Pod, number: u8) -> Echo {
        Echo::at(pod, &Pod::backend_v4(number), number)
    }

    fn at(pod: &Pod, address: &str, number: u8) -> Echo {
        let socket = pod.node.enter(|| UdpSocket::bind((address, 7))).expect("addresses of a node are free");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout above zero is legal");
        let ended = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let ended = ended.clone();
            move || serve(&socket, number, &ended)
        });
        Echo { ended, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _closed = self.thread.take().map(JoinHandle::join); // from here on nobody is there
    }
}

fn serve(socket: &UdpSocket, number: u8, ended: &AtomicBool) {
    let mut datagram = vec![0; 1 << 16];
    while !ended.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
        datagram[..length].iter_mut().take(1).for_each(|first| *first = number);
        let _gone = socket.send_to(&datagram[..length], client);
    }
}

/// One client of `echo`: a port of its own.
struct Client(UdpSocket);

impl Client {
    fn new() -> Client {
        Client::from("127.0.0.1")
    }

    fn from(address: &str) -> Client {
        Client::of(address, ECHO)
    }

    fn of(address: &str, destination: &str) -> Client {
        let socket = UdpSocket::bind((address, 0)).expect("the address is ours");
        // What comes from elsewhere than the address that it sends to is not for it.
        socket.connect(destination).expect("there is a way to it");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        Client(socket)
    }

    fn send(&self, datagram: &[u8]) {
        self.0.send(datagram).expect("the VIP listens");
    }

    fn hear(&self) -> Vec<u8> {
        let mut datagram = vec![0; 1 << 16];
        let length = self.0.recv(&mut datagram).expect("an endpoint answers");
        datagram.truncate(length);
        datagram
    }

    /// The number of the endpoint that answers.
    fn ask(&self) -> u8 {
        self.send(b"?");
        self.hear()[0]
    }

    /// Asks until somebody answers: a datagram that is refused is lost, and the next one goes elsewhere.
    fn ask_until_answered(&self) -> u8 {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout above zero is legal");
        let answer = until("somebody answers", || self.try_ask().ok());
        self.0.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        answer
    }

    fn try_ask(&self) -> io::Result<u8> {
        let mut datagram = [0];
        self.0.send(b"?")?;
        self.0.recv(&mut datagram)?;
        Ok(datagram[0])
    }

    /// Asks once, and does not mind whether somebody answers within `patience`.
    fn try_ask_for(&self, patience: Duration) {
        self.0.set_read_timeout(Some(patience)).expect("a timeout above zero is legal");
        let _answer = self.try_ask();
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }
}

/// How many datagrams the sidecar has counted so: `received`, `forwarded`, or `dropped` for all reasons, and which way.
fn datagrams(sidecar: &Sidecar, what: &str, flow: &str) -> u64 {
    let sample = format!("svcmesh_udp_datagrams_{what}_total{{direction=\"outbound\",flow={flow:?}");
    sidecar.measured(&sample).iter().sum()
}

fn dropped(sidecar: &Sidecar, reason: &str) -> u64 {
    let sample = format!(
        "svcmesh_udp_datagrams_dropped_total{{direction=\"outbound\",flow=\"to_upstream\",reason={reason:?}}}"
    );
    sidecar.measured(&sample)[0]
}

fn flows(sidecar: &Sidecar) -> u64 {
    sidecar.measured("svcmesh_udp_flows ")[0]
}

/// The records of flows so far.
fn records(sidecar: &Sidecar) -> Vec<serde_json::Value> {
    sidecar.access_log().into_iter().filter(|record| record["protocol"] == "udp").collect()
}

/// The codes of the first `count` of them, which a thread of its own writes.
fn codes(sidecar: &Sidecar, count: usize) -> Vec<serde_json::Value> {
    let codes = || records(sidecar).into_iter().map(|record| record["failure.code"].clone());
    until("the records are written", || (codes().len() >= count).then(|| codes().collect()))
}

/// Waits until that many answers are counted: a client may hear of one before.
fn until_answered(sidecar: &Sidecar, count: u64) {
    until("all answers are counted", || {
        (datagrams(sidecar, "forwarded", "to_client") == count).then_some(())
    });
}

const PATIENCE: Duration = Duration::from_secs(10);
