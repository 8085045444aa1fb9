//! Where Services come from, and how their names and addresses are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Arg;
use ipnet::IpNet;
use svc_core::service::Rules;
use svc_core::table::Source;

use super::flag::{Expected, Flag};
use super::settings::{ServiceAccount, SettingsReader};
use super::values::{boolean, dns_subdomain, label, list, networks, optional, path, zone};

/// Where Services come from, and how their names and addresses are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// The sources, best first; each at most once. `Manifests` only where there is a path.
    pub sources: Vec<Source>,
    /// A file or folder of manifests.
    pub manifests: Option<PathBuf>,
    /// Whom to ask for objects; there where `Kubernetes` is a source.
    pub api_server: Option<ApiServer>,
    /// The namespace in which bare names are looked up.
    pub namespace: Arc<str>,
    /// What Service names end with: lower case, no dot at either end.
    pub cluster_domain: Arc<str>,
    /// The node this pod runs on.
    pub node_name: Option<Arc<str>>,
    /// The zone this pod runs in.
    pub zone: Option<Arc<str>>,
    /// Whether endpoints in 127.0.0.0/8 and ::1 are taken (S-04).
    pub allow_loopback_endpoints: bool,
    /// The ranges cluster IPs must lie in (S-11): at most one per family; empty is no check.
    pub service_cidrs: Vec<IpNet>,
    /// Whether the `externalIPs` (S-27) of other namespaces are recognised too: whoever may create a Service
    /// may then divert any address.
    pub external_ips_all: bool,
}

/// The API server of the cluster that the pod runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// An address, or a name.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// The folder with `token` and `ca.crt`, which are read again as they change.
    pub account: PathBuf,
}

impl DiscoverySettings {
    /// Those that a sidecar can read, in the order of their numbers.
    pub const SOURCES: [Source; 4] =
        [Source::Manifests, Source::Kubernetes, Source::Environment, Source::Dns];

    pub(super) fn read(settings: &mut SettingsReader<'_>) -> DiscoverySettings {
        let sources = settings.read(&DISCOVERY);
        let manifests = settings.read(&MANIFESTS);
        let folder = settings.read(&SERVICE_ACCOUNT);
        let account = settings.account(&folder);
        let api_server = api_server(folder, &account, settings);
        let sources = usable(sources, manifests.is_some(), api_server.is_some(), settings);
        DiscoverySettings {
            api_server: api_server.filter(|_| sources.contains(&Source::Kubernetes)),
            sources,
            manifests,
            namespace: read_namespace(&account, settings).into(),
            cluster_domain: settings.read(&CLUSTER_DOMAIN).into(),
            node_name: settings.read(&NODE_NAME).map(Arc::from),
            zone: settings.read(&ZONE).map(Arc::from),
            allow_loopback_endpoints: settings.read(&ALLOW_LOOPBACK_ENDPOINTS),
            service_cidrs: settings.read(&SERVICE_CIDR),
            external_ips_all: settings.read(&EXTERNAL_IPS),
        }
    }
}

/// What objects are held to: three of the settings above, for who only reads manifests.
pub(super) fn read_rules(settings: &mut SettingsReader<'_>) -> Rules {
    let account = settings.account(Path::new(SERVICE_ACCOUNT.default));
    Rules {
        default_namespace: read_namespace(&account, settings).into(),
        allow_loopback_endpoints: settings.read(&ALLOW_LOOPBACK_ENDPOINTS),
        service_cidrs: settings.read(&SERVICE_CIDR),
    }
}

/// Sources that have nothing to read are left out: fine where nobody asked for them by name.
fn usable(
    mut sources: Vec<Source>,
    has_manifests: bool,
    is_in_cluster: bool,
    settings: &mut SettingsReader<'_>,
) -> Vec<Source> {
    let lacks = [
        (Source::Manifests, has_manifests, "--manifests to name a file or folder, or no source `manifests`"),
        (
            Source::Kubernetes,
            is_in_cluster,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT to be set and a `token` to be in --service-account, as in a pod, or no source `kubernetes`",
        ),
    ];
    for (source, is_there, expected) in lacks {
        if !is_there && sources.contains(&source) {
            if settings.is_given(&DISCOVERY) {
                settings.refuse(&DISCOVERY, expected);
            }
            sources.retain(|&other| other != source);
        }
    }
    sources
}

/// The API server, where this is a pod that may speak to it.
fn api_server(
    folder: PathBuf,
    account: &ServiceAccount,
    settings: &mut SettingsReader<'_>,
) -> Option<ApiServer> {
    let (host, port) = settings.api_server()?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    account.has_token.then(|| ApiServer { host: host.into(), port, account: folder })
}

fn read_namespace(account: &ServiceAccount, settings: &mut SettingsReader<'_>) -> String {
    let given = settings.read(&NAMESPACE);
    match &account.namespace {
        Some(of_pod) if !settings.is_given(&NAMESPACE) => {
            settings.took_from_pod(&NAMESPACE, of_pod);
            of_pod.clone()
        }
        Some(_) | None => given,
    }
}

pub(super) fn args() -> [Arg; 10] {
    const HEADING: &str = "Discovery";
    [
        DISCOVERY.arg(HEADING),
        MANIFESTS.arg(HEADING),
        SERVICE_ACCOUNT.arg(HEADING),
        NAMESPACE.arg(HEADING),
        CLUSTER_DOMAIN.arg(HEADING),
        NODE_NAME.arg(HEADING),
        ZONE.arg(HEADING),
        allow_loopback_endpoints(HEADING),
        SERVICE_CIDR.arg(HEADING),
        EXTERNAL_IPS.arg(HEADING),
    ]
}

/// Those of [`read_rules`].
pub(super) fn rules_args() -> [Arg; 3] {
    const HEADING: &str = "Rules";
    [NAMESPACE.arg(HEADING), allow_loopback_endpoints(HEADING), SERVICE_CIDR.arg(HEADING)]
}

/// Alone it means `=true`; the value must be tied to it, or it would swallow the next argument.
fn allow_loopback_endpoints(heading: &'static str) -> Arg {
    let arg = ALLOW_LOOPBACK_ENDPOINTS.arg(heading);
    arg.num_args(0..=1).require_equals(true).default_missing_value("true")
}

const DISCOVERY: Flag<Vec<Source>> = Flag {
    name: "discovery",
    value: "SOURCES",
    default: "manifests,kubernetes,env,dns",
    help: "Where Services come from, best first: `manifests`, `kubernetes` (the API server, which is watched), `env` (the variables that the \
           kubelet injects), `dns` (asked for the names that no earlier source knows). The first source that knows a Service decides. By \
           default `manifests` counts only with --manifests, and `kubernetes` only in a pod that has a token of a service account",
    parse: sources,
};

const MANIFESTS: Flag<Option<PathBuf>> = Flag {
    name: "manifests",
    value: "PATH",
    default: "",
    help: "File or folder of Service, Endpoints, EndpointSlice and Secret objects in YAML or JSON, reloaded on change",
    parse: |raw| optional(raw, path),
};

const SERVICE_ACCOUNT: Flag<PathBuf> = Flag {
    name: "service-account",
    value: "PATH",
    default: "/var/run/secrets/kubernetes.io/serviceaccount",
    help: "Folder of the service account by which the API server is asked: `token`, `ca.crt` and `namespace`, read again as they change",
    parse: path,
};

const NAMESPACE: Flag<String> = Flag {
    name: "namespace",
    value: "NAME",
    default: "default",
    help: "Where bare names are looked up. In a pod the default is the pod's own namespace",
    parse: label,
};

const CLUSTER_DOMAIN: Flag<String> = Flag {
    name: "cluster-domain",
    value: "DOMAIN",
    default: "cluster.local",
    help: "What the names of Services end with",
    parse: dns_subdomain,
};

const NODE_NAME: Flag<Option<String>> = Flag {
    name: "node-name",
    value: "NAME",
    default: "",
    help: "The node the pod runs on, for topology",
    parse: |raw| optional(raw, dns_subdomain),
};

const ZONE: Flag<Option<String>> = Flag {
    name: "zone",
    value: "NAME",
    default: "",
    help: "The zone the pod runs in, for topology. Without it, the source `kubernetes` looks for the pod's address in the slices of its namespace, \
           which tell its node and zone",
    parse: |raw| optional(raw, zone),
};

const ALLOW_LOOPBACK_ENDPOINTS: Flag<bool> = Flag {
    name: "allow-loopback-endpoints",
    value: "true|false",
    default: "false",
    help: "For trials on one machine: take endpoints in 127.0.0.0/8, which Kubernetes refuses, and names that lead there. Without a value: true",
    parse: boolean,
};

const SERVICE_CIDR: Flag<Vec<IpNet>> = Flag {
    name: "service-cidr",
    value: "NETWORKS",
    default: "",
    help: "The ranges that cluster IPs must lie in, one per family. Without it none is checked, and Services that have none get theirs \
           from 10.96.0.0/12",
    parse: service_cidrs,
};

const EXTERNAL_IPS: Flag<bool> = Flag {
    name: "external-ips",
    value: "own|all",
    default: "own",
    help: "Whose externalIPs are recognised: those of the pod's own namespace, or everybody's, who may then divert any address",
    parse: external_ips_all,
};

fn sources(raw: &str) -> Result<Vec<Source>, Expected> {
    let sources = list(raw, source)?;
    let repeats = sources.iter().enumerate().any(|(index, source)| sources[..index].contains(source));
    if repeats { Err("each source once".into()) } else { Ok(sources) }
}

fn source(raw: &str) -> Result<Source, Expected> {
    let source = DiscoverySettings::SOURCES.into_iter().find(|source| source.as_str() == raw);
    source.ok_or("a list of sources: `manifests`, `kubernetes`, `env`, `dns`".into())
}

fn service_cidrs(raw: &str) -> Result<Vec<IpNet>, Expected> {
    let networks = networks(raw)?;
    let ipv4 = networks.iter().filter(|network| network.addr().is_ipv4()).count();
    match ipv4 <= 1 && networks.len() - ipv4 <= 1 {
        true => Ok(networks),
        false => Err("at most one network per address family".into()),
    }
}

fn external_ips_all(raw: &str) -> Result<bool, Expected> {
    match raw {
        "own" => Ok(false),
        "all" => Ok(true),
        _ => Err("`own` or `all`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_keep_their_order_and_come_once() {
        assert_eq!(
            sources("env,kubernetes,dns,manifests"),
            Ok(vec![Source::Environment, Source::Kubernetes, Source::Dns, Source::Manifests])
        );
        for raw in ["", "env,env", "kubernetes,kubernetes", "services", "DNS", "Env"] {
            assert!(sources(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn there_is_one_service_range_per_family() {
        assert_eq!(service_cidrs("10.96.0.0/12,fd00::/108").unwrap().len(), 2);
        assert_eq!(
            service_cidrs("10.96.0.0/12,10.0.0.0/12").unwrap_err(),
            "at most one network per address family"
        );
    }
}
