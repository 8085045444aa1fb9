//! The environment of a container, as kubelet writes it (S-12).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};

use super::fields::{self, Place};
use super::{Objects, Result};

/// All variables of a container: of its image, its own, and those that announce Services; the last of one name holds.
pub(crate) fn variables(
    container: &Container,
    pod: &Pod,
    place: &Place,
    objects: &Objects,
    services: &[(String, String)],
) -> Result<Vec<(String, String)>> {
    let announced: BTreeMap<&str, &str> =
        services.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut own = Own::default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let map = match (&source.config_map_ref, &source.secret_ref) {
            (Some(from), _) => objects.config_map(&from.name, from.optional)?,
            (None, Some(from)) => objects.secret(&from.name, from.optional)?,
            (None, None) => None,
        };
        for (name, value) in map.into_iter().flatten() {
            own.set(format!("{prefix}{name}"), text(value)?);
        }
    }
    for variable in container.env.iter().flatten() {
        let literal = variable.value.as_deref().unwrap_or_default();
        let value = match &variable.value_from {
            Some(from) if literal.is_empty() => match value_from(from, container, pod, place, objects)? {
                Some(value) => value,
                None => continue, // optional, and not there
            },
            Some(_) | None => expand(literal, |name| own.get(name).or_else(|| announced.get(name).copied())),
        };
        own.set(variable.name.clone(), value);
    }
    let others = services.iter().filter(|(name, _)| own.get(name).is_none()).cloned().collect::<Vec<_>>();
    own.variables.extend(others);
    Ok(own.variables)
}

/// Replaces each `$(NAME)` that is known; `$$` stands for `$`.
pub(crate) fn expand<'a>(text: &str, look_up: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match look_up(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

/// Those that the pod itself defines, in their order.
#[derive(Default)]
struct Own {
    variables: Vec<(String, String)>,
}

impl Own {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: String, value: String) {
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => self.variables.push((name, value)),
        }
    }
}

fn value_from(
    from: &EnvVarSource,
    container: &Container,
    pod: &Pod,
    place: &Place,
    objects: &Objects,
) -> Result<Option<String>> {
    if let Some(selector) = &from.field_ref {
        return fields::field(selector, pod, place).map(Some);
    }
    if let Some(selector) = &from.resource_field_ref {
        return fields::resource(selector, container).map(Some);
    }
    let (map, kind, name, key, optional) = if let Some(selector) = &from.config_map_key_ref {
        let map = objects.config_map(&selector.name, selector.optional)?;
        (map, "ConfigMap", &selector.name, &selector.key, selector.optional)
    } else if let Some(selector) = &from.secret_key_ref {
        let map = objects.secret(&selector.name, selector.optional)?;
        (map, "Secret", &selector.name, &selector.key, selector.optional)
    } else {
        return Ok(None);
    };
    match map.and_then(|map| map.get(key)) {
        Some(value) => text(value).map(Some),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("couldn't find key {key} in {kind} {name}").into()),
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(String::from_utf8(bytes.to_vec()).map_err(|_| "a variable's value is no text")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(container: serde_json::Value, services: &[(&str, &str)]) -> Result<Vec<String>> {
        let container: Container = serde_json::from_value(container).unwrap();
        let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "web" } })).unwrap();
        let mut objects = Objects::default();
        let map = [("mode".to_owned(), b"fast".to_vec()), ("LEVEL".to_owned(), b"3".to_vec())];
        objects.config_maps.insert("settings".to_owned(), map.into_iter().collect());
        let services: Vec<_> =
            services.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let variables = variables(&container, &pod, &Place::default(), &objects, &services)?;
        Ok(variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn later_variables_refer_to_earlier_ones_and_to_services() {
        let env = json!({ "name": "c", "env": [
            { "name": "A", "value": "1" },
            { "name": "B", "value": "$(A)-$(WEB_SERVICE_HOST)-$(C)-$$(A)" },
            { "name": "C", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
        ] });
        assert_eq!(
            told(env, &[("WEB_SERVICE_HOST", "10.96.0.7")]).unwrap(),
            ["A=1", "B=1-10.96.0.7-$(C)-$(A)", "C=web", "WEB_SERVICE_HOST=10.96.0.7"]
        );
    }

    #[test]
    fn a_containers_own_variable_beats_a_services_and_what_a_config_map_brings() {
        let env = json!({ "name": "c",
            "envFrom": [{ "prefix": "APP_", "configMapRef": { "name": "settings" } }],
            "env": [{ "name": "APP_mode", "value": "slow" }, { "name": "WEB_SERVICE_PORT", "value": "1" }],
        });
        let told = told(env, &[("WEB_SERVICE_PORT", "80"), ("WEB_SERVICE_HOST", "10.96.0.7")]).unwrap();
        assert_eq!(
            told,
            ["APP_LEVEL=3", "APP_mode=slow", "WEB_SERVICE_PORT=1", "WEB_SERVICE_HOST=10.96.0.7"]
        );
    }

    #[test]
    fn what_is_missing_is_told_unless_it_is_optional() {
        let of = |optional: bool, name: &str, key: &str| {
            let selector = json!({ "name": name, "key": key, "optional": optional });
            json!({ "name": "c", "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": selector } }] })
        };
        assert_eq!(told(of(true, "none", "x"), &[]).unwrap(), [""; 0]);
        assert_eq!(told(of(true, "settings", "x"), &[]).unwrap(), [""; 0]);
        assert_eq!(
            told(of(false, "none", "x"), &[]).unwrap_err().to_string(),
            "configmap \"none\" not found"
        );
        let error = told(of(false, "settings", "x"), &[]).unwrap_err();
        assert_eq!(error.to_string(), "couldn't find key x in ConfigMap settings");
    }

    #[test]
    fn a_dollar_that_begins_no_name_stays() {
        assert_eq!(expand("a$ $( $x $(X", |_| Some("!")), "a$ $( $x $(X");
        assert_eq!(expand("$(X)$$(X)$$$(X)", |_| Some("!")), "!$(X)$!");
    }
}
