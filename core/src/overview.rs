//! A Service in one line: how many of its endpoints are ready, where, and what follows for its clients.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;

use crate::endpoints::Endpoint;
use crate::service::ServiceType;
use crate::table::Entry;

/// Counts of one Service's endpoints.
///
/// An endpoint is an address: a pod with two ports counts once, and of a dual-stack Service the family with more addresses counts.
/// One that terminates is in `terminating` alone: a rollout is not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Endpoints that are ready, at all of their ports.
    pub ready: usize,
    /// Those and the ones that are not ready.
    pub total: usize,
    /// Endpoints that terminate.
    pub terminating: usize,
    /// Ready endpoints by zone, the zones without a ready one too; endpoints without a zone are in none.
    pub zones: BTreeMap<Arc<str>, usize>,
    /// The state of the Service.
    pub state: ServiceState,
}

/// The state of a Service, for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceState {
    /// There are endpoints, and none is ready.
    Down,
    /// There is no endpoint.
    Empty,
    /// Some endpoints are not ready.
    Degraded,
    /// All endpoints are ready.
    Ready,
    /// An external name (S-26): the API knows no endpoints.
    External,
}

impl ServiceState {
    /// A word for it, for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceState::Down => "Down",
            ServiceState::Empty => "Empty",
            ServiceState::Degraded => "Degraded",
            ServiceState::Ready => "Ready",
            ServiceState::External => "External",
        }
    }
}

impl Overview {
    /// Counts the endpoints of a Service.
    pub fn of(entry: &Entry) -> Overview {
        let mut addresses: BTreeMap<IpAddr, Address<'_>> = BTreeMap::new();
        for endpoint in entry.targets.iter().flat_map(|target| target.endpoints.all()) {
            addresses.entry(endpoint.addr.0.ip()).or_insert_with(|| Address::of(endpoint)).add(endpoint);
        }
        let v6 = addresses.keys().filter(|address| address.is_ipv6()).count();
        let is_v6 = v6 > addresses.len() - v6;
        let mut overview = Overview {
            ready: 0,
            total: 0,
            terminating: 0,
            zones: BTreeMap::new(),
            state: ServiceState::External,
        };
        for (_, address) in addresses.iter().filter(|(address, _)| address.is_ipv6() == is_v6) {
            overview.count(address);
        }
        if entry.service.kind != ServiceType::ExternalName {
            overview.state = overview.state();
        }
        overview
    }

    fn count(&mut self, address: &Address<'_>) {
        if address.terminating {
            self.terminating += 1;
            return;
        }
        self.total += 1;
        self.ready += usize::from(address.ready);
        if let Some(zone) = address.zone {
            *self.zones.entry(Arc::clone(zone)).or_default() += usize::from(address.ready);
        }
    }

    fn state(&self) -> ServiceState {
        match (self.ready, self.total) {
            (0, 0) => ServiceState::Empty,
            (0, _) => ServiceState::Down,
            (ready, total) if ready < total => ServiceState::Degraded,
            _ => ServiceState::Ready,
        }
    }
}

/// The endpoints at one address.
struct Address<'a> {
    ready: bool,
    terminating: bool,
    zone: Option<&'a Arc<str>>,
}

impl<'a> Address<'a> {
    fn of(endpoint: &'a Endpoint) -> Address<'a> {
        let zone = endpoint.place.as_ref().and_then(|place| place.zone.as_ref());
        Address { ready: true, terminating: false, zone }
    }

    fn add(&mut self, endpoint: &Endpoint) {
        self.ready &= endpoint.ready;
        self.terminating |= endpoint.terminating;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::inventory::{Change, Inventory, Settings, SliceKey};
    use crate::samples::{service, slice, slice_endpoint, text};
    use crate::service::{Locality, Service, Slice, SliceEndpoint};
    use crate::table::Source;

    /// Of the Service `web` with these endpoints.
    fn overview(kind: ServiceType, endpoints: Vec<SliceEndpoint>) -> Overview {
        let web = Service { kind, ..service("shop", "web") };
        let name = web.name.clone();
        let part = Slice { endpoints, ..slice(&name, "web-1", 80, &[]) };
        let key = SliceKey { namespace: text("shop"), name: text("web-1"), part: 0, from_endpoints: false };
        let changes =
            [Change::Service(name.clone(), Some(Arc::new(web))), Change::Slice(key, Some(Arc::new(part)))];
        let mut inventory =
            Inventory::new(Settings { sources: [Source::Manifests].into(), ..Settings::default() });
        inventory.apply(Source::Manifests, changes.into());
        let table = inventory.table();
        Overview::of(table.by_name(&name).expect("a source told of it"))
    }

    fn endpoint(address: &str, zone: &str, ready: bool) -> SliceEndpoint {
        let place = Locality { zone: Some(text(zone)), ..Locality::default() };
        SliceEndpoint { ready, place: Some(Arc::new(place)), ..slice_endpoint(address) }
    }

    #[track_caller]
    fn check(endpoints: Vec<SliceEndpoint>, expected: (usize, usize, usize), state: ServiceState) {
        let overview = overview(ServiceType::ClusterIp, endpoints);
        assert_eq!((overview.ready, overview.total, overview.terminating), expected);
        assert_eq!(overview.state, state);
    }

    #[test]
    fn the_state_follows_from_ready_endpoints() {
        let (up, down) = (|| endpoint("10.0.0.1", "a", true), || endpoint("10.0.0.2", "b", false));
        check(Vec::new(), (0, 0, 0), ServiceState::Empty);
        check([up()].into(), (1, 1, 0), ServiceState::Ready);
        check([up(), down()].into(), (1, 2, 0), ServiceState::Degraded);
        check([down()].into(), (0, 1, 0), ServiceState::Down);
        assert_eq!(overview(ServiceType::ExternalName, Vec::new()).state, ServiceState::External);
    }

    #[test]
    fn an_endpoint_that_terminates_is_no_fault() {
        let old = SliceEndpoint { terminating: true, ..endpoint("10.0.0.1", "a", false) };
        check([old.clone(), endpoint("10.0.0.2", "a", true)].into(), (1, 1, 1), ServiceState::Ready);
        check([old].into(), (0, 0, 1), ServiceState::Empty);
    }

    #[test]
    fn zones_count_ready_endpoints_and_are_named_without_one_too() {
        let endpoints = [("10.0.0.1", "a", true), ("10.0.0.2", "a", true), ("10.0.0.3", "b", false)];
        let endpoints = endpoints.map(|(address, zone, ready)| endpoint(address, zone, ready));
        let zones = overview(ServiceType::ClusterIp, endpoints.into()).zones;
        assert_eq!(zones.into_iter().collect::<Vec<_>>(), [(text("a"), 2), (text("b"), 0)]);
    }
}
