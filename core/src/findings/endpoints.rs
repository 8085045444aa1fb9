//! Endpoints of Services, and slices without one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use svc_proto::names::label;

use super::code::Code;
use super::subject::{Findings, Subject, name_of, namespace_of};
use crate::address::ServiceName;
use crate::overview::ServiceState;
use crate::service::object::{EndpointSlice, Service};

/// Checks the endpoints of a Service.
pub(super) fn check(subject: &Subject<'_>, slices: &[EndpointSlice], found: &mut Findings) {
    let (name, overview) = (subject.name, &subject.overview);
    let (ready, total) = (overview.ready, overview.total);
    match overview.state {
        ServiceState::Down => found.add(Code::NoneReady, name, format!("none of {total} endpoints is ready")),
        ServiceState::Empty if found.has(Code::NoPod, name) => {} // it has been told why
        ServiceState::Empty if subject.entry.service.headless => {
            found.add(Code::HeadlessEmpty, name, "headless, and without endpoints".into());
        }
        ServiceState::Empty => found.add(Code::NoneReady, name, "there is no endpoint".into()),
        ServiceState::Degraded if ready * 2 < total => {
            found.add(Code::FewReady, name, format!("{ready} of {total} endpoints ready"));
        }
        ServiceState::Degraded | ServiceState::Ready | ServiceState::External => {}
    }
    if subject.entry.service.affinity.is_some() && total == 1 {
        found.add(Code::LoneAffinity, name, "sessionAffinity ClientIP with one endpoint".into());
    }
    check_addresses(subject, slices, found);
}

/// Two pods with one address.
fn check_addresses(subject: &Subject<'_>, slices: &[EndpointSlice], found: &mut Findings) {
    let mut pods: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| owner(slice).as_ref() == Some(subject.name)) {
        for endpoint in slice.endpoints.iter().flatten() {
            let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref());
            let address = endpoint.addresses.iter().flatten().next();
            if let (Some(pod), Some(address)) = (pod, address) {
                pods.entry(address).or_default().insert(pod);
            }
        }
    }
    for (address, pods) in pods.into_iter().filter(|(_, pods)| pods.len() > 1) {
        let names: alloc::vec::Vec<&str> = pods.into_iter().collect();
        let message = format!("{address} is the address of {}", names.join(" and of "));
        found.add(Code::SharedAddress, subject.name, message);
    }
}

/// Slices whose Service does not exist.
pub(super) fn check_owners(services: &[Service], slices: &[EndpointSlice], found: &mut Findings) {
    let names = services.iter().filter_map(|service| service.metadata.as_ref());
    let services: BTreeSet<ServiceName> = names.filter_map(name_of).collect();
    for slice in slices {
        let Some(owner) = owner(slice).filter(|owner| !services.contains(owner)) else { continue };
        let name = slice.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        found.add(
            Code::Ownerless,
            &owner,
            format!("EndpointSlice {name} belongs to a Service that does not exist"),
        );
    }
}

/// The Service that a slice names.
fn owner(slice: &EndpointSlice) -> Option<ServiceName> {
    let metadata = slice.metadata.as_ref()?;
    let name = metadata.labels.as_ref()?.get(label::SERVICE_NAME)?;
    Some(ServiceName::new(namespace_of(metadata), name.as_str()))
}
