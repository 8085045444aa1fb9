//! Annotations of AWS's load balancers (S-20, S-22, S-23). An empty one never gets here: it counts as absent.

use alloc::vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use svc_proto::names::annotation::aws;
use svc_proto::proxy_header::Version;

use super::annotations::{AnnotationReader, Problem, Problems};
use super::values::seconds;

/// `connection-idle-timeout`.
pub(super) fn idle_timeout(annotations: &mut AnnotationReader<'_>) -> Option<Duration> {
    annotations.read(aws::IDLE_TIMEOUT, |text| seconds(text, IDLE_SECONDS).map_err(|problem| vec![problem]))
}

/// `connection-draining-timeout`, where `connection-draining-enabled` says so.
pub(super) fn drain(annotations: &mut AnnotationReader<'_>) -> Option<Duration> {
    let enabled = annotations.read(aws::DRAINING_ENABLED, boolean).unwrap_or(false);
    let timeout = annotations
        .read(aws::DRAINING_TIMEOUT, |text| seconds(text, DRAINING_SECONDS).map_err(|problem| vec![problem]));
    enabled.then(|| timeout.unwrap_or(DRAINING_DEFAULT))
}

/// `proxy-protocol`: the only ports that can be asked for are all of them, and version 1 is what a classic load balancer sends.
pub(super) fn proxy_protocol(annotations: &mut AnnotationReader<'_>) -> Option<Version> {
    annotations.read(aws::PROXY_PROTOCOL, |text| match text {
        "*" => Ok(Version::V1),
        _ => Err(vec![Problem::Unsupported(text, vec!["*"])]),
    })
}

/// What Go's `strconv.ParseBool` takes, as AWS's controller reads it.
fn boolean(text: &str) -> Result<bool, Problems<'_>> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(vec![Problem::Unsupported(text, vec!["false", "true"])]),
    }
}

const IDLE_SECONDS: RangeInclusive<u32> = 1..=4000; // the range of a classic load balancer
const DRAINING_SECONDS: RangeInclusive<u32> = 1..=3600; // likewise
const DRAINING_DEFAULT: Duration = Duration::from_secs(300); // likewise, when it is enabled and nothing else is said
