//! Lines under snapshot, and a reader that has stopped.

use std::io;
use std::sync::{Condvar, Mutex};
use std::time::UNIX_EPOCH;

use super::*;

fn head() -> LoggedHead {
    LoggedHead {
        method: "GET".to_owned(),
        path: "/cart?id=1".to_owned(),
        host: "web.shop".to_owned(),
        version: Some("HTTP/1.1"),
        scheme: None,
    }
}

fn request() -> LogRecord {
    LogRecord {
        time: UNIX_EPOCH + Duration::from_millis(1_795_407_938_123),
        kind: RecordKind::Request,
        client: "10.0.0.1:41000".parse().unwrap(),
        peer: None,
        service: Some("shop/web".into()),
        endpoint: Some("10.1.2.3:8080".parse().unwrap()),
        protocol: "http/1.1",
        request: Some(head()),
        status: Some(200),
        call: None,
        code: None,
        bytes_in: 0,
        bytes_out: 512,
        duration: Duration::from_micros(1234),
        retries: 0,
    }
}

fn failed_connection() -> LogRecord {
    LogRecord {
        kind: RecordKind::Connection,
        client: "[2001:db8::1]:41000".parse().unwrap(),
        peer: Some("10.0.0.9:50000".parse().unwrap()),
        endpoint: None,
        protocol: "tcp",
        request: None,
        status: None,
        code: Some("MN"),
        bytes_out: 0,
        retries: 2,
        ..request()
    }
}

fn hostile() -> LogRecord {
    LogRecord {
        client: "[::ffff:10.0.0.1]:41000".parse().unwrap(),
        request: Some(LoggedHead {
            path: "/\" 200 1\r\nforged \\ \u{1b}[2J \u{9b}2J \u{7f} é\t\u{b}\u{8}".to_owned(),
            host: "\"},{\"\0".to_owned(),
            ..head()
        }),
        ..request()
    }
}

/// A call of gRPC, a request to a proxy, a tunnel, and a request of HTTP/1.0.
fn others() -> [LogRecord; 4] {
    let call = LoggedHead {
        method: "POST".to_owned(),
        path: "/cart.Cart/Add".to_owned(),
        version: Some("HTTP/2.0"),
        ..head()
    };
    let tunnel = LoggedHead { method: "CONNECT".to_owned(), path: "web.shop:443".to_owned(), ..head() };
    [
        LogRecord { request: Some(call), protocol: "grpc", call: Some(Status::Unavailable), ..request() },
        LogRecord { request: Some(LoggedHead { scheme: Some("http".to_owned()), ..head() }), ..request() },
        LogRecord { request: Some(tunnel), kind: RecordKind::Connection, protocol: "tcp", ..request() },
        LogRecord { request: Some(LoggedHead { version: Some("HTTP/1.0"), ..head() }), ..request() },
    ]
}

fn all() -> impl Iterator<Item = LogRecord> {
    [request(), failed_connection(), hostile()].into_iter().chain(others())
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: AccessLogFormat, records: impl IntoIterator<Item = LogRecord>) -> String {
    let out = Shared::default();
    let (log, thread) = AccessLog::start(format, out.clone(), Arc::default()).unwrap();
    records.into_iter().for_each(|record| log.write(record));
    drop(log);
    thread.join().unwrap();
    let bytes = out.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_lines_have_stable_fields_and_escape_what_clients_chose() {
    insta::assert_snapshot!(written(AccessLogFormat::Json, all()));
}

#[test]
fn common_lines_are_apaches_and_escape_what_clients_chose() {
    insta::assert_snapshot!(written(AccessLogFormat::Common, all()));
}

#[test]
fn a_request_line_that_was_not_understood_is_a_dash_in_common_lines() {
    let bad = LoggedHead { method: "BAD".to_owned(), path: String::new(), version: None, ..head() };
    let line = written(AccessLogFormat::Common, [LogRecord { request: Some(bad), ..request() }]);
    assert!(line.contains("] \"-\" 200 "), "{line}");
}

#[test]
fn a_json_line_can_be_read_again() {
    let line = written(AccessLogFormat::Json, [hostile()]);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["request.path"].as_str(), hostile().request.map(|head| head.path).as_deref());
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn what_clients_make_long_is_cut_between_characters() {
    let long = LogRecord { request: Some(LoggedHead { path: "é".repeat(3000), ..head() }), ..request() };
    let value: serde_json::Value = serde_json::from_str(&written(AccessLogFormat::Json, [long])).unwrap();
    assert_eq!(value["request.path"].as_str().unwrap().len(), TEXT_BYTES_MAX);
}

/// Writes nothing until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>, Shared);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_stopped_costs_lines_and_no_time() {
    let gate = Gate::default();
    let counted = Arc::new(AtomicU64::new(0));
    let (log, thread) = AccessLog::start(AccessLogFormat::Common, gate.clone(), counted.clone()).unwrap();
    let sent = 2 * QUEUE_RECORDS;
    (0..sent).for_each(|_| log.write(request())); // would hang here if it waited
    let dropped = counted.load(Ordering::Relaxed);
    gate.open();
    drop(log);
    thread.join().unwrap();
    let written = gate.1.0.lock().unwrap().iter().filter(|&&byte| byte == b'\n').count();
    assert!(dropped > 0);
    assert_eq!(written as u64 + dropped, sent as u64);
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_for_a_reader_that_is_gone_are_counted() {
    let dropped = Arc::new(AtomicU64::new(0));
    let (log, thread) = AccessLog::start(AccessLogFormat::Json, Closed, dropped.clone()).unwrap();
    (0..3).for_each(|_| log.write(request()));
    drop(log);
    thread.join().unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}
