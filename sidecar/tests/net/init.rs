//! The rules that `sidecar init` writes, and what they do to connections.

use std::net::TcpListener;

use crate::support::*;

#[test]
fn what_the_application_opens_is_captured_over_both_families() {
    isolated(|| {
        let _pod = Pod::here();
        let _outbound = outbound();
        init(&[]).succeeds();
        assert_eq!(ask_where("10.96.0.1:80"), "captured from 10.96.0.1:80");
        assert_eq!(ask_where("[fd00:10:96::1]:8080"), "captured from [fd00:10:96::1]:8080");
    });
}

#[test]
fn skipped_ports_dns_and_metadata_services_are_left_alone() {
    isolated(|| {
        let pod = Pod::here();
        let _outbound = outbound();
        init(&["--skip-outbound-ports=3306,5432"]).succeeds();
        let (v4, v6) = (Pod::backend_v4(1), Pod::backend_v6(1));
        for address in METADATA {
            pod.node_also_is(address);
        }
        let metadata = METADATA.map(|address| at(address, 80));
        let skipped = [at(&v4, 3306), at(&v6, 5432), at(&v4, 53), at(&v6, 53)];
        for address in skipped.iter().chain(&metadata) {
            let _there = pod.node.enter(|| Told::at(address, "direct"));
            assert_eq!(ask_where(address), "direct", "{address}");
        }
        assert_eq!(ask_where(&at(&v4, 80)), format!("captured from {v4}:80"), "the control");
    });
}

#[test]
fn connections_within_the_pod_are_left_alone() {
    isolated(|| {
        let _pod = Pod::here();
        let _outbound = outbound();
        let _inbound = Told::at("[::]:15006", "captured");
        init(&[]).succeeds();
        for address in ["127.0.0.1:8080", "[::1]:8080", "10.1.0.2:8080", "[fd00:10:1::2]:8080"] {
            let _application = Told::at(address, "direct");
            assert_eq!(ask_where(address), "direct", "{address}");
        }
    });
}

#[test]
fn the_sidecars_own_connections_are_left_alone() {
    isolated(|| {
        let pod = Pod::here();
        let _outbound = outbound();
        init(&[]).succeeds();
        for address in [Pod::backend_v4(1), Pod::backend_v6(1)] {
            let _there = pod.node.enter(|| Told::at(&at(&address, 80), "direct"));
            let read = format!("cat < /dev/tcp/{address}/80");
            let as_user = |user: &str| {
                let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
                output_of("setpriv", &[&user, &group, "--clear-groups", "bash", "-c", &read])
            };
            assert_eq!(as_user(SIDECAR_USER), "direct\n", "{address}");
            assert!(as_user("2103").starts_with("captured"), "{address}");
        }
    });
}

#[test]
fn what_others_open_to_the_pod_is_captured_but_for_skipped_ports_and_the_sidecars_own() {
    isolated(|| {
        let pod = Pod::here();
        let _inbound = Told::at("[::]:15006", "captured");
        init(&["--skip-inbound-ports=9090"]).succeeds();
        for pod_is in ["10.1.0.2", "fd00:10:1::2"] {
            let ask = |port| pod.node.enter(|| ask_where(&at(pod_is, port)));
            assert_eq!(ask(8080), format!("captured from {}", at(pod_is, 8080)));
            for port in [9090, 15020] {
                let _there = Told::at(&at(pod_is, port), "direct");
                assert_eq!(ask(port), "direct", "{pod_is} {port}");
            }
            for port in [15001, 15002] {
                assert_eq!(ask(port), "connection refused", "{pod_is} {port}");
            }
            assert_eq!(ask(15006), "captured", "{pod_is}: it came to where it was going");
        }
    });
}

#[test]
fn a_direction_that_is_off_is_left_alone() {
    isolated(|| {
        let pod = Pod::here();
        let (_outbound, _inbound) = (outbound(), Told::at("[::]:15006", "captured"));
        let application = "10.1.0.2:8080";
        let backend = at(&Pod::backend_v4(1), 80);
        let _there = (Told::at(application, "direct"), pod.node.enter(|| Told::at(&backend, "direct")));
        init(&["--inbound-port=off"]).succeeds();
        assert_eq!(pod.node.enter(|| ask_where(application)), "direct");
        assert!(ask_where(&backend).starts_with("captured"));
        init(&["--outbound-port=off"]).succeeds();
        assert!(pod.node.enter(|| ask_where(application)).starts_with("captured"));
        assert_eq!(ask_where(&backend), "direct");
        assert_eq!(ask_where(application), "direct", "within the pod");
    });
}

#[test]
fn twice_is_once_and_the_last_word_holds() {
    isolated(|| {
        init(&["--skip-outbound-ports=1"]).succeeds();
        init(&[]).succeeds();
        let once = rules();
        init(&[]).succeeds();
        assert_eq!(rules(), once);
        assert!(once.contains("redirect to :15001") && !once.contains("--skip-outbound-ports"), "{once}");
    });
}

#[test]
fn connections_that_were_open_before_the_rules_stay_open() {
    isolated(|| {
        let pod = Pod::here();
        let (backend, here) = (at(&Pod::backend_v4(1), 80), "10.1.0.2:8080");
        let elsewhere = pod.node.enter(|| TcpListener::bind(&backend)).expect("addresses are free");
        let application = TcpListener::bind(here).expect("addresses are free");
        let mut opened = Conversation::with(&backend);
        let mut served = accepted(&elsewhere);
        let mut client = pod.node.enter(|| Conversation::with(here));
        let mut answered = accepted(&application);
        init(&[]).succeeds();
        for (one, other) in [(&mut opened, &mut served), (&mut answered, &mut client)] {
            one.say("a");
            assert_eq!(other.hear_bytes(1), b"a");
            other.say("b");
            assert_eq!(one.hear_bytes(1), b"b");
        }
    });
}

#[test]
fn captured_connections_outlive_new_rules() {
    isolated(|| {
        let _pod = Pod::here();
        let outbound = TcpListener::bind("127.0.0.1:15001").expect("addresses are free");
        init(&[]).succeeds();
        let mut client = Conversation::with("10.96.0.1:80");
        let mut captured = accepted(&outbound);
        init(&["--skip-outbound-ports=80"]).succeeds();
        client.say("a");
        assert_eq!(captured.hear_bytes(1), b"a");
        captured.say("b");
        assert_eq!(client.hear_bytes(1), b"b");
    });
}

#[test]
fn clean_leaves_nothing_of_ours_and_all_of_a_strangers() {
    isolated(|| {
        init(&["--clean"]).succeeds();
        assert_eq!(rules(), "");
        let stranger =
            "add table inet stranger; add chain inet stranger output { type nat hook output priority 0; }";
        assert_eq!(output_of("nft", &[stranger]), "");
        let before = rules();
        init(&[]).succeeds();
        assert!(rules().contains("table inet svcmesh") && rules().contains(before.trim()), "{}", rules());
        init(&["--clean"]).succeeds();
        assert_eq!(rules(), before);
        init(&["--clean"]).succeeds();
        assert_eq!(rules(), before);
    });
}

#[test]
fn transparent_rules_come_with_routes_which_are_written_once_and_removed_with_them() {
    isolated(|| {
        let (_pod, before) = (Pod::here(), routing());
        let transparent = "--privileges=transparent";
        init(&[transparent]).succeeds();
        let once = (rules(), routing());
        for family in ["-4", "-6"] {
            let rule = output_of("ip", &[family, "rule", "show", "table", "7376"]);
            assert_eq!(rule, "7376:\tfrom all fwmark 0x73760004 lookup 7376\n");
            assert!(
                output_of("ip", &[family, "route", "show", "table", "7376"])
                    .starts_with("local default dev lo")
            );
        }
        init(&[transparent]).succeeds();
        assert_eq!((rules(), routing()), once);
        let clean = init(&["--clean", "--dry-run"]).stdout;
        init(&["--clean"]).succeeds();
        assert_eq!((rules(), routing()), (String::new(), before.clone()));
        let script = init(&[transparent, "--dry-run"]).stdout;
        for (script, after) in [(&script, &once), (&script, &once), (&clean, &(String::new(), before))] {
            assert_eq!(output_of("sh", &["-ec", script]), "");
            assert_eq!((&rules(), &routing()), (&after.0, &after.1));
        }
    });
}

#[test]
fn a_dry_run_changes_nothing_and_prints_a_script_that_does_the_same() {
    isolated(|| {
        let script = init(&["--dry-run", "--skip-inbound-ports=9090"]);
        assert_eq!((script.code, rules().as_str()), (Some(0), ""), "{script:?}");
        init(&["--skip-inbound-ports=9090"]).succeeds();
        let written = rules();
        let clean = init(&["--dry-run", "--clean"]);
        assert_eq!(rules(), written);
        assert_eq!(output_of("sh", &["-ec", &clean.stdout]), "");
        assert_eq!(rules(), "");
        assert_eq!(output_of("sh", &["-ec", &script.stdout]), "");
        assert_eq!(rules(), written);
    });
}

#[test]
fn rules_that_may_not_be_written_are_an_error_and_those_of_before_hold() {
    isolated(|| {
        init(&[]).succeeds();
        let before = rules();
        for arguments in [&["--skip-inbound-ports=9090"][..], &["--clean"]] {
            let refused = init_as(SIDECAR_USER, arguments);
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
            let told = &refused.stderr;
            assert!(told.contains("nft ended with") && told.contains("Operation not permitted"), "{told}");
            assert_eq!(rules(), before);
        }
    });
}

/// Listens at `--outbound`.
fn outbound() -> [Told; 2] {
    ["127.0.0.1:15001", "[::1]:15001"].map(|address| Told::at(address, "captured"))
}

/// All rules in the namespace.
fn rules() -> String {
    output_of("nft", &["list", "ruleset"])
}

/// All rules and tables of routing in the namespace, of both families. Not what the kernel adds by itself, as soon as it has found an
/// address of the link to be nobody else's.
fn routing() -> String {
    let shown = ["-4", "-6"].map(|family| {
        let routes = output_of("ip", &[family, "route", "show", "table", "all"]);
        let ours = routes.lines().filter(|route| !route.contains("fe80::"));
        output_of("ip", &[family, "rule", "show"]) + &ours.collect::<Vec<_>>().join("\n")
    });
    shown.concat()
}

const METADATA: [&str; 5] =
    ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"];
