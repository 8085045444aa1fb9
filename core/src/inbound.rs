//! The application's own ports: what a connection to this pod goes to, put as a Service port with one endpoint.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::address::{EndpointAddr, ServiceName, Transport};
use crate::endpoints::{Endpoint, EndpointId, EndpointSet};
use crate::service::{Handling, Port, Service};
use crate::table::{Table, Target};

/// The Service port that the application serves at `addr`, an address of its pod: the first by name, where several have it among
/// their endpoints. `known` is what it was before, which is looked at first; then all ports are, at the price of a binary search
/// each: 10_000 of them take 2 ms, when a port is first met and when it has left its Service.
pub fn serving<'t>(
    table: &'t Table,
    addr: EndpointAddr,
    known: Option<&Arc<Target>>,
) -> Option<&'t Arc<Target>> {
    let serves = |target: &&Arc<Target>| {
        target.port.transport == Transport::Tcp && target.endpoints.at(addr).is_some()
    };
    let same = |known: &Arc<Target>| {
        let entry = table.by_name(&known.service.name)?;
        entry.target(Transport::Tcp, known.port.port).filter(serves)
    };
    known.and_then(same).or_else(|| {
        let all = table.entries().flat_map(|entry| entry.targets.iter());
        all.filter(serves).min_by_key(|target| (&target.service.name, target.port.port))
    })
}

/// The application at `addr`, which is the one endpoint there is: of the Service that it serves it has the name, the port and what that
/// asks for on the last hop. Nothing is balanced or held against it here: that is for who chooses among pods.
pub fn application(addr: EndpointAddr, serving: Option<&Target>) -> Target {
    let (name, port) = match serving {
        Some(target) => (target.service.name.clone(), target.port.clone()),
        None => (ServiceName::new("", ""), Port::unnamed(addr.0.port())),
    };
    let asked = serving.map(|target| &target.service.handling);
    let handling = Handling {
        idle_timeout: asked.and_then(|handling| handling.idle_timeout),
        eject: None,
        proxy_protocol: asked.and_then(|handling| handling.proxy_protocol),
        ..Handling::default()
    };
    let service = Service { handling, ..Service::plain(name, Vec::from([port.clone()])) };
    Target {
        service: Arc::new(service),
        port,
        endpoints: EndpointSet::new([endpoint(addr)]),
        name: None,
        watched: None,
        failure: None,
        rewrite: None, // whatever sidecars elsewhere do on the way here
    }
}

fn endpoint(addr: EndpointAddr) -> Endpoint {
    Endpoint {
        id: APPLICATION,
        addr,
        ready: true,
        serving: true,
        terminating: false,
        weight: 1,
        place: None,
        hostname: None,
    }
}

/// No endpoint of a Service has this one: theirs begin at 1.
const APPLICATION: EndpointId = EndpointId(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Change, Inventory, Settings, SliceKey};
    use crate::samples::{self, slice};
    use crate::table::Source;
    use alloc::string::{String, ToString};
    use alloc::vec;
    use core::time::Duration;

    fn at(addr: &str) -> EndpointAddr {
        EndpointAddr(addr.parse().unwrap())
    }

    /// Both have the pod at 10.1.0.9 among their endpoints.
    fn world() -> Inventory {
        let mut inventory =
            Inventory::new(Settings { sources: [Source::Manifests].into(), ..Settings::default() });
        let mut changes = vec![];
        for name in ["web", "also"] {
            let service = samples::service("shop", name);
            let slice = slice(&service.name, name, 8080, &["10.1.0.8", "10.1.0.9"]);
            let key =
                SliceKey { namespace: "shop".into(), name: name.into(), part: 0, from_endpoints: false };
            changes.push(Change::Service(service.name.clone(), Some(Arc::new(service))));
            changes.push(Change::Slice(key, Some(Arc::new(slice))));
        }
        inventory.apply(Source::Manifests, changes);
        inventory
    }

    fn found(world: &Inventory, addr: &str, known: Option<&Arc<Target>>) -> Option<String> {
        serving(&world.table(), at(addr), known).map(|target| target.service.name.to_string())
    }

    #[test]
    fn a_port_serves_the_first_service_that_has_it_or_the_one_it_served_before() {
        let mut world = world();
        assert_eq!(found(&world, "10.1.0.9:8080", None).as_deref(), Some("shop/also"));
        assert_eq!(found(&world, "10.1.0.9:8081", None), None);
        assert_eq!(found(&world, "10.1.0.7:8080", None), None);
        let web = ServiceName::new("shop", "web");
        let known = world.table().by_name(&web).unwrap().targets[0].clone();
        assert_eq!(found(&world, "10.1.0.9:8080", Some(&known)).as_deref(), Some("shop/web"));
        world.apply(Source::Manifests, vec![Change::Service(web, None)]);
        assert_eq!(found(&world, "10.1.0.9:8080", Some(&known)).as_deref(), Some("shop/also"));
    }

    #[test]
    fn the_application_is_one_endpoint_that_nothing_is_held_against() {
        let mut service = samples::service("shop", "web");
        service.handling.idle_timeout = Some(Duration::from_secs(7));
        service.handling.timeout = Some(Duration::from_secs(1));
        let of = Target::plain(&Arc::new(service.clone()), service.ports[0].clone(), EndpointSet::default());
        let target = application(at("10.1.0.9:8080"), Some(&of));
        assert_eq!(target.service.name, service.name);
        assert_eq!(target.service.handling.idle_timeout, Some(Duration::from_secs(7)));
        assert_eq!((target.service.handling.timeout, &target.service.handling.eject), (None, &None));
        let usable = target.endpoints.usable();
        assert_eq!(usable.iter().map(|endpoint| endpoint.addr).collect::<Vec<_>>(), [at("10.1.0.9:8080")]);
        assert_eq!(&*application(at("[fd00::9]:81"), None).service.name.label(), "");
    }
}
