//! Name servers: a real one, and one played by the test where a real one cannot be made to misbehave.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{folder, peer};
use super::{Process, until};

/// One dnsmasq, which knows what its hosts file says and denies everything else.
pub(crate) struct Dnsmasq {
    process: Process,
    options: Vec<String>,
    hosts: TempDir,
}

impl Dnsmasq {
    /// Listens on `address`, port 53. Records live for `ttl_seconds`. What it is asked stands in its log.
    pub(crate) fn start(address: &str, ttl_seconds: u32, options: &[&str]) -> Dnsmasq {
        Dnsmasq::start_quiet(address, ttl_seconds, &[&["--log-queries"], options].concat())
    }

    /// The same for more questions than a log should hold.
    pub(crate) fn start_quiet(address: &str, ttl_seconds: u32, options: &[&str]) -> Dnsmasq {
        let hosts = folder();
        fs::write(hosts.path().join("hosts"), "").expect("the folder is ours");
        let fixed = [
            "--no-daemon --no-resolv --no-hosts --conf-file=/dev/null --pid-file --user=root --bind-interfaces",
            "--log-facility=- --local=/#/",
        ];
        let mut all: Vec<String> = fixed.join(" ").split(' ').map(str::to_owned).collect();
        all.push(format!("--listen-address={address}"));
        all.push(format!("--local-ttl={ttl_seconds}"));
        all.push(format!("--addn-hosts={}", hosts.path().join("hosts").display()));
        all.extend(options.iter().map(|option| (*option).to_owned()));
        Dnsmasq { process: run(&all), options: all, hosts }
    }

    /// Knows these names from now on, and no others.
    pub(crate) fn know(&self, names: &[(&str, &[&str])]) {
        self.know_next(names);
        let before = self.process.log().matches("read ").count();
        self.process.signal(Signal::HUP);
        until("dnsmasq has read its file", || {
            (self.process.log().matches("read ").count() > before).then_some(())
        });
    }

    /// Knows these names, and no others, from its next start on.
    pub(crate) fn know_next(&self, names: &[(&str, &[&str])]) {
        let lines = names
            .iter()
            .flat_map(|(name, addresses)| addresses.iter().map(move |address| format!("{address} {name}\n")));
        fs::write(self.hosts.path().join("hosts"), lines.collect::<String>()).expect("the folder is ours");
    }

    /// Ends it. Nobody answers until [`Dnsmasq::again`].
    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it anew, as it was.
    pub(crate) fn again(&mut self) {
        self.process = run(&self.options);
    }

    /// How often it was asked for a name, since it started.
    pub(crate) fn queries(&self, name: &str) -> usize {
        let asked = format!("] {name} from ");
        self.process.log().lines().filter(|line| line.contains("query[") && line.contains(&asked)).count()
    }
}

fn run(options: &[String]) -> Process {
    let mut command = peer("dnsmasq");
    command.args(options);
    let mut process = Process::start("dnsmasq", folder(), command);
    process.wait_for_log("read "); // its hosts file: it listens by then
    process
}

/// What the server that a test plays does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Answering {
    /// Answers with these addresses, of one family, which live for a second; none is NODATA.
    With(Vec<IpAddr>),
    /// The same, that much later.
    Late(Duration, Vec<IpAddr>),
    /// Answers with this code (RFC 1035 §4.1.1).
    Code(u8),
    /// Says nothing.
    Silent,
}

/// A name server played by the test: UDP only, and the same for every name.
pub(crate) struct Played {
    answering: Arc<Mutex<Answering>>,
    questions: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Played {
    /// Listens on `address`, port 53.
    pub(crate) fn start(address: &str, answering: Answering) -> Played {
        let socket = UdpSocket::bind((address, 53)).expect("addresses in a namespace are free");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout above zero is legal");
        let played = Played {
            answering: Arc::new(Mutex::new(answering)),
            questions: Arc::default(),
            ended: Arc::default(),
        };
        let (answering, questions, ended) =
            (played.answering.clone(), played.questions.clone(), played.ended.clone());
        thread::spawn(move || serve(&socket, &answering, &questions, &ended));
        played
    }

    /// Does so from now on.
    pub(crate) fn turn(&self, answering: Answering) {
        *self.answering.lock().unwrap_or_else(PoisonError::into_inner) = answering;
    }

    /// How many questions have come so far.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn serve(socket: &UdpSocket, answering: &Mutex<Answering>, questions: &AtomicUsize, ended: &AtomicBool) {
    let mut packet = [0; 512];
    while !ended.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
        questions.fetch_add(1, Ordering::Relaxed);
        let answering = answering.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (code, addresses, delay) = match answering {
            Answering::With(addresses) => (0, addresses, Duration::ZERO),
            Answering::Late(delay, addresses) => (0, addresses, delay),
            Answering::Code(code) => (code, Vec::new(), Duration::ZERO),
            Answering::Silent => continue,
        };
        let (reply, socket) = (response(&packet[..length], code, &addresses), socket.try_clone());
        thread::spawn(move || {
            thread::sleep(delay);
            let _gone = socket.map(|socket| socket.send_to(&reply, client));
        });
    }
}

/// RFC 1035 §4.1: the question's own head and section, and a record for each address of the family that was asked for.
fn response(query: &[u8], code: u8, addresses: &[IpAddr]) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|&byte| byte == 0).expect("a name ends") + 1;
    let question = &query[12..name_end + 4];
    let v4 = query[name_end + 1] == 1; // else 28, AAAA
    let own: Vec<_> = addresses.iter().filter(|address| address.is_ipv4() == v4).collect();
    let count = u8::try_from(own.len()).expect("these answers are short");
    let mut reply = [&query[..2], &[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
    for address in own {
        let data = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let length = u8::try_from(data.len()).expect("16 at most");
        reply.extend([0xc0, 12, 0, query[name_end + 1], 0, 1, 0, 0, 0, 1, 0, length]);
        reply.extend(data);
    }
    reply
}
