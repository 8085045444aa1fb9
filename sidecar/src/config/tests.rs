//! The whole configuration: what people read is under snapshot.

use super::*;

fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, SettingMistakes> {
    read_in(flags, variables, None)
}

fn read_in(
    flags: &[&str],
    variables: &[(&str, &str)],
    namespace: Option<&str>,
) -> Result<Config, SettingMistakes> {
    let matches = command().get_matches_from(std::iter::once(&"run").chain(flags));
    let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Config::read(&matches, &Surroundings::new(variables, namespace.map(str::to_owned)))
}

#[test]
fn the_help_is_the_manual() {
    insta::assert_snapshot!(command().term_width(100).render_long_help());
}

#[test]
fn every_default_parses_and_check_shows_it() {
    insta::assert_snapshot!(read(&[], &[]).unwrap().effective);
}

#[test]
fn check_shows_who_set_what() {
    let flags = ["--workers", "2", "--manifests=/etc/svc", "--allow-loopback-endpoints"];
    let variables = [("SIDECAR_WORKERS", "4"), ("SIDECAR_CONNECT_TIMEOUT", "250ms")];
    insta::assert_snapshot!(read_in(&flags, &variables, Some("shop\n")).unwrap().effective);
}

#[test]
fn a_configuration_with_every_flag_wrong_tells_all_of_it() {
    let any_string_will_do = [
        CHECK,
        "manifests",
        "service-account",
        "admin-token-file",
        "resolv-conf",
        "tls-cert",
        "tls-key",
        "tls-client-ca",
    ];
    let names = command().get_arguments().map(|arg| arg.get_id().to_string()).collect::<Vec<_>>();
    let names = names.iter().filter(|name| !any_string_will_do.contains(&name.as_str()));
    let flags: Vec<String> = names.map(|name| format!("--{name}=?!\u{7}")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    insta::assert_snapshot!(read(&flags, &[]).unwrap_err());
}

#[test]
fn settings_that_do_not_go_together_are_told_too() {
    let flags = ["--discovery=env,manifests", "--drain-delay=30s", "--dns-min-ttl=10m", "--workers=0"];
    insta::assert_snapshot!(read(&flags, &[]).unwrap_err());
}

#[test]
fn a_mistake_names_the_variable_when_the_variable_made_it() {
    let mistakes =
        read(&["--zone", "a b"], &[("SIDECAR_WORKERS", "none"), ("SIDECAR_ZONE", "fine")]).unwrap_err();
    insta::assert_snapshot!(mistakes);
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_the_default() {
    let variables = [("SIDECAR_WORKERS", "4"), ("SIDECAR_MAX_CONNECTIONS", "7")];
    let limits = read(&["--workers=2"], &variables).unwrap().limits;
    assert_eq!((limits.workers, limits.connections_max), (2, 7));
}

#[test]
fn an_empty_variable_is_absent_but_an_empty_flag_is_a_mistake() {
    assert_eq!(read(&[], &[("SIDECAR_WORKERS", "")]).unwrap().limits.workers, 1);
    assert!(read(&["--workers="], &[]).is_err());
}

#[test]
fn a_service_named_sidecar_changes_nothing_and_worries_nobody() {
    let injected = [
        ("SIDECAR_SERVICE_HOST", "10.0.0.1"),
        ("SIDECAR_SERVICE_PORT", "80"),
        ("SIDECAR_SERVICE_PORT_ADMIN", "81"),
        ("SIDECAR_PORT", "tcp://10.0.0.1:80"),
        ("SIDECAR_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SIDECAR_METRICS_PORT", "tcp://10.0.0.1:80"),
        ("SIDECAR_METRICS_SERVICE_HOST", "10.0.0.1"),
    ];
    let config = read(&[], &injected).unwrap();
    assert_eq!(config.effective, read(&[], &[]).unwrap().effective);
    assert_eq!(config.unknown_variables, [""; 0]);
}

#[test]
fn a_misspelt_variable_is_named() {
    let config =
        read(&[], &[("SIDECAR_CONECT_TIMEOUT", "1s"), ("SIDECAR_SERVICE_CIDR", "10.0.0.0/8")]).unwrap();
    assert_eq!(config.unknown_variables, ["SIDECAR_CONECT_TIMEOUT"]);
    assert_eq!(config.discovery.service_cidrs.len(), 1);
}

#[test]
fn the_pods_namespace_holds_until_somebody_names_another() {
    let namespace = |flags: &[&str], of_pod| read_in(flags, &[], of_pod).unwrap().discovery.namespace;
    assert_eq!(&*namespace(&[], None), "default");
    assert_eq!(&*namespace(&[], Some("shop\n")), "shop");
    assert_eq!(&*namespace(&["--namespace=default"], Some("shop")), "default");
}

#[test]
fn the_source_manifests_needs_a_path_once_it_is_asked_for() {
    use svc_core::table::Source;
    assert_eq!(read(&[], &[]).unwrap().discovery.sources, [Source::Environment, Source::Dns]);
    assert_eq!(
        read(&["--manifests=x"], &[]).unwrap().discovery.sources,
        [Source::Manifests, Source::Environment, Source::Dns]
    );
    assert!(read(&["--discovery=manifests"], &[]).is_err());
}

#[test]
fn the_source_kubernetes_needs_a_pod_with_a_token() {
    use svc_core::table::Source;
    let of_pod = [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let discovery = |flags: &[&str], variables: &[(&str, &str)], namespace| {
        read_in(flags, variables, namespace).map(|config| config.discovery)
    };
    let in_pod = discovery(&["--manifests=x", "--service-account=/a"], &of_pod, Some("shop")).unwrap();
    assert_eq!(in_pod.sources, [Source::Manifests, Source::Kubernetes, Source::Environment, Source::Dns]);
    let account = "/a".into();
    assert_eq!(in_pod.api_server, Some(ApiServer { host: "10.96.0.1".into(), port: 443, account }));

    let without_token = discovery(&[], &of_pod, None).unwrap();
    assert_eq!(
        (without_token.sources, without_token.api_server),
        (vec![Source::Environment, Source::Dns], None)
    );
    assert_eq!(discovery(&["--discovery=env"], &of_pod, Some("shop")).unwrap().api_server, None);
    insta::assert_snapshot!(read(&["--discovery=kubernetes,env"], &[]).unwrap_err());
}

#[test]
fn a_drain_delay_beyond_the_drain_timeout_is_a_mistake() {
    assert!(read(&["--drain-delay=30s"], &[]).is_err());
    assert!(read(&["--drain-delay=30s", "--drain-timeout=30s"], &[]).is_ok());
}

#[test]
fn tls_settings_that_lead_nowhere_are_mistakes() {
    let pair = ["--tls-cert=a.pem", "--tls-key=a.key"];
    let map = "--inbound-map=8443=127.0.0.1:80,tls";
    let secret = "--inbound-map=8443=127.0.0.1:80,tls=shop-cert";
    for flags in [
        &[&pair[..], &[map]].concat()[..],
        &[&pair[..], &["--tls-ports=8443", "--tls-client-ca=ca.pem"]].concat(),
        &[secret, "--tls-client-ca=ca.pem"],
    ] {
        read(flags, &[]).unwrap();
    }
    let mut told = String::new();
    for flags in [
        &pair[..],
        &[map],
        &["--tls-ports=8443"],
        &[secret, "--tls-cert=a.pem,b.pem", "--tls-key=a.key"],
        &["--tls-client-ca=ca.pem"],
    ] {
        told += &format!("{}\n{}", flags.join(" "), read(flags, &[]).unwrap_err());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_secret_without_a_namespace_is_in_the_pods() {
    let config = read_in(&["--inbound-map=8443=127.0.0.1:80,tls=cert"], &[], Some("shop")).unwrap();
    let shown = config.listeners.shown_at(8443).cloned();
    assert_eq!(shown, Some(ShownBy::Secret(svc_core::address::SecretName::new("shop", "cert"))));
}

#[test]
fn clap_finds_no_fault_with_the_flags() {
    command().debug_assert();
}

#[test]
fn two_listeners_at_one_address_are_a_mistake_whoever_asked_for_them() {
    let mut told = String::new();
    for flags in [
        &["--admin=127.0.0.1:9000", "--forward-proxy=127.0.0.1:9000"][..],
        &["--admin=127.0.0.1:9000", "--forward-proxy=0.0.0.0:9000"],
        &["--outbound=[::]:9000,127.0.0.1:9000"],
        &["--inbound=127.0.0.1:15020"],
        &["--inbound-map=15020=127.0.0.1:80"],
        &["--inbound-map=9000=127.0.0.1:80", "--admin=[::1]:9000"],
        &["--inbound-map=9000=127.0.0.1:15020"],
        &["--inbound-map=9000=0.0.0.0:9000"],
        &["--admin=[::]:15001", "--inbound=[::]:15002"],
    ] {
        told += &format!("{}\n{}", flags.join(" "), read(flags, &[]).unwrap_err());
    }
    insta::assert_snapshot!(told);
    for flags in [
        &["--outbound=off", "--inbound=127.0.0.1:15001"][..],
        &["--admin=127.0.0.1:0", "--forward-proxy=127.0.0.1:0"],
        &["--admin=off", "--inbound-map=15020=127.0.0.1:80"],
        &["--inbound-map=8443=127.0.0.1:8080,9443=127.0.0.1:8080"],
        &["--outbound=127.0.0.1:9000,[::1]:9000"],
    ] {
        read(flags, &[]).unwrap();
    }
}
