//! Logs: on stderr, because stdout belongs to the access log.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logs};

/// Sends every later event to stderr. Called once, before the first thread starts.
pub fn start(logs: &Logs) {
    let filter = EnvFilter::try_new(&logs.filter).expect("the configuration has parsed this filter");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match logs.format {
        LogFormat::Text => lines.with_ansi(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
