//! Any environment: parsing it ends, what it yields is well formed, and written out it is read again.

use std::collections::BTreeSet;
use std::sync::Arc;

use svc_core::discovery::env::{generate, parse};
use svc_core::service::Service;

/// `bytes` are variables as in `/proc/PID/environ`, with line breaks for the zero bytes so that people can
/// write some.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let namespace = Arc::from("shop");
    let found = parse(text.lines().filter_map(|line| line.split_once('=')), &namespace);
    for service in &found.services {
        check_service(service);
    }
    let variables = generate(&found.services, "shop", true);
    let names: BTreeSet<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() == variables.len() {
        let again = parse(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())), &namespace);
        assert_eq!(again.services, found.services);
    }
}

fn check_service(service: &Service) {
    assert!(!service.ports.is_empty());
    assert!(service.ports.iter().all(|port| port.port != 0));
    let keys: BTreeSet<_> = service.ports.iter().map(|port| (port.port, port.transport)).collect();
    assert_eq!(keys.len(), service.ports.len(), "{service:?}");
    let names: BTreeSet<_> = service.ports.iter().map(|port| &port.name).collect();
    assert_eq!(names.len(), service.ports.len(), "{service:?}");
}
