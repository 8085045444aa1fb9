//! What changed between two tables.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use hashbrown::hash_map::Entry as Slot;

use super::Settings;
use super::rejections::Rejections;
use crate::address::ServiceName;
use crate::hash::HashSet;
use crate::service::Service;
use crate::table::{DestinationKey, Entry, Services, Source, Table, Target};

/// What became of one Service.
pub(super) struct EntryUpdate {
    pub(super) name: ServiceName,
    pub(super) before: Option<Arc<Entry>>,
    pub(super) after: Option<Arc<Entry>>,
}

impl EntryUpdate {
    pub(super) fn is_change(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        }
    }
}

/// Writes updates into a table. A destination that two Services claim stays with the one that has it; of two that are new, the
/// cluster IP goes before any other claim, then the first by name. The other claim is reported.
pub(super) fn publish(
    table: &mut Table,
    updates: &[EntryUpdate],
    settings: &Settings,
    rejections: &mut Rejections,
) {
    for update in updates {
        match &update.after {
            Some(entry) => table.services.insert(Arc::clone(entry)),
            None => table.services.remove(&update.name.namespace, &update.name.name),
        }
    }
    let claims: Vec<Claims> =
        updates.iter().map(|update| Claims::of(update.after.as_ref(), settings)).collect();
    for (update, claims) in updates.iter().zip(&claims) {
        withdraw(table, update, claims, settings);
    }
    for (update, claims) in updates.iter().zip(&claims) {
        announce(table, &update.name, &claims.cluster, rejections);
    }
    for (update, claims) in updates.iter().zip(&claims) {
        announce(table, &update.name, &claims.published, rejections);
    }
    for (update, claims) in updates.iter().zip(&claims) {
        announce(table, &update.name, &claims.found, rejections);
    }
}

type DestinationClaim = (DestinationKey, Arc<Target>);

/// The destinations of one Service.
struct Claims {
    /// Its cluster IPs, and its address inside the pod.
    cluster: Vec<DestinationClaim>,
    /// Where it is published besides (S-15, S-27).
    published: Vec<DestinationClaim>,
    /// The virtual IPs of one that only DNS knows. Many names may have one address, and which of them has it is nobody's decision: what is
    /// written down goes before, and the others serve by their names.
    found: Vec<DestinationClaim>,
}

impl Claims {
    fn of(entry: Option<&Arc<Entry>>, settings: &Settings) -> Claims {
        let mut claims = Claims { cluster: Vec::new(), published: Vec::new(), found: Vec::new() };
        let Some(entry) = entry else { return claims };
        let own = if entry.source == Source::Dns { &mut claims.found } else { &mut claims.cluster };
        for target in &entry.targets {
            claim(own, target, &entry.service.cluster_ips, target.port.port);
        }
        for target in &entry.targets {
            let vip = entry.loopback_vip.as_slice();
            claim(&mut claims.cluster, target, vip, target.port.port);
            let at_vip = entry.port_at_vip(target.port.port);
            if at_vip != target.port.port {
                claim(&mut claims.cluster, target, vip, at_vip);
            }
            claims.publish(&entry.service, target, settings);
        }
        claims
    }

    fn publish(&mut self, service: &Service, target: &Arc<Target>, settings: &Settings) {
        for ingress in service.ingress.iter().filter(|ingress| !ingress.proxied) {
            claim(&mut self.published, target, ingress.ip.as_slice(), target.port.port);
        }
        if settings.external_ips_all || service.name.namespace == settings.namespace {
            claim(&mut self.published, target, &service.external_ips, target.port.port);
        }
        if let Some(node_port) = target.port.node_port {
            claim(&mut self.published, target, &settings.node_addresses, node_port);
        }
    }

    fn all(&self) -> impl Iterator<Item = &DestinationClaim> {
        self.cluster.iter().chain(&self.published).chain(&self.found)
    }
}

fn claim(claims: &mut Vec<DestinationClaim>, target: &Arc<Target>, addresses: &[IpAddr], port: u16) {
    let transport = target.port.transport;
    for address in addresses {
        claims
            .push((DestinationKey { transport, address: address.to_canonical(), port }, Arc::clone(target)));
    }
}

/// Takes back what a Service no longer claims.
fn withdraw(table: &mut Table, update: &EntryUpdate, claims: &Claims, settings: &Settings) {
    let before = Claims::of(update.before.as_ref(), settings);
    let kept: HashSet<&DestinationKey> = claims.all().map(|(destination, _)| destination).collect();
    for (destination, _) in before.all() {
        let gone = !kept.contains(destination);
        if gone && owner(table, destination) == Some(&update.name) {
            table.destinations.remove(destination);
        }
    }
}

fn owner<'a>(table: &'a Table, destination: &DestinationKey) -> Option<&'a ServiceName> {
    table.destinations.get(destination).map(|target| &target.service.name)
}

/// Whether only DNS knows it.
fn is_found(services: &Services, name: &ServiceName) -> bool {
    services.get(&name.namespace, &name.name).is_some_and(|entry| entry.source == Source::Dns)
}

fn announce(table: &mut Table, name: &ServiceName, claims: &[DestinationClaim], rejections: &mut Rejections) {
    for (destination, target) in claims {
        match table.destinations.entry(*destination) {
            Slot::Vacant(slot) => {
                slot.insert(Arc::clone(target));
            }
            Slot::Occupied(mut slot) if slot.get().service.name == *name => {
                slot.insert(Arc::clone(target));
            }
            Slot::Occupied(mut slot) if is_found(&table.services, &slot.get().service.name) => {
                if !is_found(&table.services, name) {
                    slot.insert(Arc::clone(target));
                }
            }
            Slot::Occupied(_) if is_found(&table.services, name) => {}
            Slot::Occupied(slot) => {
                let DestinationKey { transport, address, port } = destination;
                let (transport, other) = (transport.as_str(), &slot.get().service.name);
                let reason =
                    format!("{transport} port {port} of {address} leads to Service \"{other}\" already");
                rejections.add_service(name, reason);
            }
        }
    }
}
