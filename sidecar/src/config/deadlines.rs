//! How long things may take.

use std::time::Duration;

use clap::Arg;

use super::flag::{Expected, Flag};
use super::settings::SettingsReader;
use super::values::{deadline, list, optional_deadline};

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineSettings {
    /// One attempt to open a connection to an endpoint.
    pub connect: Duration,
    /// Waiting for a client's first bytes, before its protocol is taken to be one where the server speaks
    /// first.
    pub detect: Duration,
    /// Reading one request head.
    pub header: Duration,
    /// Nothing going on, on an HTTP connection; `None` is for ever.
    pub idle_http: Option<Duration>,
    /// Nothing going either way, on a connection carried as bytes; `None` is for ever.
    pub idle_tcp: Option<Duration>,
    /// One request with all its tries, up to the last byte of its response; `None` is for ever.
    pub request: Option<Duration>,
    /// One try of a request, up to the head of its response; `None` is for ever.
    pub per_try: Option<Duration>,
}

impl DeadlineSettings {
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> DeadlineSettings {
        let connect = settings.read(&CONNECT_TIMEOUT);
        let detect = settings.read(&DETECT_TIMEOUT);
        let header = settings.read(&HEADER_TIMEOUT);
        let (idle_http, idle_tcp) = settings.read(&IDLE_TIMEOUT);
        let request = settings.read(&REQUEST_TIMEOUT);
        let per_try = settings.read(&TRY_TIMEOUT);
        DeadlineSettings { connect, detect, header, idle_http, idle_tcp, request, per_try }
    }
}

pub(super) fn args() -> [Arg; 6] {
    const HEADING: &str = "Deadlines";
    [
        CONNECT_TIMEOUT.arg(HEADING),
        DETECT_TIMEOUT.arg(HEADING),
        HEADER_TIMEOUT.arg(HEADING),
        IDLE_TIMEOUT.arg(HEADING),
        REQUEST_TIMEOUT.arg(HEADING),
        TRY_TIMEOUT.arg(HEADING),
    ]
}

const CONNECT_TIMEOUT: Flag<Duration> = Flag {
    name: "connect-timeout",
    value: "DURATION",
    default: "1s",
    help: "For one attempt to open a connection to an endpoint; then another endpoint is tried",
    parse: deadline,
};

const DETECT_TIMEOUT: Flag<Duration> = Flag {
    name: "detect-timeout",
    value: "DURATION",
    default: "2s",
    help: "For a client's first bytes, where nothing else tells the protocol; then the server may speak first",
    parse: deadline,
};

const HEADER_TIMEOUT: Flag<Duration> = Flag {
    name: "header-timeout",
    value: "DURATION",
    default: "10s",
    help: "For the whole head of a request",
    parse: deadline,
};

const IDLE_TIMEOUT: Flag<(Option<Duration>, Option<Duration>)> = Flag {
    name: "idle-timeout",
    value: "DURATION|http=DURATION,tcp=DURATION",
    default: "http=5m,tcp=1h",
    help: "For a connection on which nothing happens: HTTP connections between requests, others with no byte either way. A lone \
           DURATION is for both, `0` is for ever",
    parse: idle,
};

const REQUEST_TIMEOUT: Flag<Option<Duration>> = Flag {
    name: "request-timeout",
    value: "DURATION",
    default: "0",
    help: "For a request with all its tries, up to the last byte of the response; `0` is for ever",
    parse: optional_deadline,
};

const TRY_TIMEOUT: Flag<Option<Duration>> = Flag {
    name: "try-timeout",
    value: "DURATION",
    default: "0",
    help: "For one try of a request, up to the head of the response; `0` is for ever",
    parse: optional_deadline,
};

/// `DURATION`, or `http=DURATION`, `tcp=DURATION` or both; what is not named keeps its default.
fn idle(raw: &str) -> Result<(Option<Duration>, Option<Duration>), Expected> {
    if !raw.contains('=') {
        return optional_deadline(raw).map(|both| (both, both));
    }
    let (mut http, mut tcp) = (Some(IDLE_HTTP), Some(IDLE_TCP));
    for (protocol, duration) in list(raw, protocol_duration)? {
        match protocol {
            TimedProtocol::Http => http = duration,
            TimedProtocol::Tcp => tcp = duration,
        }
    }
    Ok((http, tcp))
}

enum TimedProtocol {
    Http,
    Tcp,
}

fn protocol_duration(item: &str) -> Result<(TimedProtocol, Option<Duration>), Expected> {
    let (protocol, duration) = item.split_once('=').ok_or(IDLE_EXPECTED)?;
    let protocol = match protocol {
        "http" => TimedProtocol::Http,
        "tcp" => TimedProtocol::Tcp,
        _ => return Err(IDLE_EXPECTED.into()),
    };
    Ok((protocol, optional_deadline(duration)?))
}

const IDLE_EXPECTED: &str = "a duration for all connections, or `http=DURATION,tcp=DURATION`";
const IDLE_HTTP: Duration = Duration::from_secs(5 * 60);
const IDLE_TCP: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_lone_idle_duration_is_for_every_connection() {
        assert_eq!(idle("1m"), Ok((Some(MINUTE), Some(MINUTE))));
        assert_eq!(idle("0"), Ok((None, None)));
    }

    #[test]
    fn a_named_idle_duration_leaves_the_other_as_it_was() {
        assert_eq!(idle(IDLE_TIMEOUT.default), Ok((Some(IDLE_HTTP), Some(IDLE_TCP))));
        assert_eq!(idle("tcp=1m"), Ok((Some(IDLE_HTTP), Some(MINUTE))));
        assert_eq!(idle("tcp=0, http=1m"), Ok((Some(MINUTE), None)));
    }

    #[test]
    fn an_idle_duration_is_for_http_or_tcp() {
        for raw in ["", "udp=1s", "http=", "http=1s,1m", "=1s"] {
            assert!(idle(raw).is_err(), "{raw}");
        }
    }
}
