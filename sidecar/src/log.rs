//! Logs: on stderr, because stdout belongs to the access log.

use tracing_subscriber::EnvFilter;

use crate::RunError;
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

/// Says why the sidecar cannot run, whatever the filter lets through: nobody else will.
pub fn cannot_run(logs: &Logs, error: &RunError) {
    let say = || tracing::error!(error = error as &dyn std::error::Error, "the sidecar cannot run");
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr);
    match logs.format {
        LogFormat::Text => tracing::subscriber::with_default(lines.with_ansi(false).finish(), say),
        LogFormat::Json => tracing::subscriber::with_default(lines.json().flatten_event(true).finish(), say),
    }
}
