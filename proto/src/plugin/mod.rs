//! The configuration of the Wasm filter: the JSON that Envoy hands to it, parsed, with every mistake at once.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

mod hand_off;
mod mistakes;
mod services;
mod values;

#[cfg(test)]
mod tests;

pub use crate::json::Mistake;
pub use hand_off::{ClusterName, HandOff};
pub use mistakes::Mistakes;

use crate::json::{Fields, Place, UnknownFields, boolean, one_of, port, text};
use crate::values::{deadline, dns_subdomain, label, zone};
use mistakes::WHOLE;
use values::{authority, header_name, name, network, path, service_name, token};

/// Everything the filter can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// `filter`: what the plugin is to Envoy.
    pub filter: Filter,
    /// `namespace`: where bare names are looked up.
    pub namespace: Arc<str>,
    /// `clusterDomain`: what the names of Services end with; lower case, no dot at either end.
    pub cluster_domain: Arc<str>,
    /// `node`: where this Envoy runs, for topology.
    pub node: Option<Arc<str>>,
    /// `zone`: where this Envoy runs, for topology.
    pub zone: Option<Arc<str>>,
    /// `allowLoopbackEndpoints`: whether endpoints in 127.0.0.0/8 and ::1 are taken (S-04).
    pub allow_loopback_endpoints: bool,
    /// `serviceCIDR`: where cluster IPs are allocated; at most one network per family, empty for the usual ones.
    pub service_cidrs: Vec<IpNet>,
    /// `service`: what names the Service that a request is for.
    pub service: ServiceFrom,
    /// `unknown`: what becomes of a request for a Service that nobody knows.
    pub unknown: Unknown,
    /// `handOff`: how Envoy learns of the endpoint.
    pub hand_off: HandOff,
    /// `forwardingHeaders`: whether `X-Forwarded-…`, `Forwarded` and `X-Real-IP` are set.
    pub forwarding_headers: bool,
    /// `trustedProxies`: peers whose PROXY and forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `viaHeader`: whether `Via` is set, and loops are found by it.
    pub via_header: bool,
    /// `learn`: whether the answers of endpoints are heeded, by latency and by failure.
    pub learn: bool,
    /// `debugHeader`: whether answers tell how they were routed.
    pub debug_header: bool,
    /// `proxyProtocol`: whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// `proxyProtocolTimeout`: how long one is waited for.
    pub proxy_protocol_timeout: Duration,
    /// `environment`: whether the variables that the kubelet injects are read.
    pub environment: bool,
    /// `services`: each the JSON of a [`crate::services::Service`], in the order written.
    pub services: Vec<String>,
    /// `update`: who is asked for Services; nobody by default.
    pub update: Option<Update>,
    /// `log`: the least level that is logged.
    pub log: LogLevel,
}

/// What the plugin is to Envoy, which does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// An HTTP filter.
    Http,
    /// A network filter.
    Tcp,
}

/// What names the Service that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceFrom {
    /// The request's authority.
    Authority,
    /// The entry of the route's filter metadata under this key.
    Metadata(String),
    /// Nothing: it is always this port of this Service.
    Fixed {
        /// The Service's namespace.
        namespace: Arc<str>,
        /// The Service's name.
        name: Arc<str>,
        /// The port clients use.
        port: u16,
    },
}

/// What becomes of a request for a Service that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Envoy does with it what it would do without the filter.
    Pass,
    /// The failure table's answer.
    Refuse,
}

/// Whether connections begin with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// The bytes are the application's, whatever they are.
    Off,
    /// They must, and only trusted proxies may connect.
    Require,
    /// What `require` would do is counted, and not done.
    Observe,
}

/// A sidecar or gateway that is asked for its `/services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The Envoy cluster that leads there.
    pub cluster: String,
    /// The authority of the requests.
    pub authority: String,
    /// Their path, with its query.
    pub path: String,
    /// How long after an answer the next is asked for.
    pub interval: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// What the header [`crate::names::header::TOKEN`] says.
    pub token: Option<Token>,
}

/// What only whoever is asked may know. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(_)")
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Plugin {
    /// Reads what Envoy hands over: a JSON object, or nothing at all, which is an object without fields. A field that is `null` is as
    /// good as absent.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn parse(json: &[u8]) -> Result<Plugin, Mistakes> {
        let configuration = match json.trim_ascii() {
            b"" => Value::Null,
            json => serde_json::from_slice(json).map_err(|error| Mistakes::not_json(&error))?,
        };
        let mut mistakes = Mistakes::default();
        let root = (Place::ROOT, WHOLE);
        let mut fields = Fields::of(&configuration, root, UnknownFields::Refused, &mut mistakes.0);
        let plugin = read(&mut fields);
        fields.end();
        mistakes.verdict(plugin)
    }
}

/// After a mistake a value is its default, so that all others are looked at too; nobody sees it.
fn read(fields: &mut Fields<'_, '_>) -> Plugin {
    let trusted_proxies = fields.each("trustedProxies", |item| text(item, network));
    let (proxy_protocol, proxy_protocol_timeout) = proxy_protocol(fields, &trusted_proxies);
    Plugin {
        filter: fields.read("filter", |value| one_of(value, &FILTER)).unwrap_or(Filter::Http),
        namespace: fields.read("namespace", |value| text(value, label)).unwrap_or("default".into()).into(),
        cluster_domain: fields
            .read("clusterDomain", |value| text(value, dns_subdomain))
            .unwrap_or("cluster.local".into())
            .into(),
        node: fields.read_filled("node", |value| text(value, dns_subdomain)).map(Arc::from),
        zone: fields.read_filled("zone", |value| text(value, zone)).map(Arc::from),
        allow_loopback_endpoints: fields.read("allowLoopbackEndpoints", boolean).unwrap_or(false),
        service_cidrs: service_cidrs(fields),
        service: service_from(fields),
        unknown: fields.read("unknown", |value| one_of(value, &UNKNOWN)).unwrap_or(Unknown::Pass),
        hand_off: hand_off::read(fields),
        forwarding_headers: fields.read("forwardingHeaders", boolean).unwrap_or(true),
        trusted_proxies,
        via_header: fields.read("viaHeader", boolean).unwrap_or(true),
        learn: fields.read("learn", boolean).unwrap_or(true),
        debug_header: fields.read("debugHeader", boolean).unwrap_or(false),
        proxy_protocol,
        proxy_protocol_timeout,
        environment: fields.read("environment", boolean).unwrap_or(true),
        services: services::read(fields),
        update: update(fields),
        log: fields.read("log", |value| one_of(value, &LOG_LEVELS)).unwrap_or(LogLevel::Info),
    }
}

fn service_cidrs(fields: &mut Fields<'_, '_>) -> Vec<IpNet> {
    let networks = fields.each("serviceCIDR", |item| text(item, network));
    let ipv4 = networks.iter().filter(|network| network.addr().is_ipv4()).count();
    if ipv4 > 1 || networks.len() - ipv4 > 1 {
        fields.refuse("serviceCIDR", "at most one network per address family");
    }
    networks
}

fn service_from(fields: &mut Fields<'_, '_>) -> ServiceFrom {
    let Some(mut service) = fields.object("service") else { return ServiceFrom::Authority };
    let from = service.require("from", |value| one_of(value, &SERVICE_FROM));
    let of = |kind| from.is_none_or(|from| from == kind); // without `from`, anything may be right
    let key = service.only_if(of("metadata"), "key", "`from: metadata` beside it", |value| text(value, name));
    let fixed = service.only_if(of("fixed"), "service", FIXED, |value| text(value, service_name));
    let port = service.only_if(of("fixed"), "port", FIXED, port);
    let from = match from {
        Some("metadata") => ServiceFrom::Metadata(key.unwrap_or_else(|| METADATA_KEY.into())),
        Some("fixed") => {
            service.miss("service", "the Service as `namespace/name`");
            service.miss("port", "the Service's port, a number from 1 to 65535");
            let (namespace, name) = fixed.unwrap_or_default();
            ServiceFrom::Fixed { namespace: namespace.into(), name: name.into(), port: port.unwrap_or(0) }
        }
        Some(_) | None => ServiceFrom::Authority,
    };
    service.end();
    from
}

/// Whoever sends none within the time of a request's head is refused; one that is only observed waits as long as the sidecar's
/// `--detect-timeout`.
fn proxy_protocol(fields: &mut Fields<'_, '_>, trusted_proxies: &[IpNet]) -> (ProxyProtocol, Duration) {
    let mode = fields.read("proxyProtocol", |value| one_of(value, &PROXY_PROTOCOL));
    let mode = mode.unwrap_or(ProxyProtocol::Off);
    if mode == ProxyProtocol::Require && trusted_proxies.is_empty() {
        fields.refuse("proxyProtocol", "`trustedProxies` beside it: everybody would be refused");
    }
    let usual = match mode {
        ProxyProtocol::Off | ProxyProtocol::Require => Duration::from_secs(10),
        ProxyProtocol::Observe => Duration::from_secs(2),
    };
    let timeout = fields.read("proxyProtocolTimeout", |value| text(value, deadline));
    (mode, timeout.unwrap_or(usual))
}

fn update(fields: &mut Fields<'_, '_>) -> Option<Update> {
    let mut update = fields.object("update")?;
    let read = Update {
        cluster: update.require("cluster", |value| text(value, name)).unwrap_or_default(),
        authority: update.read("authority", |value| text(value, authority)).unwrap_or("svcmesh".into()),
        path: update.read("path", |value| text(value, path)).unwrap_or("/services".into()),
        interval: update.read("interval", |value| text(value, deadline)).unwrap_or(Duration::from_secs(5)),
        timeout: update.read("timeout", |value| text(value, deadline)).unwrap_or(Duration::from_secs(2)),
        token: update.read_hidden("token", |value| text(value, token)),
    };
    update.end();
    Some(read)
}

const FILTER: [(&str, Filter); 2] = [("http", Filter::Http), ("tcp", Filter::Tcp)];

const SERVICE_FROM: [(&str, &str); 3] =
    [("authority", "authority"), ("metadata", "metadata"), ("fixed", "fixed")];
const FIXED: &str = "`from: fixed` beside it";

/// Where a route says which Service it is for, unless it says so elsewhere.
const METADATA_KEY: &str = "svcmesh.service";

const UNKNOWN: [(&str, Unknown); 2] = [("pass", Unknown::Pass), ("refuse", Unknown::Refuse)];

const PROXY_PROTOCOL: [(&str, ProxyProtocol); 3] =
    [("off", ProxyProtocol::Off), ("require", ProxyProtocol::Require), ("observe", ProxyProtocol::Observe)];

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("trace", LogLevel::Trace),
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
];
