//! The addresses that this process listens on, loopback VIPs aside.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use svc_core::capture::Privileges;
use tracing::{info, warn};

use crate::config::Config;
use crate::error::RunError;
use crate::net::{TcpListener, listen};
use crate::worker::plan::ListenerKind;

/// Every address this process listens on, loopback VIPs aside.
pub(super) struct Bound {
    pub(super) listeners: Vec<(SocketAddr, ListenerKind)>,
    pub(super) admin: Vec<TcpListener>,
}

/// Takes the addresses that the configuration asks for.
pub(super) fn bind(config: &Config) -> Result<Bound, RunError> {
    let wanted = &config.listeners;
    let mut listeners = Vec::new();
    let listed = [
        (&wanted.outbound, ListenerKind::Captured),
        (&wanted.inbound, inbound(config.privileges)),
        (&wanted.forward_proxy, ListenerKind::ForwardProxy),
    ];
    for (addrs, kind) in listed {
        listeners.extend(each(addrs, listen::probe)?.into_iter().map(|addr| (addr, kind)));
    }
    for mapping in &wanted.inbound_map {
        let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), mapping.port);
        let bound = each(&[everywhere], listen::probe)?;
        listeners.extend(bound.into_iter().map(|addr| (addr, ListenerKind::Mapped(mapping.application))));
    }
    let admin = each(&wanted.admin, |addr| listen::probe(addr).and_then(listen::listen))?;
    let bound = Bound { listeners, admin };
    for (flag, addrs) in bound.by_flag() {
        info!(flag, ?addrs, "listening");
    }
    Ok(bound)
}

/// How captured connections to the pod come.
fn inbound(privileges: Privileges) -> ListenerKind {
    match privileges {
        Privileges::None => ListenerKind::Inbound,
        Privileges::Transparent => ListenerKind::TakenOver,
    }
}

/// Binds each address. Where the system has no IPv6, all addresses are those of IPv4, and others of IPv6 are left out, with a warning.
fn each<T>(addrs: &[SocketAddr], bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<Vec<T>, RunError> {
    let mut bound = Vec::new();
    for &addr in addrs {
        let mut listening = bind(addr);
        if addr.is_ipv6() && addr.ip().is_unspecified() && listening.as_ref().is_err_and(lacks_ipv6) {
            listening = bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port()));
        }
        match listening {
            Ok(listener) => bound.push(listener),
            Err(error) if addr.is_ipv6() && lacks_ipv6(&error) => {
                warn!(%addr, %error, "no IPv6 here, not listening");
            }
            Err(error) => return Err(RunError::because(format!("cannot listen on `{addr}`"))(error)),
        }
    }
    Ok(bound)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

const FLAGS: [&str; 5] = ["admin", "forward-proxy", "inbound", "inbound-map", "outbound"];

impl Bound {
    pub(super) fn by_flag(&self) -> BTreeMap<&'static str, Vec<SocketAddr>> {
        let mut by_flag = BTreeMap::from(FLAGS.map(|flag| (flag, Vec::new())));
        let admin = self.admin.iter().filter_map(|listener| Some(("admin", listener.local_addr().ok()?)));
        for (flag, addr) in
            self.listeners.iter().filter_map(|(addr, kind)| Some((kind.flag()?, *addr))).chain(admin)
        {
            by_flag.entry(flag).or_default().push(addr);
        }
        by_flag
    }

    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.by_flag().into_values().flatten().collect()
    }
}
