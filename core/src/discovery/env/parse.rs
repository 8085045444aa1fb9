//! Environment → Services.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;
use core::net::IpAddr;

use svc_proto::values::Escaped;

use super::generate::{MASTER, MASTER_NAMESPACE};
use super::ports;
use super::variable::{Fact, is_label, label, readings, url_variable};
use crate::address::ServiceName;
use crate::inventory::Change;
use crate::service::Service;

/// What the environment tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The Services, in the order of their names as variables have them.
    pub services: Vec<Service>,
    /// The variables that should have told something but were no help.
    pub warnings: Vec<EnvWarning>,
}

impl Discovered {
    /// What an inventory is told of it: an environment does not change, so this is all that there is to tell.
    pub fn into_changes(self) -> Vec<Change> {
        let known = |service: Service| Change::Service(service.name.clone(), Some(Arc::new(service)));
        self.services.into_iter().map(known).collect()
    }
}

/// A variable that was ignored, or what could not be known for want of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvWarning {
    /// The variable's name.
    pub variable: String,
    /// The start of its value.
    pub value: String,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for EnvWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: expected {}", self.variable, Escaped(&self.value), self.expected)
    }
}

/// The Services that these variables announce, as a pod in `namespace` sees them: of that namespace, except
/// `default/kubernetes`. (A Service `kubernetes` in the pod's own namespace cannot be told from it.)
///
/// The order of the variables does not matter; where one comes twice, the last counts. Variables longer than
/// any that the kubelet writes are passed over. The work is linear in what is left.
pub fn parse<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    namespace: &Arc<str>,
) -> Discovered {
    let fits = |(name, value): &(&str, &str)| name.len() <= NAME_BYTES_MAX && value.len() <= VALUE_BYTES_MAX;
    let mut known = BTreeMap::new();
    known.extend(variables.into_iter().filter(fits));
    let mut warnings = Vec::new();
    let mut announced = announced(&known, &mut warnings);
    for (name, value) in &known {
        attribute(name, value, &known, &mut announced, &mut warnings);
    }
    let mut services = Vec::new();
    for (prefix, found) in announced {
        services.extend(service(prefix, found, namespace, &mut warnings));
    }
    Discovered { services, warnings }
}

/// A Service with what was found out about it.
struct Announced<'a> {
    address: IpAddr,
    facts: Vec<Fact<'a>>,
}

/// The Services by their prefixes: those of which a variable tells the address.
fn announced<'a>(
    variables: &BTreeMap<&'a str, &'a str>,
    warnings: &mut Vec<EnvWarning>,
) -> BTreeMap<&'a str, Announced<'a>> {
    let mut announced = BTreeMap::new();
    for (variable, value) in variables {
        let Some(prefix) = variable.strip_suffix("_SERVICE_HOST") else { continue };
        if !is_label(prefix) {
            continue;
        }
        match address(value) {
            Some(address) => {
                announced.insert(prefix, Announced { address, facts: Vec::new() });
            }
            // It may be a port that is called `…-service-host`.
            None if readings(variable, value).any(|(_, fact)| fact.is_ok()) => {}
            None => warnings.push(warning(variable, value, "the IP address of a Service")),
        }
    }
    announced
}

/// An address that a Service can have.
fn address(raw: &str) -> Option<IpAddr> {
    raw.parse().ok().filter(|address: &IpAddr| !address.is_unspecified() && !address.is_multicast())
}

/// Gives the fact in a variable to the announced Service it is about.
fn attribute<'a>(
    variable: &'a str,
    value: &'a str,
    variables: &BTreeMap<&str, &str>,
    announced: &mut BTreeMap<&'a str, Announced<'a>>,
    warnings: &mut Vec<EnvWarning>,
) {
    if url_variable(variable).is_some_and(|url| variables.contains_key(url)) {
        return; // repeats a part of that one
    }
    let mut misfit = None;
    for (prefix, fact) in readings(variable, value) {
        let Some(service) = announced.get_mut(prefix) else { continue };
        match fact {
            Ok(Fact::Link(link) | Fact::FirstLink(link)) if link.address != service.address => {
                misfit = misfit.or(Some("the address of the Service"));
            }
            Ok(fact) => return service.facts.push(fact),
            Err(expected) => misfit = misfit.or(Some(expected)),
        }
    }
    warnings.extend(misfit.map(|expected| warning(variable, value, expected)));
}

fn service(
    prefix: &str,
    found: Announced<'_>,
    namespace: &Arc<str>,
    warnings: &mut Vec<EnvWarning>,
) -> Option<Service> {
    let (ports, nameless) = ports::from_facts(found.facts);
    for (name, number) in nameless {
        let variable = format!("{prefix}_SERVICE_PORT_{name}");
        warnings.push(warning(
            &variable,
            &number.to_string(),
            "a name that tells which of the protocols on this port it is for",
        ));
    }
    if ports.is_empty() {
        let variable = format!("{prefix}_SERVICE_HOST");
        warnings.push(warning(&variable, &found.address.to_string(), "a variable with a port beside it"));
        return None;
    }
    let name = label(prefix);
    let namespace = if name == MASTER { MASTER_NAMESPACE.into() } else { namespace.clone() };
    let name = ServiceName::new(namespace, name);
    Some(Service { cluster_ips: vec![found.address], ..Service::plain(name, ports) })
}

fn warning(variable: &str, value: &str, expected: &'static str) -> EnvWarning {
    EnvWarning {
        variable: variable.to_owned(),
        value: value.chars().take(VALUE_CHARS_SHOWN).collect(),
        expected,
    }
}

/// A Service's name and a port's, 63 bytes each, and what stands around them.
const NAME_BYTES_MAX: usize = 63 + "_SERVICE_PORT_".len() + 63;

/// `sctp://[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535`, and room for a value that is worth a
/// warning.
const VALUE_BYTES_MAX: usize = 1024;

/// Enough to recognise a value by.
const VALUE_CHARS_SHOWN: usize = 60;
