//! What is written where.

use clap::Arg;
use tracing_subscriber::EnvFilter;

use super::flag::{Expected, Flag};
use super::settings::SettingsReader;

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
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> Logs {
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
    help: "What is logged on stderr: `error`, `warn`, `info`, `debug`, `trace`, or a level per target such as `warn,sidecar=debug`. A \
           level alone is for svcmesh's own events; a library logs errors, unless it is named, as in `info,h2=debug`",
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

/// `tracing` takes every word for the name of a target, so that a misspelt level would log nothing at all: both are held to what there is.
fn filter(raw: &str) -> Result<String, Expected> {
    let is_known = |directive: &&str| match directive.split_once('=') {
        None => is_level(directive) || is_target(directive),
        Some((target, level)) => is_target(target) && is_level(level),
    };
    let directives: Vec<&str> = raw.split(',').map(str::trim).collect();
    let filter = directives.join(",");
    match directives.iter().all(is_known) && EnvFilter::try_new(&filter).is_ok() {
        true => Ok(filter),
        false => {
            let (levels, targets) = (LEVELS.join(" "), TARGETS.join(" "));
            Err(format!(
                "a level ({levels}), or a level per target such as `warn,sidecar=debug`; targets are {targets}"
            )
            .into())
        }
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// One of [`TARGETS`], or a module in it.
fn is_target(word: &str) -> bool {
    let mut path = word.split("::");
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    path.next().is_some_and(|name| TARGETS.contains(&name)) && path.all(is_word)
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What this program consists of that may have something to say.
const TARGETS: [&str; 10] = [
    "sidecar",
    "h2",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "mio",
    "rustls",
    "tokio",
];

fn log_format(raw: &str) -> Result<LogFormat, Expected> {
    match raw {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("`text` or `json`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_made_of_levels_and_of_targets_that_there_are() {
        for raw in [
            "info",
            "OFF",
            "warn,sidecar=debug",
            "sidecar::path::udp=trace, h2=error",
            "sidecar",
            "info,hyper=warn",
        ] {
            assert_eq!(filter(raw), Ok(raw.replace(' ', "")));
        }
    }

    #[test]
    fn a_word_that_is_neither_is_a_mistake() {
        for raw in [
            "",
            "inof",
            "verbose",
            "warning",
            "info,",
            ",",
            "info,sidcar=debug",
            "sidecar=debgu",
            "sidecar=",
            "=info",
            "sidecar::=info",
            "info;debug",
            "[span]=info",
            "6",
            "info debug",
            "sidecarx=info",
        ] {
            assert!(filter(raw).is_err(), "{raw}");
        }
    }
}
