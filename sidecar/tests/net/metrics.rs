//! What `/metrics` says, to those who read it for a living; and what it does not say of those who only look whether we are there.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;
use crate::web::{VIP, three_nginx, web};

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 4), VIP); // of four endpoints one refuses
        assert_eq!(curl(&["http://127.66.0.1/[1-30]"]).status, 200);
        assert_eq!(curl(&["--proxy", "http://127.0.0.1:15002", "http://web:81/"]).status, 502);
        let page = sidecar.admin("/metrics");
        assert!(
            page.contains("svcmesh_retries_total{") && page.contains("process_cpu_seconds_total "),
            "{page}"
        );
        let mut promtool = Command::new("promtool");
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut promtool = promtool.spawn().expect("the group's packages are installed");
        let mut stdin = promtool.stdin.take().expect("it is a pipe");
        stdin.write_all(page.as_bytes()).expect("it reads all of it");
        drop(stdin);
        let said = promtool.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success() && told.trim().is_empty(), "{told}");
    });
}

#[test]
fn haproxys_checks_are_no_failures() {
    for app_protocol in ["http", "tcp"] {
        isolated(|| {
            let pod = Pod::here();
            let _backends = three_nginx(&pod);
            let sidecar = Sidecar::start(web(app_protocol, 3), VIP);
            let server = "server web 127.66.0.1:80 check inter 20ms";
            let balancer = format!("listen balancer\n  mode tcp\n  bind {BALANCER}\n  {server}\n");
            let haproxy = Haproxy::start(&balancer, BALANCER);
            std::thread::sleep(Duration::from_secs(1)); // some fifty checks
            assert_eq!(curl(&[&format!("http://{BALANCER}/")]).status, 200, "{}", haproxy.log());
            let page = sidecar.admin("/metrics");
            let failures = page.lines().filter(|line| line.starts_with("svcmesh_failures_total{"));
            let failures: Vec<_> = failures.filter(|line| !line.ends_with(" 0")).collect();
            assert!(failures.is_empty(), "{app_protocol}: {failures:?}");
            let records = sidecar.access_log();
            assert!(records.iter().all(|record| record["failure.code"].is_null()), "{records:?}");
        });
    }
}

const BALANCER: &str = "127.0.0.1:7000";
