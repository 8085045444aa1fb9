//! The downward API: what a pod is told of itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Result;

/// What of a pod only its node knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The pod's addresses, the primary one first.
    pub(crate) pod_ips: Vec<String>,
    /// The node's address.
    pub(crate) host_ip: String,
}

/// The value of a `fieldRef`.
pub(crate) fn field(selector: &ObjectFieldSelector, pod: &Pod, place: &Place) -> Result<String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    if let Some((map, key)) = subscript(&selector.field_path) {
        let map = match map {
            "metadata.labels" => &metadata.labels,
            "metadata.annotations" => &metadata.annotations,
            _ => return Err(unsupported(&selector.field_path)),
        };
        return Ok(map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match selector.field_path.as_str() {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => lines(metadata.labels.as_ref()),
        "metadata.annotations" => lines(metadata.annotations.as_ref()),
        "spec.nodeName" => spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
        "spec.serviceAccountName" => spec.map(|spec| text(&spec.service_account_name)).unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => place.host_ip.clone(),
        "status.podIP" => place.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => place.pod_ips.join(","),
        other => return Err(unsupported(other)),
    })
}

/// The value of a `resourceFieldRef`; a limit that is not set is that of the machine.
pub(crate) fn resource(selector: &ResourceFieldSelector, container: &Container) -> Result<String> {
    let (which, name) = selector.resource.split_once('.').ok_or_else(|| unsupported(&selector.resource))?;
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let of = |map: Option<&BTreeMap<String, Quantity>>| map.and_then(|map| map.get(name)).cloned();
    let quantity = match which {
        "limits" => of(limits),
        "requests" => of(requests).or_else(|| of(limits)),
        _ => return Err(unsupported(&selector.resource)),
    };
    let divisor = match &selector.divisor {
        Some(divisor) if divisor.0 != "0" => amount(&divisor.0)?,
        _ => 1.0,
    };
    let value = match quantity {
        Some(quantity) => amount(&quantity.0)?,
        None if which == "requests" => 0.0,
        None if name == "cpu" => 1.0,
        None => 1024.0 * 1024.0 * 1024.0,
    };
    Ok(format!("{}", (value / divisor).ceil()))
}

/// A quantity as a number of its base unit: cores, or bytes.
pub(crate) fn amount(quantity: &str) -> Result<f64> {
    let digits = quantity.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("cannot read the quantity `{quantity}`").into()),
    };
    let number: f64 = number.parse().map_err(|_| format!("cannot read the quantity `{quantity}`"))?;
    Ok(number * factor)
}

/// `metadata.labels['app']` → `("metadata.labels", "app")`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// Labels or annotations as the file of a volume tells them.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn unsupported(path: &str) -> super::Error {
    format!("a node of this cluster does not know the field `{path}`").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_told_of_itself() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "shop", "labels": { "app": "web", "tier": "a" } },
            "spec": { "nodeName": "node-1", "containers": [] }
        }))
        .unwrap();
        let place = Place { pod_ips: vec!["10.0.0.5".into(), "fd00::5".into()], host_ip: "10.0.0.1".into() };
        let told = |path: &str| {
            field(&ObjectFieldSelector { api_version: None, field_path: path.to_owned() }, &pod, &place)
        };
        for (path, expected) in [
            ("metadata.name", "web"),
            ("metadata.labels['tier']", "a"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "app=\"web\"\ntier=\"a\""),
            ("spec.nodeName", "node-1"),
            ("status.podIP", "10.0.0.5"),
            ("status.podIPs", "10.0.0.5,fd00::5"),
            ("status.hostIP", "10.0.0.1"),
        ] {
            assert_eq!(told(path).unwrap(), expected, "{path}");
        }
        assert!(told("spec.colour").is_err());
    }

    #[test]
    fn resources_are_rounded_up_to_the_divisor() {
        let container: Container = serde_json::from_value(json!({
            "name": "c", "resources": { "limits": { "cpu": "1500m", "memory": "64Mi" } }
        }))
        .unwrap();
        let told = |resource_name: &str, divisor: Option<&str>| {
            let divisor = divisor.map(|divisor| Quantity(divisor.to_owned()));
            let selector =
                ResourceFieldSelector { resource: resource_name.to_owned(), divisor, container_name: None };
            resource(&selector, &container).unwrap()
        };
        assert_eq!(told("limits.cpu", None), "2");
        assert_eq!(told("limits.cpu", Some("1m")), "1500");
        assert_eq!(told("limits.memory", None), "67108864");
        assert_eq!(told("requests.memory", Some("1Mi")), "64");
    }
}
