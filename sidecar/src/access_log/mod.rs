//! The access log: a line for each connection and each request, on a thread of its own, so that a reader of
//! stdout that has stopped delays no traffic: then lines are dropped, and counted.

mod civil;
mod common;
mod json;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use hyper::{Method, Version};
use svc_core::grpc::Status;

use crate::config::AccessLogFormat;

/// What is told of one connection or one request when it has ended.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// When it ended.
    pub time: SystemTime,
    /// What it was.
    pub kind: RecordKind,
    /// Who asked.
    pub client: SocketAddr,
    /// Who connected to us, if that is somebody else who speaks for the client.
    pub peer: Option<SocketAddr>,
    /// `namespace/name`, where a Service was meant.
    pub service: Option<Arc<str>>,
    /// The endpoint that was tried last.
    pub endpoint: Option<SocketAddr>,
    /// What was spoken.
    pub protocol: &'static str,
    /// The request's head, where there was one.
    pub request: Option<LoggedHead>,
    /// The response's status.
    pub status: Option<u16>,
    /// How a call of gRPC went.
    pub call: Option<Status>,
    /// The failure's two letters.
    pub code: Option<&'static str>,
    /// From the client to the endpoint.
    pub bytes_in: u64,
    /// From the endpoint to the client.
    pub bytes_out: u64,
    /// From the first byte to the last.
    pub duration: Duration,
    /// How many more endpoints were tried after the first.
    pub retries: u32,
}

/// What is told of the head of a request.
#[derive(Clone, Debug)]
pub struct LoggedHead {
    /// The method.
    pub method: String,
    /// Path and query; of a CONNECT its target.
    pub path: String,
    /// The host that the client asked for.
    pub host: String,
    /// The version as a request line has it; nothing where the line was not understood.
    pub version: Option<&'static str>,
    /// The scheme, where the request line has a whole URI.
    pub scheme: Option<String>,
}

/// What a [`LogRecord`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Bytes carried both ways.
    Connection,
    /// One exchange of HTTP.
    Request,
}

/// Where records go. Cheap to clone; the log ends when the last clone is gone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: SyncSender<LogRecord>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts the thread that writes to `out`. It ends, with everything written, once the last [`AccessLog`]
    /// is gone. `dropped` counts the lines that nobody will read.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        format: AccessLogFormat,
        out: impl Write + Send + 'static,
        dropped: Arc<AtomicU64>,
    ) -> std::io::Result<(AccessLog, JoinHandle<()>)> {
        let (queue, records) = sync_channel(QUEUE_RECORDS);
        let writer = Writer { format, out, dropped: dropped.clone() };
        let thread =
            thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&records))?;
        Ok((AccessLog { queue, dropped }, thread))
    }

    /// Hands a record over; never waits.
    pub fn write(&self, mut record: LogRecord) {
        if let Some(LoggedHead { method, path, host, .. }) = &mut record.request {
            [method, path, host].into_iter().for_each(cut);
        }
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer<W> {
    format: AccessLogFormat,
    out: W,
    dropped: Arc<AtomicU64>,
}

impl<W: Write> Writer<W> {
    /// Writes what there is in one go, so that a busy proxy makes few system calls and an idle one shows its
    /// lines at once.
    fn run(mut self, records: &Receiver<LogRecord>) {
        let mut batch = Vec::new();
        while let Ok(record) = records.recv() {
            self.line(&record, &mut batch);
            let mut lines = 1;
            while batch.len() < BATCH_BYTES
                && let Ok(record) = records.try_recv()
            {
                self.line(&record, &mut batch);
                lines += 1;
            }
            if self.out.write_all(&batch).and_then(|()| self.out.flush()).is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            batch.clear();
        }
    }

    fn line(&self, record: &LogRecord, batch: &mut Vec<u8>) {
        match self.format {
            AccessLogFormat::Json => json::line(record, batch),
            AccessLogFormat::Common => common::line(record, batch),
        }
        batch.push(b'\n');
    }
}

/// Keeps what a client may make long within [`TEXT_BYTES_MAX`], in memory too.
fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.shrink_to_fit();
    }
}

/// A tenth of a second at 20,000 requests a second. 2048 records × (3 texts × 2 KiB + 256 bytes) = 12.5 MiB
/// at the very worst.
const QUEUE_RECORDS: usize = 2048;

/// Longer paths exist, but nobody reads them in a log.
const TEXT_BYTES_MAX: usize = 2048;

/// Half of what a pipe takes: some 150 lines for one system call.
const BATCH_BYTES: usize = 32 * 1024;

/// The parts of a request's head that are logged.
pub(crate) struct RequestDetails {
    pub(crate) method: Option<Method>,
    pub(crate) path: String,
    pub(crate) host: String,
    /// Nothing where the request line was not understood.
    pub(crate) version: Option<Version>,
    /// Where the target was a whole URI, as proxies are asked (RFC 9112 §3.2.2).
    pub(crate) scheme: Option<String>,
}

#[cfg(test)]
mod tests;
