//! What is written is read again, whatever the Services and whatever the order.

use alloc::collections::{BTreeMap, BTreeSet};
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

fn service() -> impl Strategy<Value = Service> {
    let name = "[a-m]([a-m-]{0,6}[a-m])?";
    let address =
        any::<Ipv4Addr>().prop_filter("a Service's", |ip| !ip.is_unspecified() && !ip.is_multicast());
    let ports = btree_map(
        (1..100u16, select(&[Transport::Tcp, Transport::Udp, Transport::Sctp][..])),
        any::<bool>(),
        1..5,
    );
    (name, address, ports).prop_map(|(name, address, ports)| {
        let names: Vec<String> = (0..ports.len()).map(|index| alloc::format!("{name}-{index}")).collect();
        let nameless = ports.len() == 1 && ports.values().all(|&nameless| nameless);
        let name_of = |index: usize| if nameless { "" } else { names[index].as_str() };
        let mut ports: Vec<_> = ports
            .keys()
            .enumerate()
            .map(|(index, &(port, transport))| (name_of(index), port, transport))
            .collect();
        ports.rotate_left(1);
        tests::service(&name, &alloc::format!("{address}"), &ports)
    })
}

/// What survives: all but the order of the ports behind the first, and names where protocols share a number.
fn essence(service: &Service) -> impl PartialEq + core::fmt::Debug + use<> {
    let shared = |port: &Port| service.ports.iter().filter(|other| other.port == port.port).count() > 1;
    let key = |port: &Port| (port.port, port.transport, (!shared(port)).then(|| port.name.clone()));
    let mut ports: Vec<_> = service.ports.iter().map(key).collect();
    let first = ports[0].clone();
    ports.sort();
    (service.name.clone(), service.cluster_ips.clone(), first, ports)
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
        let read: Vec<_> = found.services.iter().map(essence).collect();
        let mut written: Vec<_> = services.iter().collect();
        written.sort_by_key(|service| prefix(&service.name.name));
        prop_assert_eq!(read, written.into_iter().map(essence).collect::<Vec<_>>());
    }

    #[test]
    fn no_environment_is_too_odd(variables in vec((NAME, VALUE), 0..40)) {
        for service in read(&variables).services {
            let names: BTreeSet<_> = service.ports.iter().map(|port| &port.name).collect();
            prop_assert_eq!(names.len(), service.ports.len());
        }
    }
}
