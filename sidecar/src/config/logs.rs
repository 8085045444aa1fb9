//! What is written where.

use clap::Arg;
use tracing_subscriber::EnvFilter;

use super::flag::{Expected, Flag};
use super::settings::Settings;

/// What is written where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The access log on stdout; `None` is off.
    pub access: Option<AccessLogFormat>,
    /// Which events are logged on stderr: a filter of `tracing`, known to parse.
    pub filter: String,
    /// How they are written.
    pub format: LogFormat,
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One JSON object.
    Json,
    /// Apache's common format and some fields more.
    Common,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Logs {
    pub(super) fn read(settings: &mut Settings<'_>) -> Logs {
        let access = settings.read(&ACCESS_LOG);
        let filter = settings.read(&LOG);
        let format = settings.read(&LOG_FORMAT);
        Logs { access, filter, format }
    }
}

pub(super) fn args() -> [Arg; 3] {
    const HEADING: &str = "Logs";
    [ACCESS_LOG.arg(HEADING), LOG.arg(HEADING), LOG_FORMAT.arg(HEADING)]
}

const ACCESS_LOG: Flag<Option<AccessLogFormat>> = Flag {
    name: "access-log",
    value: "off|json|common",
    default: "off",
    help: "A line on stdout for each connection and each request",
    parse: access_log,
};

const LOG: Flag<String> = Flag {
    name: "log",
    value: "FILTER",
    default: "info",
    help: "What is logged on stderr: `error`, `warn`, `info`, `debug`, `trace`, or a level per target such as `warn,sidecar=debug`",
    parse: filter,
};

const LOG_FORMAT: Flag<LogFormat> = Flag {
    name: "log-format",
    value: "text|json",
    default: "text",
    help: "How events are written on stderr",
    parse: log_format,
};

fn access_log(raw: &str) -> Result<Option<AccessLogFormat>, Expected> {
    match raw {
        "off" => Ok(None),
        "json" => Ok(Some(AccessLogFormat::Json)),
        "common" => Ok(Some(AccessLogFormat::Common)),
        _ => Err("`off`, `json` or `common`".into()),
    }
}

fn filter(raw: &str) -> Result<String, Expected> {
    match EnvFilter::try_new(raw) {
        Ok(_) if !raw.is_empty() => Ok(raw.to_owned()),
        Ok(_) | Err(_) => {
            Err("a level such as `info`, or a level per target such as `warn,sidecar=debug`".into())
        }
    }
}

fn log_format(raw: &str) -> Result<LogFormat, Expected> {
    match raw {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("`text` or `json`".into()),
    }
}
