//! Network namespaces: a test's own addresses, ports, routes and rules.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{process, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::until;

/// Runs `test` in a network namespace of its own that has nothing but the loopback interface.
///
/// Sockets, threads and processes that the test makes are all in it. The test gets a thread of its own, because the harness
/// would use this one for the next test.
pub(crate) fn isolated(test: impl FnOnce() + Send) {
    let namespace = Namespace::new();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let outcome = thread::scope(|scope| {
        let run = || namespace.enter(test);
        thread::Builder::new().name(name).spawn_scoped(scope, run).expect("threads are to be had").join()
    });
    outcome.unwrap_or_else(|panic| panic::resume_unwind(panic));
}

/// A network namespace; gone with its interfaces and rules when it is dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with its loopback interface up.
    pub(crate) fn new() -> Namespace {
        let name = Namespace::unused_name();
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Namespace { name }
    }

    /// The one of a process of this machine; the process keeps it when this is dropped.
    pub(crate) fn of_process(number: u32) -> Namespace {
        let name = Namespace::unused_name();
        ip(&["netns", "attach", &name, &number.to_string()]);
        Namespace { name }
    }

    fn unused_name() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("svcmesh-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs `act` with this thread in the namespace: what it binds, connects and spawns is inside.
    pub(crate) fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let _back =
            Back { outside: File::open("/proc/thread-self/ns/net").expect("every thread has a namespace") };
        join(&File::open(format!("/run/netns/{}", self.name)).expect("`ip netns add` made it"));
        act()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// A pod and the network around it: two namespaces joined by a veth pair.
///
/// The pod is [`POD_V4`] and [`POD_V6`] and sends everything else to the node. The node has [`Pod::BACKENDS`] addresses
/// of each family for peers: [`Pod::backend_v4`], [`Pod::backend_v6`].
pub(crate) struct Pod {
    pub(crate) node: Namespace,
}

impl Pod {
    /// How many addresses of each family the node has.
    pub(crate) const BACKENDS: u8 = 3;

    /// Makes a pod of the namespace that the caller is in.
    pub(crate) fn here() -> Pod {
        let node = Namespace::new();
        ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "pod0", "netns", &node.name]);
        // The far end first: the end that comes up last is of use at once, the other one after up to a second.
        node.enter(|| addresses("pod0", &["10.1.0.1/24", "fd00:10:1::1/64"]));
        addresses("eth0", &[POD_V4, POD_V6]);
        for number in 1..=Pod::BACKENDS {
            let (v4, v6) =
                (format!("{}/32", Pod::backend_v4(number)), format!("{}/128", Pod::backend_v6(number)));
            node.enter(|| addresses("lo", &[&v4, &v6]));
        }
        ip(&["route", "add", "default", "via", "10.1.0.1"]);
        ip(&["-6", "route", "add", "default", "via", "fd00:10:1::1"]);
        for address in [Pod::backend_v4(1), Pod::backend_v6(1)] {
            until("the node answers, as neighbours do a moment after they came up", || {
                answers(&address).then_some(())
            });
        }
        Pod { node }
    }

    /// The pod's own address of each family.
    pub(crate) const OWN: [&str; 2] = ["10.1.0.2", "fd00:10:1::2"];

    /// An address of the node, 1 to [`Pod::BACKENDS`].
    pub(crate) fn backend_v4(number: u8) -> String {
        format!("10.1.1.{number}")
    }

    /// The same of the other family.
    pub(crate) fn backend_v6(number: u8) -> String {
        format!("fd00:10:1:1::{number}")
    }
}

impl Pod {
    /// Gives the node one more address, which the pod reaches as it does any other.
    pub(crate) fn node_also_is(&self, address: &str) {
        let prefix = if address.contains(':') { 128 } else { 32 };
        self.node.enter(|| addresses("lo", &[&format!("{address}/{prefix}")]));
    }

    /// From here on what is sent to that address of the node is lost without a word, on open connections too.
    pub(crate) fn blackhole(&self, number: u8) {
        let address = format!("{}/32", Pod::backend_v4(number));
        self.node.enter(|| {
            // The route first: what leads nowhere is not even refused.
            ip(&["route", "add", "blackhole", &address, "metric", "1"]);
            ip(&["address", "delete", &address, "dev", "lo"]);
        });
    }
}

/// Gives the namespace of the caller one more address, for itself alone.
pub(crate) fn here_also_is(address: &str) {
    addresses("lo", &[&format!("{address}/32")]);
}

/// Whether somebody is there: nobody listens yet, and says so.
fn answers(address: &str) -> bool {
    let address = SocketAddr::new(address.parse().expect("an address of ours"), 9);
    let refused = TcpStream::connect_timeout(&address, Duration::from_millis(200));
    refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// The pod's own addresses.
pub(crate) const POD_V4: &str = "10.1.0.2/24";
pub(crate) const POD_V6: &str = "fd00:10:1::2/64";

/// Back to where the thread came from, also when the act panicked.
struct Back {
    outside: File,
}

impl Drop for Back {
    fn drop(&mut self) {
        join(&self.outside);
    }
}

fn join(namespace: &File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may change namespaces");
}

fn addresses(interface: &str, addresses: &[&str]) {
    for address in addresses {
        // nodad: an IPv6 address is of use at once, nobody else can have it.
        let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        ip(&[&["address", "add", address, "dev", interface], nodad].concat());
    }
    ip(&["link", "set", interface, "up"]);
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {} failed: {said}", arguments.join(" "));
}
