//! Ports of slices go with those of their Service by their names: one that has another name serves nobody.

use svc_core::service::{Kind, Service};

/// What is wrong with a port called `name` in a slice of `service`; nothing where the Service has one of that name.
pub(crate) fn unknown_to(service: &Service, name: &str) -> Option<String> {
    if service.kind == Kind::ExternalName
        || service.ports.is_empty()
        || service.ports.iter().any(|port| &*port.name == name)
    {
        return None;
    }
    let quoted: Vec<String> = service.ports.iter().map(|port| format!("{:?}", port.name)).collect();
    let has = match service.ports.as_slice() {
        [only] if only.name.is_empty() => "has one without a name".to_owned(),
        _ => format!("has {}", quoted.join(", ")),
    };
    let what = if name.is_empty() { "a port without a name".to_owned() } else { format!("a port {name:?}") };
    Some(format!("{what} is none of Service \"{}\", which {has}: it serves nobody", service.name))
}
