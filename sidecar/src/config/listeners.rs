//! Where the sidecar listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Arg;
use svc_core::address::{SecretName, ServiceName};
use svc_core::hash::HashMap;
use svc_core::inventory::LoopbackVips;
use svc_core::protocol::ProtocolHint;

use super::flag::{Expected, Flag};
use super::settings::SettingsReader;
use super::tls::ShownBy;
use super::values::{dns_subdomain, label, list, listeners, optional, path, port};

mod collisions;

/// Where the sidecar listens. An empty list is a listener that is off; port 0 is any free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Captured outbound connections.
    pub outbound: Vec<SocketAddr>,
    /// Captured inbound connections.
    pub inbound: Vec<SocketAddr>,
    /// Ports that stand for ports of the application; each once.
    pub inbound_map: Vec<Mapping>,
    /// What the application speaks at its ports; each once, ascending.
    pub inbound_protocols: Vec<(u16, ProtocolHint)>,
    /// The explicit HTTP proxy.
    pub forward_proxy: Vec<SocketAddr>,
    /// A loopback address per Service; fixed ones are all different and in 127.66.0.0/16.
    pub loopback_vips: LoopbackVips,
    /// Ports that the application itself uses; ascending.
    pub app_ports: Vec<u16>,
    /// `/livez`, `/readyz`, `/metrics`, `/services`, `/config`.
    pub admin: Vec<SocketAddr>,
    /// The file with the token that lets a peer that is not local read `/config`.
    pub admin_token_file: Option<PathBuf>,
}

/// A port of ours that stands for one of the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Where we listen, at all addresses of the pod.
    pub port: u16,
    /// Where the application does.
    pub application: SocketAddr,
    /// What clients are shown there, if they speak TLS.
    pub tls: Option<ShownBy>,
}

impl Listeners {
    /// Secrets that are named without a namespace are in `namespace`.
    pub(super) fn read(settings: &mut SettingsReader<'_>, namespace: &Arc<str>) -> Listeners {
        let mut listeners = Listeners {
            outbound: settings.read(&OUTBOUND),
            inbound: settings.read(&INBOUND),
            inbound_map: settings.read(&INBOUND_MAP),
            inbound_protocols: settings.read(&INBOUND_PROTOCOLS),
            forward_proxy: settings.read(&FORWARD_PROXY),
            loopback_vips: settings.read(&LOOPBACK_VIPS),
            app_ports: settings.read(&APP_PORTS),
            admin: settings.read(&ADMIN),
            admin_token_file: settings.read(&ADMIN_TOKEN_FILE),
        };
        for shown in listeners.inbound_map.iter_mut().filter_map(|mapping| mapping.tls.as_mut()) {
            if let ShownBy::Secret(secret) = shown
                && secret.namespace.is_empty()
            {
                secret.namespace = namespace.clone();
            }
        }
        collisions::check(&listeners, settings);
        listeners
    }

    /// What clients are shown at a mapped port, if they speak TLS there.
    pub(crate) fn shown_at(&self, port: u16) -> Option<&ShownBy> {
        self.inbound_map.iter().find(|mapping| mapping.port == port)?.tls.as_ref()
    }

    /// What the application is said to speak at a port.
    pub(crate) fn spoken_at(&self, port: u16) -> Option<ProtocolHint> {
        let found = self.inbound_protocols.binary_search_by_key(&port, |(port, _)| *port);
        found.ok().map(|index| self.inbound_protocols[index].1)
    }
}

pub(super) fn args() -> [Arg; 9] {
    const HEADING: &str = "Listeners";
    [
        OUTBOUND.arg(HEADING),
        INBOUND.arg(HEADING),
        INBOUND_MAP.arg(HEADING),
        INBOUND_PROTOCOLS.arg(HEADING),
        FORWARD_PROXY.arg(HEADING),
        LOOPBACK_VIPS.arg(HEADING),
        APP_PORTS.arg(HEADING),
        ADMIN.arg(HEADING),
        ADMIN_TOKEN_FILE.arg(HEADING),
    ]
}

const OUTBOUND: Flag<Vec<SocketAddr>> = Flag {
    name: "outbound",
    value: "ADDRESSES|off",
    default: "127.0.0.1:15001,[::1]:15001",
    help: "Takes the connections that nftables REDIRECT captured, and carries them to where they were going",
    parse: listeners,
};

const INBOUND: Flag<Vec<SocketAddr>> = Flag {
    name: "inbound",
    value: "ADDRESSES|off",
    default: "[::]:15006",
    help: "Takes the connections to this pod that nftables REDIRECT captured, and carries them to the application",
    parse: listeners,
};

pub(super) const INBOUND_MAP: Flag<Vec<Mapping>> = Flag {
    name: "inbound-map",
    value: "MAP",
    default: "",
    help: "Ports to listen on for the application, and where it listens, for pods without capture: `8080=127.0.0.1:80,…`. With \
           `,tls` clients speak TLS there and see --tls-cert, with `,tls=SECRET` what that holds: `8443=127.0.0.1:80,tls=shop-cert`",
    parse: |raw| Ok(optional(raw, inbound_map)?.unwrap_or_default()),
};

const INBOUND_PROTOCOLS: Flag<Vec<(u16, ProtocolHint)>> = Flag {
    name: "inbound-protocols",
    value: "MAP",
    default: "",
    help: "What the application speaks at its ports: `8080=http,5432=tcp,…`, with `http1` where it speaks no other version, `grpc` or `http2` \
           where it speaks only that, `tcp` for bytes. Where nothing is said a port's Service decides, else the first bytes",
    parse: |raw| Ok(optional(raw, inbound_protocols)?.unwrap_or_default()),
};

const FORWARD_PROXY: Flag<Vec<SocketAddr>> = Flag {
    name: "forward-proxy",
    value: "ADDRESSES|off",
    default: "127.0.0.1:15002",
    help: "An explicit HTTP proxy for `http_proxy=`: absolute-form requests, Host and CONNECT",
    parse: listeners,
};

const LOOPBACK_VIPS: Flag<LoopbackVips> = Flag {
    name: "loopback-vips",
    value: "off|on|MAP",
    default: "off",
    help: "Give each Service a loopback address 127.66.x.y that listens on its ports, or only those of a MAP: \
           `name.namespace=127.66.0.1,…`",
    parse: loopback_vips,
};

const APP_PORTS: Flag<Vec<u16>> = Flag {
    name: "app-ports",
    value: "PORTS",
    default: "",
    help: "Ports that the application listens on: no loopback address listens there, or the application's own bind would fail. \
           They are served from port 20000 on (80 at 20080), as are ports below 1024 where they may not be listened at",
    parse: app_ports,
};

const ADMIN: Flag<Vec<SocketAddr>> = Flag {
    name: "admin",
    value: "ADDRESSES|off",
    default: "[::]:15020",
    help: "Serves /livez, /readyz, /metrics and /services to everybody, /config to local peers and those with the token",
    parse: listeners,
};

const ADMIN_TOKEN_FILE: Flag<Option<PathBuf>> = Flag {
    name: "admin-token-file",
    value: "PATH",
    default: "",
    help: "File whose content, sent in the header `svcmesh-token`, opens /config to peers that are not local",
    parse: |raw| optional(raw, path),
};

fn loopback_vips(raw: &str) -> Result<LoopbackVips, Expected> {
    match raw {
        "off" => Ok(LoopbackVips::Off),
        "on" => Ok(LoopbackVips::On),
        raw => fixed(list(raw, vip)?).map(LoopbackVips::Fixed),
    }
}

fn fixed(pairs: Vec<(ServiceName, Ipv4Addr)>) -> Result<HashMap<ServiceName, Ipv4Addr>, Expected> {
    let count = pairs.len();
    let by_name: HashMap<_, _> = pairs.into_iter().collect();
    let addresses: std::collections::BTreeSet<_> = by_name.values().collect();
    match addresses.len() == count {
        true => Ok(by_name),
        false => Err("each Service and each address once".into()),
    }
}

/// `name.namespace=127.66.x.y`
fn vip(raw: &str) -> Result<(ServiceName, Ipv4Addr), Expected> {
    const EXPECTED: Expected =
        Expected::Borrowed("`off`, `on`, or a list such as `name.namespace=127.66.0.1`");
    let (service, address) = raw.split_once('=').ok_or(EXPECTED)?;
    let (name, namespace) = service.split_once('.').ok_or(EXPECTED)?;
    let address: Ipv4Addr = address.parse().map_err(|_| EXPECTED)?;
    match (label(name), label(namespace), address.octets()) {
        (Ok(name), Ok(namespace), [127, 66, _, _]) => Ok((ServiceName::new(namespace, name), address)),
        _ => Err(EXPECTED),
    }
}

fn inbound_map(raw: &str) -> Result<Vec<Mapping>, Expected> {
    let mut map: Vec<Mapping> = Vec::new();
    for item in list(raw, item)? {
        match (item, map.last_mut()) {
            (ListItem::Mapping(mapping), _) => map.push(mapping),
            (ListItem::Tls(shown), Some(mapping)) if mapping.tls.is_none() => mapping.tls = Some(shown),
            (ListItem::Tls(_), Some(_) | None) => {
                return Err("`tls` once, behind the port that it is for".into());
            }
        }
    }
    let ports: std::collections::BTreeSet<u16> = map.iter().map(|mapping| mapping.port).collect();
    if ports.len() == map.len() { Ok(map) } else { Err("each port once".into()) }
}

fn inbound_protocols(raw: &str) -> Result<Vec<(u16, ProtocolHint)>, Expected> {
    const EXPECTED: &str =
        "a list such as `8080=http,5432=tcp`, with `http`, `http1`, `http2`, `grpc` or `tcp`";
    let spoken = |raw: &str| {
        let (at, protocol) = raw.split_once('=').ok_or(EXPECTED)?;
        let hint = match protocol {
            "http" => ProtocolHint::Http,
            "http1" => ProtocolHint::Http1,
            "http2" | "grpc" => ProtocolHint::Http2,
            "tcp" => ProtocolHint::Opaque,
            _ => return Err(Expected::from(EXPECTED)),
        };
        Ok((port(at).map_err(|_| EXPECTED)?, hint))
    };
    let mut all = list(raw, spoken)?;
    all.sort_unstable_by_key(|(port, _)| *port);
    if all.windows(2).any(|pair| pair[0].0 == pair[1].0) { Err("each port once".into()) } else { Ok(all) }
}

enum ListItem {
    Mapping(Mapping),
    /// Of the mapping before it.
    Tls(ShownBy),
}

fn item(raw: &str) -> Result<ListItem, Expected> {
    match raw.split_once('=') {
        None if raw == "tls" => Ok(ListItem::Tls(ShownBy::Files)),
        Some(("tls", secret)) => secret_name(secret).map(|name| ListItem::Tls(ShownBy::Secret(name))),
        None | Some(_) => mapping(raw).map(ListItem::Mapping),
    }
}

/// `NAME`, or `NAMESPACE/NAME`. Where nobody says, the namespace is empty until [`Listeners::read`] knows the pod's.
fn secret_name(raw: &str) -> Result<SecretName, Expected> {
    const EXPECTED: &str = "the name of a Secret behind `tls=`, with its namespace as `NAMESPACE/NAME` if that is another than the pod's";
    let (namespace, name) = match raw.split_once('/') {
        Some((namespace, name)) => (label(namespace).map_err(|_| EXPECTED)?, name),
        None => (String::new(), raw),
    };
    let name = dns_subdomain(name).ok().filter(|read| read == name).ok_or(EXPECTED)?;
    Ok(SecretName::new(namespace, name))
}

/// `8443=127.0.0.1:8080`
fn mapping(raw: &str) -> Result<Mapping, Expected> {
    const EXPECTED: Expected =
        Expected::Borrowed("a list such as `8080=127.0.0.1:80,8443=127.0.0.1:80,tls=SECRET`");
    let (listens, application) = raw.split_once('=').ok_or(EXPECTED)?;
    let application: SocketAddr = application.parse().map_err(|_| EXPECTED)?;
    let port = port(listens).map_err(|_| EXPECTED)?;
    if application.port() == 0 { Err(EXPECTED) } else { Ok(Mapping { port, application, tls: None }) }
}

fn app_ports(raw: &str) -> Result<Vec<u16>, Expected> {
    const EXPECTED: &str = "a list of ports from 1 to 65535, such as `8080,9090`";
    let mut ports = optional(raw, |raw| list(raw, port)).map_err(|_| EXPECTED)?.unwrap_or_default();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_gives_each_service_an_address_of_ours() {
        let map = HashMap::from_iter([
            (ServiceName::new("shop", "web"), Ipv4Addr::new(127, 66, 0, 1)),
            (ServiceName::new("shop", "db"), Ipv4Addr::new(127, 66, 0, 2)),
        ]);
        assert_eq!(loopback_vips("web.shop=127.66.0.1, db.shop=127.66.0.2"), Ok(LoopbackVips::Fixed(map)));
    }

    #[test]
    fn a_map_names_nothing_twice() {
        for raw in [
            "a.b=127.66.0.1,c.b=127.66.0.1",
            "a.b=127.66.0.1,a.b=127.66.0.2",
            "a.b=127.66.0.1,a.b=127.66.0.1",
        ] {
            assert_eq!(loopback_vips(raw).unwrap_err(), "each Service and each address once", "{raw}");
        }
    }

    #[test]
    fn a_map_stays_inside_our_range_and_names_the_namespace() {
        for raw in
            ["", "true", "a=127.66.0.1", "a.b=127.0.0.1", "a.b.c=127.66.0.1", "A.b=127.66.0.1", "a.b=::1"]
        {
            assert!(loopback_vips(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_mapped_port_is_mapped_once_and_to_an_address() {
        let map = inbound_map("8443=127.0.0.1:8080, 9000=[::1]:9001").unwrap();
        assert_eq!(map.iter().map(|mapping| mapping.port).collect::<Vec<_>>(), [8443, 9000]);
        assert_eq!(map[1].application, "[::1]:9001".parse().unwrap());
        assert_eq!(inbound_map("80=127.0.0.1:8080,80=127.0.0.1:8081").unwrap_err(), "each port once");
        for raw in [
            "80",
            "80=8080",
            "80=127.0.0.1",
            "80=localhost:80",
            "0=127.0.0.1:80",
            "80=127.0.0.1:0",
            "80=[::1]:1,",
        ] {
            assert!(inbound_map(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn tls_belongs_to_the_port_before_it() {
        let secret = |namespace: &str, name: &str| Some(ShownBy::Secret(SecretName::new(namespace, name)));
        let map = inbound_map(
            "80=127.0.0.1:1, 81=127.0.0.1:1, tls, 82=127.0.0.1:1, tls=a.b, 83=127.0.0.1:1,tls=shop/c",
        );
        let shown: Vec<_> = map.unwrap().into_iter().map(|mapping| mapping.tls).collect();
        assert_eq!(shown, [None, Some(ShownBy::Files), secret("", "a.b"), secret("shop", "c")]);
        for raw in [
            "tls",
            "80=127.0.0.1:1,tls,tls",
            "80=127.0.0.1:1,tls=",
            "80=127.0.0.1:1,tls=A",
            "80=127.0.0.1:1,tls=a/b/c",
        ] {
            assert!(inbound_map(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_port_speaks_one_protocol() {
        let all = [
            (80, ProtocolHint::Http),
            (81, ProtocolHint::Http1),
            (82, ProtocolHint::Http2),
            (83, ProtocolHint::Http2),
            (84, ProtocolHint::Opaque),
        ];
        assert_eq!(inbound_protocols("84=tcp, 83=grpc,82=http2,81=http1,80=http"), Ok(all.to_vec()));
        assert_eq!(inbound_protocols("80=http,80=tcp").unwrap_err(), "each port once");
        for raw in ["", "80", "80=", "http", "0=http", "80=HTTP", "80=udp", "80=http,"] {
            assert!(inbound_protocols(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn app_ports_are_sorted_and_different() {
        assert_eq!(app_ports("9090, 80,80"), Ok(vec![80, 9090]));
        assert_eq!(app_ports(""), Ok(vec![]));
        assert!(app_ports("0").is_err());
    }
}
