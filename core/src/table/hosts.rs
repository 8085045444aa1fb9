//! Host names → Service ports, and what DNS would have to be asked for first.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::{Entry, Source, Table, Target};
use crate::address::Transport;
use crate::authority::{Authority, UriHost};
use crate::dns::answer::ALIAS_HOPS_MAX;
use crate::dns::names::{is_address, service_of, split_service, split_srv};
use crate::outcome::Failure;
use crate::service::ServiceType;

impl Table {
    /// The TCP Service port that an HTTP request for `authority` is for; port 80 when it names none (a caller that speaks
    /// another scheme puts its default there).
    ///
    /// # Errors
    /// There is no such Service, or no such port of it, as far as this table goes: see [`Table::unasked`].
    pub fn by_authority(&self, authority: &Authority<'_>) -> Result<&Arc<Target>, NotFound> {
        let port = authority.port.unwrap_or(HTTP_PORT);
        match authority.host {
            UriHost::Address(address) => {
                self.by_destination(Transport::Tcp, SocketAddr::new(address, port)).ok_or(NotFound::Service)
            }
            UriHost::Name(host) => match self.by_host(host) {
                Some(entry) => match entry.target(Transport::Tcp, port) {
                    Some(target) => Ok(target),
                    None => self.by_alias(entry, port),
                },
                None => self.by_srv(host).ok_or(NotFound::Service)?.ok_or(NotFound::Port),
            },
        }
    }

    /// The TCP port of the Service of that name, in any case: as [`Table::by_authority`] finds it by the Service's host.
    ///
    /// # Errors
    /// There is no such Service or port, as far as this table goes.
    pub fn by_port(&self, namespace: &str, name: &str, port: u16) -> Result<&Arc<Target>, Failure> {
        let entry = self.services.get(namespace, name).ok_or(Failure::UnknownDestination)?;
        if let Some(target) = entry.target(Transport::Tcp, port) {
            return Ok(target);
        }
        match self.end_of_aliases(entry)? {
            Ok((end, _)) => end.target(Transport::Tcp, port).ok_or(Failure::NoSuchPort),
            Err(_) => Err(Failure::UnknownDestination),
        }
    }

    /// The Service that DNS knows as `host`, in any case, without a dot at its end: `name`, `name.namespace`,
    /// `name.namespace.svc` or `name.namespace.svc.DOMAIN` (S-13); else what DNS answered to that very host.
    pub fn by_host(&self, host: &str) -> Option<&Arc<Entry>> {
        let service = split_service(host, &self.namespace, &self.cluster_domain);
        service
            .and_then(|(namespace, name)| self.services.get(namespace, name))
            .or_else(|| self.services.get("", host))
    }

    /// What DNS must be asked for before this table can lead to `authority`, after [`Table::by_authority`] has found nothing or a
    /// target without endpoints.
    ///
    /// # Errors
    /// Nothing would come of it.
    pub fn unasked<'a>(&'a self, authority: &Authority<'a>) -> Result<Unasked<'a>, Failure> {
        let port = authority.port.unwrap_or(HTTP_PORT);
        let UriHost::Name(host) = authority.host else { return Err(Failure::UnknownDestination) };
        let (host, absolute) = match self.by_host(host) {
            None if is_address(host) => return Err(Failure::UnknownDestination),
            None if self.by_srv(host).is_some() => return Err(Failure::NoSuchPort),
            None => (host, false),
            Some(entry) => match self.end_of_aliases(entry)? {
                Ok((end, None)) if end.source == Source::Dns => (host, false),
                Ok((end, Some(name))) if end.source == Source::Dns => (name, true),
                Ok(_) => return Err(Failure::NoSuchPort),
                Err(name) => (name, true),
            },
        };
        Ok(Unasked { host, absolute, port })
    }

    /// An ExternalName Service without ports is another name for whatever ports there are.
    fn by_alias<'a>(&'a self, entry: &'a Arc<Entry>, port: u16) -> Result<&'a Arc<Target>, NotFound> {
        match self.end_of_aliases(entry) {
            Ok(Ok((end, _))) => end.target(Transport::Tcp, port).ok_or(NotFound::Port),
            Ok(Err(_)) => Err(NotFound::Service),
            Err(_) => Err(NotFound::Port),
        }
    }

    /// Follows Services that are only names: to one that is more, with the name that led there, or (`Ok(Err(name))`) to a name that no
    /// Service has.
    fn end_of_aliases<'a>(&'a self, entry: &'a Arc<Entry>) -> Result<End<'a>, Failure> {
        let mut entry = entry;
        let mut seen: Vec<&str> = Vec::new();
        while seen.len() <= ALIAS_HOPS_MAX {
            let Some(name) = other_name(entry) else { return Ok(Ok((entry, seen.pop()))) };
            if is_address(name) {
                return Err(Failure::NameIsAddress);
            }
            if seen.contains(&name) {
                return Err(Failure::NameLoop);
            }
            seen.push(name);
            match self.by_full_name(name) {
                Some(next) => entry = next,
                None => return Ok(Err(name)),
            }
        }
        Err(Failure::NameFailed) // too long for anybody, though no circle
    }

    /// The Service whose full name this is, or what DNS answered to it: no search path completes an external name.
    fn by_full_name(&self, name: &str) -> Option<&Arc<Entry>> {
        let service = service_of(name, &self.cluster_domain);
        service
            .and_then(|service| self.services.get(&service.namespace, &service.name))
            .or_else(|| self.services.get("", name))
    }

    /// `_port._tcp.service` of a Service whose ports have names here; `None` where that is for DNS to say.
    fn by_srv(&self, host: &str) -> Option<Option<&Arc<Target>>> {
        let (port, transport, host) = split_srv(host)?;
        let entry = self.by_host(host).filter(|entry| entry.source != Source::Dns)?;
        let named = |target: &&Arc<Target>| *target.port.name == *port && target.port.transport == transport;
        let tcp = |target: &&Arc<Target>| target.port.transport == Transport::Tcp;
        Some(entry.targets.iter().find(named).filter(tcp))
    }
}

/// Where Services that are only names lead.
type End<'a> = Result<(&'a Arc<Entry>, Option<&'a str>), &'a str>;

fn other_name(entry: &Entry) -> Option<&str> {
    let alias = entry.service.kind == ServiceType::ExternalName && entry.service.ports.is_empty();
    entry.service.external_name.as_deref().filter(|_| alias)
}

/// A host that DNS has not been asked for, or not for this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unasked<'a> {
    /// Its name.
    pub host: &'a str,
    /// Whether it stands for nothing but itself: no search path completes it.
    pub absolute: bool,
    /// The port that is wanted there.
    pub port: u16,
}

/// What an authority does not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No Service is called that. Of an address only this is known, whatever the port.
    Service,
    /// The Service has no such port.
    Port,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotFound::Service => "no such Service",
            NotFound::Port => "the Service has no such port",
        })
    }
}

impl core::error::Error for NotFound {}

const HTTP_PORT: u16 = 80; // RFC 9110 §4.2.1
