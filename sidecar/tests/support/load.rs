//! Load generators, and what they saw.

use std::time::Duration;

use super::output_of;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Responses, of any status.
    pub(crate) responses: u64,
    /// Responses of another status than 2xx and 3xx.
    pub(crate) refused: u64,
    /// Requests without a response: connect, read, write errors and timeouts.
    pub(crate) broken: u64,
}

/// wrk: HTTP/1.1 over `connections` kept-alive connections, as fast as it goes.
pub(crate) fn wrk(url: &str, connections: u32, time: Duration) -> Load {
    wrk_with(&[], url, connections, time)
}

/// The same with further arguments.
pub(crate) fn wrk_with(arguments: &[&str], url: &str, connections: u32, time: Duration) -> Load {
    let (connections, time) = (format!("-c{connections}"), format!("-d{}s", time.as_secs()));
    read_wrk(&output_of("wrk", &[arguments, &["-t1", &connections, &time, url]].concat()))
}

/// h2load: `requests` over HTTP/2 with prior knowledge, `streams` at a time on each of `connections`.
pub(crate) fn h2load(url: &str, requests: u32, connections: u32, streams: u32) -> Load {
    let (n, c, m) = (format!("-n{requests}"), format!("-c{connections}"), format!("-m{streams}"));
    read_h2load(&output_of("h2load", &[&n, &c, &m, "--connection-inactivity-timeout=10", url]))
}

fn read_wrk(output: &str) -> Load {
    let line = |start: &str| output.lines().find_map(|line| line.trim_start().strip_prefix(start));
    let errors = line("Socket errors:").map_or(0, |errors| numbers(errors).sum());
    Load {
        responses: output.lines().find(|line| line.contains(" requests in ")).map_or(0, first_number),
        refused: line("Non-2xx or 3xx responses:").map_or(0, first_number),
        broken: errors,
    }
}

fn read_h2load(output: &str) -> Load {
    let line = |start: &str| output.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    let requests: Vec<u64> = numbers(line("requests:")).collect(); // total, started, done, succeeded, failed, errored, timeout
    let codes: Vec<u64> = line("status codes:").split(',').map(first_number).collect(); // 2xx, 3xx, 4xx, 5xx
    Load {
        responses: codes.iter().sum(),
        refused: codes.iter().skip(2).sum(),
        broken: requests.iter().skip(5).sum(),
    }
}

fn first_number(text: &str) -> u64 {
    numbers(text).next().unwrap_or(0)
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split([' ', ',']).filter_map(|word| word.parse().ok())
}

#[test]
fn what_wrk_prints_is_read() {
    let output = "Running 1s test @ http://127.0.0.1:9/\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n  12045 requests in 1.00s, 3.33MB read\n  \
        Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 7\nRequests/sec:  12044.1\n";
    assert_eq!(read_wrk(output), Load { responses: 12_045, refused: 7, broken: 4_321 });
}

#[test]
fn what_h2load_prints_is_read() {
    let output = "finished in 1.5ms, 6514.66 req/s, 1.02MB/s\n\
        requests: 10 total, 10 started, 9 done, 8 succeeded, 1 failed, 1 errored, 0 timeout\n\
        status codes: 8 2xx, 0 3xx, 0 4xx, 1 5xx\ntraffic: 1.63KB (1670) total\n";
    assert_eq!(read_h2load(output), Load { responses: 9, refused: 1, broken: 1 });
}
