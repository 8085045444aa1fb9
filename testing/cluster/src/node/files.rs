//! `/etc/hosts` and `/etc/resolv.conf` of a pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::fields::Place;

/// The host name of a pod, and its name in the domain of its headless Service where it has one.
pub(crate) fn hostname(pod: &Pod, domain: &str) -> (String, Option<String>) {
    let spec = pod.spec.as_ref();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let chosen = spec.and_then(|spec| spec.hostname.as_deref()).filter(|name| !name.is_empty());
    let short: String = chosen.unwrap_or(name).chars().take(63).collect();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let subdomain = spec.and_then(|spec| spec.subdomain.as_deref()).filter(|name| !name.is_empty());
    let full = subdomain.map(|subdomain| format!("{short}.{subdomain}.{namespace}.svc.{domain}"));
    (short, full)
}

/// As kubelet writes it.
pub(crate) fn hosts(pod: &Pod, place: &Place, domain: &str) -> String {
    let (short, full) = hostname(pod, domain);
    let mut hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n\
        fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        .to_owned();
    for address in &place.pod_ips {
        match &full {
            Some(full) => hosts.push_str(&format!("{address}\t{full}\t{short}\n")),
            None => hosts.push_str(&format!("{address}\t{short}\n")),
        }
    }
    let aliases = pod.spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten());
    for (index, alias) in aliases.enumerate() {
        if index == 0 {
            hosts.push_str("\n# Entries added by HostAliases.\n");
        }
        hosts.push_str(&format!(
            "{}\t{}\n",
            alias.ip,
            alias.hostnames.clone().unwrap_or_default().join("\t")
        ));
    }
    hosts
}

/// By `dnsPolicy` and `dnsConfig`.
pub(crate) fn resolv_conf(spec: &PodSpec, namespace: &str, domain: &str, server: &str) -> String {
    let (mut servers, mut searches, mut options) = (Vec::new(), Vec::new(), Vec::new());
    let host_network = spec.host_network == Some(true);
    match spec.dns_policy.as_deref().unwrap_or("ClusterFirst") {
        "ClusterFirst" if host_network => {}
        "ClusterFirst" | "ClusterFirstWithHostNet" => {
            servers.push(server.to_owned());
            searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
            options.push("ndots:5".to_owned());
        }
        _ => {} // this machine's own configuration leads nowhere from a pod
    }
    if let Some(config) = &spec.dns_config {
        servers.extend(config.nameservers.iter().flatten().cloned());
        searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            options.retain(|known| known.split(':').next() != Some(name));
            options.push(match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    let unique = |words: Vec<String>| {
        let mut seen = BTreeSet::new();
        words.into_iter().filter(|word| seen.insert(word.clone())).collect::<Vec<_>>()
    };
    let mut lines = String::new();
    let searches = unique(searches);
    if !searches.is_empty() {
        lines.push_str(&format!("search {}\n", searches.join(" ")));
    }
    unique(servers).iter().for_each(|server| lines.push_str(&format!("nameserver {server}\n")));
    if !options.is_empty() {
        lines.push_str(&format!("options {}\n", options.join(" ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn hosts_tell_of_the_pod_and_of_its_aliases() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "db-0", "namespace": "shop" },
            "spec": { "containers": [], "hostname": "db-0", "subdomain": "db",
                "hostAliases": [{ "ip": "127.0.0.1", "hostnames": ["a", "b"] }] },
        }))
        .unwrap();
        let place = Place { pod_ips: vec!["10.0.0.5".into()], host_ip: String::new() };
        let hosts = hosts(&pod, &place, "cluster.local");
        assert!(hosts.contains("\n10.0.0.5\tdb-0.db.shop.svc.cluster.local\tdb-0\n"), "{hosts}");
        assert!(hosts.ends_with("\n# Entries added by HostAliases.\n127.0.0.1\ta\tb\n"), "{hosts}");
    }

    #[test]
    fn the_name_server_is_the_clusters_unless_the_pod_has_its_own() {
        let told = |spec: Value| {
            let mut spec = spec;
            spec["containers"] = json!([]);
            resolv_conf(&serde_json::from_value(spec).unwrap(), "shop", "cluster.local", "10.96.0.10")
        };
        let first = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(told(json!({})), first);
        assert_eq!(
            told(
                json!({ "dnsPolicy": "None", "dnsConfig": { "nameservers": ["127.0.0.1"], "options": [{ "name": "ndots", "value": "1" }] } })
            ),
            "nameserver 127.0.0.1\noptions ndots:1\n"
        );
        let overridden = told(
            json!({ "dnsConfig": { "options": [{ "name": "ndots", "value": "2" }], "searches": ["x.y"] } }),
        );
        assert!(
            overridden.contains("cluster.local x.y\n") && overridden.ends_with("options ndots:2\n"),
            "{overridden}"
        );
        assert_eq!(told(json!({ "dnsPolicy": "Default" })), "");
    }
}
