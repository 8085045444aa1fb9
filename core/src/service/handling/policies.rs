//! The annotations that choose how endpoints are treated.

use alloc::vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use svc_proto::proxy_header::Version;

use super::annotations::{Problem, Problems};
use super::values::{AnnotationSetting, number, settings};
use crate::retry::RetryPolicy;
use crate::service::{EjectPolicy, Policy};

/// `load-balancer`.
pub(super) fn balancing(text: &str) -> Result<Policy, Problems<'_>> {
    let supported = || vec![Problem::Unsupported(text, Policy::ALL.map(Policy::as_str).to_vec())];
    Policy::parse(text).ok_or_else(supported)
}

/// `max-connections`.
pub(super) fn max_connections(text: &str) -> Result<u32, Problems<'_>> {
    number(text, CONNECTIONS).map_err(|problem| vec![problem])
}

/// `proxy-protocol`.
pub(super) fn proxy_protocol(text: &str) -> Result<Version, Problems<'_>> {
    match text {
        "v1" => Ok(Version::V1),
        "v2" => Ok(Version::V2),
        _ => Err(vec![Problem::Unsupported(text, vec!["v1", "v2"])]),
    }
}

/// `retry`: `connect|reset|gateway-error,attempts=N`, any of it. Conditions that are named are all there are.
pub(super) fn retry(text: &str) -> Result<RetryPolicy, Problems<'_>> {
    let mut policy = RetryPolicy::default();
    let (settings, mut problems) = settings(text);
    for setting in &settings {
        let read = match setting.name {
            "attempts" => setting.number(ATTEMPTS).map(|attempts| {
                policy.attempts = u8::try_from(attempts).expect("it lies in the range of attempts");
            }),
            _ => conditions(setting, &mut policy),
        };
        problems.extend(read.err());
    }
    if settings.iter().filter(|setting| setting.name != "attempts").count() > 1 {
        problems
            .push(Problem::Invalid(text, "must have its conditions together, such as connect|reset".into()));
    }
    done(policy, problems)
}

fn conditions<'a>(setting: &AnnotationSetting<'a>, policy: &mut RetryPolicy) -> Result<(), Problem<'a>> {
    (policy.reset, policy.gateway_error) = (false, false);
    for condition in setting.text.split('|') {
        match condition.trim() {
            "connect" => {} // always
            "reset" => policy.reset = true,
            "gateway-error" => policy.gateway_error = true,
            _ => {
                return Err(
                    setting.wrong("must be connect, reset, gateway-error, or several with | between them")
                );
            }
        }
    }
    Ok(())
}

/// `eject`: `off`, or any of `consecutive=N,base=DURATION,max=DURATION`. A `base` beyond the usual `max` is its own.
pub(super) fn eject(text: &str) -> Result<Option<EjectPolicy>, Problems<'_>> {
    if text == "off" {
        return Ok(None);
    }
    let (mut policy, mut longest) = (EjectPolicy::default(), None);
    let (settings, mut problems) = settings(text);
    for setting in &settings {
        let read = match setting.name {
            "consecutive" => setting.number(CONSECUTIVE).map(|count| policy.consecutive = count),
            "base" => setting.duration(EJECTION).map(|base| policy.base = base),
            "max" => setting.duration(EJECTION).map(|max| longest = Some(max)),
            _ => Err(setting.wrong("must be off, or any of consecutive=N, base=DURATION, max=DURATION")),
        };
        problems.extend(read.err());
    }
    policy.max = longest.unwrap_or(policy.max.max(policy.base));
    if policy.max < policy.base {
        problems.push(Problem::Invalid(text, "must have a max that is not below its base".into()));
    }
    done(Some(policy), problems)
}

fn done<T>(value: T, problems: Problems<'_>) -> Result<T, Problems<'_>> {
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

/// A million sockets is more than one pod can have; a limit beyond it is a mistake in a digit.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;

/// Ten attempts at a second each are longer than anybody waits.
const ATTEMPTS: RangeInclusive<u32> = 1..=10;

/// A thousand failures in a row: who asks for more wants `off`.
const CONSECUTIVE: RangeInclusive<u32> = 1..=1000;

/// Shorter is not worth telling all workers; longer keeps out who is well again.
const EJECTION: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);
