//! Logs: on stderr, because stdout belongs to the access log.
//!
//! The log is a queue like any other: bounded, written by a thread of its own, so that a reader of stderr that has stopped delays nobody; and
//! no remote fills it: lines of one kind are rate-limited, and dependencies log errors only.

mod filter;
mod queue;
mod rate;

use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Logs};
use crate::error::RunError;

use queue::Queue;
use rate::RateLimit;

pub(crate) use queue::LINES_LOST;
pub(crate) use rate::LINES_SUPPRESSED;

/// Sends every later event to stderr. Called once, before the first thread starts.
pub fn start(logs: &Logs) {
    let filter = EnvFilter::try_new(filter::for_our_own(&logs.filter));
    let filter =
        filter.expect("the configuration has parsed this filter, and levels for targets parse as well");
    let Ok(queue) = Queue::start(std::io::stderr()) else {
        return; // without a thread to write there is nothing that could be run either, and who wants to run it says so
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(queue);
    let subscriber =
        tracing_subscriber::registry().with(filter).with(RateLimit { suppressed: &LINES_SUPPRESSED });
    match logs.format {
        LogFormat::Text => subscriber.with(lines.with_ansi(false)).init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}\n{}", std::backtrace::Backtrace::capture());
        flush();
    }));
}

/// Says why the sidecar cannot run, whatever the filter lets through: nobody else will.
pub fn cannot_run(logs: &Logs, error: &RunError) {
    let say = || tracing::error!(error = error as &dyn std::error::Error, "the sidecar cannot run");
    let Ok(queue) = Queue::start(std::io::stderr()) else { return eprintln!("{error}") };
    let lines = tracing_subscriber::fmt().with_writer(queue);
    match logs.format {
        LogFormat::Text => tracing::subscriber::with_default(lines.with_ansi(false).finish(), say),
        LogFormat::Json => tracing::subscriber::with_default(lines.json().flatten_event(true).finish(), say),
    }
}

/// Waits until what was logged before is written, or its reader has had its time. To be called before the process ends.
pub fn flush() {
    queue::flush(FLUSH_MAX);
}

/// Long beside what a reader takes that reads, short beside any `--drain-timeout`.
const FLUSH_MAX: Duration = Duration::from_millis(250);
