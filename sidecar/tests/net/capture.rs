//! Connections that nftables REDIRECT brings to the sidecar, of both families.

use crate::support::*;

#[test]
fn redis_and_postgresql_are_reached_at_their_cluster_ips() {
    isolated(|| {
        let pod = Pod::here();
        let (v4, v6) = (Pod::backend_v4(1), Pod::backend_v6(1));
        let _four = pod.node.enter(|| (Redis::start(&v4, 6379), Postgres::start(&v4, 5432)));
        let _six = pod.node.enter(|| (Redis::start(&v6, 6379), Postgres::start(&v6, 5432)));
        let manifests = Manifests::of(&[
            service("redis", &["10.96.0.20", "fd00:10:96::20"], 80, "redis"),
            slice("redis", &[&v4], 6379),
            slice("redis", &[&v6], 6379),
            service("postgres", &["10.96.0.30", "fd00:10:96::30"], 81, "tcp"),
            slice("postgres", &[&v4], 5432),
            slice("postgres", &[&v6], 5432),
        ]);
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), manifests, &[]);
        capture_output();
        for (redis, postgres) in [("10.96.0.20", "10.96.0.30"), ("fd00:10:96::20", "fd00:10:96::30")] {
            assert_eq!(Redis::ask(redis, 80, &["PING"]), "PONG", "{redis}");
            assert_eq!(Postgres::ask(postgres, 81, "select 6 * 7"), "42", "{postgres}");
        }
    });
}

#[test]
fn http_to_a_cluster_ip_is_balanced_per_request() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = crate::web::three_nginx(&pod);
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), crate::web::web("http", 3), &[]);
        capture_output();
        let answer = curl(&["http://10.96.0.10/[1-30]"]);
        assert_eq!(answer.connections, 1);
        for name in ["a", "b", "c"] {
            assert_eq!(answer.body.lines().filter(|line| *line == name).count(), 10, "{}", answer.body);
        }
    });
}

#[test]
fn an_unknown_destination_is_passed_through_untouched() {
    isolated(|| {
        let pod = Pod::here();
        let (v4, v6) = (Pod::backend_v4(1), Pod::backend_v6(1));
        let _redis = pod.node.enter(|| (Redis::start(&v4, 6379), Redis::start(&v6, 6379)));
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), Manifests::of(&[]), &[]);
        capture_output();
        assert_eq!(Redis::ask(&v4, 6379, &["PING"]), "PONG");
        assert_eq!(Redis::ask(&v6, 6379, &["PING"]), "PONG");
    });
}
