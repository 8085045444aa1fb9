//! What is written is read again, whatever the Services and whatever the order.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use std::hash::BuildHasher;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::tests;
use super::*;
use crate::address::Transport;
use crate::service::{Port, Service};

/// Services of different names, none of whose variables can be another's.
fn services() -> impl Strategy<Value = Vec<Service>> {
    let by_name = |services: Vec<Service>| -> BTreeMap<_, _> {
        services.into_iter().map(|service| (service.name.clone(), service)).collect()
    };
    vec(service(), 0..6).prop_map(move |services| by_name(services).into_values().collect())
}

/// Few numbers, so that protocols share them; names that tell their protocol, and names that do not.
fn service() -> impl Strategy<Value = Service> {
    let name = "[a-m]([a-m-]{0,6}[a-m])?";
    let address =
        any::<Ipv4Addr>().prop_filter("a Service's", |ip| !ip.is_unspecified() && !ip.is_multicast());
    let transport = select(&[Transport::Tcp, Transport::Udp, Transport::Sctp][..]);
    let ports = btree_map((1..6u16, transport), any::<bool>(), 1..6);
    (name, address, ports, any::<bool>()).prop_map(|(name, address, ports, first_is_nameless)| {
        let mut ports: Vec<_> = ports.into_iter().enumerate().map(named).collect();
        ports.rotate_left(1);
        if first_is_nameless {
            ports[0].0.clear();
        }
        let ports: Vec<_> =
            ports.iter().map(|(name, port, transport)| (&**name, *port, *transport)).collect();
        tests::service(&name, &format!("{address}"), &ports)
    })
}

fn named((index, ((port, transport), tells)): (usize, ((u16, Transport), bool))) -> (String, u16, Transport) {
    let told = if tells { transport.as_str().to_ascii_lowercase() } else { "x".into() };
    (format!("{told}-{index}"), port, transport)
}

/// All but the names of ports, and the order of those behind the first.
fn essence(service: &Service) -> impl PartialEq + core::fmt::Debug + use<> {
    let mut keys: Vec<_> = service.ports.iter().map(|port| (port.port, port.transport)).collect();
    let first = keys[0];
    keys.sort_unstable();
    (service.name.clone(), service.cluster_ips.clone(), first, keys)
}

/// A port that had a name has it, or, where protocols share its number, one that is made up and so misleads
/// nobody.
fn is_named_rightly(port: &Port, written: &Service) -> bool {
    let sharing = written.ports.iter().filter(|other| other.port == port.port);
    let is_shared = sharing.clone().count() > 1;
    let had = sharing.filter(|other| other.transport == port.transport).map(|other| &*other.name).next();
    let made_up = format!("port-{}-{}", port.port, port.transport.as_str().to_ascii_lowercase());
    had == Some(&*port.name) || (*made_up == *port.name && (is_shared || had == Some("")))
}

fn read(variables: &[(String, String)]) -> Discovered {
    parse(variables.iter().map(|(name, value)| (&**name, &**value)), &Arc::from("shop"))
}

/// Variables that meet each other often.
const NAME: &str = "[A-C]{1,2}(_SERVICE)?(_HOST|_PORT)?(_[0-9]{1,2}_TCP)?(_PORT|_[A-C])?";
const VALUE: &str = "[0-9]{1,2}|1\\.2\\.3\\.[45]|tcp://1\\.2\\.3\\.[45]:[0-9]{1,2}|";

proptest! {
    #[test]
    fn what_is_written_is_read_again(services in services(), seed in any::<u64>()) {
        let mut variables = generate(&services, "shop", true);
        variables.sort_by_key(|(name, _)| foldhash::fast::FixedState::with_seed(seed).hash_one(name));
        let found = read(&variables);
        let mut written: Vec<_> = services.iter().collect();
        written.sort_by_key(|service| prefix(&service.name.name));
        let essences: Vec<_> = found.services.iter().map(essence).collect();
        prop_assert_eq!(essences, written.iter().copied().map(essence).collect::<Vec<_>>());
        for (service, written) in found.services.iter().zip(written) {
            for port in &service.ports {
                prop_assert!(is_named_rightly(port, written), "{:?} of {:?}", port, written);
            }
        }
    }

    #[test]
    fn no_environment_is_too_odd(variables in vec((NAME, VALUE), 0..40)) {
        for service in read(&variables).services {
            let names: BTreeSet<_> = service.ports.iter().map(|port| &port.name).collect();
            prop_assert_eq!(names.len(), service.ports.len());
        }
    }
}
