//! What each annotation comes to. The messages of refusals are under snapshot where files are read.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::service::HealthProbe;
use crate::service::invalid::FieldErrors;

/// What these annotations ask for, or every mistake in them.
fn read(annotations: &[(&str, &str)]) -> Result<Handling, Vec<String>> {
    let annotations: BTreeMap<_, _> =
        annotations.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let mut found = FieldErrors::default();
    let handling = Handling::read(&mut AnnotationReader::new(&annotations, &mut found));
    match found.verdict("Service", "web") {
        Ok(_) => Ok(handling),
        Err(invalid) => Err(invalid.mistakes.iter().map(ToString::to_string).collect()),
    }
}

/// That our annotation `name` says the same as `change` does.
#[track_caller]
fn check(name: &str, value: &str, change: impl FnOnce(&mut Handling)) {
    let mut expected = Handling::default();
    change(&mut expected);
    assert_eq!(read(&[(&format!("svcmesh.dev/{name}"), value)]), Ok(expected), "{name}: {value}");
}

/// That our annotation `name` cannot have any of `values`.
#[track_caller]
fn check_refused(name: &str, values: &[&str]) {
    for value in values {
        let key = format!("svcmesh.dev/{name}");
        let mistakes = read(&[(&key, value)]).expect_err(value);
        let told =
            mistakes.iter().all(|mistake| mistake.starts_with(&format!("metadata.annotations[{key}]: ")));
        assert!(told, "{mistakes:?}");
    }
}

/// The same of AWS, behind the part of the name that all of them share.
fn aws(annotations: &[(&str, &str)]) -> Result<Handling, Vec<String>> {
    const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";
    let annotations: Vec<_> =
        annotations.iter().map(|(name, value)| ([PREFIX, name].concat(), *value)).collect();
    let annotations: Vec<_> = annotations.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    read(&annotations)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn without_annotations_there_are_the_defaults() {
    assert_eq!(read(&[]), Ok(Handling::default()));
    let handling = Handling::default();
    assert_eq!(handling.eject, Some(EjectPolicy { consecutive: 5, base: seconds(1), max: seconds(60) }));
    let retry = RetryPolicy { reset: true, gateway_error: false, attempts: 3 };
    assert_eq!(handling.retry, retry);
}

#[test]
fn every_policy_can_be_asked_for() {
    for policy in Policy::ALL {
        check("load-balancer", policy.as_str(), |handling| handling.policy = Some(policy));
    }
    check_refused("load-balancer", &["", "RR", "fastest"]);
}

#[test]
fn durations_are_written_as_the_flags_have_them_and_zero_is_one() {
    check("timeout", "1m30s", |handling| handling.timeout = Some(seconds(90)));
    check("timeout", "0", |handling| handling.timeout = Some(Duration::ZERO));
    check("try-timeout", "250ms", |handling| handling.try_timeout = Some(Duration::from_millis(250)));
    check("idle-timeout", "0", |handling| handling.idle_timeout = Some(Duration::ZERO));
    check("slow-start", "30s", |handling| handling.slow_start = seconds(30));
    for name in ["timeout", "try-timeout", "idle-timeout", "slow-start"] {
        check_refused(name, &["", "10", "-1s", "1s ", "721h"]);
    }
}

#[test]
fn connections_are_counted_from_one() {
    check("max-connections", "1", |handling| handling.max_connections = Some(1));
    check("max-connections", "1000000", |handling| handling.max_connections = Some(1_000_000));
    check_refused("max-connections", &["", "0", "1000001", "+1", "1k", "99999999999"]);
}

#[test]
fn a_proxy_header_is_of_a_version_and_aws_means_the_first_on_all_ports() {
    check("proxy-protocol", "v1", |handling| handling.proxy_protocol = Some(Version::V1));
    check("proxy-protocol", "v2", |handling| handling.proxy_protocol = Some(Version::V2));
    check_refused("proxy-protocol", &["", "*", "1", "V2", "v1,v2", "off"]);
    assert_eq!(aws(&[("proxy-protocol", "*")]).unwrap().proxy_protocol, Some(Version::V1));
    let expected = "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-proxy-protocol]: \
                    Unsupported value: \"80\": supported values: \"*\"";
    assert_eq!(aws(&[("proxy-protocol", "80")]), Err([expected.to_string()].into()));
    let both = [
        ("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", "*"),
        ("svcmesh.dev/proxy-protocol", "v2"),
    ];
    assert_eq!(read(&both).unwrap().proxy_protocol, Some(Version::V2));
}

#[test]
fn retry_conditions_that_are_named_are_all_there_are() {
    check("retry", "connect|reset|gateway-error,attempts=2", |handling| {
        handling.retry = RetryPolicy { reset: true, gateway_error: true, attempts: 2 };
    });
    check("retry", "gateway-error", |handling| {
        handling.retry = RetryPolicy { reset: false, gateway_error: true, attempts: 3 };
    });
    check("retry", "attempts=10, connect", |handling| {
        handling.retry = RetryPolicy { reset: false, gateway_error: false, attempts: 10 };
    });
    check("retry", "attempts=1", |handling| handling.retry.attempts = 1);
    let wrong = [
        "",
        "off",
        "connect|",
        "connect,reset",
        "attempts=0",
        "attempts=11",
        "attempts",
        "attempts=1,attempts=1",
    ];
    check_refused("retry", &wrong);
}

#[test]
fn any_part_of_an_ejection_may_be_given() {
    check("eject", "off", |handling| handling.eject = None);
    check("eject", "consecutive=1", |handling| handling.eject.as_mut().unwrap().consecutive = 1);
    check("eject", "max=5m, base=100ms , consecutive=1000", |handling| {
        let (base, max) = (Duration::from_millis(100), seconds(300));
        handling.eject = Some(EjectPolicy { consecutive: 1000, base, max });
    });
    check("eject", "base=2m", |handling| {
        handling.eject = Some(EjectPolicy { consecutive: 5, base: seconds(120), max: seconds(120) });
    });
    let wrong = [
        "",
        "on",
        "off,base=1s",
        "consecutive=0",
        "consecutive=1001",
        "base=0",
        "base=99ms",
        "max=61m",
        "base=2s,max=1s",
        "base=1s,base=1s",
        "base=1s,",
    ];
    check_refused("eject", &wrong);
}

#[test]
fn a_health_check_begins_with_what_is_tried() {
    let unasked = HealthCheck::default();
    check("health-check", "tcp", |handling| handling.health_check = Some(unasked.clone()));
    check("health-check", "http:/live?x=1,interval=1s,timeout=900ms,healthy=10,unhealthy=2", |handling| {
        handling.health_check = Some(HealthCheck {
            probe: HealthProbe::Http { path: "/live?x=1".into() },
            interval: seconds(1),
            timeout: Duration::from_millis(900),
            healthy: 10,
            unhealthy: 2,
            port: None,
        });
    });
    check("health-check", "tcp, interval=4s", |handling| {
        let check = HealthCheck { interval: seconds(4), timeout: seconds(2), ..unasked.clone() };
        handling.health_check = Some(check);
    });
    let wrong = [
        "",
        "http",
        "http:",
        "http:live",
        "http:/a b",
        "http:/a#b",
        "TCP",
        "interval=1s",
        "interval=1s,tcp",
        "tcp,",
        "tcp,interval=999ms",
        "tcp,interval=301s",
        "tcp,timeout=99ms",
        "tcp,timeout=61s",
        "tcp,timeout=10s",
        "tcp,interval=5s,timeout=5s",
        "tcp,healthy=1",
        "tcp,healthy=11",
        "tcp,unhealthy=1",
        "tcp,unhealthy=11",
        "tcp,healthy=2,healthy=2",
    ];
    check_refused("health-check", &wrong);
}

#[test]
fn aws_drains_for_five_minutes_where_it_does_not_say() {
    let drain = |annotations: &[(&str, &str)]| aws(annotations).unwrap().drain;
    let timeout = ("connection-draining-timeout", "20");
    assert_eq!(drain(&[("connection-draining-enabled", "true")]), Some(seconds(300)));
    assert_eq!(drain(&[("connection-draining-enabled", "True"), timeout]), Some(seconds(20)));
    assert_eq!(drain(&[("connection-draining-enabled", "false"), timeout]), None);
    assert_eq!(drain(&[timeout]), None);
}

#[test]
fn any_annotation_of_aws_about_checks_makes_one() {
    let check = |annotations: &[(&str, &str)]| aws(annotations).unwrap().health_check;
    let unasked = HealthCheck::default();
    assert_eq!(check(&[("connection-idle-timeout", "60")]), None);
    assert_eq!(check(&[("healthcheck-port", "traffic-port")]), Some(unasked.clone()));
    for (protocol, probe) in [
        ("TCP", HealthProbe::Tcp),
        ("tcp", HealthProbe::Tcp),
        ("HTTP", HealthProbe::Http { path: "/".into() }),
        ("HTTPS", HealthProbe::Tcp),
        ("ssl", HealthProbe::Tcp),
    ] {
        let expected = HealthCheck { probe, ..unasked.clone() };
        assert_eq!(check(&[("healthcheck-protocol", protocol)]), Some(expected), "{protocol}");
    }
    let all = [
        ("healthcheck-healthy-threshold", "10"),
        ("healthcheck-unhealthy-threshold", "2"),
        ("healthcheck-interval", "300"),
        ("healthcheck-timeout", "60"),
        ("healthcheck-protocol", "http"),
        ("healthcheck-port", "8081"),
        ("healthcheck-path", "/live"),
    ];
    let expected = HealthCheck {
        probe: HealthProbe::Http { path: "/live".into() },
        interval: seconds(300),
        timeout: seconds(60),
        healthy: 10,
        unhealthy: 2,
        port: Some(8081),
    };
    assert_eq!(check(&all), Some(expected));
}

#[test]
fn the_ranges_of_aws_are_kept_to_their_ends() {
    for (name, ends, beyond) in [
        ("connection-idle-timeout", ["1", "4000"], ["0", "4001"]),
        ("connection-draining-timeout", ["1", "3600"], ["0", "3601"]),
        ("connection-draining-enabled", ["T", "0"], ["yes", ""]),
        ("healthcheck-healthy-threshold", ["2", "10"], ["1", "11"]),
        ("healthcheck-unhealthy-threshold", ["2", "10"], ["1", "11"]),
        ("healthcheck-interval", ["6", "300"], ["4", "301"]),
        ("healthcheck-timeout", ["2", "9"], ["1", "61"]),
        ("healthcheck-protocol", ["Tcp", "https"], ["udp", "TCP "]),
        ("healthcheck-port", ["1", "65535"], ["0", "http"]),
        ("healthcheck-path", ["/", "/a?b=c"], ["live", "/a b"]),
    ] {
        for end in ends {
            assert_eq!(aws(&[(name, end)]).err(), None, "{name}: {end}");
        }
        for beyond in beyond {
            assert_eq!(aws(&[(name, beyond)]).unwrap_err().len(), 1, "{name}: {beyond}");
        }
    }
}

#[test]
fn the_path_of_a_check_is_one_by_the_letter() {
    for path in ["/", "/a/b;c=d?e=f&g=%20", "/-._~!$&'()*+,;=:@"] {
        assert_eq!(aws(&[("healthcheck-path", path)]).err(), None, "{path}");
    }
    for path in [
        "live", "/a b", "/a\"", "/<a>", "/a%2", "/a%zz", "/a|b", "/a#b", "/[a]", "/a\\b", "/{a}", "/^", "/`",
        "/\u{e9}",
    ] {
        assert_eq!(
            aws(&[("healthcheck-path", path)]).map_err(|problems| problems.len()).err(),
            Some(1),
            "{path}"
        );
    }
}

#[test]
fn a_check_of_aws_ends_before_the_next_begins() {
    let refused = aws(&[("healthcheck-interval", "5")]).unwrap_err();
    let expected = "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout]: \
                    Invalid value: \"5\": must be below the interval of 5 seconds";
    assert!(refused.len() == 1 && refused[0].starts_with(expected), "{refused:?}");
    assert!(aws(&[("healthcheck-interval", "5"), ("healthcheck-timeout", "4")]).is_ok());
}

#[test]
fn the_defaults_of_the_controller_of_aws_are_admitted_and_its_checks_do_not_overlap() {
    let with = |kind: &str, more: &[(&str, &str)]| {
        let mut annotations =
            [("type", kind), ("healthcheck-interval", "10"), ("healthcheck-timeout", "10")].to_vec();
        annotations.extend(more);
        aws(&annotations).map(|handling| handling.health_check.unwrap())
    };
    for kind in ["nlb", "external", "nlb-ip"] {
        let check =
            with(kind, &[("healthcheck-healthy-threshold", "3"), ("healthcheck-unhealthy-threshold", "3")]);
        let HealthCheck { interval, timeout, healthy, unhealthy, .. } = check.unwrap();
        assert_eq!((interval, timeout, healthy, unhealthy), (seconds(10), seconds(10), 3, 3), "{kind}");
    }
    for classic in ["classic", "elb"] {
        assert_eq!(with(classic, &[]).unwrap_err().len(), 1, "{classic}");
    }
    let longest = [("type", "nlb"), ("healthcheck-timeout", "120")];
    assert_eq!(aws(&longest).unwrap().health_check.unwrap().timeout, seconds(10), "the interval's end");
    assert_eq!(aws(&[("type", "nlb"), ("healthcheck-timeout", "121")]).unwrap_err().len(), 1);
}

#[test]
fn ours_count_before_those_of_aws() {
    let annotations = [
        ("service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout", "60"),
        ("service.beta.kubernetes.io/aws-load-balancer-healthcheck-port", "81"),
        ("svcmesh.dev/idle-timeout", "0"),
        ("svcmesh.dev/health-check", "tcp"),
    ];
    let handling = read(&annotations).unwrap();
    assert_eq!(handling.idle_timeout, Some(Duration::ZERO));
    assert_eq!(handling.health_check, Some(HealthCheck::default()));
    let of_aws = read(&annotations[..2]).unwrap();
    assert_eq!(of_aws.idle_timeout, Some(seconds(60)));
    assert_eq!(of_aws.health_check.unwrap().port, Some(81));
}

#[test]
fn every_mistake_is_told_at_once() {
    let annotations = [
        ("svcmesh.dev/eject", "consecutive=0,base=1,forever"),
        ("svcmesh.dev/timeout", "10"),
        ("svcmesh.dev/health-check", "udp,healthy=1"),
    ];
    assert_eq!(read(&annotations).unwrap_err().len(), 6);
}

#[test]
fn the_way_to_endpoints_is_encrypted_and_answers_are_rewritten_when_asked() {
    check("tls", "off", |handling| handling.tls = Some(Tls::Off));
    check("tls", "originate", |handling| handling.tls = Some(Tls::Originate));
    check_refused("tls", &["", "on", "Originate", "true"]);
    check("tls-ca", "secret/internal.ca", |handling| handling.tls_authorities = Some("internal.ca".into()));
    check_refused("tls-ca", &["", "internal-ca", "secret/", "secret/a/b", "secret/A", "configmap/a"]);
    for (name, field) in [
        ("rewrite-location", (|handling| &mut handling.rewrite_location) as fn(&mut Handling) -> &mut bool),
        ("allow-local-external-name", |handling| &mut handling.allow_local_external_name),
    ] {
        check(name, "true", |handling| *field(handling) = true);
        check(name, "false", |_| {});
        check_refused(name, &["", "yes", "True", "1"]);
    }
}
