//! Clients that ask once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// What `program` printed. A failure is part of the answer: its standard error stands where the output would.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let text = if output.status.success() { output.stdout } else { output.stderr };
    String::from_utf8_lossy(&text).into_owned()
}

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status of the last response, 0 when there was none.
    pub(crate) status: u16,
    /// The connections it opened for all of its requests.
    pub(crate) connections: usize,
    /// All bodies, one after the other.
    pub(crate) body: String,
}

/// Runs curl, for at most 30 seconds. `arguments` name one or more URLs; one run keeps its connection alive between them.
pub(crate) fn curl(arguments: &[&str]) -> Answer {
    let write = ["-sS", "--max-time", "30", "-w", "%{stderr}%{http_code} %{num_connects}\n"];
    let output = Command::new("curl").args(write).args(arguments).output().expect("curl is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    let figures = || report.lines().filter_map(|line| line.split_once(' '));
    Answer {
        status: figures().filter_map(|(status, _)| status.parse().ok()).next_back().unwrap_or(0),
        connections: figures().filter_map(|(_, connects)| connects.parse::<usize>().ok()).sum(),
        body: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

/// Asks `address` for `path` with the plainest possible HTTP: the status and the body, or nothing when nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
