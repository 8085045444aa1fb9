//! The scenarios, and the figure that each yields.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::peer::{Peer, Role, address};
use super::process::{LOAD_CORE, on_core};
use crate::clock::now;
use crate::{Result, shell};

/// What is asked of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// HTTP/1.1, small answers, as fast as it goes.
    A,
    /// HTTP/1.1, large answers.
    B,
    /// HTTP/1.1, small answers, at a rate that leaves the proxy idle most of the time.
    AtRate,
    /// TCP, small answers over kept-alive connections.
    D1,
    /// HTTP/2, small answers.
    E,
    /// TLS, a connection with a full handshake for each small answer.
    F,
    /// TLS, small answers over kept-alive connections.
    FK,
    /// Memory of a proxy that nobody talks to.
    Idle,
    /// Memory of a client that has nothing to say at the moment.
    Connection,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 9] = [
        Scenario::A,
        Scenario::B,
        Scenario::AtRate,
        Scenario::D1,
        Scenario::E,
        Scenario::F,
        Scenario::FK,
        Scenario::Idle,
        Scenario::Connection,
    ];

    pub(crate) fn parse(name: &str) -> Result<Scenario> {
        let known = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
        let names = Scenario::ALL.map(Scenario::name).join(" ");
        known.ok_or_else(|| format!("unknown scenario `{name}`: one of {names} scale envoy api").into())
    }

    /// What one unit of [`Figure::cost`] is.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Scenario::A
            | Scenario::B
            | Scenario::AtRate
            | Scenario::D1
            | Scenario::E
            | Scenario::F
            | Scenario::FK => "µs/request",
            Scenario::Idle => "MiB",
            Scenario::Connection => "KiB",
        }
    }

    /// The head of what a [`Figure`] shows beside its cost.
    pub(crate) fn load_columns(self) -> &'static str {
        match self {
            Scenario::A
            | Scenario::B
            | Scenario::AtRate
            | Scenario::D1
            | Scenario::E
            | Scenario::F
            | Scenario::FK => "    requests/s   busy",
            Scenario::Idle | Scenario::Connection => "",
        }
    }

    /// Puts the load on `peer` for `time` after a second of warming up.
    pub(crate) fn measure(self, peer: &Peer, time: Duration) -> Result<Figure> {
        match self {
            Scenario::Idle => Ok(Figure::memory(peer.process.rss_kib()? / 1024.0)),
            Scenario::Connection => connection(peer),
            Scenario::A
            | Scenario::B
            | Scenario::AtRate
            | Scenario::D1
            | Scenario::E
            | Scenario::F
            | Scenario::FK => {
                self.load(Duration::from_secs(1))?;
                let (cpu, start) = (peer.process.cpu()?, now());
                let requests = self.load(time)?;
                Ok(Figure::cpu(peer.process.cpu()? - cpu, now() - start, requests))
            }
        }
    }

    /// Runs the load generator; the requests that were answered with 200.
    fn load(self, time: Duration) -> Result<f64> {
        let (http1, http2, tcp) = (address(Role::Http1), address(Role::Http2), address(Role::Tcp));
        match self {
            Scenario::A => wrk(&format!("http://{http1}/1"), CONNECTIONS_OPEN, time),
            Scenario::B => wrk(&format!("http://{http1}/64"), CONNECTIONS_OPEN, time),
            Scenario::AtRate => {
                h2load(&["--h1", "-c64", "-m1", "--rps=62.5"], &format!("http://{http1}/1"), time)
            }
            Scenario::D1 => wrk(&format!("http://{tcp}/1"), CONNECTIONS_OPEN, time),
            Scenario::F => handshakes(&address(Role::Tls), time),
            Scenario::FK => wrk(&format!("https://{}/1", address(Role::Tls)), CONNECTIONS_OPEN, time),
            Scenario::E => h2load(&["-c4", "-m64"], &format!("http://{http2}/1"), time),
            Scenario::Idle | Scenario::Connection => Ok(0.0),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scenario::A => "A",
            Scenario::B => "B",
            Scenario::AtRate => "AR",
            Scenario::D1 => "D1",
            Scenario::E => "E",
            Scenario::F => "F",
            Scenario::FK => "FK",
            Scenario::Idle => "idle",
            Scenario::Connection => "conn",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Scenario::A => "HTTP/1.1, 64 kept-alive connections, 1 KiB",
            Scenario::B => "HTTP/1.1, 64 kept-alive connections, 64 KiB",
            Scenario::AtRate => "HTTP/1.1, 64 kept-alive connections, 1 KiB, 4000 requests/s",
            Scenario::D1 => "TCP, 64 kept-alive connections, 1 KiB",
            Scenario::E => "HTTP/2 with prior knowledge, 4 connections of 64 streams, 1 KiB",
            Scenario::F => "TLS 1.3, a full handshake (ECDSA P-256) for each request, 8 clients, 1 KiB",
            Scenario::FK => "HTTP/1.1 within TLS 1.3, 64 kept-alive connections, 1 KiB",
            Scenario::Idle => "resident memory after the start",
            Scenario::Connection => "resident memory per idle HTTP/1.1 connection",
        };
        write!(f, "{}: {what}", self.name())
    }
}

/// What one round showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// In the scenario's unit.
    pub(crate) cost: f64,
    /// Requests a second and the share of its core that the proxy had, where there was load.
    rate: Option<(f64, f64)>,
}

impl Figure {
    pub(crate) fn cpu(cpu: Duration, wall: Duration, requests: f64) -> Figure {
        let seconds = wall.as_secs_f64();
        Figure {
            cost: cpu.as_secs_f64() * 1e6 / requests,
            rate: Some((requests / seconds, cpu.as_secs_f64() / seconds)),
        }
    }

    fn memory(cost: f64) -> Figure {
        Figure { cost, rate: None }
    }

    /// The round whose cost is in the middle.
    pub(crate) fn median(mut rounds: Vec<Figure>) -> Figure {
        rounds.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        rounds[rounds.len() / 2]
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some((rate, busy)) => write!(f, "{rate:14.0} {busy:6.2}"),
            None => Ok(()),
        }
    }
}

/// Kept-alive connections of every load by wrk.
pub(crate) const CONNECTIONS_OPEN: usize = 64;

/// The requests that were answered with 200.
pub(crate) fn wrk(url: &str, connections: usize, time: Duration) -> Result<f64> {
    let mut command = on_core(LOAD_CORE, Path::new("wrk"));
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", time.as_secs()), url]);
    let output = shell::run(command).output;
    if output.contains("Non-2xx") || output.contains("Socket errors") {
        return Err(format!("wrk saw errors:\n{output}").into());
    }
    number_before(&output, " requests in")
}

fn h2load(arguments: &[&str], url: &str, time: Duration) -> Result<f64> {
    let mut command = on_core(LOAD_CORE, Path::new("h2load"));
    command.args(arguments).args([&format!("-D{}", time.as_secs()), url]);
    let output = shell::run(command).output;
    if !output.contains(" 0 3xx, 0 4xx, 0 5xx") {
        return Err(format!("h2load saw errors:\n{output}").into());
    }
    number_before(&output, " 2xx")
}

/// Each client makes one connection after the other, with nothing to resume, and asks once on each.
fn handshakes(address: &str, time: Duration) -> Result<f64> {
    let clients: Vec<_> = (0..HANDSHAKE_CLIENTS)
        .map(|_| {
            let mut command = on_core(LOAD_CORE, Path::new("openssl"));
            command.args(["s_time", "-connect", address, "-new", "-tls1_3", "-www", ONE_REQUEST]);
            command.args(["-time", &time.as_secs().to_string()]);
            thread::spawn(move || shell::run(command))
        })
        .collect();
    let mut connections = 0.0;
    for client in clients {
        let finished = client.join().map_err(|_| "a client of ours panicked")?;
        let answered = number_before(&finished.output, " bytes read per connection")? > 1024.0;
        if !finished.success || !answered {
            return Err(format!("s_time saw errors:\n{}", finished.output).into());
        }
        connections += number_before(&finished.output, " connections in")?;
    }
    Ok(connections)
}

/// s_time writes `GET … HTTP/1.0` around its path. Requests of today have a version and a host, so ours end the line themselves.
const ONE_REQUEST: &str = "/1 HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\nRest:";

/// Enough that the proxy always has something to do, and each waits for its turn.
const HANDSHAKE_CLIENTS: usize = 8;

/// The number that stands before `words` in the output of a load generator.
fn number_before(output: &str, words: &str) -> Result<f64> {
    let head = output.split(words).next().filter(|head| head.len() < output.len());
    let number = head.and_then(|head| head.rsplit([' ', '\n']).next());
    Ok(number.ok_or_else(|| format!("no `{words}` in:\n{output}"))?.parse()?)
}

/// Opens connections that each ask once and then stay; what each added to the proxy's memory.
fn connection(peer: &Peer) -> Result<Figure> {
    let _first = ask()?; // what the first connection brings with it is not the price of a connection
    let before = peer.process.rss_kib()?;
    let open = (0..CONNECTIONS).map(|_| ask()).collect::<Result<Vec<TcpStream>>>()?;
    let after = peer.process.rss_kib()?;
    drop(open);
    Ok(Figure::memory((after - before) / f64::from(CONNECTIONS)))
}

/// 900 sockets here, 900 and a few pooled ones in the proxy: below the usual soft limit of 1024 descriptors.
const CONNECTIONS: u16 = 900;

fn ask() -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address(Role::Http1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /1 HTTP/1.1\r\nHost: bench.test\r\n\r\n")?;
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    while !response.ends_with(&[b'x'; 1024]) {
        match stream.read(&mut buffer)? {
            0 => return Err("the proxy closed the connection".into()),
            count => response.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_round_in_the_middle() {
        let rounds = [3.0, 1.0, 2.0].map(Figure::memory).to_vec();
        assert!((Figure::median(rounds).cost - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_load_generators_are_read() {
        assert!((number_before("x\n  1204 requests in 1.00s", " requests in").unwrap() - 1204.0).abs() < 0.1);
        assert!((number_before("status codes: 88 2xx, 0 3xx", " 2xx").unwrap() - 88.0).abs() < 0.1);
        assert!(number_before("unable to connect", " 2xx").is_err());
    }
}
