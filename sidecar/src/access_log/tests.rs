//! Lines under snapshot, and a reader that has stopped.

use std::io;
use std::sync::{Condvar, Mutex};
use std::time::UNIX_EPOCH;

use super::*;

fn request() -> Record {
    Record {
        time: UNIX_EPOCH + Duration::from_millis(1_795_407_938_123),
        kind: Kind::Request,
        client: "10.0.0.1:41000".parse().unwrap(),
        peer: None,
        service: Some("shop/web".into()),
        endpoint: Some("10.1.2.3:8080".parse().unwrap()),
        protocol: "HTTP/1.1",
        method: Some("GET".to_owned()),
        path: Some("/cart?id=1".to_owned()),
        host: Some("web.shop".to_owned()),
        status: Some(200),
        code: None,
        bytes_in: 0,
        bytes_out: 512,
        duration: Duration::from_micros(1234),
        retries: 0,
    }
}

fn failed_connection() -> Record {
    Record {
        kind: Kind::Connection,
        client: "[2001:db8::1]:41000".parse().unwrap(),
        peer: Some("10.0.0.9:50000".parse().unwrap()),
        endpoint: None,
        protocol: "tcp",
        method: None,
        path: None,
        host: None,
        status: None,
        code: Some("MN"),
        bytes_out: 0,
        retries: 2,
        ..request()
    }
}

fn hostile() -> Record {
    Record {
        client: "[::ffff:10.0.0.1]:41000".parse().unwrap(),
        path: Some("/\" 200 1\r\nforged \\ \u{1b}[2J \u{9b}2J \u{7f} é".to_owned()),
        host: Some("\"},{\"\0".to_owned()),
        ..request()
    }
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

fn written(format: AccessLogFormat, records: impl IntoIterator<Item = Record>) -> String {
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
    insta::assert_snapshot!(written(AccessLogFormat::Json, [request(), failed_connection(), hostile()]));
}

#[test]
fn common_lines_are_apaches_and_escape_what_clients_chose() {
    insta::assert_snapshot!(written(AccessLogFormat::Common, [request(), failed_connection(), hostile()]));
}

#[test]
fn a_json_line_can_be_read_again() {
    let line = written(AccessLogFormat::Json, [hostile()]);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["request.path"].as_str(), hostile().path.as_deref());
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn what_clients_make_long_is_cut_between_characters() {
    let long = Record { path: Some("é".repeat(3000)), ..request() };
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
