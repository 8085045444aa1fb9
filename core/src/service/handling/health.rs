//! The annotations that ask for health checks: ours, and those of AWS (S-23).

use alloc::{format, vec};
use core::ops::RangeInclusive;
use core::time::Duration;

use svc_proto::names::annotation::aws;

use super::annotations::{AnnotationReader, Problem, Problems};
use super::values::{number, path, port, seconds, settings};
use crate::service::health_check::{HealthCheck, HealthProbe};

/// `http:/PATH` or `tcp`, then any of `interval=DURATION,timeout=DURATION,healthy=N,unhealthy=N`. Without a timeout it is 5 s, or half the
/// interval where that is shorter.
pub(super) fn parse(text: &str) -> Result<HealthCheck, Problems<'_>> {
    let (probe, rest) = text.split_once(',').map_or((text, None), |(probe, rest)| (probe, Some(rest)));
    let (mut check, mut timeout) = (HealthCheck::default(), None);
    let (settings, mut problems) = rest.map(settings).unwrap_or_default();
    problems.extend(read_probe(probe.trim()).map(|probe| check.probe = probe).err());
    for setting in &settings {
        let read = match setting.name {
            "interval" => setting.duration(INTERVAL).map(|interval| check.interval = interval),
            "timeout" => setting.duration(TIMEOUT).map(|duration| timeout = Some(duration)),
            "healthy" => setting.number(THRESHOLD).map(|count| check.healthy = threshold(count)),
            "unhealthy" => setting.number(THRESHOLD).map(|count| check.unhealthy = threshold(count)),
            _ => Err(setting.wrong("must be interval=DURATION, timeout=DURATION, healthy=N or unhealthy=N")),
        };
        problems.extend(read.err());
    }
    check.timeout = timeout.unwrap_or(check.timeout.min(check.interval / 2));
    if check.timeout >= check.interval {
        problems.push(Problem::Invalid(text, "must have a timeout below its interval".into()));
    }
    if problems.is_empty() { Ok(check) } else { Err(problems) }
}

fn read_probe(text: &str) -> Result<HealthProbe, Problem<'_>> {
    match text.strip_prefix("http:") {
        Some(written) => Ok(HealthProbe::Http { path: path(written)?.into() }),
        None if text == "tcp" => Ok(HealthProbe::Tcp),
        None => Err(Problem::Invalid(text, "must begin with tcp or http:/PATH".into())),
    }
}

/// The check that any of AWS's annotations asks for. A classic load balancer wants the timeout below the interval; the others, whose own
/// defaults are 10 s for both, do not, and a check ends at the latest when the next begins.
pub(super) fn of_aws(annotations: &mut AnnotationReader<'_>) -> Option<HealthCheck> {
    if !annotations.have(&ASKING) {
        return None;
    }
    let by_type = annotations.read(aws::TYPE, |text| Ok(CLASSIC.contains(&text)));
    let is_classic = by_type.unwrap_or(!annotations.have_class());
    let unasked = HealthCheck::default();
    let path = annotations.read(aws::CHECK_PATH, |text| path(text).map_err(|problem| vec![problem]));
    let speaks_http = annotations.read(aws::CHECK_PROTOCOL, speaks_http).unwrap_or(false);
    let path = path.unwrap_or("/");
    let mut threshold_of = |key, unasked| {
        let count = annotations.read(key, |text| number(text, THRESHOLD).map_err(|problem| vec![problem]));
        count.map_or(unasked, threshold)
    };
    let mut check = HealthCheck {
        probe: if speaks_http { HealthProbe::Http { path: path.into() } } else { HealthProbe::Tcp },
        healthy: threshold_of(aws::HEALTHY_THRESHOLD, unasked.healthy),
        unhealthy: threshold_of(aws::UNHEALTHY_THRESHOLD, unasked.unhealthy),
        interval: aws_seconds(annotations, aws::CHECK_INTERVAL, 5..=300).unwrap_or(unasked.interval),
        timeout: aws_seconds(annotations, aws::CHECK_TIMEOUT, 2..=if is_classic { 60 } else { 120 })
            .unwrap_or(unasked.timeout),
        port: annotations.read(aws::CHECK_PORT, aws_port).flatten(),
    };
    if is_classic && check.timeout >= check.interval {
        let seconds = format!("{}", check.timeout.as_secs());
        let expected = format!(
            "must be below the interval of {} seconds, as a classic load balancer wants it (those of the types nlb and external do not)",
            check.interval.as_secs()
        );
        annotations.note(aws::CHECK_TIMEOUT, &Problem::Invalid(&seconds, expected.into()));
    }
    check.timeout = check.timeout.min(check.interval);
    Some(check)
}

fn aws_seconds(
    annotations: &mut AnnotationReader<'_>,
    key: &str,
    range: RangeInclusive<u32>,
) -> Option<Duration> {
    annotations.read(key, |text| seconds(text, range).map_err(|problem| vec![problem]))
}

/// AWS writes protocols in either case. What is encrypted is asked by its connection only, of which a warning tells.
fn speaks_http(text: &str) -> Result<bool, Problems<'_>> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Ok(true),
        "https" | "ssl" | "tcp" => Ok(false),
        _ => Err(vec![Problem::Unsupported(text, vec!["HTTP", "HTTPS", "SSL", "TCP"])]),
    }
}

fn aws_port(text: &str) -> Result<Option<u16>, Problems<'_>> {
    if text == "traffic-port" {
        return Ok(None);
    }
    let expected = || Problem::Invalid(text, "must be traffic-port, or a number from 1 to 65535".into());
    port(text).map(Some).map_err(|_| vec![expected()])
}

/// Whether AWS would check by TLS.
pub(in crate::service) fn is_encrypted(protocol: &str) -> bool {
    ["https", "ssl"].iter().any(|name| protocol.eq_ignore_ascii_case(name))
}

fn threshold(count: u32) -> u8 {
    u8::try_from(count).expect("it lies in the range of thresholds")
}

/// What `aws-load-balancer-type` says of a classic load balancer, which it is too without that annotation and without a `loadBalancerClass`.
const CLASSIC: [&str; 2] = ["classic", "elb"];

/// Any of these makes a check.
const ASKING: [&str; 7] = [
    aws::HEALTHY_THRESHOLD,
    aws::UNHEALTHY_THRESHOLD,
    aws::CHECK_INTERVAL,
    aws::CHECK_TIMEOUT,
    aws::CHECK_PROTOCOL,
    aws::CHECK_PORT,
    aws::CHECK_PATH,
];

const THRESHOLD: RangeInclusive<u32> = 2..=10;
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
