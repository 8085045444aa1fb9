//! What there is in a story: Services with their endpoints, and where the program runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::corpus::pairs;

/// Services, and what the program is told about itself.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// `namespace`, `node`, `zone` and `trustedProxies`, as far as they are said.
    pub settings: BTreeMap<String, String>,
    services: Vec<Service>,
}

#[derive(Clone, Debug, Default)]
struct Service {
    /// `namespace/name`.
    name: String,
    said: BTreeMap<String, String>,
    ports: Vec<Vec<(String, String)>>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    label: String,
    address: SocketAddr,
    said: BTreeMap<String, String>,
}

impl World {
    /// Takes in a line: its first word, and the rest.
    pub(super) fn read(&mut self, first: &str, rest: &str) -> Option<()> {
        match first {
            "set" => self.settings.extend(pairs(rest)?),
            "service" => {
                let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
                let said = pairs(said)?.into_iter().collect();
                self.services.push(Service { name: name.to_owned(), said, ..Service::default() });
            }
            "port" => {
                let (number, said) = rest.split_once(' ').unwrap_or((rest, ""));
                let number = ("port".to_owned(), number.to_owned());
                let said = [number].into_iter().chain(pairs(said)?).collect();
                self.services.last_mut()?.ports.push(said);
            }
            label => {
                let (address, said) = rest.split_once(' ').unwrap_or((rest, ""));
                let (label, address) = (label.to_owned(), address.parse().ok()?);
                let said = pairs(said)?.into_iter().collect();
                self.services.last_mut()?.endpoints.push(Endpoint { label, address, said });
            }
        }
        Some(())
    }

    /// An endpoint of that label, or the Service of that name, is no longer as it was; `gone` takes it away.
    pub fn change(&mut self, what: &str, how: &[(String, String)]) {
        let is_gone = how.iter().any(|(name, _)| name == "gone");
        let mut met = false;
        for service in &mut self.services {
            if service.name == what {
                (met, _) = (true, service.said.extend(how.iter().cloned()));
            }
            for endpoint in service.endpoints.iter_mut().filter(|endpoint| endpoint.label == what) {
                (met, _) = (true, endpoint.said.extend(how.iter().cloned()));
            }
            service.endpoints.retain(|endpoint| !(is_gone && endpoint.label == what));
        }
        self.services.retain(|service| !(is_gone && service.name == what));
        assert!(met, "nothing is called {what}");
    }

    /// The label of the endpoint at an address.
    pub fn label(&self, address: SocketAddr) -> Option<&str> {
        let endpoints = self.services.iter().flat_map(|service| &service.endpoints);
        endpoints.into_iter().find(|endpoint| endpoint.address == address).map(|endpoint| &*endpoint.label)
    }

    /// All of it as `/services` shows it.
    pub fn document(&self) -> String {
        let services: Vec<Value> = self.services.iter().map(Service::document).collect();
        json!({ "version": 1, "services": services, "rejected": [] }).to_string()
    }
}

impl Service {
    fn document(&self) -> Value {
        let (namespace, name) = self.name.split_once('/').expect("a namespace stands before a name");
        let said = |name: &str| self.said.get(name).cloned();
        let known = ["ip", "external", "affinity", "distribution", "policy"];
        let annotations = self.said.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let annotations: BTreeMap<String, &String> =
            annotations.map(|(name, value)| (format!("svcmesh.dev/{name}"), value)).collect();
        json!({
            "namespace": namespace,
            "name": name,
            "type": if self.said.contains_key("external") { "ExternalName" } else { "ClusterIP" },
            "clusterIPs": said("ip").into_iter().collect::<Vec<_>>(),
            "externalName": said("external"),
            "sessionAffinity": match said("affinity").filter(|seconds| seconds != "0") {
                Some(seconds) => json!({ "type": "ClientIP", "timeoutSeconds": number(&seconds) }),
                None => json!({ "type": "None" }),
            },
            "internalTrafficPolicy": said("policy").unwrap_or("Cluster".into()),
            "trafficDistribution": said("distribution"),
            "annotations": annotations,
            "ports": self.ports.iter().map(|port| port_document(port)).collect::<Vec<_>>(),
            "endpoints": self.endpoints.iter().map(Endpoint::document).collect::<Vec<_>>(),
        })
    }
}

fn port_document(said: &[(String, String)]) -> Value {
    let find = |name: &str| said.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    json!({
        "name": find("name").unwrap_or_default(),
        "port": number(&find("port").expect("a port has a number")),
        "protocol": find("protocol").unwrap_or("TCP".into()),
        "appProtocol": find("app"),
    })
}

impl Endpoint {
    fn document(&self) -> Value {
        let said = |name: &str| self.said.get(name).cloned();
        let is = |name: &str, usual: bool| self.said.get(name).map_or(usual, |value| value == "true");
        let hints = said("zones").or(said("nodes")).filter(|list| !list.is_empty()).map(|_| {
            let list = |name| said(name).map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>());
            json!({ "zones": list("zones").unwrap_or_default(), "nodes": list("nodes").unwrap_or_default() })
        });
        json!({
            "address": self.address.ip(),
            "port": self.address.port(),
            "portName": said("port").unwrap_or_default(),
            "ready": is("ready", true),
            "serving": is("serving", true),
            "terminating": is("terminating", false),
            "weight": said("weight").map_or(1, |weight| number(&weight)),
            "zone": said("zone"),
            "node": said("node"),
            "hints": hints,
        })
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number is written in digits")
}
