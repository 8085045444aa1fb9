//! `status` of a Service: what a load balancer has made of it. An API server resets it when the Service is created, so nothing in it keeps a
//! Service from serving.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::invalid::{FieldErrors, Path, Value};
use super::object::{self, LoadBalancerIngress};
use super::{IngressPoint, addresses, grammar};

/// The entries of `status.loadBalancer.ingress` that mean something.
pub(super) fn ingress(object: &object::Service, found: &mut FieldErrors) -> Vec<IngressPoint> {
    let status = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = status.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    let status_at = Path::root("status");
    let balancer_at = status_at.field("loadBalancer");
    let list_at = balancer_at.field("ingress");
    entries.enumerate().filter_map(|(index, entry)| read_entry(entry, list_at.index(index), found)).collect()
}

/// Nothing where a part of it is wrong: nobody knows then what it was to say.
fn read_entry(entry: &LoadBalancerIngress, at: Path<'_>, found: &mut FieldErrors) -> Option<IngressPoint> {
    let mut ignore = |field, value: &str, problem: &str| {
        let text = format!("{problem}: the entry is ignored");
        found.warn(at.field(field), Some(Value::Text(value)), text);
    };
    let ip = match entry.ip.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => match addresses::parse(text) {
            Some(ip) => Some(ip),
            None => {
                ignore("ip", text, addresses::NO_ADDRESS);
                return None;
            }
        },
    };
    let hostname = entry.hostname.as_deref().filter(|name| !name.is_empty());
    if let Some((name, problem)) =
        hostname.and_then(|name| Some((name, *grammar::dns_subdomain(name).first()?)))
    {
        ignore("hostname", name, problem);
        return None;
    }
    let proxied = match entry.ip_mode.as_deref() {
        None | Some("VIP") => false,
        Some("Proxy") => true,
        Some(other) => {
            ignore("ipMode", other, "must be VIP or Proxy");
            return None;
        }
    };
    Some(IngressPoint { ip, hostname: hostname.map(Arc::from), proxied })
}
