//! What endpoints get when all of them fail.

use std::time::{Duration, Instant};

use crate::support::*;
use crate::web::{VIP, documents};

#[test]
fn endpoints_that_all_fail_get_a_fifth_more_and_ten_a_second() {
    isolated(|| {
        let pod = Pod::here();
        let backends = [("a", 1), ("b", 2), ("c", 3)].map(|(name, number)| {
            let address = format!("{}:80", Pod::backend_v4(number));
            pod.node.enter(|| Nginx::serving(name, &address, "location / { return 503; }"))
        });
        let asks = "annotations: { svcmesh.dev/retry: gateway-error, svcmesh.dev/eject: \"off\",";
        let documents = documents("http", 1..=3).replacen("annotations: {", asks, 1);
        let sidecar = Sidecar::start(Manifests::of(&[documents]), &[VIP, &["--workers", "2"]].concat());
        let begun = now();
        let load = wrk("http://127.66.0.1/", 32, Duration::from_secs(2));
        assert_eq!((load.refused, load.broken), (load.responses, 0), "503 is passed on");
        let sent = || backends.iter().map(Nginx::requests).sum::<usize>() as u64;
        let (offered, sent) = until("all that was begun is counted", || {
            let (offered, before) = (sidecar.measured("svcmesh_requests_total").iter().sum::<u64>(), sent());
            let retried: u64 = sidecar.measured("svcmesh_retries_total").iter().sum();
            (before == offered + retried && before == sent()).then_some((offered, before))
        });
        let seconds = begun.elapsed().as_secs() + 1;
        let (least, most) = (offered + offered / 6, offered + offered / 5 + 10 * seconds);
        assert!((least..=most).contains(&sent), "{sent} for {offered} in {seconds} s");
        assert!(sidecar.measured("svcmesh_retry_budget_exhausted_total")[0] > 0);
    });
}

#[expect(clippy::disallowed_methods, reason = "the test measures how long it took")]
fn now() -> Instant {
    Instant::now()
}
